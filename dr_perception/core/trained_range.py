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

"""Whether a detection lies where training has been: distance, view angle, image border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dr_perception.core.camera import PinholeCamera
import numpy as np

#: Keys of the contract's ``trained_range``: [low, high] each.
DISTANCE_KEY, ELEVATION_KEY = 'object_distance_m', 'view_elevation_deg'
#: An object is at the border when more than this part of its outline's points lies outside.
_OUTSIDE_PART = 0.1


class TrainedRange:
    """What training covered. A model that does not tell covers everything."""

    def __init__(self, trained_range: dict[str, Any]) -> None:
        """Read the contract's ``trained_range``; keys that are missing or odd do not count."""
        self._distance_m = _range(trained_range.get(DISTANCE_KEY))
        self._elevation_deg = _range(trained_range.get(ELEVATION_KEY))

    def reasons(self, T_camera_object: np.ndarray, outlines_m: Sequence[np.ndarray],
                camera: PinholeCamera, T_base_camera: np.ndarray | None
                ) -> list[tuple[str, ...]]:
        """Why detections are out of range: some of 'distance', 'view angle', 'image border'.

        Args:
            T_camera_object: (M, 4, 4) their poses.
            outlines_m: M times (V, 3), points of each one's surface, object frame.
            camera: of the picture.
            T_base_camera: (4, 4); without it the view angle is not known and not judged.
        """
        if len(outlines_m) == 0:
            return []
        M = len(outlines_m)
        tested = {
            'distance': _outside(np.linalg.norm(T_camera_object[:, :3, 3], axis=1),
                                 self._distance_m),
            'view angle': np.zeros(M, bool) if T_base_camera is None else _outside(
                view_elevation_deg(T_camera_object, T_base_camera), self._elevation_deg),
            'image border': _part_outside(T_camera_object, outlines_m, camera) > _OUTSIDE_PART}
        return [tuple(reason for reason, of in tested.items() if of[i]) for i in range(M)]


def _part_outside(T_camera_object: np.ndarray, outlines_m: Sequence[np.ndarray],
                  camera: PinholeCamera) -> np.ndarray:
    """(M,) part of each outline's points that the picture does not show."""
    counts = np.array([len(points) for points in outlines_m])
    T = np.repeat(T_camera_object, counts, axis=0)      # few calls for all are fast
    points_camera = (T[:, :3, :3] @ np.concatenate(outlines_m)[..., None])[..., 0] + T[:, :3, 3]
    pixels = camera.project(points_camera)
    inside = ((pixels >= -0.5)
              & (pixels < [camera.width_px - 0.5, camera.height_px - 0.5])).all(1)
    begins = np.concatenate([[0], np.cumsum(counts)[:-1]])
    return 1 - np.add.reduceat(inside.astype(float), begins) / counts


def view_elevation_deg(T_camera_object: np.ndarray, T_base_camera: np.ndarray) -> np.ndarray:
    """(...) how high the camera stands over objects (..., 4, 4): 0 beside, 90 right above."""
    t = T_camera_object[..., :3, 3]
    height = -(t @ T_base_camera[2, :3])
    return np.degrees(np.arcsin(np.clip(height / np.linalg.norm(t, axis=-1), -1, 1)))


def _range(value: Any) -> tuple[float, float] | None:
    try:
        low, high = (float(v) for v in value)
    except (TypeError, ValueError):
        return None
    return (low, high) if low <= high else None


def _outside(values: np.ndarray, law: tuple[float, float] | None) -> np.ndarray:
    if law is None:
        return np.zeros(len(values), bool)
    return ~((law[0] <= values) & (values <= law[1]))
