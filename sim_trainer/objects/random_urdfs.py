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

"""The thousand random bodies that come with PyBullet, made cheap to draw.

Each is an OBJ of overlapping convex parts without textures, so a part with fewer corners is the
convex hull of some of them: closed again, which no general decimation promises.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sim_trainer.objects.primitives import convex_mesh
from sim_trainer.objects.solids import joined, Mesh, unit_sized

#: Triangles of a body; drawing costs per triangle.
MAX_FACES = 250
#: Bodies of more parts are passed over: with so few corners a part their shells fall apart.
_MAX_PARTS = 10


def random_urdf_meshes(folder: Path, count: int, rng: np.random.Generator) -> dict[str, Mesh]:
    """Unit-sized, centred meshes of ``count`` of the bodies in ``folder``/NNN/NNN.obj, by NNN.

    Empty where the folder holds none.
    """
    files = sorted(folder.glob('[0-9][0-9][0-9]/[0-9][0-9][0-9].obj'))
    meshes: dict[str, Mesh] = {}
    for i in rng.permutation(len(files)):
        if len(meshes) == count:
            break
        parts = _parts(files[i].read_text(encoding='utf-8'))
        if 1 <= len(parts) <= _MAX_PARTS:
            meshes[files[i].stem] = unit_sized(joined(*_coarse(parts)))
    return meshes


def _parts(text: str) -> list[np.ndarray]:
    """Corners (N, 3) of each part ('o' line) of an OBJ."""
    parts: list[list[str]] = [[]]
    for line in text.splitlines():
        if line.startswith('o '):
            parts.append([])
        elif line.startswith('v '):
            parts[-1].append(line[2:])
    corners = [np.array([row.split()[:3] for row in rows], float) for rows in parts if rows]
    # One of the thousand (168) has corners that are no numbers.
    return [points for points in corners if len(points) >= 4 and np.isfinite(points).all()
            and np.linalg.matrix_rank(points - points[0], 1e-6) == 3]


def _coarse(parts: list[np.ndarray]) -> list[Mesh]:
    # A hull of n corners has 2 n - 4 triangles.
    allowed = (MAX_FACES // len(parts) + 4) // 2
    return [convex_mesh(_spread(points, allowed)) for points in parts]


def _spread(points: np.ndarray, count: int) -> np.ndarray:
    """At most ``count`` of the points, the outermost along the axes first, then the farthest."""
    if len(points) <= count:
        return points
    chosen = list(dict.fromkeys([*points.argmax(0), *points.argmin(0)]))[:count]
    distance = np.linalg.norm(points[:, None] - points[chosen][None], axis=-1).min(1)
    while len(chosen) < count:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return points[chosen]
