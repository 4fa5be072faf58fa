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

"""Poses of one object compared modulo its symmetry, and their mean. No ROS here."""

from __future__ import annotations

from collections.abc import Sequence

from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import (make_transform, rotation_about, rotation_angle,
                                           rotation_from_rotvec, rotvec_from_rotation)
import numpy as np


def seen_as(symmetry: Symmetry | None, T_a_reference: np.ndarray,
            T_a_object: np.ndarray) -> np.ndarray:
    """Return the pose (4x4) that looks like ``T_a_object`` and is turned least from a reference.

    Args:
        symmetry: of the object; None: no pose looks like another.
        T_a_reference: (4, 4).
        T_a_object: (4, 4).
    """
    if symmetry is None:
        return T_a_object
    if not symmetry.continuous_about_z:
        return symmetry.nearest(T_a_reference, T_a_object)
    # The sampled turns tell which way up is allowed; the best turn about z is computed. The
    # trace of R_reference^T R Rz(t) is largest at t = atan2(M01 - M10, M00 + M11), M = R_ref^T R.
    best, smallest_rad = T_a_object, np.inf
    _, different = np.unique(np.round(symmetry.transforms[:, :3, 2:], 6), axis=0,
                             return_index=True)
    for S in symmetry.transforms[np.sort(different)]:
        T_a_candidate = T_a_object @ S
        M = T_a_reference[:3, :3].T @ T_a_candidate[:3, :3]
        turn_rad = np.arctan2(M[0, 1] - M[1, 0], M[0, 0] + M[1, 1])
        T_a_candidate = T_a_candidate @ make_transform(rotation_about('z', turn_rad), np.zeros(3))
        angle_rad = float(rotation_angle(T_a_reference[:3, :3].T @ T_a_candidate[:3, :3]))
        if angle_rad < smallest_rad - 1e-9:
            best, smallest_rad = T_a_candidate, angle_rad
    return best


def pose_difference(T_a_one: np.ndarray, T_a_other: np.ndarray) -> tuple[float, float]:
    """Distance (m) of the origins and rotation angle (rad) between two poses (4x4)."""
    return (float(np.linalg.norm(T_a_one[:3, 3] - T_a_other[:3, 3])),
            float(rotation_angle(T_a_one[:3, :3].T @ T_a_other[:3, :3])))


def mean_pose(T_a_objects: Sequence[np.ndarray]) -> np.ndarray:
    """Return the mean (4x4) of poses near each other: of positions, and of turns from the last.

    A second pass about the first mean leaves nothing of the choice of the origin.
    """
    position_m = np.mean([T[:3, 3] for T in T_a_objects], axis=0)
    R = T_a_objects[-1][:3, :3]
    for _ in range(2):
        R = R @ rotation_from_rotvec(np.mean(
            [rotvec_from_rotation(R.T @ T[:3, :3]) for T in T_a_objects], axis=0))
    return make_transform(R, position_m)


def spread(T_a_objects: Sequence[np.ndarray], T_a_mean: np.ndarray) -> tuple[float, float]:
    """Largest distance (m) and angle (rad) of poses (4x4) from their mean."""
    differences = [pose_difference(T_a_mean, T) for T in T_a_objects]
    return max(d for d, _ in differences), max(a for _, a in differences)
