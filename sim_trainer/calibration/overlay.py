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

"""The picture with what the calibration says of it: axes, points, residuals, the table's grid."""

from __future__ import annotations

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import invert_transform, transform_points
import numpy as np
from sim_trainer.calibration.result import CalibrationResult, TableView
from sim_trainer.evaluation.annotation import label

_X_RGB, _Y_RGB, _Z_RGB = (255, 60, 60), (60, 220, 60), (80, 130, 255)
_GOOD_RGB, _OUTLIER_RGB, _GRID_RGB, _RESIDUAL_RGB = ((60, 255, 120), (255, 40, 200),
                                                     (255, 200, 60), (255, 240, 60))
#: Residuals are drawn this much longer than they are.
RESIDUAL_ZOOM = 20.0
_STEPS = 24
#: Axes are no longer than this.
_AXIS_M = 0.15


def draw_overlay(image_rgb: np.ndarray, result: CalibrationResult, views: list[TableView]
                 ) -> np.ndarray:
    """Return a copy of a picture with the result drawn in.

    Args:
        image_rgb: (H, W, 3) uint8.
        result: to draw.
        views: the workspace's centre and corners; the corners in turn make its outline.
    """
    # Lines and labels are as fine as on a picture of about 1000 px.
    zoom = max(1, round(960 / image_rgb.shape[1]))
    camera = result.camera.resized(result.camera.width_px * zoom, result.camera.height_px * zoom)
    image = cv2.resize(image_rgb, (camera.width_px, camera.height_px),
                       interpolation=cv2.INTER_CUBIC)
    T_camera_base = invert_transform(result.T_base_camera)
    corners = np.array([view.point_m for view in views[1:]])
    for a, b in zip(corners, np.roll(corners, -1, axis=0)):
        _line(image, camera, T_camera_base, a, b, _GRID_RGB, 1)
    for view in views:
        _view(image, camera, T_camera_base, view)
    _axes(image, camera, T_camera_base, result)
    _residuals(image, result, zoom)
    inside = result.fit.inliers
    size = np.linalg.norm(result.fit.residuals_px, axis=1)
    label(image, f'rms {np.sqrt((size[inside] ** 2).mean()):.2f} px, residuals x '
          f'{RESIDUAL_ZOOM:g}; axes x red, y green, z blue; grid: workspace',
          np.array([6, image.shape[0] - 8]), (255, 255, 255))
    return image


def _axes(image: np.ndarray, camera: PinholeCamera, T_camera_base: np.ndarray,
          result: CalibrationResult) -> None:
    middle = result.points.points_base_m.mean(0)
    length_m = min(0.5 * float(np.ptp(result.points.points_base_m, axis=0).max()), _AXIS_M)
    # The base's own axes where they are in the picture, else the base's directions at the board.
    for origin, name in ((np.zeros(3), 'base'), (middle, 'middle')):
        for axis, color, letter in zip(np.eye(3), (_X_RGB, _Y_RGB, _Z_RGB), 'xyz'):
            end = origin + length_m * axis
            _line(image, camera, T_camera_base, origin, end, color, 2)
            pixel = camera.project(transform_points(T_camera_base, end[None]))[0]
            if _inside(image, pixel):
                label(image, letter, pixel + [5, 3], color)
        pixel = camera.project(transform_points(T_camera_base, origin[None]))[0]
        if _inside(image, pixel):
            label(image, f'{name} {origin[0]:.2f} {origin[1]:.2f} {origin[2]:.2f}',
                  pixel + [8, 16], (255, 255, 255))


def _residuals(image: np.ndarray, result: CalibrationResult, zoom: int) -> None:
    for pixel, residual, good, name in zip(result.points.pixels, result.fit.residuals_px,
                                           result.fit.inliers, result.points.names):
        seen = (pixel + 0.5) * zoom - 0.5
        color = _GOOD_RGB if good else _OUTLIER_RGB
        cv2.circle(image, _fixed(seen), 5 * 16, color, 1, cv2.LINE_AA, 4)
        shown = residual * zoom * (RESIDUAL_ZOOM if good else 1.0)
        cv2.line(image, _fixed(seen - (0 if good else 1) * shown),
                 _fixed(seen - (-1 if good else 0) * shown), _RESIDUAL_RGB if good else color, 1,
                 cv2.LINE_AA, 4)
        if not good or len(result.points.names) <= 12:
            label(image, name if good else f'{name}: OUTLIER', seen + [7, -5], color)


def _view(image: np.ndarray, camera: PinholeCamera, T_camera_base: np.ndarray, view: TableView
          ) -> None:
    pixel = camera.project(transform_points(T_camera_base, np.array([view.point_m])))[0]
    if _inside(image, pixel):
        cv2.drawMarker(image, tuple(np.round(pixel).astype(int).tolist()), _GRID_RGB,
                       cv2.MARKER_CROSS, 9, 1, cv2.LINE_AA)
        label(image, f'{view.along_mm:.1f} mm/px', pixel + [8, 30], _GRID_RGB)


def _line(image: np.ndarray, camera: PinholeCamera, T_camera_base: np.ndarray, a: np.ndarray,
          b: np.ndarray, color: tuple[int, int, int], width_px: int) -> None:
    """Draw a line of the base frame, bent as the lens bends it."""
    points = transform_points(T_camera_base, a + np.linspace(0, 1, _STEPS)[:, None] * (b - a))
    pixels = camera.project(points)
    for start, end in zip(pixels, pixels[1:]):
        if np.isfinite([start, end]).all() and np.abs([start, end]).max() < 1e4:
            cv2.line(image, _fixed(start), _fixed(end), color, width_px, cv2.LINE_AA, 4)


def _fixed(pixel: np.ndarray) -> tuple[int, int]:
    """Sixteenths of a pixel."""
    return int(round(16 * pixel[0])), int(round(16 * pixel[1]))


def _inside(image: np.ndarray, pixel: np.ndarray) -> bool:
    return bool(np.isfinite(pixel).all() and (pixel >= 0).all()
                and (pixel < [image.shape[1], image.shape[0]]).all())
