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

"""Poses as a least-squares problem, solved for many hypotheses at once.

Levenberg's and Marquardt's method with analytic derivatives. Residuals: the keypoints on the
undistorted image plane, each over its predicted deviation, and for an object that rests on the
plane its height and tilt. The arrays are small, so time goes into calls of numpy, not numbers:
few calls for all hypotheses together are fast, and ``compiled/least_squares.c`` is faster.

Convention:
    The six parameters are (x, y, z, rotation about x, y, z) along the camera's axes, the rotation
    about the object's origin: ``R <- exp(w) R``, ``t <- t + d``.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from dr_perception.core.compiled import library
from dr_perception.core.transforms import rotation_from_rotvec, skew
import numpy as np

ITERATIONS = 6
#: Residuals beyond this many deviations count linearly (Huber); keypoints are sometimes wrong.
HUBER = 2.0
#: A hypothesis whose robust cost (about chi squared) exceeds the best one's by this after
#: ``_PATIENCE`` iterations is given up: what converges to the optimum is nearer by then.
HOPELESS_COST = 60.0
_PATIENCE = 2
#: Steps that are to lower no cost by more than this end the iteration: what is left is a
#: thousandth of the pose's variance, and what the last step left of it far less.
_CONVERGED = 1e-3


@dataclass(frozen=True, eq=False)
class PoseProblem:
    """B hypotheses: keypoints, measurements, and the plane constraint in the camera frame."""

    points_m: np.ndarray        # (B, K, 3) object frame
    measured: np.ndarray        # (B, K, 2) undistorted, z = 1
    sigma: np.ndarray           # (B, K) of the same
    basis: np.ndarray           # (3, 3) two directions in the plane, its normal; camera frame
    offset_m: np.ndarray        # (B,) wanted normal . t
    up: np.ndarray              # (B, 3) object direction that points along the normal
    round_up: np.ndarray        # (B,) bool: only the axis's angle to the normal is wanted
    weights: np.ndarray         # (B, 3) 1 / sigma of height, tilt, tilt; 0 without plane

    def take(self, index: np.ndarray) -> PoseProblem:
        """Return the hypotheses of an index array."""
        return PoseProblem(self.points_m[index], self.measured[index], self.sigma[index],
                           self.basis, self.offset_m[index], self.up[index],
                           self.round_up[index], self.weights[index])


@dataclass(eq=False)
class Iterate:
    """B hypotheses under way."""

    T: np.ndarray               # (B, 4, 4)
    r: np.ndarray               # (B, 2K + 3) normalized residuals
    J: np.ndarray               # (B, 2K + 3, 6) their derivatives
    cost: np.ndarray            # (B,) robust, about chi squared
    damping: np.ndarray         # (B,)

    @classmethod
    def of(cls, problem: PoseProblem, T: np.ndarray) -> Iterate:
        """Evaluate poses (B, 4, 4)."""
        r, J = residuals_and_jacobian(problem, T)
        return cls(T, r, J, _robust_cost(r), np.full(len(T), 1e-3))

    def take(self, index: np.ndarray) -> Iterate:
        """Return the hypotheses of an index array."""
        return Iterate(*(getattr(self, field.name)[index] for field in fields(self)))

    def put(self, index: np.ndarray, other: Iterate) -> None:
        """Overwrite the hypotheses of an index array."""
        for field in fields(self):
            getattr(self, field.name)[index] = getattr(other, field.name)


def free_problem(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                 owner: np.ndarray) -> PoseProblem:
    """Return the problem of B hypotheses without a plane; ``owner`` (B,) are their candidates."""
    B = len(owner)
    return PoseProblem(points_m[owner], measured[owner], sigma[owner], np.eye(3), np.zeros(B),
                       np.tile([0.0, 0.0, 1.0], (B, 1)), np.zeros(B, bool), np.zeros((B, 3)))


def plane_basis(normal: np.ndarray) -> np.ndarray:
    """Return two directions in a plane and its normal (3, 3), as ``PoseProblem.basis``."""
    across = skew(normal)
    e1 = -across[:, int(np.argmin(np.abs(normal)))]
    e1 /= np.sqrt(e1 @ e1)
    return np.stack([e1, across @ e1, normal])


def residuals_and_jacobian(problem: PoseProblem, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return normalized residuals (B, 2K + 3) and their derivative (B, 2K + 3, 6)."""
    B, K = problem.sigma.shape
    arms = problem.points_m @ T[:, :3, :3].transpose(0, 2, 1)
    p = arms + T[:, None, :3, 3]
    inverse_z = 1 / np.maximum(p[..., 2], 1e-3)
    uv = p[..., :2] * inverse_z[..., None]
    inverse_sigma = 1 / problem.sigma
    r = np.empty((B, 2 * K + 3))
    r[:, :2 * K] = ((uv - problem.measured) * inverse_sigma[..., None]).reshape(B, 2 * K)
    J = np.zeros((B, 2 * K + 3, 6))
    rows = J[:, :2 * K].reshape(B, K, 2, 6)         # a view
    x, y, z = arms[..., 0], arms[..., 1], arms[..., 2]
    scale = inverse_z * inverse_sigma
    du, dv = -uv[..., 0] * scale, -uv[..., 1] * scale
    rows[..., 0, 0] = rows[..., 1, 1] = scale
    rows[..., 0, 2], rows[..., 1, 2] = du, dv
    # (scale, 0, du) and (0, scale, dv) times -skew(arms).
    rows[..., 0, 3], rows[..., 1, 4] = du * y, -dv * x
    rows[..., 0, 4], rows[..., 1, 3] = scale * z - du * x, dv * y - scale * z
    rows[..., 0, 5], rows[..., 1, 5] = -scale * y, scale * x

    w, n = problem.weights, problem.basis[2]
    r[:, 2 * K] = (T[:, :3, 3] @ n - problem.offset_m) * w[:, 0]
    J[:, 2 * K, :3] = n * w[:, :1]
    up = (T[:, :3, :3] @ problem.up[..., None])[..., 0]
    tilt = up @ problem.basis[:2].T
    turned = skew(up) @ problem.basis[:2].T         # columns: up x e1, up x e2
    if problem.round_up.any():
        axis = T[:, :3, 2]
        tilt[problem.round_up] = np.stack([axis @ n - problem.up[:, 2], np.zeros(B)], 1)[
            problem.round_up]
        turned[problem.round_up] = np.stack([skew(axis) @ n, np.zeros((B, 3))], 2)[
            problem.round_up]
    r[:, 2 * K + 1:] = tilt * w[:, 1:]
    J[:, 2 * K + 1:, 3:] = turned.transpose(0, 2, 1) * w[:, 1:, None]
    return r, J


def minimize(problem: PoseProblem, T: np.ndarray, owner: np.ndarray) -> Iterate:
    """Return the minimum of each hypothesis.

    Hypotheses that a better one of the same ``owner`` has left far behind are not worked on
    to the end.
    """
    if library.LIBRARY is not None:
        return _minimized_by_library(problem, T, owner)
    found = _descended(problem, Iterate.of(problem, T), _PATIENCE)
    best = np.full(int(owner.max()) + 1, np.inf)
    np.minimum.at(best, owner, found.cost)
    hopeful = np.flatnonzero(found.cost < best[owner] + HOPELESS_COST)
    part = problem if len(hopeful) == len(owner) else problem.take(hopeful)
    end = _descended(part, found.take(hopeful), ITERATIONS - _PATIENCE)
    found.put(hopeful, end)
    return found


def _minimized_by_library(problem: PoseProblem, T: np.ndarray, owner: np.ndarray) -> Iterate:
    B, K = problem.sigma.shape
    found = Iterate(np.array(T, np.float64, order='C'), np.empty((B, 2 * K + 3)),
                    np.empty((B, 2 * K + 3, 6)), np.empty(B), np.empty(B))
    library.run('dr_minimize', B, K, problem.points_m, problem.measured, problem.sigma,
                problem.basis, problem.offset_m, problem.up, problem.round_up, problem.weights,
                owner, int(owner.max()) + 1, ITERATIONS, _PATIENCE, HUBER, HOPELESS_COST,
                _CONVERGED, found.T, found.r, found.J, found.cost, found.damping)
    return found


def _descended(problem: PoseProblem, at: Iterate, iterations: int) -> Iterate:
    """Take steps of Levenberg's and Marquardt's method, until all are small."""
    for _ in range(iterations):
        gradient, hessian = normal_equations(at.r, at.J)
        damped = hessian.copy()
        diagonal = np.einsum('bii->bi', damped)     # a view
        diagonal *= 1 + at.damping[:, None]
        diagonal += 1e-9
        step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
        T = at.T.copy()
        T[:, :3, :3] = rotation_from_rotvec(step[:, 3:]) @ T[:, :3, :3]
        T[:, :3, 3] += step[:, :3]
        trial = Iterate.of(problem, T)
        better = trial.cost < at.cost
        damping = at.damping * np.where(better, 0.2, 8.0)
        if not better.all():        # what is refused is tried again, shorter
            refused = np.flatnonzero(~better)
            trial.put(refused, at.take(refused))
        at = replace(trial, damping=damping)
        if (-(gradient * step).sum(1) < _CONVERGED).all():
            break
    return at


def normal_equations(r: np.ndarray, J: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gradient (B, P) and Gauss-Newton Hessian (B, P, P) of the robust cost, halved."""
    w = np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-12))
    weighted = (J * w[:, :, None]).transpose(0, 2, 1)
    return (weighted @ r[..., None])[..., 0], weighted @ J


def _robust_cost(r: np.ndarray) -> np.ndarray:
    a = np.abs(r)
    return np.where(a <= HUBER, a * a, 2 * HUBER * a - HUBER ** 2).sum(1)
