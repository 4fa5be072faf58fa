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

"""The camera: a pinhole with optional lens distortion, and how crops and resizes change it.

Convention:
    Pixel (0, 0) is the centre of the top-left pixel, so an image spans -0.5 ... width - 0.5. A
    resize by s therefore maps u to ``(u + 0.5) * s - 0.5``; forgetting the halves shifts poses by
    up to half a pixel of the larger image.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
from dr_perception.core.errors import CameraError
import numpy as np

DISTORTION_MODELS = ('none', 'plumb_bob', 'rational_polynomial', 'equidistant')
#: Focal lengths of real cameras, in sides of the picture: a fisheye, a microscope.
_FOCAL_SIDES = (0.05, 100.0)
#: How far (sides of the picture) the principal point may lie from the middle: a cut-out keeps K.
_CENTRE_SIDES = 5.0
#: Pixels by which a lens may fail to return a pixel half way to the corners.
_LENS_PX = 0.5
_LENGTHS = {'plumb_bob': (4, 5), 'rational_polynomial': (8, 12, 14), 'equidistant': (4,)}


@dataclass(frozen=True)
class PinholeCamera:
    """A calibrated camera.

    Attributes:
        fx_px, fy_px: focal lengths.
        cx_px, cy_px: principal point; pixel centres are at integers.
        width_px, height_px: image size.
        distortion_model: one of ``DISTORTION_MODELS`` (the names of sensor_msgs/CameraInfo).
        distortion: its coefficients in OpenCV's order; empty for 'none'.
    """

    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    width_px: int
    height_px: int
    distortion_model: str = 'none'
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        values = (self.fx_px, self.fy_px, self.cx_px, self.cy_px, *self.distortion)
        if not np.isfinite(values).all():
            raise CameraError(f'the camera matrix or distortion holds NaN or infinity: {values}')
        if self.fx_px <= 0 or self.fy_px <= 0:
            raise CameraError(
                f'focal lengths are {self.fx_px:g}, {self.fy_px:g} px; expected positive numbers '
                '(an all-zero K means that the camera is not calibrated: calibrate it first)')
        if self.width_px < 1 or self.height_px < 1:
            raise CameraError(
                f'image size is {self.width_px}x{self.height_px} px; expected at least 1x1')
        if self.distortion_model not in DISTORTION_MODELS:
            raise CameraError(f'distortion model {self.distortion_model!r} is not known; expected '
                              f'one of {", ".join(DISTORTION_MODELS)}')
        lengths = _LENGTHS.get(self.distortion_model, (0,))
        if len(self.distortion) not in lengths:
            raise CameraError(
                f'distortion model {self.distortion_model} has {len(self.distortion)} '
                f'coefficients; expected {" or ".join(map(str, lengths))}')

    @classmethod
    def from_matrix(cls, K: np.ndarray, width_px: int, height_px: int,
                    distortion: np.ndarray | None = None,
                    distortion_model: str | None = None) -> PinholeCamera:
        """Return a camera from its 3x3 matrix.

        Args:
            K: 3x3 camera matrix, pixels.
            width_px, height_px: size of the images that K belongs to.
            distortion: None, or coefficients in OpenCV's order.
            distortion_model: name for ``distortion``; by default 4 or 5 coefficients are
                plumb_bob and 8, 12 or 14 rational_polynomial. equidistant must be named.

        Raises:
            CameraError: K is not a camera matrix, or the coefficients do not fit the model.
        """
        matrix = np.asarray(K, dtype=np.float64)
        if matrix.shape != (3, 3):
            raise CameraError(f'K has shape {matrix.shape}; expected 3x3')
        if not np.isfinite(matrix).all():
            raise CameraError('K holds NaN or infinity; expected a calibrated camera matrix')
        if abs(matrix[0, 1]) > 1e-6 * abs(matrix[0, 0]):
            raise CameraError(f'K has skew {matrix[0, 1]:g}; a pinhole camera without skew is '
                              'expected (K[0][1] = 0)')
        # All zeros mean something else, and are told below.
        if matrix.any() and np.abs([matrix[1, 0], *(matrix[2] - [0, 0, 1])]).max() > 1e-9:
            raise CameraError('K is no camera matrix: below its diagonal it has '
                              f'{matrix[1, 0]:g}, {matrix[2, 0]:g}, {matrix[2, 1]:g}, and '
                              f'{matrix[2, 2]:g} at its end; expected 0, 0, 0 and 1')
        _check_plausible(matrix, width_px, height_px)
        coefficients = () if distortion is None else tuple(
            float(c) for c in np.asarray(distortion, dtype=np.float64).ravel())
        if distortion_model in (None, '') and coefficients:
            distortion_model = 'plumb_bob' if len(coefficients) <= 5 else 'rational_polynomial'
        # Without coefficients the others are a pinhole; equidistant is a fisheye even then.
        if distortion_model != 'equidistant' and not any(coefficients):
            distortion_model, coefficients = 'none', ()
        camera = cls(float(matrix[0, 0]), float(matrix[1, 1]), float(matrix[0, 2]),
                     float(matrix[1, 2]), int(width_px), int(height_px), distortion_model,
                     coefficients)
        _check_lens(camera)
        return camera

    @property
    def K(self) -> np.ndarray:
        """The 3x3 camera matrix, pixels."""
        return np.array([[self.fx_px, 0, self.cx_px], [0, self.fy_px, self.cy_px], [0, 0, 1.0]])

    def project(self, points_camera: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points (N, 3, metres) in the optical frame; NaN for z <= 0."""
        points = np.asarray(points_camera, dtype=np.float64).reshape(-1, 3)
        ahead = points[:, 2] > 1e-9
        if ahead.all():     # nearly always, and twice as fast
            return self._projected(points)
        pixels = np.full((len(points), 2), np.nan)
        pixels[ahead] = self._projected(points[ahead])
        return pixels

    def _projected(self, points: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of points (N, 3) that all lie ahead."""
        if self.distortion_model == 'none' or len(points) == 0:
            pixels = points[:, :2] / points[:, 2:]
            pixels *= (self.fx_px, self.fy_px)
            pixels += (self.cx_px, self.cy_px)
            return pixels
        distortion = np.array(self.distortion)
        if self.distortion_model == 'equidistant':
            return cv2.fisheye.projectPoints(points[:, None], np.zeros(3), np.zeros(3), self.K,
                                             distortion)[0][:, 0]
        return cv2.projectPoints(points, np.zeros(3), np.zeros(3), self.K, distortion)[0][:, 0]

    def normalize(self, pixels: np.ndarray) -> np.ndarray:
        """Undistorted image points (N, 2) at z = 1: the ray of pixel i is ``(x_i, y_i, 1)``."""
        points = np.asarray(pixels, dtype=np.float64).reshape(-1, 2)
        if self.distortion_model == 'none' or len(points) == 0:
            return (points - [self.cx_px, self.cy_px]) / [self.fx_px, self.fy_px]
        coefficients = np.array(self.distortion)
        if self.distortion_model == 'equidistant':
            return cv2.fisheye.undistortPoints(points[:, None], self.K, coefficients)[:, 0]
        # The default 5 iterations leave tenths of a pixel at the corners of wide lenses.
        criteria = (cv2.TERM_CRITERIA_COUNT | cv2.TERM_CRITERIA_EPS, 100, 1e-12)
        return cv2.undistortPointsIter(points[:, None], self.K, coefficients, np.eye(3),
                                       np.eye(3), criteria)[:, 0]

    def resized(self, width_px: int, height_px: int) -> PinholeCamera:
        """Return the camera of the whole image resized to another size."""
        sx, sy = width_px / self.width_px, height_px / self.height_px
        return replace(self, fx_px=self.fx_px * sx, fy_px=self.fy_px * sy,
                       cx_px=(self.cx_px + 0.5) * sx - 0.5, cy_px=(self.cy_px + 0.5) * sy - 0.5,
                       width_px=int(width_px), height_px=int(height_px))

    def cropped(self, left_px: int, top_px: int, width_px: int, height_px: int) -> PinholeCamera:
        """Return the camera of a window of the image; the window may reach beyond it (padding)."""
        return replace(self, cx_px=self.cx_px - left_px, cy_px=self.cy_px - top_px,
                       width_px=int(width_px), height_px=int(height_px))


def _check_plausible(K: np.ndarray, width_px: int, height_px: int) -> None:
    """Refuse what no camera of that picture has: another unit, a damaged message."""
    side = max(width_px, height_px)
    for name, focal_px in (('fx', K[0, 0]), ('fy', K[1, 1])):
        if focal_px > 0 and not _FOCAL_SIDES[0] <= focal_px / max(side, 1) <= _FOCAL_SIDES[1]:
            raise CameraError(f'{name} is {focal_px:g} px for a picture of {width_px}x{height_px} '
                              'px; expected pixels of the full resolution (not millimetres, not '
                              'those of another resolution)')
    for name, centre_px, size_px in (('cx', K[0, 2], width_px), ('cy', K[1, 2], height_px)):
        if abs(centre_px - size_px / 2) > _CENTRE_SIDES * side:
            raise CameraError(f'{name} is {centre_px:g} px for a picture of '
                              f'{width_px}x{height_px} px; expected a principal point in or near '
                              'the picture')


def _check_lens(camera: PinholeCamera) -> None:
    """Refuse a distortion that cannot be undone even half way from the middle to the corners."""
    if camera.distortion_model == 'none':
        return
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * [camera.width_px - 1,
                                                            camera.height_px - 1]
    middle = np.array([camera.cx_px, camera.cy_px])
    pixels = middle + (corners - middle) / 2
    rays = camera.normalize(pixels)
    again = np.full_like(pixels, np.nan)
    if np.isfinite(rays).all():
        again = camera.project(np.column_stack([rays, np.ones(len(rays))]))
    if not np.abs(again - pixels).max() < _LENS_PX:
        raise CameraError(f'the distortion ({camera.distortion_model}: '
                          f'{", ".join(f"{c:g}" for c in camera.distortion)}) cannot be undone '
                          'in the middle of the picture; calibrate the camera again, or check '
                          'that the coefficients belong to this model')
