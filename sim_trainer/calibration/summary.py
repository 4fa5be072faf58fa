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

"""A calibration in words, as YAML for the scene, and as JSON."""

from __future__ import annotations

from typing import Any

import numpy as np
from sim_trainer.calibration.result import CalibrationResult, TableView

#: A mean residual of more than this many times what corners usually have says that something is
#: wrong with the board or the lens.
_BAD_FIT = 3.0
_MM = 1e3


def warnings_of(result: CalibrationResult, views: list[TableView]) -> list[str]:
    """Return what somebody should know before using the result; each with a remedy."""
    found = []
    fit, points = result.fit, result.points
    for name, residual, good in zip(points.names, fit.residuals_px, fit.inliers):
        if not good:
            found.append(f'{name} was left out: it lies {np.linalg.norm(residual):.1f} px from '
                         'where the others put it; correct its pixel or its place')
    if result.second is not None:
        other = result.second.T_base_camera
        apart = np.linalg.norm(other[:3, 3] - result.T_base_camera[:3, 3])
        found.append(f'a second pose, {apart:.3f} m away at '
                     f'{_numbers(other[:3, 3], 3)} m, explains the points as well (a flat '
                     'board seen from far or straight on): use a larger board, or more tags')
    if result.focal_is_off:
        found.append(f'the points want a focal length {100 * result.focal_change:+.1f} % '
                     f'(± {100 * result.focal_sigma:.1f} %) from the given one: check that the '
                     'camera file is of this lens and picture size, and --size-m')
    if fit.noise_px > _BAD_FIT * points.sigma_px:
        found.append(f'the points scatter by {fit.noise_px:.1f} px where {points.sigma_px:g} px '
                     'are usual: check the lens distortion, that the board is flat, and the '
                     'measured places')
    unseen = [view.name for view in views if not view.visible]
    if unseen:
        found.append(f'the camera does not see {", ".join(unseen)} of the workspace')
    return found


def text_of(result: CalibrationResult, views: list[TableView]) -> str:
    """Return the result for people."""
    fit, points = result.fit, result.points
    size = np.linalg.norm(fit.residuals_px, axis=1)
    used = np.flatnonzero(fit.inliers)
    worst = used[np.argmax(size[used])]
    position, target, roll_deg = result.scene_view()
    moved_m, turned_rad = result.pivot_sigmas()
    lines = [
        f'T_base_camera: position {_numbers(position, 4)} m '
        f'± {_numbers(_MM * result.position_sigma_m, 1)} mm',
        f'  quaternion xyzw {_numbers(result.quat_xyzw, 5)}; roll pitch yaw '
        f'{_numbers(np.degrees(result.rpy_rad), 2)} deg '
        f'± {_numbers(np.degrees(result.rotation_sigma_rad), 2)} deg',
        f'  looks at {_numbers(target, 4)} m, roll {roll_deg:.2f} deg; there the pose is known '
        f'to {_MM * moved_m:.1f} mm and {np.degrees(turned_rad):.2f} deg (standard deviations)',
        f'reprojection: {np.sqrt((size[used] ** 2).mean()):.2f} px rms over {len(used)} of '
        f'{len(size)} points, worst {size[worst]:.2f} px ({points.names[worst]})']
    lines.append(_focal_text(result))
    for view in views:
        lines.append(f'one pixel at {view.name} ({view.point_m[0]:.2f}, {view.point_m[1]:.2f}): '
                     + (f'{view.across_mm:.1f} x {view.along_mm:.1f} mm of the table; the '
                        f'calibration moves it by {view.sigma_mm:.1f} mm' if view.visible else
                        'not in the picture'))
    return '\n'.join([*lines, *(f'warning: {text}' for text in warnings_of(result, views))])


def _focal_text(result: CalibrationResult) -> str:
    if not result.focal_is_checked:
        return ('focal length: these points cannot check it (flat, or too few); tilt the board, '
                'or spread the marks')
    changed = result.camera.fx_px * (1 + result.focal_change)
    return (f'focal length: {result.camera.fx_px:.1f} px given, {changed:.1f} ± '
            f'{result.camera.fx_px * result.focal_sigma:.1f} px from the points: '
            + ('they disagree' if result.focal_is_off else 'they agree'))


def yaml_of(result: CalibrationResult) -> str:
    """``camera`` and ``calibration_error`` of a scene YAML, to be pasted."""
    camera = result.camera
    position, target, roll_deg = result.scene_view()
    moved_m, turned_rad = result.pivot_sigmas()
    table = (f'# the table top of --plane-z-m: add it under workspace\n#   z_m: '
             f'{_plain(result.plane_z_m)}\n' if result.plane_z_m else '')
    lens = '' if camera.distortion_model == 'none' else (
        f'  distortion_model: {camera.distortion_model}\n'
        f'  distortion: [{", ".join(map(_plain, camera.distortion))}]\n')
    return (
        'camera:\n'
        f'  width_px: {camera.width_px}\n  height_px: {camera.height_px}\n'
        f'  fx_px: {_plain(camera.fx_px)}\n  fy_px: {_plain(camera.fy_px)}\n'
        f'  cx_px: {_plain(camera.cx_px)}\n  cy_px: {_plain(camera.cy_px)}\n{lens}'
        f'  position_m: [{_numbers(position, 4, ", ")}]\n'
        f'  look_at_m: [{_numbers(target, 4, ", ")}]\n'
        f'  roll_deg: {roll_deg:.3f}\n{table}'
        '# standard deviations, at the point that the camera looks at\n'
        'calibration_error:\n'
        f'  position_m: {moved_m:.5f}\n  rotation_deg: {np.degrees(turned_rad):.4f}\n'
        f'  focal_share: {result.focal_share():.5f}\n'
        f'  plane_height_m: {result.plane_sigma_m:.5f}\n'
        f'  plane_tilt_deg: {np.degrees(result.plane_sigma_rad):.4f}\n')


def json_of(result: CalibrationResult, views: list[TableView]) -> dict[str, Any]:
    """All figures as JSON values."""
    moved_m, turned_rad = result.pivot_sigmas()
    size = np.linalg.norm(result.fit.residuals_px, axis=1)
    return {
        'T_base_camera': result.T_base_camera.tolist(),
        'position_m': result.T_base_camera[:3, 3].tolist(),
        'quat_xyzw': result.quat_xyzw.tolist(), 'rpy_rad': list(result.rpy_rad),
        'position_sigma_m': result.position_sigma_m.tolist(),
        'rotation_sigma_rad': result.rotation_sigma_rad.tolist(),
        'covariance': result.covariance.tolist(),
        'pivot_m': result.pivot_m.tolist(), 'pivot_position_sigma_m': moved_m,
        'pivot_rotation_sigma_rad': turned_rad,
        'reprojection_rms_px': float(np.sqrt((size[result.fit.inliers] ** 2).mean())),
        'noise_px': result.fit.noise_px,
        'points': [{'name': name, 'error_px': float(error), 'outlier': not good}
                   for name, error, good in zip(result.points.names, size,
                                                result.fit.inliers.tolist())],
        'focal_change': result.focal_change, 'focal_sigma': result.focal_sigma,
        'focal_share': result.focal_share(),
        'second_T_base_camera': (None if result.second is None else
                                 result.second.T_base_camera.tolist()),
        'table': [{'name': v.name, 'point_m': list(map(float, v.point_m)), 'visible': v.visible,
                   **({'across_mm': v.across_mm, 'along_mm': v.along_mm, 'sigma_mm': v.sigma_mm}
                      if v.visible else {})} for v in views],
        'warnings': warnings_of(result, views)}


def _numbers(values: np.ndarray, digits: int, separator: str = ' ') -> str:
    return separator.join(f'{value + 0.0:.{digits}f}' for value in np.round(values, digits))


def _plain(value: float) -> str:
    """Return a number that YAML 1.1 reads as one: never 1e-05."""
    return f'{value:.8f}'.rstrip('0').rstrip('.') if abs(value) < 1e9 else f'{value:.1f}'
