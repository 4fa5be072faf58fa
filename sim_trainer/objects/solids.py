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

"""Closed solids of few triangles beyond the primitives: crystals, lumps, stars, blocks, cups.

Every function returns vertices (V, 3) and faces (F, 3), counter-clockwise seen from outside.
"""

from __future__ import annotations

import numpy as np
from sim_trainer.objects.primitives import convex_mesh

Mesh = tuple[np.ndarray, np.ndarray]
#: Seen from above, a column of cells each; no two cells touch at an edge alone.
BLOCKS = {
    'l': ('#.', '##'),
    't': ('###', '.#.'),
    'u': ('#.#', '###'),
    'plus': ('.#.', '###', '.#.'),
    's': ('.##', '##.'),
    'h': ('#.#', '###', '#.#'),
    'stairs': ('#..', '##.', '###'),
    'frame': ('###', '#.#', '###'),
}
_SIDES = 20


def unit_sized(mesh: Mesh) -> Mesh:
    """Return the mesh with its bounding box centred and a largest extent of 1."""
    vertices, faces = mesh
    low, high = vertices.min(0), vertices.max(0)
    return (vertices - (low + high) / 2) / (high - low).max(), faces


def joined(*meshes: Mesh) -> Mesh:
    """Several closed bodies as one mesh; they may overlap."""
    starts = np.cumsum([0] + [len(vertices) for vertices, _ in meshes])
    return (np.vstack([vertices for vertices, _ in meshes]),
            np.vstack([faces + start for (_, faces), start in zip(meshes, starts)]))


def crystal(rng: np.random.Generator) -> Mesh:
    """Return the hull of 5...14 random points."""
    return convex_mesh(rng.normal(0, 0.3, (int(rng.integers(5, 15)), 3)))


def lump(rng: np.random.Generator) -> Mesh:
    """Return a rounded convex body between a ball, a cushion and a box with soft edges."""
    points = even_directions(int(rng.integers(60, 130)))
    exponent = rng.uniform(2, 6)        # 2: ellipsoid; higher: towards a box
    points = points / (np.abs(points) ** exponent).sum(1, keepdims=True) ** (1 / exponent)
    points = points * rng.uniform(0.5, 1, 3)
    return convex_mesh(points * (1 + 0.15 * np.sin(points @ rng.normal(0, 2, 3)))[:, None])


def even_directions(count: int) -> np.ndarray:
    """Return unit vectors (count, 3) spread evenly (Fibonacci's sphere)."""
    z = 1 - (2 * np.arange(count) + 1) / count
    angle = np.arange(count) * np.pi * (3 - np.sqrt(5))
    radius = np.sqrt(1 - z ** 2)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle), z], axis=1)


def star_prism(rng: np.random.Generator) -> Mesh:
    """Return a star of 4...8 points, extruded; its top may be smaller."""
    points = 2 * int(rng.integers(4, 9))
    radius = np.where(np.arange(points) % 2, rng.uniform(0.3, 0.65), 1.0)
    angle = 2 * np.pi * np.arange(points) / points
    outline = np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
    height, taper = rng.uniform(0.3, 1.6), rng.uniform(0.5, 1)
    flat = np.full(points, 1.0)
    vertices = np.vstack([np.column_stack([outline, 0 * flat]),
                          np.column_stack([outline * taper, height * flat]),
                          [[0, 0, 0], [0, 0, height]]])
    a = np.arange(points)
    b = np.roll(a, -1)
    low, high = np.full(points, 2 * points), np.full(points, 2 * points + 1)
    faces = np.vstack([np.column_stack(triple) for triple in (
        (a, b, b + points), (a, b + points, a + points), (low, b, a),
        (high, a + points, b + points))])
    return vertices, faces


def block(rows: tuple[str, ...], rng: np.random.Generator) -> Mesh:
    """Columns of cells (one of ``BLOCKS``), the grid's lines at random distances."""
    cells = np.array([[c == '#' for c in row] for row in rows])
    return cells_mesh(cells[:, :, None], rng)


def tray(rng: np.random.Generator) -> Mesh:
    """Return a box that is open above."""
    cells = np.ones((3, 3, 2), bool)
    cells[1, 1, 1] = False
    wall, floor = rng.uniform(0.04, 0.15), rng.uniform(0.05, 0.2)
    x, y, z = rng.uniform(0.5, 1, 3)
    return _cells(cells, [np.array([0, wall, size - wall, size]) for size in (x, y)]
                  + [np.array([0, floor * z, z])])


def cells_mesh(cells: np.ndarray, rng: np.random.Generator) -> Mesh:
    """Return the surface of the filled cells (A, B, C) of a grid of random distances."""
    return _cells(cells, [np.cumsum(np.append(0, rng.uniform(0.5, 1.5, n))) for n in cells.shape])


def _cells(cells: np.ndarray, lines: list[np.ndarray]) -> Mesh:
    padded = np.pad(cells, 1)
    quads = []
    for axis in range(3):
        u, v = (axis + 1) % 3, (axis + 2) % 3
        for side in (0, 1):
            beyond = np.roll(padded, 1 - 2 * side, axis)
            for cell in np.argwhere(padded & ~beyond) - 1:
                corner = cell.copy()
                corner[axis] += side
                quad = [corner + du * np.eye(3, dtype=int)[u] + dv * np.eye(3, dtype=int)[v]
                        for du, dv in ((0, 0), (1, 0), (1, 1), (0, 1))]
                quads.append(quad if side else quad[::-1])
    grid, index = np.unique(np.array(quads).reshape(-1, 3), axis=0, return_inverse=True)
    index = index.reshape(-1, 4)
    vertices = np.stack([lines[axis][grid[:, axis]] for axis in range(3)], axis=1)
    return vertices, np.vstack([index[:, [0, 1, 2]], index[:, [0, 2, 3]]])


def revolved(outline: np.ndarray, sides: int = _SIDES) -> Mesh:
    """Return an outline turned about z.

    Args:
        outline: (N, 2) distance from the axis and height, with the inside on its left. Either
            its first and last point lie on the axis (a solid), or none does (a ring).
        sides: sides that stand for a circle.
    """
    outline = np.asarray(outline, float)
    solid = outline[0, 0] == 0
    rings = outline[1:-1] if solid else outline
    angle = 2 * np.pi * np.arange(sides) / sides
    vertices = np.concatenate([np.stack([r * np.cos(angle), r * np.sin(angle), np.full(sides, z)],
                                        axis=1) for r, z in rings])
    index = np.arange(len(vertices)).reshape(-1, sides)
    lower, upper = (index[:-1], index[1:]) if solid else (index, np.roll(index, -1, 0))
    a, b = lower.ravel(), np.roll(lower, -1, 1).ravel()
    c, d = np.roll(upper, -1, 1).ravel(), upper.ravel()
    faces = [np.column_stack([a, b, c]), np.column_stack([a, c, d])]
    if solid:
        first, last = len(vertices), len(vertices) + 1
        vertices = np.vstack([vertices, [[0, 0, outline[0, 1]], [0, 0, outline[-1, 1]]]])
        faces += [np.column_stack([np.full(sides, first), np.roll(index[0], -1), index[0]]),
                  np.column_stack([np.full(sides, last), index[-1], np.roll(index[-1], -1)])]
    return vertices, np.vstack(faces)


def cup(rng: np.random.Generator) -> Mesh:
    """Return a cup: wider or narrower above, with a wall and a floor."""
    height, foot, wall = rng.uniform(0.5, 1.8), rng.uniform(0.6, 1.1), rng.uniform(0.06, 0.2)
    floor = min(wall, 0.3 * height)
    return revolved([(0, 0), (foot * 0.5, 0), (0.5, height), (0.5 - wall * 0.5, height),
                     (foot * 0.5 - wall * 0.5, floor), (0, floor)])


def mug(rng: np.random.Generator) -> Mesh:
    """Return a cup with a handle."""
    vertices, faces = cup(rng)
    high = vertices[:, 2].max()
    bow = _cells(np.array([[c == '#' for c in row] for row in BLOCKS['u']])[:, :, None],
                 [np.array([0.0, 0.3, 0.4]), high * np.array([0.2, 0.35, 0.65, 0.8]),
                  np.array([-0.06, 0.06])])
    # The U lies in x and y; its legs point to -x and its height is y, which goes to z.
    handle = np.column_stack([0.42 + bow[0][:, 0], -bow[0][:, 2], bow[0][:, 1]])
    return joined((vertices, faces), (handle, bow[1]))


def tube(rng: np.random.Generator) -> Mesh:
    """Return a tube with a hole along its axis."""
    inner, height = 0.5 * rng.uniform(0.4, 0.9), rng.uniform(0.2, 1.5)
    return revolved([(inner, 0), (0.5, 0), (0.5, height), (inner, height)], 32)


def spindle(rng: np.random.Generator) -> Mesh:
    """Return a turned body with a waist or a neck: spool, vase, bottle, knob."""
    radii = rng.uniform(0.25, 1, 5)
    radii[rng.integers(1, 4)] *= 0.45
    heights = np.cumsum(rng.uniform(0.15, 0.6, 5))
    return revolved([(0, heights[0]), *zip(radii, heights), (0, heights[-1])])


def two_bodies(rng: np.random.Generator) -> Mesh:
    """Two crystals that run into each other."""
    parts = [convex_mesh(rng.normal(0, 0.18, (9, 3)) + [x, 0, 0]) for x in (-0.2, 0.2)]
    return joined(*parts)
