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

"""The view that a calibration tells, where the true one differs from it.

Convention:
    The drawn scene's base frame lies on the true support. ``told`` is the base frame that the user
    believes in: there the camera stands where calibration says and the support is z = 0. Lifted
    scenes (see ``lifting``) have both of them at the height of the table.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import invert_transform, make_transform, rotation_from_rotvec
import numpy as np
from sim_trainer.configuration.calibration_error import CalibrationErrorConfig


@dataclass(frozen=True)
class ToldView:
    """What the estimator is told of a picture.

    Attributes:
        camera: at the drawn picture's size.
        T_base_camera: (4, 4) pose of the camera in the base frame, both as calibrated.
        T_told_base: (4, 4) the drawn scene's base frame in that one.
    """

    camera: PinholeCamera
    T_base_camera: np.ndarray
    T_told_base: np.ndarray

    def T_told_camera(self, T_base_camera: np.ndarray) -> np.ndarray:
        """(4, 4) from the true camera's frame to the told one's: its error in camera axes.

        A pose that is right in the told base frame is right for the arm; so this, and not the
        true camera's frame, is where detections are judged.

        Args:
            T_base_camera: (4, 4) of the drawn scene.
        """
        return invert_transform(self.T_base_camera) @ self.T_told_base @ T_base_camera


def miscalibrated(rng: np.random.Generator, T_base_camera: np.ndarray, pivot_m: np.ndarray,
                  config: CalibrationErrorConfig) -> tuple[np.ndarray, np.ndarray, float]:
    """One draw: the true pose, the drawn base frame in the told one, the focal lengths' factor.

    Args:
        rng: of this picture.
        T_base_camera: (4, 4) as told.
        pivot_m: (3,) point about which rotations are.
        config: deviations.
    """
    # Always all draws: a zero in one of them shifts no other.
    moved, turned, (zoom, height), tilt = (rng.normal(size=n) for n in (3, 3, 2, 2))
    camera_error = _about(pivot_m, np.radians(config.rotation_deg) * turned,
                          config.position_m * moved)
    plane_error = _about(pivot_m * [1, 1, 0],
                         np.radians(config.plane_tilt_deg) * np.append(tilt, 0.0),
                         np.array([0, 0, config.plane_height_m * height]))
    return (invert_transform(plane_error) @ camera_error @ T_base_camera, plane_error,
            float(np.exp(config.focal_share * zoom)))


def told_view(camera: PinholeCamera, T_base_camera: np.ndarray, T_told_base: np.ndarray,
              zoom: float) -> ToldView:
    """Return the view of a drawn camera whose focal lengths are ``zoom`` times the told ones."""
    return ToldView(replace(camera, fx_px=camera.fx_px / zoom, fy_px=camera.fy_px / zoom),
                    T_base_camera, T_told_base)


def _about(pivot_m: np.ndarray, rotvec: np.ndarray, shift_m: np.ndarray) -> np.ndarray:
    """Turn about a point, then move."""
    R = rotation_from_rotvec(rotvec)
    return make_transform(R, pivot_m + shift_m - R @ pivot_m)
