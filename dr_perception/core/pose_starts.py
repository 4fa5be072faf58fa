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

"""Where the pose solver starts: several hypotheses for each candidate."""

from __future__ import annotations

import cv2
from dr_perception.core.compiled import library
from dr_perception.core.least_squares import PoseProblem
from dr_perception.core.resting import RestingPoses
from dr_perception.core.support_plane import SupportPlane
from dr_perception.core.transforms import rotation_from_rotvec
import numpy as np

#: Hypotheses kept per candidate after the coarse search.
KEPT_HYPOTHESES = 3
#: A ray above the horizon meets no table: a ray of z = 1 goes down by this at least.
_LEAST_DOWN = -1e-3


def camera_starts(points_m: np.ndarray, measured: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return starts without a plane: PnP solutions, and a guess where there are none."""
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
    """Return the other solution of nearly flat keypoints: tilted the other way to the view ray."""
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


def plane_hypotheses(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                     resting: list[RestingPoses], plane: SupportPlane
                     ) -> tuple[PoseProblem, np.ndarray, np.ndarray]:
    """Return hypotheses on the plane: every resting face and yaw is tried, the best few are kept.

    Args:
        points_m, measured, sigma, resting, plane: see ``pose_solving.solve_poses``; M of them.

    Returns:
        The problem of B hypotheses, their starts (B, 4, 4) and their candidates (B,).
    """
    if library.LIBRARY is not None:
        return _plane_hypotheses_by_library(points_m, measured, sigma, resting, plane)
    R_base_camera, eye = plane.T_base_camera[:3, :3], plane.T_base_camera[:3, 3]
    M = len(measured)
    rays = np.concatenate([measured[:, 0], np.ones((M, 1))], 1)     # z = 1, camera's axes
    down = np.minimum(rays @ R_base_camera[2], _LEAST_DOWN)
    owner, found = [], []
    for m, rest in enumerate(resting):
        best, reach = _best_starts(rest, R_base_camera, plane.height_m - eye[2], down[m], rays[m],
                                   measured[m], sigma[m])
        owner += [m] * len(best)
        found += [(rest, rest.start_rest[i], rest.start_rotations[i], reach[i]) for i in best]
    T = np.tile(np.eye(4), (len(owner), 1, 1))
    T[:, :3, :3] = R_base_camera.T @ np.stack([rotation for _, _, rotation, _ in found])
    T[:, :3, 3] = np.array([reach for *_, reach in found])[:, None] * rays[owner]
    heights = np.array([rest.heights_m[face] for rest, face, *_ in found])
    return PoseProblem(
        points_m[owner], measured[owner], sigma[owner], plane.basis,
        heights + plane.height_m - eye[2],
        np.stack([-rest.downs[face] for rest, face, *_ in found]),
        np.array([rest.round_side[face] for rest, face, *_ in found]),
        np.tile(plane.weights, (len(owner), 1))), T, np.array(owner)


def _plane_hypotheses_by_library(points_m: np.ndarray, measured: np.ndarray, sigma: np.ndarray,
                                 resting: list[RestingPoses], plane: SupportPlane
                                 ) -> tuple[PoseProblem, np.ndarray, np.ndarray]:
    """Return the same (``compiled/plane_hypotheses.c``)."""
    M, K = sigma.shape
    most = M * KEPT_HYPOTHESES
    owner, T = np.empty(most, np.int64), np.empty((most, 4, 4))
    problem = PoseProblem(
        np.empty((most, K, 3)), np.empty((most, K, 2)), np.empty((most, K)), plane.basis,
        np.empty(most), np.empty((most, 3)), np.empty(most, bool), np.empty((most, 3)))
    B = library.run(
        'dr_plane_hypotheses', M, K, KEPT_HYPOTHESES, np.stack([rest.memory.row for rest in
                                                                resting]),
        points_m, measured, sigma, plane.T_base_camera, plane.height_m, _LEAST_DOWN,
        plane.weights, owner, T, problem.points_m, problem.measured, problem.sigma,
        problem.offset_m, problem.up, problem.round_up, problem.weights)
    return problem.take(slice(B)), T[:B], owner[:B]


def _best_starts(rest: RestingPoses, R_base_camera: np.ndarray, depth_m: float, down: float,
                 ray: np.ndarray, measured: np.ndarray, sigma: np.ndarray
                 ) -> tuple[np.ndarray, np.ndarray]:
    """Return numbers of one candidate's best starts, and how far along the ray each (S,) stands.

    Args:
        rest: the object's.
        R_base_camera: (3, 3).
        depth_m: from the camera to the plane, along the base frame's z.
        down: the same of ``ray``.
        ray: (3,) through the object's origin, camera's axes, z = 1.
        measured: (K, 2) undistorted, z = 1.
        sigma: (K,) of the same.
    """
    reach = (rest.start_heights_m + depth_m) / down
    p = (rest.start_points_m.reshape(-1, 3) @ R_base_camera).reshape(
        rest.start_points_m.shape) + reach[:, None, None] * ray
    uv = p[..., :2] / np.maximum(p[..., 2:], 1e-3)
    misfit = np.abs(uv - measured).reshape(len(uv), -1) @ np.repeat(1 / sigma, 2)
    # The best yaw of each face first, then the best faces.
    faces = np.argsort(np.minimum.reduceat(misfit, rest.group_begin))[:KEPT_HYPOTHESES]
    ends = np.append(rest.group_begin[1:], len(misfit))
    return np.array([begin + np.argmin(misfit[begin:end]) for begin, end in
                     zip(rest.group_begin[faces], ends[faces])]), reach
