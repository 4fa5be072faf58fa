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

"""Error-state Kalman filter of one object's pose on SE(3)."""

from __future__ import annotations

from dr_perception.core.tracking.motion import PoseState
from dr_perception.core.transforms import (make_transform, rotation_from_rotvec,
                                           rotvec_from_rotation)
import numpy as np


def pose_difference(T_a_to: np.ndarray, T_a_from: np.ndarray) -> np.ndarray:
    """(6,) error that leads from one pose to another: metres, and a rotation vector in rad."""
    return np.concatenate([T_a_to[:3, 3] - T_a_from[:3, 3],
                           rotvec_from_rotation(T_a_to[:3, :3] @ T_a_from[:3, :3].T)])


def moved(T_a_from: np.ndarray, difference: np.ndarray) -> np.ndarray:
    """Undo ``pose_difference``: return the pose (4, 4) that a difference (6,) leads to."""
    return make_transform(rotation_from_rotvec(difference[3:]) @ T_a_from[:3, :3],
                          T_a_from[:3, 3] + difference[:3])


def updated(state: PoseState, T_frame_found: np.ndarray, covariance: np.ndarray) -> PoseState:
    """Return the state after a measured pose.

    Args:
        state: predicted to the time of the measurement.
        T_frame_found: (4, 4) measured pose.
        covariance: (6, 6) of its error, axes of the frame.

    The error is from now on counted from the corrected orientation. What that turns in P is of
    second order, and would undo what it is for: the measured covariance is about the new one
    already.

    Source: Sola 2017, "Quaternion kinematics for the error-state Kalman filter", sections 6 and 7
    (global angular error); the covariance in Joseph's form, which stays positive.
    """
    P = state.covariance
    gain = np.linalg.solve(P[:6, :6] + covariance, P[:6]).T
    correction = gain @ pose_difference(T_frame_found, state.T_frame_object)
    left = np.eye(len(P))
    left[:, :6] -= gain
    P = left @ P @ left.T + gain @ covariance @ gain.T
    twist = state.twist + correction[6:] if len(P) > 6 else state.twist
    return PoseState(moved(state.T_frame_object, correction[:6]), twist, (P + P.T) / 2)
