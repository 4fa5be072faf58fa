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

"""From points to a calibrated camera."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import make_transform, rotation_about
import numpy as np
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.points import check_points, ImagePoints
from sim_trainer.calibration.pose_problem import refine_focal, solve_camera
from sim_trainer.calibration.result import (BoardPlacement, CalibrationResult, check_above,
                                            plane_sigmas, pose_covariance, TableView)


def calibrate_camera(points: ImagePoints, camera: PinholeCamera,
                     placement: BoardPlacement | None = None, plane_z_m: float = 0.0
                     ) -> CalibrationResult:
    """Return the camera's pose from points of known place.

    Args:
        points: at least four, not on one line.
        camera: its intrinsics; they are checked, not changed.
        placement: how well the board that the points are on is placed; None: of marks, each with
            an error of its own.
        plane_z_m: height of the support in the base frame.

    Raises:
        CalibrationError: too few points, all on one line, none that agree, or a camera below the
            table.
    """
    check_points(points)
    placement = placement or BoardPlacement()
    fits = solve_camera(points, camera)
    above = [fit for fit in fits if fit.T_base_camera[2, 3] > plane_z_m]
    if not above:
        check_above(fits[0].T_base_camera, plane_z_m)
    best = above[0]
    focal = refine_focal(points, camera, best)
    plane_m, plane_rad = plane_sigmas(points, placement)
    return CalibrationResult(
        camera, best.T_base_camera, pose_covariance(best, placement), best, points,
        focal and focal.focal_share,
        # The derivative is by the share of the focal length that was found.
        focal and float(np.sqrt(focal.covariance[6, 6])) * (1 + focal.focal_share),
        above[1] if len(above) > 1 else None, plane_z_m, plane_m, plane_rad)


def table_views(result: CalibrationResult, workspace_m: tuple[float, float, float, float] | None
                ) -> list[TableView]:
    """Return the workspace's centre and its corners in turn; None: of what the points span."""
    if workspace_m is None:
        low, high = (edge(result.points.points_base_m[:, :2], 0) for edge in (np.min, np.max))
        workspace_m = (low[0], high[0], low[1], high[1])
    x0, x1, y0, y1 = map(float, workspace_m)
    if not (x0 < x1 and y0 < y1):
        raise CalibrationError(f'--workspace {x0:g} {x1:g} {y0:g} {y1:g}: expected X0 X1 Y0 Y1 '
                               'with X0 < X1 and Y0 < Y1, metres')
    return [result.table_view(name, x, y) for name, x, y in (
        ('the centre', (x0 + x1) / 2, (y0 + y1) / 2), ('corner 1', x0, y0), ('corner 2', x1, y0),
        ('corner 3', x1, y1), ('corner 4', x0, y1))]


def board_pose(numbers: Sequence[float]) -> np.ndarray:
    """T_base_board (4x4) of ``--board-at``.

    Args:
        numbers: x y z in metres, then nothing, yaw, or roll pitch yaw in degrees
            (R = Rz(yaw) Ry(pitch) Rx(roll)).
    """
    if len(numbers) not in (3, 4, 6):
        raise CalibrationError(f'--board-at: {len(numbers)} numbers; expected X Y Z in metres, X '
                               'Y Z YAW or X Y Z ROLL PITCH YAW with degrees')
    if max(map(abs, numbers[:3])) > 20:
        raise CalibrationError(f'--board-at {" ".join(f"{n:g}" for n in numbers)}: over 20 m '
                               'away; give metres, not millimetres')
    angles = np.radians([0, 0, *numbers[3:]] if len(numbers) == 4 else numbers[3:] or [0, 0, 0])
    R = (rotation_about('z', angles[2]) @ rotation_about('y', angles[1])
         @ rotation_about('x', angles[0]))
    return make_transform(R, numbers[:3])


def read_picture(path: Path, camera: PinholeCamera) -> np.ndarray:
    """Return a picture (H, W, 3) uint8 RGB of the camera's size.

    Raises:
        CalibrationError: it cannot be read, or has another size.
    """
    image = (cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
             if path.is_file() else None)
    if image is None:
        raise CalibrationError(f'{path}: not a readable picture; give jpg or png files')
    height, width = image.shape[:2]
    if (width, height) != (camera.width_px, camera.height_px):
        raise CalibrationError(
            f'{path}: has {width}x{height} px, the camera {camera.width_px}x{camera.height_px} '
            'px; give the camera of this resolution, or pictures as the camera takes them '
            '(neither resized nor turned)')
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)
