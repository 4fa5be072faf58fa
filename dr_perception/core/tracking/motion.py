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

"""How a tracked object may move between two pictures.

Convention:
    The error of a pose is (dx, dy, dz, rotation vector) along the axes of the tracking frame:
    ``p_true = p + dp`` and ``R_true = exp(dtheta) R``, as the detections' covariance has it. The
    twist is (velocity, angular velocity) along the same axes, of the object's origin.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from dr_perception.core.transforms import make_transform, rotation_from_rotvec, skew
import numpy as np

#: Deviation of the unknown velocity of what was seen once: m/s and rad/s along each axis.
INITIAL_SPEED_M_S, INITIAL_TURN_RAD_S = 0.3, 1.0


@dataclass(frozen=True)
class ProcessNoise:
    """How much the motion deviates from its model.

    Attributes:
        position: standard deviation along each axis after one second: of the position in metres
            (constant_pose), or of the velocity in m/s (constant_velocity).
        rotation: the same of the rotation, in rad or rad/s.
    """

    position: float
    rotation: float

    @property
    def variances(self) -> np.ndarray:
        """(6,) variance that one second adds."""
        return np.repeat([self.position ** 2, self.rotation ** 2], 3)


@dataclass(frozen=True, eq=False)
class PoseState:
    """Where an object is and how it moves.

    Attributes:
        T_frame_object: (4, 4), metres.
        twist: (6,) m/s and rad/s; zero without a velocity in the model.
        covariance: (N, N) of the error: pose, and for N = 12 twist.
    """

    T_frame_object: np.ndarray
    twist: np.ndarray
    covariance: np.ndarray


class MotionModel(Protocol):
    """A law of motion. ``predict`` also goes back in time, with a negative ``dt_s``."""

    def start(self, T_frame_object: np.ndarray, covariance: np.ndarray) -> PoseState:
        """Return the state of what was seen once, at a pose with a covariance (6, 6)."""

    def predict(self, state: PoseState, dt_s: float, noise: ProcessNoise) -> PoseState:
        """Return the state ``dt_s`` later."""


class ConstantPose:
    """The object rests; it may wander a little (random walk)."""

    def start(self, T_frame_object: np.ndarray, covariance: np.ndarray) -> PoseState:
        """As the protocol says."""
        return PoseState(T_frame_object, np.zeros(6), np.array(covariance))

    def predict(self, state: PoseState, dt_s: float, noise: ProcessNoise) -> PoseState:
        """As the protocol says."""
        return PoseState(state.T_frame_object, state.twist,
                         state.covariance + np.diag(noise.variances * abs(dt_s)))


class ConstantVelocity:
    """The object moves and turns steadily; its velocity may wander (white acceleration)."""

    def start(self, T_frame_object: np.ndarray, covariance: np.ndarray) -> PoseState:
        """As the protocol says."""
        P = np.zeros((12, 12))
        P[:6, :6] = covariance
        P[6:, 6:] = np.diag(np.repeat([INITIAL_SPEED_M_S ** 2, INITIAL_TURN_RAD_S ** 2], 3))
        return PoseState(T_frame_object, np.zeros(6), P)

    def predict(self, state: PoseState, dt_s: float, noise: ProcessNoise) -> PoseState:
        """As the protocol says.

        Source: Bar-Shalom, Li, Kirubarajan 2001, section 6.2.2 (white noise acceleration).
        """
        T, turn = state.T_frame_object, state.twist[3:] * dt_s
        R_step = rotation_from_rotvec(turn)
        F = np.eye(12)
        F[:3, 6:9] = np.eye(3) * dt_s
        F[3:6, 3:6] = R_step
        F[3:6, 9:] = left_jacobian(turn) * dt_s
        Q, h = np.zeros((12, 12)), abs(dt_s)
        Q[:6, :6] = np.diag(noise.variances * h ** 3 / 3)
        Q[:6, 6:] = Q[6:, :6] = np.diag(noise.variances * h * dt_s / 2)
        Q[6:, 6:] = np.diag(noise.variances * h)
        return PoseState(
            make_transform(R_step @ T[:3, :3], T[:3, 3] + state.twist[:3] * dt_s),
            state.twist, F @ state.covariance @ F.T + Q)


#: Models by the name that parameters use.
MOTION_MODELS: Mapping[str, MotionModel] = {
    'constant_pose': ConstantPose(), 'constant_velocity': ConstantVelocity()}


def left_jacobian(rotvec: np.ndarray) -> np.ndarray:
    """(3, 3) ``J`` with ``exp(v + d) = exp(J d) exp(v)`` for small d, of a rotation vector (3,).

    Source: Sola, Deray, Atchuthan 2018, "A micro Lie theory", eq. 145.
    """
    angle = float(np.linalg.norm(rotvec))
    K = skew(rotvec)
    if angle < 1e-4:
        return np.eye(3) + K / 2 + K @ K / 6
    return (np.eye(3) + (1 - np.cos(angle)) / angle ** 2 * K
            + (angle - np.sin(angle)) / angle ** 3 * K @ K)
