# Copyright 2026 dr_perception maintainers
#
# Licensed under the Apache License, Version 2.0 (the "License");
# you may not use this file except in compliance with the License.
# You may obtain a copy of the License at
#
#     http://www.apache.org/licenses/LICENSE-2.0
#
# Unless required by applicable law or agreed to in writing, software
# distributed under the License is distributed on an "AS IS" BASIS,
# WITHOUT WARRANTIES OR CONDITIONS OF ANY KIND, either express or implied.
# See the License for the specific language governing permissions and
# limitations under the License.

"""Messages to arrays and back: round trips, hand-computed cases, every refusal."""
from array import array

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError, ImageError
from dr_perception.core.transforms import (make_transform, rotation_about, rotation_from_rotvec,
                                           transform_points)
from dr_perception.ros import conversions
from dr_perception.ros.camera_conversion import camera_from_info, info_from_camera
from dr_perception.ros.image_conversion import image_from_rgb, rgb_from_compressed, rgb_from_image
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

numbers = st.floats(-3.0, 3.0)
vectors = st.tuples(numbers, numbers, numbers).map(np.array)
transforms = st.builds(lambda r, t: make_transform(rotation_from_rotvec(r), t), vectors, vectors)


@given(transforms)
@settings(max_examples=50)
def test_pose_round_trip(T):
    assert np.allclose(conversions.pose_to_matrix(conversions.pose_from_matrix(T)), T)


@given(transforms)
@settings(max_examples=50)
def test_transform_round_trip(T):
    message = conversions.transform_stamped(Header(), 'child', T)
    assert np.allclose(conversions.transform_from_message(message.transform), T)


@given(st.integers(0, 2**31 * 10**9 - 1))
def test_stamp_round_trip(stamp_ns):
    assert conversions.stamp_to_ns(conversions.stamp_from_ns(stamp_ns)) == stamp_ns


def test_pose_of_float32_and_int_arrays_is_sent_as_float64():
    T = make_transform(np.eye(3, dtype=np.float32), np.array([1, 2, 3]))
    position = conversions.pose_from_matrix(T.astype(np.float32)).position
    assert [type(v) for v in (position.x, position.y, position.z)] == [float] * 3
    assert position.z == 3.0


def test_covariance_keeps_rep_103_order_in_its_own_frame():
    covariance = np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0])
    message = conversions.pose_with_covariance(np.eye(4), covariance)
    assert list(message.covariance[[0, 7, 14, 21, 28, 35]]) == [1, 2, 3, 4, 5, 6]


def test_covariance_follows_the_axes_by_hand():
    # A quarter turn about z: the camera's x axis is the base's y axis.
    turned = conversions.rotate_covariance(
        rotation_about('z', np.pi / 2), np.diag([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]))
    assert np.allclose(np.diag(turned), [2, 1, 3, 5, 4, 6])


def test_rotated_covariance_is_that_of_rotated_samples():
    rng = np.random.default_rng(3)
    A = rng.normal(size=(6, 6))
    samples = rng.normal(size=(200_000, 6)) @ A.T
    R = rotation_from_rotvec(np.array([0.3, -1.0, 0.5]))
    turned = np.hstack([samples[:, :3] @ R.T, samples[:, 3:] @ R.T])
    expected = conversions.rotate_covariance(R, A @ A.T)
    assert np.allclose(np.cov(turned.T), expected, atol=0.02 * np.abs(expected).max())


@pytest.mark.parametrize('values, text', [
    ([1.0, 2.0, 3.0], 'expected seven finite numbers'),
    ([0.0, 0.0, 0.0, 0.0, 0.0, 0.0, float('nan')], 'expected seven finite numbers'),
    ([0.0] * 7, 'norm 0; expected 1'),
    ([0.0, 0.0, 0.0, 1.0, 1.0, 0.0, 0.0], 'in the order qx qy qz qw')])
def test_camera_pose_that_cannot_be(values, text):
    with pytest.raises(ValueError, match=text):
        conversions.transform_from_seven(values)


@pytest.mark.parametrize('encoding, channels, expected', [
    ('rgb8', 3, lambda p: p), ('bgr8', 3, lambda p: p[:, :, ::-1]),
    ('mono8', 1, lambda p: np.repeat(p, 3, axis=2)), ('rgba8', 4, lambda p: p[:, :, :3]),
    ('bgra8', 4, lambda p: p[:, :, 2::-1])])
@pytest.mark.parametrize('padding', [0, 5])
@given(st.integers(1, 9), st.integers(1, 9), st.integers(0, 255))
@settings(max_examples=10)
def test_encodings_with_and_without_padding(encoding, channels, expected, padding, width_px,
                                            height_px, seed):
    rng = np.random.default_rng(seed)
    rows = rng.integers(0, 256, (height_px, width_px * channels + padding), np.uint8)
    message = Image(width=width_px, height=height_px, encoding=encoding, step=rows.shape[1],
                    is_bigendian=1, data=array('B', rows.tobytes()))
    pixels = rows[:, :width_px * channels].reshape(height_px, width_px, channels)
    assert np.array_equal(rgb_from_image(message), expected(pixels))


def test_last_row_may_lack_its_padding():
    message = Image(width=2, height=2, encoding='mono8', step=4,
                    data=array('B', [1, 2, 0, 0, 3, 4]))
    assert rgb_from_image(message)[:, :, 0].tolist() == [[1, 2], [3, 4]]


def test_rgb8_is_not_copied():
    message = image_from_rgb(Header(), np.zeros((4, 6, 3), np.uint8))
    message.data[0] = 77
    picture = rgb_from_image(message)
    message.data[1] = 78
    assert picture[0, 0].tolist() == [77, 78, 0]


@given(st.integers(1, 20), st.integers(1, 20))
@settings(max_examples=20)
def test_image_round_trip(width_px, height_px):
    picture = np.random.default_rng(width_px).integers(0, 256, (height_px, width_px, 3), np.uint8)
    assert np.array_equal(rgb_from_image(image_from_rgb(Header(), picture)), picture)


def broken_image(**changes):
    """Return a 4x3 picture with some fields changed."""
    message = image_from_rgb(Header(), np.zeros((3, 4, 3), np.uint8))
    for name, value in changes.items():
        setattr(message, name, value)
    return message


@pytest.mark.parametrize('changes, text', [
    ({'width': 0}, 'image is 0x3 px'), ({'height': 0}, 'image is 4x0 px'),
    ({'width': 40000}, 'at most 32768 px a side'),
    ({'step': 11}, 'step is 11 bytes; a row of 4 px in rgb8 has 12'),
    ({'step': 0}, 'step is 0 bytes'), ({'step': 13}, 'truncated: 36 bytes'),
    ({'data': array('B', bytes(35))}, 'truncated: 35 bytes; 3 rows of 12 bytes need 36'),
    ({'data': array('B')}, 'truncated: 0 bytes')])
def test_broken_image_is_refused(changes, text):
    with pytest.raises(ImageError, match=text):
        rgb_from_image(broken_image(**changes))


def test_encoding_without_cv_bridge_names_the_remedy(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'cv_bridge', None)
    with pytest.raises(ImageError, match="'bayer_rggb8'.*apt install ros-jazzy-cv-bridge.*mono8"):
        rgb_from_image(broken_image(encoding='bayer_rggb8'))


def test_unknown_encoding_through_cv_bridge_is_one_line(monkeypatch):
    class Bridge:

        def imgmsg_to_cv2(self, message, encoding):
            raise RuntimeError('not\nknown')

    module = type(__import__('sys'))('cv_bridge')
    module.CvBridge = Bridge
    monkeypatch.setitem(__import__('sys').modules, 'cv_bridge', module)
    with pytest.raises(ImageError, match="cannot read an image of encoding 'x': not known"):
        rgb_from_image(broken_image(encoding='x'))


def test_compressed_image_and_its_refusals():
    picture = np.full((8, 10, 3), (200, 30, 60), np.uint8)
    data = cv2.imencode('.png', picture[:, :, ::-1])[1].tobytes()
    message = CompressedImage(format='png', data=array('B', data))
    assert np.array_equal(rgb_from_compressed(message), picture)
    for broken in (b'', data[:20], b'no picture'):
        with pytest.raises(ImageError, match="'png'.*cannot be read"):
            rgb_from_compressed(CompressedImage(format='png', data=array('B', broken)))


CAMERA = PinholeCamera(600.0, 610.0, 319.5, 239.5, 640, 480, 'plumb_bob',
                       (0.1, -0.2, 0.001, 0.002, 0.05))


@pytest.mark.parametrize('camera', [
    CAMERA, PinholeCamera(600.0, 610.0, 319.5, 239.5, 640, 480),
    PinholeCamera(300.0, 310.0, 319.5, 239.5, 640, 480, 'equidistant', (0.1, 0.2, 0.0, 0.1))])
def test_camera_info_round_trip(camera):
    assert camera_from_info(info_from_camera(Header(), camera), 640, 480) == camera


def test_rectified_image_uses_p_without_distortion():
    info = info_from_camera(Header(), CAMERA)
    info.p[0], info.p[2] = 550.0, 300.0
    camera = camera_from_info(info, 640, 480, is_rectified=True)
    assert (camera.fx_px, camera.cx_px, camera.distortion_model) == (550.0, 300.0, 'none')


@pytest.mark.parametrize('binning', [1, 2])
@pytest.mark.parametrize('roi', [None, (100, 60, 320, 240)])
def test_binning_and_region_of_interest_keep_rays(binning, roi):
    info = info_from_camera(Header(), PinholeCamera(600.0, 610.0, 319.5, 239.5, 640, 480))
    info.binning_x = info.binning_y = binning
    left, top, width, height = roi or (0, 0, 640, 480)
    if roi:
        info.roi.x_offset, info.roi.y_offset, info.roi.width, info.roi.height = roi
    camera = camera_from_info(info, width // binning, height // binning)
    point = np.array([[0.05, -0.03, 1.0]])
    full = PinholeCamera(600.0, 610.0, 319.5, 239.5, 640, 480).project(
        transform_points(np.eye(4), point))[0]
    expected = (full - [left, top] + 0.5) / binning - 0.5
    assert np.allclose(camera.project(point)[0], expected)


def changed_info(**changes):
    """Return a good CameraInfo with some fields changed."""
    info = info_from_camera(Header(), CAMERA)
    for name, value in changes.items():
        setattr(info, name, value)
    return info


NAN = float('nan')


@pytest.mark.parametrize('info, is_rectified, text', [
    (changed_info(k=[0.0] * 9), False, 'not calibrated|not a camera|focal'),
    (changed_info(k=[NAN] * 9), False, 'NaN'),
    (changed_info(d=[NAN] * 5), False, 'NaN'),
    (changed_info(width=320, height=240), False,
     '640x480 px but its CameraInfo describes 320x240'),
    (changed_info(width=0, height=0), False, 'describes 0x0'),
    (changed_info(binning_x=2, binning_y=2), False, 'describes 320x240 px.*binning 2x2'),
    (changed_info(distortion_model='wavy'), False, "'wavy' is not known"),
    (changed_info(p=[NAN] * 12), True, 'P of the CameraInfo holds NaN'),
    (changed_info(p=[0.0] * 12), True, 'focal'),
    (changed_info(p=[600.0, 0.0, 320.0, -60.0, 0.0, 600.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]), True,
     'second camera of a stereo pair'),
    (CameraInfo(), False, 'describes 0x0')])
def test_camera_info_that_cannot_be_used(info, is_rectified, text):
    with pytest.raises(CameraError, match=text):
        camera_from_info(info, 640, 480, is_rectified)
