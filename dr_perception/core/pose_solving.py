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

Every start that fits is a hypothesis, a least-squares problem (see ``least_squares``); the best
of a candidate's is its pose. The covariance is of that problem's six parameters.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.compiled import library
from dr_perception.core.least_squares import (free_problem, HUBER, Iterate, minimize,
                                              normal_equations, PoseProblem)
from dr_perception.core.pose_starts import camera_starts, plane_hypotheses
from dr_perception.core.resting import RestingPoses
from dr_perception.core.support_plane import SupportPlane
import numpy as np

#: An object leaves the plane when that lowers its robust cost (about chi squared) by more than
#: this. Three degrees of freedom gain 3 by chance, and keypoint errors are correlated.
PLANE_COST_GAIN = 40.0
#: What is believed of a size before the keypoints speak: a standard deviation, part of the size.
SIZE_SIGMA = 0.5
#: A rotation that no residual sees (a keypoint set on one axis) must not break the inverse.
_LEAST_INFORMATION = 1e-3


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
        return _best(free_problem(points_m, measured, sigma, owner), T, owner, M)[0]
    standing, cost = _best(*plane_hypotheses(points_m, measured, sigma, resting, plane), M)
    doubted = np.flatnonzero(cost > PLANE_COST_GAIN)
    if len(doubted) == 0:
        return standing
    free, free_cost = _best(free_problem(points_m, measured, sigma, doubted),
                            standing.T_camera_object[doubted], np.arange(len(doubted)),
                            len(doubted))
    better = cost[doubted] - free_cost > PLANE_COST_GAIN
    leave, source = doubted[better], np.flatnonzero(better)
    for name in ('T_camera_object', 'covariance', 'misfit', 'size_error', 'size_deviations'):
        getattr(standing, name)[leave] = getattr(free, name)[source]
    standing.on_plane[leave] = False
    return standing


def scaled_covariance(covariance: np.ndarray, factors: np.ndarray, plane: np.ndarray
                      ) -> np.ndarray:
    """Scale covariances, except for what the support plane says.

    How far keypoints and edges err has to be learned; how far the plane does is known. A factor
    below 1 scales all.

    Args:
        covariance: (M, 6, 6).
        factors: (M,).
        plane: (M, 6, 6) of ``SupportPlane.information``; zeros where it took no part.
    """
    if library.LIBRARY is not None:
        result = np.empty((len(covariance), 6, 6))
        library.run('dr_scaled_covariance', len(covariance), covariance, factors, plane, result)
        return result
    inverse = (1 / factors)[:, None, None]
    result = np.linalg.inv(inverse * np.linalg.inv(covariance)
                           + np.maximum(0.0, 1 - inverse) * plane)
    return (result + result.transpose(0, 2, 1)) / 2


def shift_covariance(positions_m: np.ndarray, camera: PinholeCamera, normals: np.ndarray,
                     sigma_px: float) -> np.ndarray:
    """(M, 3, 3) covariance of positions when the whole picture may be shifted.

    Args:
        positions_m: (M, 3) in the camera's frame.
        camera: of the picture.
        normals: (M, 3) direction along which a position does not move: of the plane that holds
            it, else (where zero) the view ray.
        sigma_px: of the shift, each axis.
    """
    x, y = positions_m[:, 0], positions_m[:, 1]
    z = np.maximum(positions_m[:, 2], 1e-3)
    ray = np.stack([x, y, z], 1) / np.sqrt(x * x + y * y + z * z)[:, None]
    # Seen along the plane, a shift would move an object to infinity.
    flat = np.abs((normals * ray).sum(1)) < 0.05
    A = np.zeros((len(z), 3, 3))
    A[:, 0, 0], A[:, 0, 2] = camera.fx_px / z, -camera.fx_px * x / z ** 2
    A[:, 1, 1], A[:, 1, 2] = camera.fy_px / z, -camera.fy_px * y / z ** 2
    A[:, 2] = np.where(flat[:, None], ray, normals)
    moved = np.linalg.inv(A)[:, :, :2] * sigma_px
    return moved @ moved.transpose(0, 2, 1)


def _best(problem: PoseProblem, T: np.ndarray, owner: np.ndarray, count: int
          ) -> tuple[PoseFit, np.ndarray]:
    """Minimize every hypothesis; each candidate's best and its robust cost (count,)."""
    found = minimize(problem, T, owner)
    if library.LIBRARY is not None:
        return _best_by_library(problem, found, owner, count)
    order = np.lexsort((found.cost, owner))
    chosen = order[np.searchsorted(owner[order], np.arange(count))]
    found = found.take(chosen)
    information = normal_equations(found.r, found.J)[1] + _LEAST_INFORMATION * np.eye(6)
    covariance = np.linalg.inv(information)
    on_plane = problem.weights[chosen, 0] > 0
    size_error, size_deviations = np.where(
        on_plane, _size_errors(problem.take(chosen), found), np.nan)
    K2 = 2 * problem.sigma.shape[1]
    return PoseFit(found.T, (covariance + covariance.transpose(0, 2, 1)) / 2,
                   (found.r[:, :K2] ** 2).mean(1), on_plane, size_error, size_deviations
                   ), found.cost


def _best_by_library(problem: PoseProblem, found: Iterate, owner: np.ndarray, count: int
                     ) -> tuple[PoseFit, np.ndarray]:
    """Return the same of what was minimized (``compiled/best_hypotheses.c``)."""
    B, K = problem.sigma.shape
    fit = PoseFit(np.empty((count, 4, 4)), np.empty((count, 6, 6)), np.empty(count),
                  np.empty(count, bool), np.empty(count), np.empty(count))
    cost = np.empty(count)
    library.run('dr_best_hypotheses', B, K, count, owner, problem.points_m, problem.weights,
                HUBER, _LEAST_INFORMATION, SIZE_SIGMA, found.T, found.r, found.J, found.cost,
                fit.T_camera_object, fit.covariance, fit.misfit, fit.on_plane, fit.size_error,
                fit.size_deviations, cost)
    return fit, cost


def _size_errors(problem: PoseProblem, at: Iterate) -> np.ndarray:
    """(2, B) how far from 1 the object's scale is, and that in standard deviations.

    Fitted together with the pose: one step.

    Two bodies of one shape and two sizes have the same keypoints in a picture, except where a
    plane says how far off they stand.
    """
    count, K2 = len(at.T), 2 * problem.sigma.shape[1]
    # d residual / d p times d p / d scale, p = scale R point + t. The first three columns of the
    # keypoints' rows are d residual / d p.
    arms = problem.points_m @ at.T[:, :3, :3].transpose(0, 2, 1)
    scale = np.zeros((count, at.J.shape[1], 1))
    scale[:, :K2] = (at.J[:, :K2, :3].reshape(count, -1, 2, 3) @ arms[..., None]
                     ).reshape(count, K2, 1)
    gradient, hessian = normal_equations(at.r, np.concatenate([at.J, scale], 2))
    hessian = hessian + np.diag([_LEAST_INFORMATION] * 6 + [SIZE_SIGMA ** -2])
    inverse = np.linalg.inv(hessian)
    error = np.abs((inverse[:, 6] * gradient).sum(1))
    return np.stack([error, error / np.sqrt(inverse[:, 6, 6])])
