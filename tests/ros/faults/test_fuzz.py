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

"""Ten thousand damaged messages: refused in one line, or read exactly as they say."""
from array import array

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import PerceptionError
from dr_perception.core.pipeline import Detection
from dr_perception.core.transform_buffer import TransformBuffer
from dr_perception.ros.camera_conversion import info_from_camera
from dr_perception.ros.conversions import NS_PER_S, stamp_from_ns
from dr_perception.ros.frame_processor import FrameProcessor
from dr_perception.ros.image_conversion import image_from_rgb
from dr_perception.ros.parameters import settings_from_values, SPECS
import numpy as np
import pytest
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from std_msgs.msg import Header

MESSAGES = 10_000
NOW_NS = 1_000 * NS_PER_S
WIDTH_PX, HEIGHT_PX = 24, 16
CAMERA = PinholeCamera(20.0, 21.0, 11.5, 7.5, WIDTH_PX, HEIGHT_PX)
SIZES = [0, 1, 2, 7, 8, 12, 16, 23, 24, 25, 48, 640, 4096, 7680, 40_000, 2**31, 2**32 - 1]
NUMBERS = [0.0, -0.0, 1.0, -1.0, 0.5, 20.0, 1e-300, 1e300, np.nan, np.inf, -np.inf]
TEXTS = ['', 'rgb8', 'bgr8', 'mono8', 'rgba8', 'bgra8', 'mono16', '8UC3', '32FC1', 'RGB8',
         'bayer_rggb8', 'yuv422', '\x00', 'é' * 40, 'plumb_bob', 'equidistant', 'fisheye']


class Witness:
    """An estimator that checks what it is given, and says where it was."""

    def __init__(self, catalogue):
        """Know the objects."""
        from types import SimpleNamespace
        self.contract = SimpleNamespace(objects=tuple(catalogue.values()))
        self.last_timing_ms = {}
        self.seen = []

    def estimate(self, image_rgb, camera, T_base_camera=None):
        """Return one cube, 0.5 m before the middle of the picture."""
        assert image_rgb.dtype == np.uint8 and image_rgb.ndim == 3 and image_rgb.shape[2] == 3
        assert image_rgb.shape[:2] == (camera.height_px, camera.width_px)
        assert np.isfinite(camera.K).all() and min(camera.fx_px, camera.fy_px) > 0
        self.seen.append((image_rgb.copy(), camera))
        T = np.eye(4)
        T[:3, 3] = *camera.normalize(np.array([[11.5, 7.5]]))[0] * 0.5, 0.5
        return [Detection('cube', 0.9, T, np.eye(6) * 1e-6)]


def settings():
    """Return the defaults, with a camera pose."""
    values = {spec.name: spec.default for spec in SPECS}
    return settings_from_values({**values, 'camera_pose': [1.1, 0, 0.65, 0, 0, 0, 1]})


def good(rng):
    """Return an image and the CameraInfo that belongs to it."""
    header = Header(stamp=stamp_from_ns(NOW_NS), frame_id='camera')
    pixels = rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    return image_from_rgb(header, pixels), info_from_camera(header, CAMERA)


def damage_image(rng, image):
    """Change a field of an image."""
    what = rng.integers(6)
    if what == 0:
        setattr(image, str(rng.choice(['width', 'height', 'step'])), int(rng.choice(SIZES)))
    elif what == 1:
        image.encoding = str(rng.choice(TEXTS))
    elif what == 2:
        image.data = array('B', bytes(int(rng.choice([0, 1, 100, 1151, 1152, 1153, 5000]))))
    elif what == 3:
        image.is_bigendian = int(rng.integers(256))
    elif what == 4:
        image.header.frame_id = str(rng.choice(['', '/', '//camera', '/camera', 'é', 'a b']))
    else:
        image.header.stamp.sec = int(rng.choice([-2**31, -1, 0, 1, 2**31 - 1]))
        image.header.stamp.nanosec = int(rng.choice([0, 999_999_999, 2**32 - 1]))


def damage_info(rng, info):
    """Change a field of a CameraInfo."""
    what = rng.integers(6)
    if what == 0:
        setattr(info, str(rng.choice(['width', 'height', 'binning_x', 'binning_y'])),
                int(rng.choice(SIZES)))
    elif what == 1:
        info.k[int(rng.integers(9))] = float(rng.choice(NUMBERS))
    elif what == 2:
        info.d = [float(rng.choice(NUMBERS)) for _ in range(int(rng.integers(15)))]
    elif what == 3:
        info.distortion_model = str(rng.choice(TEXTS))
    elif what == 4:
        setattr(info.roi, str(rng.choice(['x_offset', 'y_offset', 'width', 'height'])),
                int(rng.choice(SIZES)))
    else:
        info.p[int(rng.integers(12))] = float(rng.choice(NUMBERS))


def expected_pixels(image):
    """Read a picture byte by byte, as the definition of its encoding says."""
    order = {'rgb8': (3, (0, 1, 2)), 'bgr8': (3, (2, 1, 0)), '8UC3': (3, (2, 1, 0)),
             'mono8': (1, (0, 0, 0)), 'rgba8': (4, (0, 1, 2)), 'bgra8': (4, (2, 1, 0))}
    channels, places = order[image.encoding]
    data = bytes(image.data)
    return np.array([[[data[row * image.step + column * channels + place] for place in places]
                      for column in range(image.width)] for row in range(image.height)], np.uint8)


@pytest.mark.parametrize('is_rectified', [False, True])
def test_ten_thousand_damaged_messages(catalogue, is_rectified):
    import dataclasses
    rng = np.random.default_rng(7 + is_rectified)
    witness = Witness(catalogue)
    processor = FrameProcessor(witness, TransformBuffer(), lambda kind, text: None)
    values = dataclasses.replace(settings(), image_is_rectified=is_rectified)
    accepted, refused = 0, {}
    for _ in range(MESSAGES // 2):
        image, info = good(rng)
        for _ in range(int(rng.integers(1, 4))):
            if rng.random() < 0.5:
                damage_image(rng, image)
            else:
                damage_info(rng, info)
        try:
            result = processor.process(image, info, values, NOW_NS)
        except PerceptionError as error:
            assert '\n' not in str(error) and len(str(error)) < 400
            refused[type(error).__name__] = refused.get(type(error).__name__, 0) + 1
            continue
        accepted += 1
        pixels, camera = witness.seen[-1]
        assert np.array_equal(pixels, expected_pixels(image))
        binning = max(info.binning_x, 1), max(info.binning_y, 1)
        matrix = np.reshape(info.p, (3, 4)) if is_rectified else np.reshape(info.k, (3, 3))
        assert camera.fx_px == pytest.approx(matrix[0, 0] / binning[0])
        assert camera.fy_px == pytest.approx(matrix[1, 1] / binning[1])
        whole = info.roi.width == 0 or info.roi.height == 0
        left = 0 if whole else info.roi.x_offset
        assert (camera.cx_px + 0.5) * binning[0] - 0.5 + left == pytest.approx(matrix[0, 2])
        pose = result.instances[0].T_output_object
        assert np.isfinite(pose).all()
        seen_at = camera.project(pose[:3, 3][None])[0]
        assert seen_at == pytest.approx([11.5, 7.5], abs=1e-3)
        assert result.header.stamp == image.header.stamp
        witness.seen.clear()
    # The test sees both sides: many are good enough, and every kind of refusal comes up.
    assert accepted > 300
    assert {'ImageError', 'CameraError', 'StaleImageError'} <= set(refused)
    assert sum(refused.values()) + accepted == MESSAGES // 2


def test_damaged_compressed_images(catalogue):
    import cv2
    rng = np.random.default_rng(3)
    processor = FrameProcessor(Witness(catalogue), TransformBuffer(), lambda kind, text: None)
    pixels = rng.integers(0, 256, (HEIGHT_PX, WIDTH_PX, 3), dtype=np.uint8)
    whole = {suffix: cv2.imencode(suffix, pixels)[1].tobytes() for suffix in ('.png', '.jpg')}
    _, info = good(rng)
    header = Header(stamp=stamp_from_ns(NOW_NS), frame_id='camera')
    values, outcomes = settings(), set()
    for number in range(1500):
        data = bytearray(whole[('.png', '.jpg')[number % 2]])
        for _ in range(int(rng.integers(0, 4))):
            data[int(rng.integers(len(data)))] = int(rng.integers(256))
        if rng.random() < 0.3:
            del data[int(rng.integers(len(data))):]
        message = CompressedImage(header=header, format='jpeg', data=array('B', bytes(data)))
        try:
            result = processor.process(message, info, values, NOW_NS)
            outcomes.add('read')
            assert result.image_rgb.shape == (HEIGHT_PX, WIDTH_PX, 3)
        except PerceptionError as error:
            outcomes.add('refused')
            assert '\n' not in str(error)
    assert outcomes == {'read', 'refused'}


def test_damaged_messages_over_dds_leave_the_node_alive(ros_graph, make_camera_client,
                                                        tiny_model):
    from vision_msgs.msg import Detection3DArray
    node = ros_graph.start_estimator(model=str(tiny_model),
                                     camera_pose=[1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0])
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    rng = np.random.default_rng(11)
    for _ in range(300):
        image, info = good(rng)
        damage_image(rng, image)
        damage_info(rng, info)
        camera.images.publish(image)
        camera.infos.publish(info)
    camera.send_info()
    last = camera.send_image()
    assert detections.wait_for(lambda m: m.header == last.header).detections
    assert node._statistics.snapshot().received > 0


def test_every_field_that_is_damaged_exists():
    """A misspelt field would be damaged without effect."""
    fields = set(Image.get_fields_and_field_types()) | set(CameraInfo.get_fields_and_field_types())
    assert {'width', 'height', 'step', 'encoding', 'data', 'is_bigendian', 'k', 'd', 'p', 'roi',
            'binning_x', 'binning_y', 'distortion_model'} <= fields
