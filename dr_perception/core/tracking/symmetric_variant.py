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

"""Of all poses that look the same, the one nearest a track; covariances that come along.

Convention:
    A covariance (6, 6) has the order x, y, z, rotation about x, y, z (REP 103), is about the axes
    of the frame that the pose is given in, and its rotation is about the object's origin.
"""

from __future__ import annotations

from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import make_transform, rotation_about, skew
import numpy as np


def nearest_variant(symmetry: Symmetry, T_a_track: np.ndarray, T_a_found: np.ndarray,
                    covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the equivalent of a found pose whose orientation is nearest the track's.

    About the axis of a continuous symmetry the nearest is found exactly, not among the samples.

    Args:
        symmetry: the object's group.
        T_a_track: (4, 4) where the track is, frame a, metres.
        T_a_found: (4, 4) what was found.
        covariance: (6, 6) of what was found, about the axes of frame a.

    Returns:
        T_a_variant (4, 4) and its covariance (6, 6): another one where the symmetry moves the
        origin.
    """
    # trace(R_track^T R_found S) is largest where the angle between the two is smallest.
    overlap = T_a_found[:3, :3].T @ T_a_track[:3, :3]
    traces = symmetry.transforms[:, :3, :3].reshape(-1, 9) @ overlap.ravel()
    S = symmetry.transforms[int(traces.argmax())]
    if symmetry.continuous_about_z:
        error = overlap.T @ S[:3, :3]
        turn_rad = np.arctan2(error[0, 1] - error[1, 0], error[0, 0] + error[1, 1])
        S = S @ make_transform(rotation_about('z', turn_rad), np.zeros(3))
    return T_a_found @ S, covariance_at(covariance, T_a_found[:3, :3] @ S[:3, 3])


def covariance_at(covariance: np.ndarray, shift_a: np.ndarray) -> np.ndarray:
    """Return the covariance of a body's pose at another of its points.

    Args:
        covariance: (6, 6) at the first point, axes of frame a.
        shift_a: (3,) metres from the first to the other point, in frame a.
    """
    J = np.eye(6)
    J[:3, 3:] = -skew(np.asarray(shift_a))  # a turn by d moves the point by d x shift
    return J @ covariance @ J.T
