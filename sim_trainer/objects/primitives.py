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

"""Meshes of the primitive shapes: closed, convex, outward counter-clockwise faces, metres.

Convention:
    The origin is at half height on the vertical axis, z up in the upright pose.
"""

from __future__ import annotations

import numpy as np
from scipy.spatial import ConvexHull

#: Sides that stand for a circle. 64 keeps the silhouette of a 3 cm radius within 0.04 mm.
CIRCLE_SIDES = 64


def convex_mesh(points_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Vertices (V, 3) and faces (F, 3) of the convex hull of points (N, 3)."""
    hull = ConvexHull(points_m)
    index = {int(old): new for new, old in enumerate(hull.vertices)}
    vertices = np.asarray(points_m, dtype=np.float64)[hull.vertices]
    faces = np.array([[index[int(i)] for i in simplex] for simplex in hull.simplices])
    a, b, c = (vertices[faces[:, i]] for i in range(3))
    inward = np.einsum('ij,ij->i', np.cross(b - a, c - a), hull.equations[:, :3]) < 0
    faces[inward] = faces[inward][:, ::-1]
    return vertices, faces


def _ring(radius_m: float, sides: int, z_m: float) -> np.ndarray:
    angles = 2 * np.pi * np.arange(sides) / sides
    return np.stack([radius_m * np.cos(angles), radius_m * np.sin(angles),
                     np.full(sides, z_m)], axis=1)


def box_points(size_m: tuple[float, float, float]) -> np.ndarray:
    """Corners (8, 3) of a box."""
    signs = np.stack(np.meshgrid([-1, 1], [-1, 1], [-1, 1], indexing='ij'), -1).reshape(-1, 3)
    return signs * np.asarray(size_m, float) / 2


def prism_points(circumradius_m: float, height_m: float, sides: int) -> np.ndarray:
    """Corners of an upright regular prism, a vertex on +x."""
    return np.vstack([_ring(circumradius_m, sides, -height_m / 2),
                      _ring(circumradius_m, sides, height_m / 2)])


def cone_points(radius_m: float, height_m: float) -> np.ndarray:
    """Return base ring and apex (+z) of a cone."""
    return np.vstack([_ring(radius_m, CIRCLE_SIDES, -height_m / 2), [[0, 0, height_m / 2]]])


def pyramid_points(edge_m: float, height_m: float) -> np.ndarray:
    """Corners of a pyramid on a square base, edges along x and y."""
    h = edge_m / 2
    base = [[sx * h, sy * h, -height_m / 2] for sx, sy in ((1, 1), (-1, 1), (-1, -1), (1, -1))]
    return np.array(base + [[0, 0, height_m / 2]], dtype=np.float64)


def tetrahedron_points(edge_m: float) -> np.ndarray:
    """Corners of a regular tetrahedron, a base vertex on +x, apex on +z."""
    height = edge_m * np.sqrt(2 / 3)
    return np.vstack([_ring(edge_m / np.sqrt(3), 3, -height / 2), [[0, 0, height / 2]]])


def sphere_points(radius_m: float) -> np.ndarray:
    """Vertices of a sphere's latitude-longitude mesh."""
    rings = [_ring(radius_m * np.sin(t), 24, radius_m * np.cos(t))
             for t in np.linspace(0.001, np.pi - 0.001, 14)]
    return np.vstack(rings)


def torus_mesh(radius_m: float, tube_radius_m: float) -> tuple[np.ndarray, np.ndarray]:
    """Return a torus about z (not convex)."""
    n, m = 28, 12
    u, v = np.meshgrid(2 * np.pi * np.arange(n) / n, 2 * np.pi * np.arange(m) / m, indexing='ij')
    r = radius_m + tube_radius_m * np.cos(v)
    vertices = np.stack([r * np.cos(u), r * np.sin(u), tube_radius_m * np.sin(v)], -1)
    index = np.arange(n * m).reshape(n, m)
    a, b = index, np.roll(index, -1, 0)
    c, d = np.roll(b, -1, 1), np.roll(index, -1, 1)
    faces = np.concatenate([np.stack([a, b, c], -1).reshape(-1, 3),
                            np.stack([a, c, d], -1).reshape(-1, 3)])
    return vertices.reshape(-1, 3), faces
