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

import cv2
import numpy as np

from dr_perception.core.resting import RestingPoses
from dr_perception.core.transforms import invert_transform, rotation_from_rotvec, skew

ITERATIONS = 10
#: Residuals beyond this many deviations count linearly (Huber); keypoints are sometimes wrong.
HUBER = 2.0
#: Hypotheses kept per candidate after the coarse search.
KEPT_HYPOTHESES = 3
#: An object leaves the plane when that lowers its robust cost (about chi squared) by more than
#: this. Three degrees of freedom gain 3 by chance, and keypoint errors are correlated.
PLANE_COST_GAIN = 40.0


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """The plane z = height of the base frame, and how far it is trusted."""

    T_base_camera: np.ndarray
    height_m: float
    sigma_m: float
    sigma_rad: float


@dataclass(frozen=True, eq=False)
class PoseFit:
    """M solved poses.

    Attributes:
        T_camera_object: (M, 4, 4).
        covariance: (M, 6, 6), uncalibrated.
        misfit: (M,) mean squared normalized keypoint residual; about 1 for a good fit.
        on_plane: (M,) bool, the support plane took part.
    """

    T_camera_object: np.ndarray
    covariance: np.ndarray
    misfit: np.ndarray
    on_plane: np.ndarray


@dataclass(frozen=True, eq=False)
class _Problem:
    """B hypotheses: keypoints, measurements, and the plane constraint in the camera frame."""

    points_m: np.ndarray        # (B, K, 3) object frame
    measured: np.ndarray        # (B, K, 2) undistorted, z = 1
    sigma: np.ndarray           # (B, K) of the same
    normal: np.ndarray          # (3,) plane normal in the camera frame
    offset_m: np.ndarray        # (B,) wanted normal . t
    up: np.ndarray              # (B, 3) object direction that points along the normal
    round_up: np.ndarray        # (B,) bool: only the axis's angle to the normal is wanted
    weights: np.ndarray         # (B, 3) 1 / sigma of height, tilt, tilt; 0 without plane


def solve_poses(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                resting: list[RestingPoses], plane: SupportPlane | None) -> PoseFit:
    """Solve M candidates.

    Args:
        points_m: (M, K, 3) keypoints in the object frames; the first is the origin.
        measured: (M, K, 2) where they were seen: undistorted image points at z = 1.
        sigma: (M, K) standard deviation of ``measured`` per axis.
        resting: the M objects' resting poses (read with a plane only).
        plane: the support plane, or None for the camera alone.
    """
    M = len(points_m)
    if M == 0:
        return PoseFit(np.zeros((0, 4, 4)), np.zeros((0, 6, 6)), np.zeros(0), np.zeros(0, bool))
    if plane is None:
        owner, T = _camera_starts(points_m, measured)
        return _best(_free_problem(points_m, measured, sigma, owner), T, owner, M)[0]
    owner, T, rests = _plane_starts(points_m, measured, sigma, resting, plane)
    T_camera_base = invert_transform(plane.T_base_camera)
    normal = T_camera_base[:3, 2]
    origin_height = plane.T_base_camera[2, 3] - plane.height_m
    heights = np.array([resting[m].heights_m[r] for m, r in zip(owner, rests)])
    sigmas = np.array([plane.sigma_m, plane.sigma_rad, plane.sigma_rad])
    problem = _Problem(
        points_m[owner], measured[owner], sigma[owner], normal, heights - origin_height,
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
    for name in ('T_camera_object', 'covariance', 'misfit'):
        getattr(standing, name)[leave] = getattr(free, name)[source]
    standing.on_plane[leave] = False
    return standing


def residuals_and_jacobian(problem: _Problem, T: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Normalized residuals (B, 2K + 3) and their derivative (B, 2K + 3, 6)."""
    B, K = problem.sigma.shape
    arms = np.einsum('bij,bkj->bki', T[:, :3, :3], problem.points_m)
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

    w, n = problem.weights, problem.normal
    r[:, 2 * K] = (T[:, :3, 3] @ n - problem.offset_m) * w[:, 0]
    J[:, 2 * K, :3] = n * w[:, :1]
    e1, e2 = _tangents(n)
    up = np.einsum('bij,bj->bi', T[:, :3, :3], problem.up)
    axis = T[:, :3, 2]
    r[:, 2 * K + 1] = np.where(problem.round_up, axis @ n - problem.up[:, 2], up @ e1) * w[:, 1]
    r[:, 2 * K + 2] = np.where(problem.round_up, 0.0, up @ e2) * w[:, 2]
    J[:, 2 * K + 1, 3:] = np.where(problem.round_up[:, None], np.cross(axis, n),
                                   np.cross(up, e1)) * w[:, 1:2]
    J[:, 2 * K + 2, 3:] = np.where(problem.round_up[:, None], 0.0,
                                   np.cross(up, e2)) * w[:, 2:3]
    return r, J


def _best(problem: _Problem, T: np.ndarray, owner: np.ndarray, count: int
          ) -> tuple[PoseFit, np.ndarray]:
    """Minimize every hypothesis; each candidate's best and its robust cost (count,)."""
    T, cost, hessian, r = _minimize(problem, T)
    K2 = 2 * problem.sigma.shape[1]
    chosen = np.zeros(count, int)
    for m in range(count):
        mine = np.flatnonzero(owner == m)
        chosen[m] = mine[np.argmin(cost[mine])]
    # A rotation that no residual sees (a keypoint set on one axis) must not break the inverse.
    covariance = np.linalg.inv(hessian[chosen] + np.diag([1e-3] * 3 + [1e-3] * 3))
    return PoseFit(T[chosen], (covariance + covariance.transpose(0, 2, 1)) / 2,
                   (r[chosen, :K2] ** 2).mean(1), problem.weights[chosen, 0] > 0), cost[chosen]


def _minimize(problem: _Problem, T: np.ndarray
              ) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    T = T.copy()
    damping = np.full(len(T), 1e-3)
    r, J = residuals_and_jacobian(problem, T)
    cost = _robust_cost(r)
    for _ in range(ITERATIONS):
        w = np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-12))
        gradient = np.einsum('bri,br->bi', J, w * r)
        hessian = np.einsum('bri,br,brj->bij', J, w, J)
        diagonal = np.einsum('bii->bi', hessian)
        damped = hessian + (damping[:, None] * diagonal + 1e-9)[:, :, None] * np.eye(6)
        step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
        trial = T.copy()
        trial[:, :3, :3] = rotation_from_rotvec(step[:, 3:]) @ T[:, :3, :3]
        trial[:, :3, 3] += step[:, :3]
        trial_r, trial_J = residuals_and_jacobian(problem, trial)
        trial_cost = _robust_cost(trial_r)
        better = trial_cost < cost
        T[better], cost[better] = trial[better], trial_cost[better]
        r[better], J[better] = trial_r[better], trial_J[better]
        damping = np.where(better, damping * 0.2, damping * 8)
        # Of all steps: a refused one is tried again, shorter.
        if np.abs(step).max() < 1e-7:
            break
    w = np.minimum(1.0, HUBER / np.maximum(np.abs(r), 1e-12))
    return T, cost, np.einsum('bri,br,brj->bij', J, w, J), r


def _robust_cost(r: np.ndarray) -> np.ndarray:
    a = np.abs(r)
    return np.where(a <= HUBER, a * a, 2 * HUBER * a - HUBER ** 2).sum(1)


def _tangents(normal: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    e1 = np.cross(normal, np.eye(3)[int(np.argmin(np.abs(normal)))])
    e1 /= np.linalg.norm(e1)
    return e1, np.cross(normal, e1)


def _free_problem(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                  owner: np.ndarray) -> _Problem:
    B = len(owner)
    return _Problem(points_m[owner], measured[owner], sigma[owner], np.array([0.0, 0.0, 1.0]),
                    np.zeros(B), np.tile([0.0, 0.0, 1.0], (B, 1)), np.zeros(B, bool),
                    np.zeros((B, 3)))


def _camera_starts(points_m: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Starts without a plane: PnP solutions, and a guess where there are none."""
    owner, poses = [], []
    for m, (points, pixels) in enumerate(zip(points_m, measured)):
        starts = []
        for rotvec, t in _pnp_solutions(points, pixels):
            if np.isfinite(t).all() and t[2, 0] > 0.01:
                T = np.eye(4)
                T[:3, :3], T[:3, 3] = rotation_from_rotvec(rotvec[:, 0]), t[:, 0]
                starts.append(T)
        if not starts:
            size = np.ptp(pixels, axis=0).max()
            T = np.eye(4)
            T[:3, 3] = np.append(pixels[0], 1.0) * np.ptp(points, axis=0).max() / max(size, 1e-4)
            starts.append(T)
        starts += [_mirrored(T) for T in starts]
        owner += [m] * len(starts)
        poses += starts
    return np.array(owner), np.stack(poses)


def _pnp_solutions(points_m: np.ndarray, measured: np.ndarray
                   ) -> list[tuple[np.ndarray, np.ndarray]]:
    """Rotation vectors and translations (3, 1) of SQPNP, or of EPNP for far and tiny objects.

    SQPNP raises where all keypoints are within about two pixels.
    """
    for flag in (cv2.SOLVEPNP_SQPNP, cv2.SOLVEPNP_EPNP):
        try:
            found = cv2.solvePnPGeneric(points_m, measured, np.eye(3), None, flags=flag)
        except cv2.error:
            continue
        return list(zip(found[1], found[2]))
    return []


def _mirrored(T: np.ndarray) -> np.ndarray:
    """The other solution of a nearly flat keypoint set: tilted the other way to the view ray."""
    ray = T[:3, 3] / np.linalg.norm(T[:3, 3])
    normal = T[:3, 2]
    axis = np.cross(normal, ray)
    sine = np.linalg.norm(axis)
    if sine < 1e-6:
        return T
    angle = 2 * np.arctan2(sine, abs(normal @ ray)) * (1 if normal @ ray > 0 else -1)
    mirrored = T.copy()
    mirrored[:3, :3] = rotation_from_rotvec(axis / sine * angle) @ T[:3, :3]
    return mirrored


def _plane_starts(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                  resting: list[RestingPoses], plane: SupportPlane
                  ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Starts on the plane: every resting face and yaw is tried, the best few are kept."""
    T_camera_base = invert_transform(plane.T_base_camera)
    R_camera_base = T_camera_base[:3, :3]
    eye = plane.T_base_camera[:3, 3]
    owner, poses, rests = [], [], []
    for m in range(len(points_m)):
        rest = resting[m]
        ray = plane.T_base_camera[:3, :3] @ np.append(measured[m, 0], 1.0)
        down = min(ray[2], -1e-3)       # a ray at or above the horizon meets no table
        reach = (rest.start_heights_m + plane.height_m - eye[2]) / down
        t_base = eye + reach[:, None] * ray
        t = t_base @ R_camera_base.T + T_camera_base[:3, 3]
        R = R_camera_base @ rest.start_rotations
        p = np.einsum('sij,kj->ski', R, points_m[m]) + t[:, None]
        uv = p[..., :2] / np.maximum(p[..., 2:], 1e-3)
        misfit = np.abs((uv - measured[m]) / sigma[m][:, None]).sum((1, 2))
        # The best yaw of each face first, then the best faces.
        order = np.argsort(misfit)
        _, first = np.unique(rest.start_group[order], return_index=True)
        kept = order[np.sort(first)][:KEPT_HYPOTHESES]
        owner += [m] * len(kept)
        rests += list(rest.start_rest[kept])
        T = np.tile(np.eye(4), (len(kept), 1, 1))
        T[:, :3, :3], T[:, :3, 3] = R[kept], t[kept]
        poses.append(T)
    return np.array(owner), np.concatenate(poses), np.array(rests)
