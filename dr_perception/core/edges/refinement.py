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
"""Poses moved until a model's edges lie on the picture's, as far as the keypoints allow.

Source of the idea: the search for edges along normals of a predicted outline (Harris and
Stennett 1990, RAPID), here with the keypoints' solution and covariance as prior.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.edges.edge_points import visible_edge_points
from dr_perception.core.edges.evidence import edge_evidence, EVIDENCE_COUNT
from dr_perception.core.edges.mesh_edges import MeshEdges
from dr_perception.core.edges.profiles import edge_profiles, Profiles, smoothed
from dr_perception.core.transforms import rotation_from_rotvec
import numpy as np

#: Pixels to both sides that are read from the picture. What counts as the edge lies nearer.
REACH_PX = 6
#: Steps of Gauss and Newton's method on one reading, and readings.
STEPS, READINGS = 2, 2
#: By how much poses may move between two readings without leaving what was smoothed.
_WANDERED_PX = 16.0
#: Standard deviation of how far an edge lies from where it is looked for, px: of several edges
#: near by, the nearer one is taken.
_EXPECTED_PX = 3.0
#: An edge farther off than this counts half.
_TOLERANCE_PX = 2.1
#: Gradient (grey levels a pixel) that counts half: noise and faint textures.
_FAINT = 3.0
#: Information of a pixel's length of a clear edge, 1/px^2. Neighbouring points err alike; found as
#: the best of 0.1, 0.25 and 0.5 on the stress splits.
_WEIGHT = 0.25
#: What is believed of a size before the edges speak: a standard deviation, part of the size.
_SIZE_SIGMA = 0.3
#: A pose that goes farther than this from the keypoints' one (squared Mahalanobis distance) found
#: something else.
_FARTHEST = 60.0


@dataclass(frozen=True, eq=False)
class Refined:
    """M poses after refinement.

    Attributes:
        T_camera_object: (M, 4, 4).
        covariance: (M, 6, 6); keypoints and edges together, uncalibrated.
        shift: (M,) squared Mahalanobis distance from the prior's pose; 0 where nothing was
            refined.
        evidence: (M, 8), see ``evidence.edge_evidence``.
        size_chi_squared: (M,) by how much the edges would fit an object of other sizes along its
            x, y and z better.
        size_error: (M,) the largest of these three changes, part of the size.
    """

    T_camera_object: np.ndarray
    covariance: np.ndarray
    shift: np.ndarray
    evidence: np.ndarray
    size_chi_squared: np.ndarray
    size_error: np.ndarray


class EdgeRefinement:
    """Refines the hypotheses of one model's objects."""

    def __init__(self, edges: MeshEdges) -> None:
        """Keep the edges of the objects."""
        self._edges = edges

    def refine(self, image_rgb: np.ndarray, camera: PinholeCamera, kinds: np.ndarray,
               T_camera_object: np.ndarray, covariance: np.ndarray,
               content_px: tuple[int, int] | None = None) -> Refined:
        """Move M poses until keypoints and edges agree best.

        The picture is read along the normals of the predicted edges, twice: as far as poses
        move, an edge stays on the line that it was found on.

        Args:
            image_rgb: (H, W, 3) uint8.
            camera: of the picture.
            kinds: (M,) index of each hypothesis' object.
            T_camera_object: (M, 4, 4) of the keypoints.
            covariance: (M, 6, 6) of them, calibrated.
            content_px: width and height of what is picture; the rest is padding. None: all.
        """
        if len(kinds) == 0:
            none = np.zeros(0)
            return Refined(T_camera_object, covariance, none, np.zeros((0, EVIDENCE_COUNT)), none,
                           none)
        image = smoothed(image_rgb,
                         _region(camera, T_camera_object, self._edges.reach_m[kinds]))
        prior = np.linalg.inv(covariance)
        T, moved, information = T_camera_object, np.zeros((len(kinds), 6)), prior
        # Poses move by so little that the outline stays on the same part of the object.
        points = visible_edge_points(self._edges, kinds, T)
        for _ in range(READINGS):
            profiles = edge_profiles(image, camera, points, T, REACH_PX, content_px)
            # Points lie ``length / S`` of the focal length apart.
            weight = (_WEIGHT * np.sqrt(camera.fx_px * camera.fy_px) * points.length
                      / profiles.is_inside.shape[1])
            J = _jacobian(profiles, camera, T[:, None, :3, 3])
            before = moved
            for _ in range(STEPS):
                expected = (J @ (moved - before)[..., None])[..., 0]
                offsets, weights = _edges_found(profiles, expected)
                trust = (weights * weight[:, None])[..., None]
                weighted = (J * trust).transpose(0, 2, 1)
                information = prior + weighted @ J
                residual = (offsets - expected)[..., None]
                gradient = weighted @ residual - prior @ moved[..., None]
                moved = moved + np.linalg.solve(information, gradient)[..., 0]
            read_at, T = T, _moved(T, moved - before)
        # Pixels along the normal that a point moves by when the object grows along x, y, z.
        growth = (J[..., :3] @ read_at[:, :3, :3]) * points.points_m
        size_chi_squared, size_error = _sizes(growth, trust, residual, weighted, information,
                                              gradient)
        shift = (moved * (prior @ moved[..., None])[..., 0]).sum(1)
        good = points.is_seen & np.isfinite(T).all((1, 2)) & (shift < _FARTHEST)
        return Refined(np.where(good[:, None, None], T, T_camera_object),
                       np.where(good[:, None, None], np.linalg.inv(information), covariance),
                       np.where(good, shift, 0.0), edge_evidence(profiles, points.on_outline),
                       np.where(good, size_chi_squared, 0.0), np.where(good, size_error, 0.0))


def _region(camera: PinholeCamera, T: np.ndarray, reach_m: np.ndarray
            ) -> tuple[float, float, float, float]:
    """Left, top, right and bottom (px) of what profiles of the hypotheses are read from."""
    centre = camera.project(T[:, :3, 3])
    seen = np.isfinite(centre).all(1)
    if not seen.any():
        return 0.0, 0.0, 1.0, 1.0
    centre, z, reach_m = centre[seen], T[seen, 2, 3], reach_m[seen]
    focal_px = max(camera.fx_px, camera.fy_px)
    reach = focal_px * reach_m / np.maximum(z - reach_m, 0.1 * z) + REACH_PX + _WANDERED_PX
    low, high = centre - reach[:, None], centre + reach[:, None] + 1
    return (*low.min(0), *high.max(0))


def _sizes(growth: np.ndarray, trust: np.ndarray, residual: np.ndarray, weighted: np.ndarray,
           information: np.ndarray, gradient: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return gain and largest size error (both (M,)) of a step that changes the sizes, too.

    The catalogue's sizes are exact: what wants others is another thing of the same shape.

    Args:
        growth: (M, S, 3) derivatives by the sizes along x, y and z.
        trust: (M, S, 1) weights of the points.
        residual: (M, S, 1).
        weighted: (M, 6, S) derivatives by the pose, times the weights.
        information: (M, 6, 6) of the pose.
        gradient: (M, 6, 1) by the pose.
    """
    scaled = (growth * trust).transpose(0, 2, 1)
    both = weighted @ growth
    pose = np.linalg.solve(information, np.concatenate([both, gradient], 2))
    curvature = scaled @ growth - both.transpose(0, 2, 1) @ pose[..., :3]
    curvature += np.eye(3) / _SIZE_SIGMA ** 2
    slope = scaled @ residual - both.transpose(0, 2, 1) @ pose[..., 3:]
    change = np.linalg.solve(curvature, slope)
    return (slope * change).sum((1, 2)), np.abs(change).max((1, 2))


def _edges_found(profiles: Profiles, expected_px: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return where the edge lies along each normal (px) and how far to trust it, both (M, S).

    Args:
        profiles: read from the picture.
        expected_px: (M, S) where the pose of now has it.
    """
    reach = profiles.reach_px
    steps = np.arange(-reach, reach + 1, dtype=np.float32)
    away = (steps - expected_px[..., None].astype(np.float32)) / _EXPECTED_PX
    likely = profiles.gradients * np.exp(-0.5 * away * away)
    best = np.minimum(np.maximum(likely.argmax(-1), 1), 2 * reach - 1)
    flat = profiles.gradients.reshape(-1)
    at = best + np.arange(best.size).reshape(best.shape) * len(steps)
    left, peak, right = flat[at - 1], flat[at], flat[at + 1]
    # The top of the parabola through three gradients.
    bend = np.minimum(left - 2 * peak + right, -1e-6)
    offsets = steps[best] + np.minimum(np.maximum(0.5 * (left - right) / bend, -1), 1)
    weights = peak / (peak + _FAINT) / (1 + ((offsets - expected_px) / _TOLERANCE_PX) ** 2)
    return offsets, np.where(profiles.is_inside, weights, 0.0)


def _moved(T: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Poses (M, 4, 4) moved by steps (M, 6) along the camera's axes, about their origins."""
    result = T.copy()
    result[:, :3, :3] = rotation_from_rotvec(step[:, 3:]) @ T[:, :3, :3]
    result[:, :3, 3] += step[:, :3]
    return result


def _jacobian(profiles: Profiles, camera: PinholeCamera, origin: np.ndarray) -> np.ndarray:
    """(M, S, 6): pixels along the normal that a point moves by when the pose does.

    The pose moves by (x, y, z, rotation) along the camera's axes, about the object's origin.
    """
    P, z = profiles.points_camera, profiles.points_camera[..., 2]
    J = np.empty((*z.shape, 6))
    u = J[..., 0] = profiles.normals[..., 0] * camera.fx_px / z
    v = J[..., 1] = profiles.normals[..., 1] * camera.fy_px / z
    w = J[..., 2] = -(u * P[..., 0] + v * P[..., 1]) / z
    arm = P - origin
    x, y, z = arm[..., 0], arm[..., 1], arm[..., 2]
    J[..., 3], J[..., 4], J[..., 5] = y * w - z * v, z * u - x * w, x * v - y * u
    return J
