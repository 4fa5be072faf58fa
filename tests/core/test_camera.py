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

"""The camera: projection both ways, and what crops and resizes do to pixels."""
import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
import numpy as np
import pytest

K = np.array([[615.0, 0, 319.5], [0, 610.0, 239.5], [0, 0, 1]])
LENSES = {
    'none': None,
    'plumb_bob': [-0.30, 0.11, 0.001, -0.0015, -0.01],
    'rational_polynomial': [0.25, 0.05, 0.0005, -0.0003, 0.01, 0.60, 0.10, 0.02],
    'equidistant': [-0.02, 0.004, -0.001, 0.0002],
}


@pytest.fixture(params=list(LENSES))
def lens(request):
    """Return a camera of every distortion model."""
    return PinholeCamera.from_matrix(K, 640, 480, LENSES[request.param], request.param)


def test_projection_and_normalization_are_inverse(lens):
    u, v = np.meshgrid(np.linspace(0, 639, 9), np.linspace(0, 479, 7))
    pixels = np.stack([u.ravel(), v.ravel()], 1)
    rays = np.concatenate([lens.normalize(pixels), np.ones((len(pixels), 1))], 1)
    depths = np.linspace(0.3, 3.0, len(pixels))[:, None]
    assert np.abs(lens.project(rays * depths) - pixels).max() < 1e-4


def test_the_principal_point_sees_straight_ahead(lens):
    assert np.allclose(lens.project([[0, 0, 1.7]]), [[319.5, 239.5]])
    assert np.allclose(lens.normalize([[319.5, 239.5]]), [[0, 0]], atol=1e-12)


def test_known_point_known_pixel():
    camera = PinholeCamera.from_matrix(K, 640, 480)
    # 615 * 0.1 / 0.5 + 319.5 = 442.5; 610 * -0.05 / 0.5 + 239.5 = 178.5
    assert np.allclose(camera.project([[0.1, -0.05, 0.5]]), [[442.5, 178.5]])


def test_barrel_distortion_by_hand():
    camera = PinholeCamera.from_matrix(K, 640, 480, [-0.2, 0, 0, 0])
    # x = 0.5, r^2 = 0.25: x (1 - 0.2 * 0.25) = 0.475
    assert np.allclose(camera.project([[0.5, 0, 1]]), [[615 * 0.475 + 319.5, 239.5]])


def test_an_equidistant_lens_by_hand():
    camera = PinholeCamera.from_matrix(K, 640, 480, [0, 0, 0, 0], 'equidistant')
    assert camera.distortion_model == 'equidistant'
    # 45 degrees off the axis is pi / 4 focal lengths from the centre.
    assert np.allclose(camera.project([[1, 0, 1]]), [[615 * np.pi / 4 + 319.5, 239.5]])


def test_points_behind_the_camera_have_no_pixel(lens):
    pixels = lens.project([[0, 0, 1], [0.1, 0, -1], [0, 0, 0]])
    assert np.isfinite(pixels[0]).all()
    assert np.isnan(pixels[1:]).all()
    assert np.isnan(lens.project([[0, 0, -1]])).all()
    assert lens.normalize(np.zeros((0, 2))).shape == (0, 2)


def test_resizing_keeps_half_pixels():
    half = PinholeCamera.from_matrix(K, 640, 480).resized(320, 240)
    assert (half.fx_px, half.fy_px, half.width_px, half.height_px) == (307.5, 305.0, 320, 240)
    assert (half.cx_px, half.cy_px) == (159.5, 119.5)     # (319.5 + 0.5) / 2 - 0.5
    double = PinholeCamera.from_matrix(K, 640, 480).resized(1280, 960)
    assert (double.cx_px, double.cy_px) == (639.5, 479.5)


def test_cropping_moves_the_principal_point():
    window = PinholeCamera.from_matrix(K, 640, 480).cropped(100, -20, 300, 200)
    assert (window.cx_px, window.cy_px) == (219.5, 259.5)
    assert (window.fx_px, window.width_px, window.height_px) == (615.0, 300, 200)


def test_resize_and_crop_agree_with_pixels_of_the_whole(lens):
    points = np.array([[0.1, -0.05, 0.6], [-0.2, 0.1, 0.9]])
    pixels = lens.project(points)
    resized = lens.resized(320, 120).project(points)
    assert np.allclose(resized, (pixels + 0.5) * [0.5, 0.25] - 0.5, atol=1e-6)
    assert np.allclose(lens.cropped(7, 3, 50, 60).project(points), pixels - [7, 3], atol=1e-9)


def _dot(pixel, width_px, height_px, radius_px):
    v, u = np.mgrid[:height_px, :width_px]
    distance_sq = (u - pixel[0]) ** 2 + (v - pixel[1]) ** 2
    return np.exp(-distance_sq / (2 * radius_px ** 2)).astype(np.float32)


def _centroid(image):
    v, u = np.mgrid[:image.shape[0], :image.shape[1]]
    return np.array([(u * image).sum(), (v * image).sum()]) / image.sum()


@pytest.mark.parametrize('size, interpolation', [
    ((320, 240), cv2.INTER_AREA), ((160, 120), cv2.INTER_AREA), ((1280, 960), cv2.INTER_LINEAR)])
def test_a_dot_is_where_the_resized_camera_sees_it(size, interpolation):
    camera = PinholeCamera.from_matrix(K, 640, 480)
    point = np.array([[0.083, -0.041, 0.5]])
    image = _dot(camera.project(point)[0], 640, 480, 6.0)
    resized = cv2.resize(image, size, interpolation=interpolation)
    seen = camera.resized(*size).project(point)[0]
    assert np.abs(_centroid(resized) - seen).max() < 0.02


def test_a_dot_is_where_the_cropped_camera_sees_it():
    camera = PinholeCamera.from_matrix(K, 640, 480)
    point = np.array([[0.083, -0.041, 0.5]])
    image = _dot(camera.project(point)[0], 640, 480, 4.0)[120:280, 350:510]
    seen = camera.cropped(350, 120, 160, 160).project(point)[0]
    assert np.abs(_centroid(image) - seen).max() < 1e-3


def test_the_matrix_goes_in_and_out():
    assert np.array_equal(PinholeCamera.from_matrix(K, 640, 480).K, K)


@pytest.mark.parametrize('count, model', [(4, 'plumb_bob'), (5, 'plumb_bob'),
                                          (8, 'rational_polynomial'), (12, 'rational_polynomial'),
                                          (14, 'rational_polynomial')])
def test_the_number_of_coefficients_names_the_model(count, model):
    camera = PinholeCamera.from_matrix(K, 640, 480, np.full(count, 1e-3))
    assert camera.distortion_model == model
    assert np.isfinite(camera.project([[0.1, 0.1, 1]])).all()
    assert np.allclose(camera.project(np.append(camera.normalize([[50, 60]]), 1)[None]),
                       [[50, 60]], atol=1e-4)


@pytest.mark.parametrize('model', [None, '', 'none', 'plumb_bob', 'rational_polynomial'])
@pytest.mark.parametrize('coefficients', [None, [], [0.0] * 5])
def test_no_distortion_is_no_distortion(model, coefficients):
    camera = PinholeCamera.from_matrix(K, 640, 480, coefficients, model)
    assert (camera.distortion_model, camera.distortion) == ('none', ())


@pytest.mark.parametrize('coefficients', [None, []])
def test_a_fisheye_without_coefficients_is_not_taken_for_a_pinhole(coefficients):
    with pytest.raises(CameraError, match='distortion model equidistant has 0 coefficients; '
                                          'expected 4'):
        PinholeCamera.from_matrix(K, 640, 480, coefficients, 'equidistant')


@pytest.mark.parametrize('change, message', [
    ({'fx_px': np.nan}, 'the camera matrix or distortion holds NaN or infinity'),
    ({'distortion_model': 'plumb_bob', 'distortion': (np.inf, 0, 0, 0)},
     'the camera matrix or distortion holds NaN or infinity'),
    ({'fx_px': 0.0}, r'focal lengths are 0, 615 px; expected positive numbers \(an all-zero K '
                     r'means that the camera is not calibrated: calibrate it first\)'),
    ({'fy_px': -1.0}, 'focal lengths are 615, -1 px'),
    ({'width_px': 0}, 'image size is 0x480 px; expected at least 1x1'),
    ({'distortion_model': 'fov'}, "distortion model 'fov' is not known; expected one of none, "
                                  'plumb_bob, rational_polynomial, equidistant'),
    ({'distortion': (0.1,)}, 'distortion model none has 1 coefficients; expected 0'),
    ({'distortion_model': 'plumb_bob', 'distortion': (0.1,)},
     'distortion model plumb_bob has 1 coefficients; expected 4 or 5')])
def test_what_is_no_camera_is_refused(change, message):
    values = {'fx_px': 615.0, 'fy_px': 615.0, 'cx_px': 319.5, 'cy_px': 239.5, 'width_px': 640,
              'height_px': 480, **change}
    with pytest.raises(CameraError, match=message):
        PinholeCamera(**values)


@pytest.mark.parametrize('matrix, distortion, message', [
    (np.eye(4), None, r'K has shape \(4, 4\); expected 3x3'),
    (K * np.nan, None, 'K holds NaN or infinity; expected a calibrated camera matrix'),
    (K + np.eye(3, k=1) * 3, None, r'K has skew 3; a pinhole camera without skew is expected '
                                   r'\(K\[0\]\[1\] = 0\)'),
    (np.zeros((3, 3)), None, 'an all-zero K means that the camera is not calibrated'),
    (K * [[1e-3], [1e-3], [1]], None,
     'fx is 0.615 px for a picture of 640x480 px; expected pixels of the full resolution'),
    (K * [[1], [1e6], [1]], None, 'fy is 6.1e'),
    (K + [[0, 0, 5000], [0, 0, 0], [0, 0, 0]], None, 'expected a principal point in or near'),
    (K * 2, None, 'K is no camera matrix: below its diagonal it has 0, 0, 0, and 2 at its end'),
    (K.T, None, 'K is no camera matrix|K has skew'),
    (K, [1e6, 0, 0, 0, 0], r'the distortion \(plumb_bob: 1e.06, 0, 0, 0, 0\) cannot be undone'),
    (K, [0.1] * 6, 'distortion model rational_polynomial has 6 coefficients; expected 8 or 12 '
                   'or 14')])
def test_what_is_no_matrix_is_refused(matrix, distortion, message):
    with pytest.raises(CameraError, match=message):
        PinholeCamera.from_matrix(matrix, 640, 480, distortion)
