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

"""Symmetry groups of objects, and pose errors modulo a symmetry.

Convention:
    A symmetry is a rigid ``S`` in the object frame that maps the object onto itself:
    ``T_camera_object`` and ``T_camera_object @ S`` look alike. ``S`` may move the origin (the
    tetrahedron's origin is not its centroid).
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.transforms import rotation_angle
import numpy as np


@dataclass(frozen=True, eq=False)
class Symmetry:
    """A symmetry group, as a list of transforms.

    Attributes:
        transforms: (G, 4, 4), the identity first; a continuous group is sampled evenly.
        continuous_about_z: any rotation about the object's z axis is a symmetry; ``transforms``
            then samples those rotations (and the flips, where there are any).
    """

    transforms: np.ndarray
    continuous_about_z: bool = False

    def __post_init__(self) -> None:
        transforms = np.asarray(self.transforms, dtype=np.float64)
        if transforms.ndim != 3 or transforms.shape[1:] != (4, 4) or len(transforms) < 1:
            raise ValueError(f'symmetry transforms have shape {transforms.shape}; '
                             'expected (G, 4, 4) with G >= 1')
        if np.abs(transforms[0] - np.eye(4)).max() > 1e-9:
            raise ValueError('the first symmetry transform is not the identity')
        object.__setattr__(self, 'transforms', transforms)

    @classmethod
    def none(cls) -> Symmetry:
        """Return the group of the identity alone."""
        return cls(np.eye(4)[None])

    def position_error_m(self, T_a_estimate: np.ndarray, T_a_truth: np.ndarray) -> float:
        """Distance (m) of the origins, least over the group."""
        equivalents = T_a_truth @ self.transforms
        return float(np.linalg.norm(equivalents[:, :3, 3] - T_a_estimate[:3, 3], axis=1).min())

    def rotation_error_rad(self, R_a_estimate: np.ndarray, R_a_truth: np.ndarray) -> float:
        """Rotation angle (rad) between two orientations, least over the group."""
        equivalents = R_a_truth @ self.transforms[:, :3, :3]
        if self.continuous_about_z:
            # The sampled rotations only tell which way up is allowed; about z nothing is lost.
            axes = equivalents[:, :, 2]
            cosine = np.clip(axes @ R_a_estimate[:, 2], -1.0, 1.0)
            sine = np.linalg.norm(np.cross(axes, R_a_estimate[:, 2]), axis=1)
            return float(np.arctan2(sine, cosine).min())
        return float(rotation_angle(np.swapaxes(equivalents, 1, 2) @ R_a_estimate).min())

    def nearest(self, T_a_estimate: np.ndarray, T_a_truth: np.ndarray) -> np.ndarray:
        """Return the equivalent of ``T_a_truth`` (4x4) oriented most like the estimate."""
        equivalents = T_a_truth @ self.transforms
        angles = rotation_angle(np.swapaxes(equivalents[:, :3, :3], 1, 2) @ T_a_estimate[:3, :3])
        return equivalents[int(np.argmin(angles))]
