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

"""Steps that bring a model's edges onto those of the profiles, as far as the keypoints allow."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.compiled import library
from dr_perception.core.edges.edge_points import EdgePoints
from dr_perception.core.edges.profiles import Profiles
from dr_perception.core.transforms import rotation_from_rotvec
import numpy as np

#: Steps of Gauss and Newton's method on one reading of the picture.
STEPS = 2
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


@dataclass(frozen=True, eq=False)
class EdgeFit:
    """M poses under way to the edges.

    Attributes:
        T: (M, 4, 4) poses in the camera's frame.
        moved: (M, 6) the way from the keypoints' poses, along the camera's axes.
        information: (M, 6, 6) of keypoints and edges.
        size_chi_squared, size_error: (M,), see ``refinement.Refined``.
    """

    T: np.ndarray
    moved: np.ndarray
    information: np.ndarray
    size_chi_squared: np.ndarray
    size_error: np.ndarray

    @classmethod
    def begin(cls, T: np.ndarray, prior: np.ndarray) -> EdgeFit:
        """Return the keypoints' poses (M, 4, 4) with their information (M, 6, 6)."""
        none = np.zeros(len(T))
        return cls(T, np.zeros((len(T), 6)), prior, none, none)


def step_towards_edges(fit: EdgeFit, profiles: Profiles, camera: PinholeCamera,
                       points: EdgePoints, prior: np.ndarray) -> EdgeFit:
    """Return the poses after the steps of one reading.

    As far as poses move, an edge stays on the line that it was found on.

    Args:
        fit: of M hypotheses.
        profiles: read at ``fit.T``.
        camera: of the picture.
        points: of the hypotheses.
        prior: (M, 6, 6) information of the keypoints.
    """
    M, S = profiles.is_inside.shape
    # Points lie ``length / S`` of the focal length apart.
    weight = _WEIGHT * np.sqrt(camera.fx_px * camera.fy_px)
    if library.LIBRARY is not None:
        found = EdgeFit(np.array(fit.T, np.float64, order='C'), fit.moved.copy(),
                        np.empty((M, 6, 6)), np.empty(M), np.empty(M))
        library.run('dr_refine_reading', M, S, profiles.reach_px, STEPS, weight, _EXPECTED_PX,
                    _TOLERANCE_PX, _FAINT, _SIZE_SIGMA, camera.fx_px, camera.fy_px,
                    profiles.gradients, profiles.normals, profiles.points_camera,
                    profiles.is_inside, points.points_m, points.length, prior, found.T,
                    found.moved, found.information, found.size_chi_squared, found.size_error)
        return found
    J = _jacobian(profiles, camera, fit.T[:, None, :3, 3])
    moved = fit.moved
    for _ in range(STEPS):
        expected = (J @ (moved - fit.moved)[..., None])[..., 0]
        offsets, weights = _edges_found(profiles, expected)
        trust = (weights * (weight * points.length / S)[:, None])[..., None]
        weighted = (J * trust).transpose(0, 2, 1)
        information = prior + weighted @ J
        residual = (offsets - expected)[..., None]
        gradient = weighted @ residual - prior @ moved[..., None]
        moved = moved + np.linalg.solve(information, gradient)[..., 0]
    # Pixels along the normal that a point moves by when the object grows along x, y, z.
    growth = (J[..., :3] @ fit.T[:, :3, :3]) * points.points_m
    return EdgeFit(_moved(fit.T, moved - fit.moved), moved, information,
                   *_sizes(growth, trust, residual, weighted, information, gradient))


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
