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

"""From any picture to the network's input, and pictures that are refused."""
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import ImageError
from dr_perception.core.network_spec import InputSpec
from dr_perception.core.preprocessing import check_image, MAX_SIDE_PX, network_input
import numpy as np
import pytest

SPEC = InputSpec(multiple_px=32, focal_px=615.0, focal_tolerance=1.12, max_pixels=1_500_000)


def _camera(width_px, height_px, focal_px=615.0):
    return PinholeCamera(focal_px, focal_px, (width_px - 1) / 2, (height_px - 1) / 2, width_px,
                         height_px)


def _picture(width_px, height_px):
    v, u = np.mgrid[:height_px, :width_px]
    return np.stack([u % 256, v % 256, (u + v) % 256], -1).astype(np.uint8)


def test_a_fitting_picture_passes_untouched():
    image = _picture(640, 480)
    prepared = network_input(image, _camera(640, 480), SPEC)
    assert np.array_equal(prepared.image_rgb, image)
    assert prepared.camera == _camera(640, 480)
    assert (prepared.content_width_px, prepared.content_height_px) == (640, 480)


def test_padding_repeats_the_border_and_moves_nothing():
    image = _picture(650, 470)
    prepared = network_input(image, _camera(650, 470), SPEC)
    assert prepared.image_rgb.shape == (480, 672, 3)
    assert np.array_equal(prepared.image_rgb[:470, :650], image)
    assert (prepared.image_rgb[:470, 650:] == image[:, -1:]).all()
    assert (prepared.image_rgb[470:, :650] == image[-1:]).all()
    assert (prepared.camera.cx_px, prepared.camera.cy_px) == (324.5, 234.5)
    assert (prepared.camera.width_px, prepared.camera.height_px) == (672, 480)
    assert (prepared.content_width_px, prepared.content_height_px) == (650, 470)


@pytest.mark.parametrize('focal_px, size', [
    (1230.0, (320, 240)), (307.5, (1280, 960)), (615 * 1.119, (640, 480)),
    (615 / 1.119, (640, 480)), (615 * 1.125, (569, 427))])
def test_another_focal_length_is_brought_to_the_trained_one(focal_px, size):
    prepared = network_input(_picture(640, 480), _camera(640, 480, focal_px), SPEC)
    assert (prepared.content_width_px, prepared.content_height_px) == size
    if size != (640, 480):
        assert prepared.camera.fx_px == pytest.approx(615, rel=2e-3)


def test_large_pictures_are_made_smaller():
    camera = _camera(2000, 1500, 640.0)
    prepared = network_input(np.zeros((1500, 2000, 3), np.uint8), camera, SPEC)
    pixels = prepared.content_width_px * prepared.content_height_px
    assert pixels == pytest.approx(1_500_000, rel=2e-3)
    assert prepared.camera.fx_px == pytest.approx(640 * prepared.content_width_px / 2000)


def test_a_point_stays_on_its_pixel():
    image = np.zeros((960, 1280, 3), np.uint8)
    image[300:308, 600:608] = 255       # centre (603.5, 303.5)
    camera = _camera(1280, 960, 1230.0)
    ray = np.append(camera.normalize([[603.5, 303.5]])[0], 1)
    prepared = network_input(image, camera, SPEC)
    v, u = np.nonzero(prepared.image_rgb[..., 0] > 127)
    assert np.allclose(prepared.camera.project(ray[None])[0], [u.mean(), v.mean()])


@pytest.mark.parametrize('width_px, height_px, focal_px', [
    (1920, 1080, 1383.75), (1280, 720, 922.5), (3840, 2160, 2767.5), (1282, 962, 1230.0),
    (1281, 961, 1300.0)])
def test_shrinking_averages_and_moves_nothing(width_px, height_px, focal_px):
    v, u = np.mgrid[:height_px, :width_px]
    smooth = 120 + 60 * np.sin(u / width_px * 31) + 60 * np.cos(v / width_px * 47)
    stripes = smooth + 12 * (u % 2)       # too fine for the smaller picture
    camera = _camera(width_px, height_px, focal_px)
    prepared = network_input(np.repeat(stripes[..., None], 3, 2).astype(np.uint8), camera, SPEC)
    width, height = prepared.content_width_px, prepared.content_height_px
    exact = _camera(width_px, height_px).resized(width, height)
    rows, columns = np.mgrid[:height, :width]
    x = (columns + 0.5) * width_px / width - 0.5
    y = (rows + 0.5) * height_px / height - 0.5
    wanted = 126 + 60 * np.sin(x / width_px * 31) + 60 * np.cos(y / width_px * 47)
    inner = np.s_[2:-2, 2:-2]
    error = (prepared.image_rgb[:height, :width, 0] - wanted)[inner]
    assert prepared.camera.cx_px == pytest.approx(exact.cx_px)
    assert np.abs(error).mean() < 2         # the stripes have 6
    for slope in np.gradient(wanted):       # by how many pixels the picture is moved
        slope = slope[inner]
        assert abs((error * slope).sum() / (slope ** 2).sum()) < 0.02


@pytest.mark.parametrize('width_px, height_px, focal_px', [(1, 1, 615.0), (3, 2, 1e6),
                                                           (1, 500, 600.0), (20, 20, 0.5)])
def test_tiny_and_odd_pictures_do(width_px, height_px, focal_px):
    prepared = network_input(_picture(width_px, height_px),
                             _camera(width_px, height_px, focal_px), SPEC)
    height, width = prepared.image_rgb.shape[:2]
    assert height % 32 == width % 32 == 0
    assert height * width < 4e6


@pytest.mark.parametrize('view', [
    lambda image: image[:, :, ::-1], lambda image: image[::-1], lambda image: image[:, ::-1],
    lambda image: image.transpose(1, 0, 2).copy(order='F').transpose(1, 0, 2),
    lambda image: np.asfortranarray(image)])
@pytest.mark.parametrize('width_px, focal_px', [(640, 615.0), (650, 615.0), (640, 1230.0)])
def test_views_with_strides_of_their_own_do(view, width_px, focal_px):
    image = view(_picture(width_px, 480))
    camera = _camera(width_px, 480, focal_px)
    prepared = network_input(image, camera, SPEC)
    copied = network_input(np.ascontiguousarray(image), camera, SPEC)
    assert prepared.image_rgb.flags['C_CONTIGUOUS']
    assert np.array_equal(prepared.image_rgb, copied.image_rgb)


def test_a_read_only_picture_is_not_written_to():
    image = _picture(650, 480)
    image.flags.writeable = False
    network_input(image, _camera(650, 480), SPEC)


@pytest.mark.parametrize('image, message', [
    (None, r'the image is NoneType; expected a uint8 array of shape \(H, W, 3\)'),
    ([[0]], 'the image is list; expected a uint8 array'),
    (np.zeros((480, 640, 3)), r'the image is float64; expected a uint8 array'),
    (np.zeros((480, 640, 3), np.uint16), 'the image is uint16; expected'),
    (np.zeros((480, 640), np.uint8), r'the image has shape \(480, 640\); expected \(H, W, 3\), '
                                     'RGB'),
    (np.zeros((480, 640, 4), np.uint8), r'the image has shape \(480, 640, 4\)'),
    (np.zeros((1, 480, 640, 3), np.uint8), r'the image has shape \(1, 480, 640, 3\)'),
    (np.zeros((0, 640, 3), np.uint8), r'the image has shape \(0, 640, 3\); it holds no pixel'),
    (np.zeros((1, MAX_SIDE_PX + 1, 3), np.uint8), 'the image is 16385x1; at most 16384 px a side'),
    (np.zeros((240, 320, 3), np.uint8),
     r'the image is 320x240 but the camera was calibrated at 640x480; give the camera of this '
     r'image \(PinholeCamera.resized or .cropped\)')])
def test_what_is_no_picture_of_this_camera_is_refused(image, message):
    with pytest.raises(ImageError, match=message):
        check_image(image, _camera(640, 480))
    with pytest.raises(ImageError, match=message):
        network_input(image, _camera(640, 480), SPEC)
