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

"""The surface of a mesh as samples, and how far a moved copy of it stands off it."""

from __future__ import annotations

import numpy as np
from scipy.spatial import cKDTree
from sim_trainer.objects.solids import even_directions

#: Samples that stand for the surface, more where triangles are finer than they, and those of them
#: whose distance is measured.
SAMPLES, MOST_SAMPLES, TESTED = 12_000, 200_000, 1_600
#: Directions from which the object is looked at to tell what is inside of it.
_LOOKS = 40
#: Triangles that are tried for the nearest point.
_NEAREST = 8
#: This part of the surface may stand off by more than the tolerance, but never by three times it.
STRAY_PART = 0.005
#: Colours (0...1, the largest channel) further apart than this differ. A shadow makes as much.
_COLOR_STEP = 0.12
#: This part of the surface may differ in colour: a mark of that size is a few pixels.
_COLOR_PART = 0.01
#: Surface within this part of the size may give its colour: borders of a print need not fit.
_COLOR_REACH = 0.03


class Surface:
    """Samples of a mesh's outer surface.

    Attributes:
        points_m: (N, 3), evenly by area, everything.
        size_m: largest extent of the mesh.
        colors: (N, 3) 0...1, or None.
    """

    def __init__(self, vertices_m: np.ndarray, faces: np.ndarray, uv: np.ndarray | None = None,
                 texture_rgb: np.ndarray | None = None) -> None:
        count = int(np.clip(1.5 * len(faces), SAMPLES, MOST_SAMPLES))
        self._corners = np.asarray(vertices_m, float)[faces]
        self.size_m = float(np.ptp(vertices_m, axis=0).max())
        self._triangle, weights = sample_triangles(self._corners, count)
        self.points_m = np.einsum('nk,nkj->nj', weights, self._corners[self._triangle])
        self._tree = cKDTree(self.points_m)
        self.colors: np.ndarray | None = None
        if uv is not None and texture_rgb is not None:
            places = np.einsum('nk,nkj->nj', weights, np.asarray(uv, float)[faces][self._triangle])
            self.colors = self._smoothed(texture_colors(texture_rgb, places))
        seen = np.flatnonzero(self._seen())
        self._tested = seen[np.linspace(0, len(seen) - 1, min(TESTED, len(seen))).astype(int)]

    def distances_m(self, T: np.ndarray) -> np.ndarray:
        """(M,) how far the tested samples, moved by T (4x4), are from the surface."""
        return self.distances_of(self.points_m[self._tested] @ T[:3, :3].T + T[:3, 3])

    def distances_of(self, moved: np.ndarray) -> np.ndarray:
        """(M,) how far points (M, 3) near the surface are from it."""
        _, near = self._tree.query(moved, k=min(_NEAREST, len(self.points_m)))
        triangles = self._triangle[near]
        repeated = np.repeat(moved, triangles.shape[1], axis=0)
        distance = point_triangle_distance(repeated, self._corners[triangles.ravel()])
        return distance.reshape(triangles.shape).min(1)

    def nearest(self, points_m: np.ndarray) -> np.ndarray:
        """(M,) the sample nearest to each point (M, 3)."""
        return self._tree.query(points_m)[1]

    def misfit_m(self, T: np.ndarray) -> float:
        """How far (m) the moved surface stands off: all but a stray part of it, or its worst / 3.

        A symmetry is what keeps this below the tolerance.
        """
        distance = self.distances_m(T)
        return float(max(np.quantile(distance, 1 - STRAY_PART), distance.max() / 3))

    def color_misfit(self, T: np.ndarray) -> float:
        """Part of the surface that has another colour when moved, over what may; 0 unpainted."""
        if self.colors is None:
            return 0.0
        moved = self.points_m[self._tested] @ T[:3, :3].T + T[:3, 3]
        distance, near = self._tree.query(moved, k=min(12, len(self.points_m)))
        far = distance > _COLOR_REACH * self.size_m
        far[:, 0] = False           # the nearest counts always
        around = np.where(far[..., None], self.colors[near[:, :1]], self.colors[near])
        own = self.colors[self._tested]
        # At a border colours are mixed: between the least and the most of each channel all fits.
        apart = np.maximum(around.min(1) - own, own - around.max(1)).max(1)
        return float((apart > _COLOR_STEP).mean() / _COLOR_PART)

    def _smoothed(self, colors: np.ndarray) -> np.ndarray:
        """Colours as a camera a metre away sees them: print finer than a pixel is grey."""
        distance, near = self._tree.query(self.points_m, k=min(6, len(self.points_m)))
        weights = (distance <= _COLOR_REACH / 2 * self.size_m).astype(float)
        weights[:, 0] = 1.0
        return (colors[near] * weights[..., None]).sum(1) / weights.sum(1, keepdims=True)

    def _seen(self) -> np.ndarray:
        """(N,) which samples can be seen from outside: what is inside breaks no symmetry."""
        spacing = np.sqrt(self._area() / len(self.points_m))
        cell = max(2 * spacing, 1e-12)
        seen = np.zeros(len(self.points_m), bool)
        for view in even_directions(_LOOKS):
            helper = np.eye(3)[int(np.argmin(np.abs(view)))]
            u = np.cross(view, helper)
            u /= np.linalg.norm(u)
            flat = np.stack([self.points_m @ u, self.points_m @ np.cross(view, u)], axis=1)
            columns = np.floor((flat - flat.min(0)) / cell).astype(np.int64)
            index = columns[:, 0] * (columns[:, 1].max() + 1) + columns[:, 1]
            depth = self.points_m @ view
            nearest = np.full(index.max() + 1, -np.inf)
            np.maximum.at(nearest, index, depth)
            seen |= depth >= nearest[index] - cell
        return seen

    def _area(self) -> float:
        a, b, c = (self._corners[:, i] for i in range(3))
        return float(np.linalg.norm(np.cross(b - a, c - a), axis=1).sum() / 2)


def sample_triangles(corners: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return samples spread evenly over triangles (F, 3, 3), always the same.

    Returns:
        Triangle (count,) and barycentric weights (count, 3) of each.

    Source: the R2 low-discrepancy sequence, Roberts 2018.
    """
    a, b, c = (corners[:, i] for i in range(3))
    areas = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    total = np.cumsum(areas)
    steps = np.arange(count)
    triangle = np.searchsorted(total, (steps + 0.5) / count * total[-1], side='right')
    triangle = np.minimum(triangle, len(corners) - 1)
    plastic = 1.32471795724474602596
    s, t = (0.5 + steps / plastic) % 1, (0.5 + steps / plastic ** 2) % 1
    fold = s + t > 1
    s, t = np.where(fold, 1 - s, s), np.where(fold, 1 - t, t)
    return triangle, np.stack([1 - s - t, s, t], axis=1)


def texture_colors(texture_rgb: np.ndarray, uv: np.ndarray) -> np.ndarray:
    """Colours (N, 3) 0...1 of a picture at texture coordinates (N, 2), v up; it repeats."""
    height, width = texture_rgb.shape[:2]
    columns = np.floor(uv[:, 0] % 1.0 * width).astype(int).clip(0, width - 1)
    rows = np.floor((1 - uv[:, 1] % 1.0) * height).astype(int).clip(0, height - 1)
    return texture_rgb[rows, columns] / 255.0


def point_triangle_distance(points: np.ndarray, corners: np.ndarray) -> np.ndarray:
    """Distance (N,) of points (N, 3) from a triangle each (N, 3, 3)."""
    a, b, c = (corners[:, i] for i in range(3))
    normal = np.cross(b - a, c - a)
    square = np.einsum('ij,ij->i', normal, normal)
    inside = square > 0
    for start, end in ((a, b), (b, c), (c, a)):
        inside &= np.einsum('ij,ij->i', np.cross(end - start, points - start), normal) >= 0
    plane = np.abs(np.einsum('ij,ij->i', points - a, normal)) / np.sqrt(np.maximum(square, 1e-300))
    edges = np.minimum.reduce([_point_segment_distance(points, start, end)
                               for start, end in ((a, b), (b, c), (c, a))])
    return np.where(inside, plane, edges)


def _point_segment_distance(points: np.ndarray, start: np.ndarray, end: np.ndarray) -> np.ndarray:
    along = end - start
    length = np.maximum(np.einsum('ij,ij->i', along, along), 1e-300)
    part = np.clip(np.einsum('ij,ij->i', points - start, along) / length, 0, 1)
    return np.linalg.norm(points - start - part[:, None] * along, axis=1)
