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

"""Where a new lab's camera stands, and the part of the table that it sees."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_from_quat_xyzw, transform_points)
import numpy as np
from sim_trainer.errors import ConfigurationError

#: Where nothing is said: as in the reference scene.
DEFAULT_POSE = '1.10,0,0.65,0.5,0,0'
#: Sides (m) of a workspace that is made up, and the part of the picture that it may reach to.
_SIDES_M = (0.12, 0.9)
_BORDER = 0.04


@dataclass(frozen=True)
class NominalPose:
    """A camera's pose in base, as ``CameraConfig`` has it: metres and degrees."""

    position_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    roll_deg: float = 0.0

    @property
    def T_base_camera(self) -> np.ndarray:
        """The pose (4x4) of the optical frame."""
        return look_at(self.position_m, self.look_at_m, roll_rad=np.radians(self.roll_deg))


def parse_pose(text: str, table_z_m: float = 0.0) -> NominalPose:
    """Return a pose from numbers.

    Args:
        text: ``x,y,z,look_x,look_y,look_z`` (metres), or ``x,y,z,qx,qy,qz,qw``: translation and
            quaternion of the optical frame in the base frame, as tf2_echo prints it.
        table_z_m: height of the table top in the base frame.

    Raises:
        ConfigurationError: not such numbers, or a camera that looks away from the table.
    """
    try:
        values = [float(part) for part in text.replace(' ', ',').split(',') if part]
    except ValueError:
        values = []
    if len(values) not in (6, 7) or not np.isfinite(values).all():
        raise ConfigurationError(f'--pose {text}: expected x,y,z,look_x,look_y,look_z (where the '
                                 'camera is and what it looks at, metres) or x,y,z,qx,qy,qz,qw '
                                 '(ros2 run tf2_ros tf2_echo base_link CAMERA_OPTICAL_FRAME)')
    if values[2] <= table_z_m:
        raise ConfigurationError(f'--pose {text}: z is {values[2]:g}; the camera must stand above '
                                 f'the table top (z = {table_z_m:g}: --plane-z-m)')
    if max(np.abs(values[:3])) > 20:
        raise ConfigurationError(f'--pose {text}: over 20 m from the base; give metres, not '
                                 'millimetres')
    if len(values) == 6:
        position, target = values[:3], values[3:]
        if np.linalg.norm(np.subtract(position, target)[:2]) < 1e-6:
            raise ConfigurationError(f'--pose {text}: it looks straight down, which leaves the '
                                     'turn of the picture open; give x,y,z,qx,qy,qz,qw, or move '
                                     'the point it looks at by a millimetre')
        return NominalPose(tuple(position), tuple(target))
    try:
        R = rotation_from_quat_xyzw(np.array(values[3:]))
    except ValueError as error:
        raise ConfigurationError(f'--pose {text}: {error}') from error
    return nominal_pose(make_transform(R, values[:3]), table_z_m)


def nominal_pose(T_base_camera: np.ndarray, table_z_m: float = 0.0) -> NominalPose:
    """Return the position, the point of the table in the middle and the roll of a pose (4x4).

    Raises:
        ConfigurationError: the camera does not look at the table.
    """
    position, forward = T_base_camera[:3, 3], T_base_camera[:3, 2]
    if forward[2] > -0.02:
        raise ConfigurationError(
            f'the camera at {np.round(position, 3).tolist()} m looks along '
            f'{np.round(forward, 2).tolist()}, not down to the table (z = {table_z_m:g}); '
            'give the pose of the optical frame (z forward, y down; its name ends in '
            '_optical_frame)')
    distance = (table_z_m - position[2]) / forward[2]
    # Right over the point it looks at there is no horizon: a millimetre aside there is one.
    target = position + distance * forward
    if np.linalg.norm((target - position)[:2]) < 1e-3:
        target = target + [1e-3, 0, 0]
    level = look_at(position, target)
    turned = level[:3, :3].T @ T_base_camera[:3, :3]
    roll_deg = float(np.degrees(np.arctan2(turned[1, 0], turned[0, 0])))
    return NominalPose(tuple(float(round(v, 4)) for v in position),
                       tuple(float(round(v, 4)) for v in target), round(roll_deg, 2) + 0.0)


def lifted_pose(pose: NominalPose, height_m: float) -> NominalPose:
    """Return the pose of a camera that stands and looks higher by this."""
    (x, y, z), (a, b, c) = pose.position_m, pose.look_at_m
    return NominalPose((x, y, round(z + height_m, 4)), (a, b, round(c + height_m, 4)),
                       pose.roll_deg)


def visible_workspace(camera: PinholeCamera, pose: NominalPose, table_z_m: float = 0.0
                      ) -> tuple[tuple[float, float], tuple[float, float]]:
    """Return the largest rectangle (x, y ranges in metres, base) in the middle that is seen.

    It lies at the height ``table_z_m`` in the base frame.

    Raises:
        ConfigurationError: not even a small one is.
    """
    T_camera_base = invert_transform(pose.T_base_camera)
    middle = np.array([pose.look_at_m[0], pose.look_at_m[1], table_z_m])
    best, area = None, 0.0
    border = _BORDER * np.array([camera.width_px, camera.height_px])
    sides = np.arange(_SIDES_M[0], _SIDES_M[1] + 0.01, 0.04)
    signs = np.array([[-1, -1, 0], [1, -1, 0], [1, 1, 0], [-1, 1, 0]]) / 2
    for x_m in sides:
        for y_m in sides:
            pixels = camera.project(transform_points(T_camera_base,
                                                     middle + signs * [x_m, y_m, 0]))
            seen = ((pixels >= border) & (pixels <= [camera.width_px, camera.height_px] - border)
                    ).all()
            if seen and x_m * y_m > area:
                best, area = (x_m, y_m), x_m * y_m
    if best is None:
        raise ConfigurationError(
            f'the camera at {list(pose.position_m)} m sees less than {100 * _SIDES_M[0]:.0f} '
            f'cm of the table round {list(pose.look_at_m)} m; check --pose, and that --camera has '
            f'the calibration of the full picture ({camera.width_px}x{camera.height_px} px with '
            f'its centre near cx, cy = {camera.cx_px:.0f}, {camera.cy_px:.0f}?)')
    return tuple((round(float(middle[i] - best[i] / 2), 2),
                  round(float(middle[i] + best[i] / 2), 2)) for i in (0, 1))
