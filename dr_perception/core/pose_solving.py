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

"""Pose of rigid objects from keypoints, and from the support plane where the base is known.

One weighted least-squares problem per hypothesis, solved for all candidates and hypotheses at once
(Levenberg-Marquardt, analytic Jacobian). Residuals: the keypoints on the undistorted image plane,
each over its predicted deviation, and for an object that rests on the plane its height and tilt.

Convention:
    The six parameters are (x, y, z, rotation about x, y, z) along the camera's axes, the rotation
    about the object's origin: ``R <- exp(w) R``, ``t <- t + d``. The covariance is of the same.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.pose_starts import camera_starts, plane_starts, SupportPlane
from dr_perception.core.resting import RestingPoses
from dr_perception.core.transforms import invert_transform, rotation_from_rotvec, skew
import numpy as np

ITERATIONS = 8
#: Residuals beyond this many deviations count linearly (Huber); keypoints are sometimes wrong.
HUBER = 2.0
#: An object leaves the plane when that lowers its robust cost (about chi squared) by more than
#: this. Three degrees of freedom gain 3 by chance, and keypoint errors are correlated.
PLANE_COST_GAIN = 40.0
#: A hypothesis whose robust cost (about chi squared) exceeds the best one's by this after
#: ``_PATIENCE`` iterations is given up: what converges to the optimum is nearer by then.
HOPELESS_COST = 60.0
_PATIENCE = 3
#: What is believed of a size before the keypoints speak: a standard deviation, part of the size.
SIZE_SIGMA = 0.5
#: Steps (m, rad) below this end the iteration.
_CONVERGED = 1e-5


@dataclass(frozen=True, eq=False)
class PoseFit:
    """M solved poses.

    Attributes:
        T_camera_object: (M, 4, 4).
        covariance: (M, 6, 6), uncalibrated.
        misfit: (M,) mean squared normalized keypoint residual; about 1 for a good fit.
        on_plane: (M,) bool, the support plane took part.
        size_error: (M,) by which part of its size the keypoints want the object to be larger or
            smaller; NaN off the plane, where a larger object farther off looks the same.
        size_deviations: (M,) the same in standard deviations that the keypoints' predicted ones
            give it.
    """

    T_camera_object: np.ndarray
    covariance: np.ndarray
    misfit: np.ndarray
    on_plane: np.ndarray
    size_error: np.ndarray
    size_deviations: np.ndarray


@dataclass(frozen=True, eq=False)
class _Problem:
    """B hypotheses: keypoints, measurements, and the plane constraint in the camera frame."""

    points_m: np.ndarray        # (B, K, 3) object frame
    measured: np.ndarray        # (B, K, 2) undistorted, z = 1
    sigma: np.ndarray           # (B, K) of the same
    basis: np.ndarray           # (3, 3) two directions in the plane, its normal; camera frame
    offset_m: np.ndarray        # (B,) wanted normal . t
    up: np.ndarray              # (B, 3) object direction that points along the normal
    round_up: np.ndarray        # (B,) bool: only the axis's angle to the normal is wanted
    weights: np.ndarray         # (B, 3) 1 / sigma of height, tilt, tilt; 0 without plane

    def take(self, index: np.ndarray) -> _Problem:
        """Return the hypotheses of an index array."""
        return _Problem(self.points_m[index], self.measured[index], self.sigma[index],
                        self.basis, self.offset_m[index], self.up[index], self.round_up[index],
                        self.weights[index])


def solve_poses(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                resting: list[RestingPoses], plane: SupportPlane | None) -> PoseFit:
    """Solve M candidates.

    Args:
        points_m: (M, K, 3) the objects' keypoints in their frames; the first is the origin.
        measured: (M, K, 2) where they were seen: undistorted image points at z = 1.
        sigma: (M, K) standard deviation of ``measured`` per axis.
        resting: the M objects' resting poses (read with a plane only).
        plane: the support plane, or None for the camera alone.
    """
    M = len(points_m)
    if M == 0:
        return PoseFit(np.zeros((0, 4, 4)), np.zeros((0, 6, 6)), np.zeros(0), np.zeros(0, bool),
                       np.zeros(0), np.zeros(0))
    if plane is None:
        owner, T = camera_starts(points_m, measured)
        return _best(_free_problem(points_m, measured, sigma, owner), T, owner, M)[0]
    owner, T, rests = plane_starts(measured, sigma, resting, plane)
    T_camera_base = invert_transform(plane.T_base_camera)
    normal = T_camera_base[:3, 2]
    origin_height = plane.T_base_camera[2, 3] - plane.height_m
    heights = np.array([resting[m].heights_m[r] for m, r in zip(owner, rests)])
    sigmas = np.array([plane.sigma_m, plane.sigma_rad, plane.sigma_rad])
    problem = _Problem(
        points_m[owner], measured[owner], sigma[owner], _plane_basis(normal),
        heights - origin_height,
        np.stack([-resting[m].downs[r] for m, r in zip(owner, rests)]),
        np.array([resting[m].round_side[r] for m, r in zip(owner, rests)]),
        np.tile(1 / sigmas, (len(owner), 1)))
    standing, cost = _best(problem, T, owner, M)
    doubted = np.flatnonzero(cost > PLANE_COST_GAIN)
    if len(doubted) == 0:
        return standing
    free, free_cost = _best(_free_problem(points_m, measured, sigma, doubted),
                            standing.T_camera_object[doubted], np.arange(len(doubted)),
                            len(doubted))
    better = cost[doubted] - free_cost > PLANE_COST_GAIN
    leave, source = doubted[better], np.flatnonzero(better)
    for name in ('T_camera_object', 'covariance', 'misfit', 'size_error', 'size_deviations'):
        getattr(standing, name)[leave] = getattr(free, name)[source]
    standing.on_plane[leave] = False
    return standing


def plane_information(T_base_camera: np.ndarray, sigma_m: float, sigma_rad: float) -> np.ndarray:
    """(6, 6) what the support plane says of a pose on it, along the camera's axes.

    Args:
        T_base_camera: (4, 4) pose of the camera in the base frame.
        sigma_m: trust in the plane's height.
        sigma_rad: trust in its direction.
    """
    normal = T_base_camera[2, :3]
    across = np.outer(normal, normal)
    information = np.zeros((6, 6))
    information[:3, :3] = across / sigma_m ** 2
    information[3:, 3:] = (np.eye(3) - across) / sigma_rad ** 2
    return information


def residuals_and_jacobian(problem: _Problem, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return normalized residuals (B, 2K + 3) and their derivative (B, 2K + 3, 6)."""
    B, K = problem.sigma.shape
    arms = problem.points_m @ T[:, :3, :3].transpose(0, 2, 1)
    p = arms + T[:, None, :3, 3]
    inverse_z = 1 / np.maximum(p[..., 2], 1e-3)
    uv = p[..., :2] * inverse_z[..., None]
    r = np.empty((B, 2 * K + 3))
    J = np.zeros((B, 2 * K + 3, 6))
    inverse_sigma = 1 / problem.sigma
    r[:, :2 * K] = ((uv - problem.measured) * inverse_sigma[..., None]).reshape(B, -1)
    dp = np.zeros((B, K, 2, 3))
    dp[..., 0, 0] = dp[..., 1, 1] = inverse_z * inverse_sigma
    dp[..., 2] = -uv * (inverse_z * inverse_sigma)[..., None]
    J[:, :2 * K, :3] = dp.reshape(B, 2 * K, 3)
    J[:, :2 * K, 3:] = -(dp @ skew(arms)).reshape(B, 2 * K, 3)

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


def _best(problem: _Problem, T: np.ndarray, owner: np.ndarray, count: int
          ) -> tuple[PoseFit, np.ndarray]:
    """Minimize every hypothesis; each candidate's best and its robust cost (count,)."""
    T, cost, hessian, r = _minimize(problem, T, owner)
    K2 = 2 * problem.sigma.shape[1]
    chosen = np.zeros(count, int)
    for m in range(count):
        mine = np.flatnonzero(owner == m)
        chosen[m] = mine[np.argmin(cost[mine])]
    # A rotation that no residual sees (a keypoint set on one axis) must not break the inverse.
    covariance = np.linalg.inv(hessian[chosen] + np.diag([1e-3] * 3 + [1e-3] * 3))
    on_plane = problem.weights[chosen, 0] > 0
    size_error, size_deviations = np.where(
        on_plane, _size_errors(problem.take(chosen), T[chosen]), np.nan)
    return PoseFit(T[chosen], (covariance + covariance.transpose(0, 2, 1)) / 2,
                   (r[chosen, :K2] ** 2).mean(1), on_plane, size_error, size_deviations
                   ), cost[chosen]


def _size_errors(problem: _Problem, T: np.ndarray) -> np.ndarray:
    """(2, B) how far from 1 the object's scale is, and that in standard deviations.

    Fitted together with the pose: one step.

    Two bodies of one shape and two sizes have the same keypoints in a picture, except where a
    plane says how far off they stand.
    """
    r, J = residuals_and_jacobian(problem, T)
    count, K2 = len(T), 2 * problem.sigma.shape[1]
    # d residual / d p times d p / d scale, p = scale R point + t. The first three columns of the
    # keypoints' rows are d residual / d p.
    arms = problem.points_m @ T[:, :3, :3].transpose(0, 2, 1)
    scale = np.zeros((count, J.shape[1], 1))
    scale[:, :K2] = (J[:, :K2, :3].reshape(count, -1, 2, 3) @ arms[..., None]
                     ).reshape(count, K2, 1)
    gradient, hessian = _normal_equations(r, np.concatenate([J, scale], 2))
    hessian = hessian + np.diag([1e-3] * 6 + [SIZE_SIGMA ** -2])
    inverse = np.linalg.inv(hessian)
    error = np.abs((inverse[:, 6] * gradient).sum(1))
    return np.stack([error, error / np.sqrt(inverse[:, 6, 6])])


def _minimize(problem: _Problem, T: np.ndarray, owner: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Poses, robust costs, Hessians and residuals at the minimum of each hypothesis.

    Hypotheses that have converged, or that a better one of the same ``owner`` has left far
    behind, are not worked on any more.
    """
    T = T.copy()
    damping = np.full(len(T), 1e-3)
    r, J = residuals_and_jacobian(problem, T)
    cost = _robust_cost(r)
    active = np.arange(len(T))
    for iteration in range(ITERATIONS):
        part = problem if len(active) == len(T) else problem.take(active)
        gradient, hessian = _normal_equations(r[active], J[active])
        diagonal = np.einsum('bii->bi', hessian)
        damped = hessian + (damping[active, None] * diagonal + 1e-9)[:, :, None] * np.eye(6)
        step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
        trial = T[active]
        trial[:, :3, :3] = rotation_from_rotvec(step[:, 3:]) @ trial[:, :3, :3]
        trial[:, :3, 3] += step[:, :3]
        trial_r, trial_J = residuals_and_jacobian(part, trial)
        trial_cost = _robust_cost(trial_r)
        better = trial_cost < cost[active]
        moved = active[better]
        T[moved], cost[moved] = trial[better], trial_cost[better]
        r[moved], J[moved] = trial_r[better], trial_J[better]
        damping[active] *= np.where(better, 0.2, 8.0)
        # A refused step is tried again, shorter.
        going = np.abs(step).max(1) > _CONVERGED
        if iteration >= _PATIENCE:
            best = np.full(int(owner.max()) + 1, np.inf)
            np.minimum.at(best, owner, cost)
            going &= cost[active] < best[owner[active]] + HOPELESS_COST
        active = active[going]
        if len(active) == 0:
            break
    return T, cost, _normal_equations(r, J)[1], r


def _normal_equations(r: np.ndarray, J: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Gradient (B, 6) and Gauss-Newton Hessian (B, 6, 6) of the robust cost, halved."""
    w = np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-12))
    weighted = (J * w[:, :, None]).transpose(0, 2, 1)
    return (weighted @ r[..., None])[..., 0], weighted @ J


def _robust_cost(r: np.ndarray) -> np.ndarray:
    a = np.abs(r)
    return np.where(a <= HUBER, a * a, 2 * HUBER * a - HUBER ** 2).sum(1)


def _plane_basis(normal: np.ndarray) -> np.ndarray:
    e1 = np.cross(np.eye(3)[int(np.argmin(np.abs(normal)))], normal)
    e1 /= np.linalg.norm(e1)
    return np.stack([e1, np.cross(normal, e1), normal])


def _free_problem(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                  owner: np.ndarray) -> _Problem:
    B = len(owner)
    return _Problem(points_m[owner], measured[owner], sigma[owner], np.eye(3),
                    np.zeros(B), np.tile([0.0, 0.0, 1.0], (B, 1)), np.zeros(B, bool),
                    np.zeros((B, 3)))
