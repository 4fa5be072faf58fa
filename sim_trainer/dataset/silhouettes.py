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

"""Which pixel centres an object's silhouette covers: by exact spans of rows, without a picture.

A pixel belongs to a silhouette when its centre lies inside the projected mesh or on its outline,
as renderers without antialiasing count. Every triangle counts, whichever way it faces, so concave
meshes, sheets and badly oriented meshes come out right; for convex meshes the outline of the
projected vertices is the same and faster.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import transform_points
import numpy as np

#: Silhouettes larger than this are not counted: the camera almost touches the object.
MAX_SIDE_PX = 4096
#: How far (part of the object's size) a vertex of a convex mesh may lie before a face's plane.
_CONVEX_TOLERANCE = 1e-6


@dataclass(frozen=True, eq=False)
class Silhouette:
    """The pixels of a silhouette on an unbounded image: disjoint spans of rows.

    Attributes:
        rows: (S,) int, ascending.
        first, last: (S,) int; columns first...last of the row belong to the silhouette.
    """

    rows: np.ndarray
    first: np.ndarray
    last: np.ndarray

    @property
    def area_px(self) -> int:
        """Number of pixels, those outside the picture included."""
        return int((self.last - self.first).sum()) + len(self.rows)

    @property
    def bounds_px(self) -> tuple[int, int, int, int] | None:
        """Left, top, right and bottom pixel (all inclusive); None when there is none."""
        if len(self.rows) == 0:
            return None
        return (int(self.first.min()), int(self.rows[0]), int(self.last.max()),
                int(self.rows[-1]))

    def within(self, width_px: int, height_px: int, left_top: tuple[int, int] = (0, 0)
               ) -> Silhouette:
        """Return the part inside a picture of this size, or in a window at ``left_top`` of it."""
        left, top = left_top
        first = np.maximum(self.first, left)
        last = np.minimum(self.last, left + width_px - 1)
        kept = (self.rows >= top) & (self.rows < top + height_px) & (first <= last)
        return Silhouette(self.rows[kept], first[kept], last[kept])

    def mask(self, width_px: int, height_px: int) -> np.ndarray:
        """(height_px, width_px) bool; the part inside a picture of this size."""
        inside = self.within(width_px, height_px)
        steps = np.zeros((height_px, width_px + 1), np.int8)
        # Spans are disjoint and do not touch, so no two of them write the same step.
        steps[inside.rows, inside.first] = 1
        steps[inside.rows, inside.last + 1] = -1
        return np.cumsum(steps[:, :-1], axis=1, dtype=np.int8).astype(bool)


def silhouette(model: ObjectModel, T_camera_object: np.ndarray, camera: PinholeCamera
               ) -> Silhouette:
    """Return the silhouette of an object.

    Empty when a vertex is behind the camera, or when it is more than ``MAX_SIDE_PX`` wide or high.
    Lens distortion bends edges; each is followed in two straight halves, which is enough for
    objects that are small in the picture (a quarter of its width at k1 = -0.25: below 0.05 px).
    """
    vertices, faces, convex = _mesh(model, camera.distortion_model != 'none')
    pixels = camera.project(transform_points(T_camera_object, vertices))
    low, high = pixels.min(0), pixels.max(0)        # NaN where a vertex is behind the camera
    if not (high - low <= MAX_SIDE_PX).all():
        return _EMPTY
    if convex:
        return _convex_spans(pixels)
    return _joined(*_triangle_spans(pixels[faces]))


@lru_cache(maxsize=256)
def _mesh(model: ObjectModel, halved: bool) -> tuple[np.ndarray, np.ndarray, bool]:
    """Vertices, faces, and whether the outline of the projected vertices is the silhouette."""
    vertices, faces = np.asarray(model.vertices_m, np.float64), np.asarray(model.faces)
    if not halved:
        return vertices, faces, is_convex(vertices, faces)
    corners = vertices[faces]
    middles = (corners + np.roll(corners, -1, 1)) / 2       # of the edges 01, 12, 20
    a, b, c = (np.arange(len(faces)) * 6 + i for i in range(3))
    ab, bc, ca = a + 3, b + 3, c + 3
    quarters = np.concatenate([np.stack(t, 1) for t in (
        (a, ab, ca), (ab, b, bc), (ca, bc, c), (ab, bc, ca))])
    return np.concatenate([corners, middles], 1).reshape(-1, 3), quarters, False


def is_convex(vertices_m: np.ndarray, faces: np.ndarray) -> bool:
    """Whether a mesh is closed and no vertex lies before any face's plane.

    Said of the mesh as it is indexed: a convex mesh whose faces share no vertices, or face
    inwards, counts as not convex.
    """
    directed = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    edges = directed[:, 0].astype(np.int64) * len(vertices_m) + directed[:, 1]
    back = directed[:, 1].astype(np.int64) * len(vertices_m) + directed[:, 0]
    if len(faces) < 4 or not np.array_equal(np.sort(edges), np.sort(back)):
        return False
    a, b, c = (vertices_m[faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
    offsets = np.einsum('ij,ij->i', normals, a)
    size = float(np.ptp(vertices_m, axis=0).max())
    ahead, behind = -np.inf, np.inf
    for vertex in vertices_m:       # one by one: a large mesh has a huge table of distances
        distance = normals @ vertex - offsets
        ahead, behind = max(ahead, distance.max()), min(behind, distance.min())
        if ahead > _CONVEX_TOLERANCE * size:
            return False
    return bool(behind < -1e-3 * size)      # a sheet of two sides is closed, but not solid


def _convex_spans(pixels: np.ndarray) -> Silhouette:
    """One span a row, between the outline's two chains from its top to its bottom."""
    hull = cv2.convexHull(pixels.astype(np.float32))[:, 0].astype(np.float64)
    top = int(hull[:, 1].argmin())
    hull = np.concatenate([hull[top:], hull[:top + 1]])
    bottom = int(hull[:, 1].argmax())
    rows = np.arange(np.ceil(hull[0, 1]), np.floor(hull[bottom, 1]) + 1)
    one, other = hull[:bottom + 1], hull[:bottom - 1:-1] if bottom else hull[::-1]
    # Rounding can turn a nearly level edge by 1e-5 px, and np.interp takes ascending values alone.
    x = [np.interp(rows, np.maximum.accumulate(chain[:, 1]), chain[:, 0])
         for chain in (one, other)]
    first = np.ceil(np.minimum(*x)).astype(np.int64)
    last = np.floor(np.maximum(*x)).astype(np.int64)
    kept = first <= last
    return Silhouette(rows.astype(np.int64)[kept], first[kept], last[kept])


def _triangle_spans(triangles: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Rows, first and last columns of every row of every triangle (F, 3, 2); they overlap.

    Neighbours compute the crossing of a row with the edge that they share from the same numbers in
    the same order, so that no pixel falls between them.
    """
    top = np.ceil(triangles[:, :, 1].min(1)).astype(np.int64)
    count = np.floor(triangles[:, :, 1].max(1)).astype(np.int64) - top + 1
    owner = np.repeat(np.arange(len(triangles)), np.maximum(count, 0))
    start = np.cumsum(np.maximum(count, 0)) - np.maximum(count, 0)
    rows = np.arange(len(owner)) - start[owner] + top[owner]
    low, high = np.full(len(owner), np.inf), np.full(len(owner), -np.inf)
    for i, j in ((0, 1), (1, 2), (2, 0)):
        a, b = triangles[:, i], triangles[:, j]
        swap = ((a[:, 1] > b[:, 1]) | ((a[:, 1] == b[:, 1]) & (a[:, 0] > b[:, 0])))[:, None]
        upper, lower = np.where(swap, b, a), np.where(swap, a, b)
        height = lower[:, 1] - upper[:, 1]
        slope = (lower[:, 0] - upper[:, 0]) / np.where(height > 0, height, np.inf)
        crossed = (height[owner] > 0) & (rows >= upper[owner, 1]) & (rows <= lower[owner, 1])
        x = upper[owner, 0] + (rows - upper[owner, 1]) * slope[owner]
        low = np.where(crossed, np.minimum(low, x), low)
        high = np.where(crossed, np.maximum(high, x), high)
    kept = np.isfinite(low)
    first = np.ceil(low[kept]).astype(np.int64)
    last = np.floor(high[kept]).astype(np.int64)
    some = first <= last
    return rows[kept][some], first[some], last[some]


def _joined(rows: np.ndarray, first: np.ndarray, last: np.ndarray) -> Silhouette:
    """Return the union of spans, as spans that neither overlap nor touch."""
    if len(rows) == 0:
        return _EMPTY
    # Rows one after the other on a line, with a gap between them: spans become intervals.
    left, top = first.min(), rows.min()
    pitch = last.max() - left + 3
    start, end = (rows - top) * pitch + first - left, (rows - top) * pitch + last - left
    order = np.argsort(start, kind='stable')
    start, reach = start[order], np.maximum.accumulate(end[order])
    opens = np.concatenate([[True], start[1:] > reach[:-1] + 1])
    closes = np.concatenate([opens[1:], [True]])
    row = start[opens] // pitch
    return Silhouette(row + top, start[opens] - row * pitch + left,
                      reach[closes] - row * pitch + left)


_EMPTY = Silhouette(*np.zeros((3, 0), np.int64))
