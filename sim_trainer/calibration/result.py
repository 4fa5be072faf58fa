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

"""A calibrated camera: its pose, how well it is known, and what that means on the table.

Convention:
    Errors of a pose are stated at its pivot, the point of the support plane that the camera looks
    at: the true camera is the stated one turned about the pivot and then moved. Stated at the
    camera's own centre they would be larger and cancel each other on the table.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import look_at, quat_xyzw_from_rotation, skew
import numpy as np
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.points import ImagePoints
from sim_trainer.calibration.pose_problem import CameraFit

#: How well camera_calibration usually knows a focal length (standard deviation, share).
USUAL_FOCAL_SHARE = 0.004
#: A focal length is off when the points want another by this many deviations and this much.
_FOCAL_DEVIATIONS, _FOCAL_LEAST = 3.0, 0.005
#: Where the points know the focal length no better than this, they do not check it.
_FOCAL_VAGUE = 0.05


@dataclass(frozen=True)
class BoardPlacement:
    """How well the board's place in the base frame is measured: deviations per axis."""

    sigma_m: float = 0.0
    sigma_rad: float = 0.0
    middle_m: tuple[float, float, float] = (0.0, 0.0, 0.0)


@dataclass(frozen=True)
class TableView:
    """What one pixel is at a point of the support plane.

    Attributes:
        name, point_m: which point, base frame.
        across_mm, along_mm: what one pixel covers of the plane: its short and its long side.
        sigma_mm: how far the calibration alone moves what is seen there (standard deviation,
            the worse direction in the plane).
        visible: the camera sees it.
    """

    name: str
    point_m: tuple[float, float, float]
    across_mm: float
    along_mm: float
    sigma_mm: float
    visible: bool


@dataclass(frozen=True, eq=False)
class CalibrationResult:
    """Everything that ``calibrate`` found.

    Attributes:
        camera: as given.
        T_base_camera: (4, 4).
        covariance: (6, 6) of the camera's position (m) and rotation (rad, base axes): pixels,
            marks and the board's place.
        fit: of the pose.
        points: that it was fitted to.
        focal_change, focal_sigma: share by which the points want the focal length to be longer,
            and its deviation; None where they do not tell.
        second: the other pose that cannot be ruled out.
        plane_z_m: of the support.
        plane_sigma_m, plane_sigma_rad: deviation of the support's height and tilt.
    """

    camera: PinholeCamera
    T_base_camera: np.ndarray
    covariance: np.ndarray
    fit: CameraFit
    points: ImagePoints
    focal_change: float | None
    focal_sigma: float | None
    second: CameraFit | None
    plane_z_m: float
    plane_sigma_m: float
    plane_sigma_rad: float

    @property
    def position_sigma_m(self) -> np.ndarray:
        """(3,) deviations of the camera's centre, base axes."""
        return np.sqrt(np.diag(self.covariance)[:3])

    @property
    def rotation_sigma_rad(self) -> np.ndarray:
        """(3,) deviations of its rotation about the base axes."""
        return np.sqrt(np.diag(self.covariance)[3:])

    @property
    def quat_xyzw(self) -> np.ndarray:
        """Rotation base from camera."""
        return quat_xyzw_from_rotation(self.T_base_camera[:3, :3])

    @property
    def rpy_rad(self) -> tuple[float, float, float]:
        """Roll, pitch, yaw of the optical frame: R = Rz(yaw) Ry(pitch) Rx(roll), as in URDF."""
        R = self.T_base_camera[:3, :3]
        return (float(np.arctan2(R[2, 1], R[2, 2])),
                float(np.arctan2(-R[2, 0], np.hypot(R[0, 0], R[1, 0]))),
                float(np.arctan2(R[1, 0], R[0, 0])))

    @property
    def pivot_m(self) -> np.ndarray:
        """(3,) where the optical axis meets the support; 1 m ahead where it does not."""
        position, forward = self.T_base_camera[:3, 3], self.T_base_camera[:3, 2]
        if forward[2] > -0.05:
            return position + forward
        return position + forward * ((self.plane_z_m - position[2]) / forward[2])

    def pivot_sigmas(self) -> tuple[float, float]:
        """Deviations (m, rad) per axis of the error at the pivot: moved, and turned about it."""
        by_pose = np.hstack([np.eye(3), -skew(self.pivot_m - self.T_base_camera[:3, 3])])
        moved = by_pose @ self.covariance @ by_pose.T
        return (float(np.sqrt(np.trace(moved) / 3)),
                float(np.sqrt(np.trace(self.covariance[3:, 3:]) / 3)))

    def scene_view(self) -> tuple[np.ndarray, np.ndarray, float]:
        """position_m, look_at_m and roll_deg of the scene YAML."""
        position, target = self.T_base_camera[:3, 3], self.pivot_m
        try:
            level = look_at(position, target)
        except ValueError:      # straight down: a hair off, so that the picture has a horizon
            target = target + 1e-4 * np.linalg.norm(target - position) * self.T_base_camera[:3, 1]
            level = look_at(position, target)
        turn = level[:3, :3].T @ self.T_base_camera[:3, :3]
        return position, target, float(np.degrees(np.arctan2(turn[1, 0], turn[0, 0])))

    def focal_share(self) -> float:
        """Deviation of the given focal length: what is usual, after what the points say."""
        if self.focal_sigma is None:
            return USUAL_FOCAL_SHARE
        if self.focal_is_off:
            return float(np.hypot(self.focal_change, self.focal_sigma))
        trust = USUAL_FOCAL_SHARE ** 2 / (USUAL_FOCAL_SHARE ** 2 + self.focal_sigma ** 2)
        return float(np.hypot(trust * self.focal_change,
                              np.sqrt(trust) * self.focal_sigma))

    @property
    def focal_is_off(self) -> bool:
        """The points contradict the given focal length."""
        return self.focal_sigma is not None and abs(self.focal_change) > max(
            _FOCAL_LEAST, _FOCAL_DEVIATIONS * self.focal_sigma)

    @property
    def focal_is_checked(self) -> bool:
        """The points know the focal length well enough to check it."""
        return self.focal_sigma is not None and self.focal_sigma < _FOCAL_VAGUE

    def table_view(self, name: str, x_m: float, y_m: float) -> TableView:
        """Return what one pixel is at (x, y) of the support."""
        point = np.array([x_m, y_m, self.plane_z_m])
        R, c = self.T_base_camera[:3, :3], self.T_base_camera[:3, 3]
        pixel = self.camera.project((point - c)[None] @ R)[0]
        size = np.array([self.camera.width_px, self.camera.height_px])
        visible = bool(np.isfinite(pixel).all() and (pixel >= -0.5).all()
                       and (pixel < size - 0.5).all())
        step = 1e-4
        shifted = np.array([point + [dx, dy, 0] for dx, dy in
                            ((step, 0), (-step, 0), (0, step), (0, -step))])
        seen = self.camera.project((shifted - c) @ R)
        by_place = np.stack([seen[0] - seen[1], seen[2] - seen[3]], 1) / (2 * step)   # px / m
        if not np.isfinite(by_place).all() or abs(np.linalg.det(by_place)) < 1e-9:
            return TableView(name, tuple(point), np.inf, np.inf, np.inf, False)
        along, across = 1 / np.linalg.svd(by_place, compute_uv=False)[::-1]
        # A wrong pose moves the point where a pixel's ray meets the plane, along the ray if need.
        ray = (point - c) / np.linalg.norm(point - c)
        onto = np.eye(3) - np.outer(ray, [0, 0, 1]) / ray[2]
        by_pose = onto @ np.hstack([np.eye(3), -skew(point - c)])
        moved = (by_pose @ self.covariance @ by_pose.T)[:2, :2]
        return TableView(name, tuple(point), 1e3 * across, 1e3 * along,
                         1e3 * float(np.sqrt(np.linalg.eigvalsh(moved)[-1])), visible)


def pose_covariance(fit: CameraFit, placement: BoardPlacement) -> np.ndarray:
    """(6, 6) of the camera's position and rotation (base axes), the board's place included."""
    R_base_camera = fit.T_base_camera[:3, :3]
    turn = np.kron(np.eye(2), R_base_camera)
    covariance = turn @ fit.covariance[:6, :6] @ turn.T
    arm = fit.T_base_camera[:3, 3] - placement.middle_m
    by_board = np.eye(6)
    by_board[:3, 3:] = -skew(arm)
    board = np.diag([placement.sigma_m ** 2] * 3 + [placement.sigma_rad ** 2] * 3)
    return covariance + by_board @ board @ by_board.T


def plane_sigmas(points: ImagePoints, placement: BoardPlacement) -> tuple[float, float]:
    """Deviations (m, rad) of the support's height and tilt, as the points know it."""
    if placement.sigma_m or placement.sigma_rad:
        return placement.sigma_m, placement.sigma_rad
    count = len(points.names)
    spread = np.linalg.svd(points.points_base_m[:, :2] - points.points_base_m[:, :2].mean(0),
                           compute_uv=False)
    return points.sigma_m / np.sqrt(count), float(points.sigma_m / spread[-1])


def check_above(T_base_camera: np.ndarray, plane_z_m: float) -> None:
    """Raise a CalibrationError for a camera below the table."""
    below_m = plane_z_m - T_base_camera[2, 3]
    if below_m >= 0:
        raise CalibrationError(
            f'the camera comes out {below_m:.3f} m below the table; x and y of the '
            'marks may be swapped, the board upside down in --board-at (z points out of the '
            f'paper), or --plane-z-m {plane_z_m:g} not the height of the table')
