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

"""A tag's corners from its edges: lines through the steps from black to white, intersected.

OpenCV's own refinement looks at the corner's surroundings, where every lens rounds the corner: it
is drawn into the tag by a quarter of a pixel, alike for all corners, and the camera moves away.
Edges stay where they are when a lens blurs them.
"""

from __future__ import annotations

import cv2
from dr_perception.core.camera import PinholeCamera
import numpy as np

#: Samples along an edge, without its ends, where the neighbouring edge is near.
_SAMPLES, _END_PART = 40, 0.15
#: Step across an edge, px, and how far: a part of a cell, which is as wide as the black frame.
_STEP_PX, _CELL_PART, _REACH_PX = 0.25, 0.45, (1.5, 4.0)
#: A corner that moves by more than this part of the tag's shortest side was not an edge's end.
_FARTHEST_PART = 0.15
_ROUNDS = 3


def refine_corners(grey: np.ndarray, corners: np.ndarray, cells: int, camera: PinholeCamera
                   ) -> np.ndarray:
    """Corners (M, 4, 2) of tags, each where its edges meet; where they do not, as they were.

    Args:
        grey: (H, W) uint8.
        corners: (M, 4, 2) as detected, clockwise or not.
        cells: of a tag's side, the black frame's two included.
        camera: lines are straight before the lens bends them.
    """
    smooth = grey.astype(np.float32)
    return np.array([_refined(smooth, quad, cells, camera) for quad in corners]).reshape(-1, 4, 2)


def _refined(grey: np.ndarray, quad: np.ndarray, cells: int, camera: PinholeCamera) -> np.ndarray:
    shortest = min(np.linalg.norm(np.roll(quad, -1, 0) - quad, axis=1))
    reach = float(np.clip(_CELL_PART * shortest / cells, *_REACH_PX))
    current = quad
    for _ in range(_ROUNDS):
        lines = []
        for i in range(4):
            points = _edge_points(grey, current[i], current[(i + 1) % 4], current.mean(0), reach)
            if len(points) < _SAMPLES // 3:
                return quad
            lines.append(_line(camera.normalize(points)))
        meets = np.array([np.cross(lines[i - 1], lines[i]) for i in range(4)])
        if (np.abs(meets[:, 2]) < 1e-9).any():
            return quad
        current = camera.project(meets / meets[:, 2:])
        if not np.isfinite(current).all() or (
                np.linalg.norm(current - quad, axis=1).max() > max(_FARTHEST_PART * shortest, 1)):
            return quad
    return current


def _edge_points(grey: np.ndarray, start: np.ndarray, end: np.ndarray, inside: np.ndarray,
                 reach: float) -> np.ndarray:
    """(P, 2) pixels on the step from black to white between two corners."""
    along = end - start
    normal = np.array([-along[1], along[0]]) / np.linalg.norm(along)
    if normal @ (inside - start) > 0:
        normal = -normal
    places = start + np.linspace(_END_PART, 1 - _END_PART, _SAMPLES)[:, None] * along
    across = np.arange(-reach, reach + _STEP_PX / 2, _STEP_PX)
    samples = places[:, None] + across[:, None] * normal
    profile = cv2.remap(grey, samples.astype(np.float32), None, cv2.INTER_LINEAR,
                        borderMode=cv2.BORDER_REPLICATE)
    # Only the step outwards to white counts; noise on both sides of it cancels.
    slope = np.diff(profile, axis=1)
    middle = (across[1:] + across[:-1]) / 2
    rise = slope.sum(1)
    steep = rise > max(0.5 * float(np.median(rise)), 8.0)
    shift = (slope[steep] * middle).sum(1) / rise[steep]
    good = np.abs(shift) < reach
    return places[steep][good] + shift[good, None] * normal


def _line(rays: np.ndarray) -> np.ndarray:
    """(3,) the line through points (P, 2) at z = 1, without those far from it."""
    for _ in range(3):
        middle = rays.mean(0)
        normal = np.linalg.svd(rays - middle, full_matrices=False)[2][1]
        apart = np.abs((rays - middle) @ normal)
        kept = apart <= 3 * np.median(apart) + 1e-12
        if kept.all():
            break
        rays = rays[kept]
    return np.append(normal, -normal @ middle)
