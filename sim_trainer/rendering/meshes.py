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

"""Triangle meshes ready to draw: flat or smooth normals by crease angle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sim_trainer.objects.mesh_file import MeshFile


@dataclass(frozen=True, eq=False)
class DrawMesh:
    """Unindexed triangles: positions (3F, 3) and unit normals (3F, 3), float32.

    ``uv`` (3F, 2) places a picture on the mesh, v down from the picture's first row; None for
    none.
    """

    positions: np.ndarray
    normals: np.ndarray
    uv: np.ndarray | None = None


def draw_mesh(vertices_m: np.ndarray, faces: np.ndarray, crease_deg: float = 30.0) -> DrawMesh:
    """Return a ``DrawMesh`` with normals averaged over faces that meet flatter than the crease."""
    vertices = np.asarray(vertices_m, dtype=np.float64)
    corners = vertices[faces]
    weighted = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    length = np.linalg.norm(weighted, axis=1, keepdims=True)
    unit = weighted / np.maximum(length, 1e-15)
    around: list[list[int]] = [[] for _ in vertices]
    for face_index, face in enumerate(faces):
        for vertex in face:
            around[vertex].append(face_index)
    limit = np.cos(np.radians(crease_deg))
    normals = np.empty_like(corners)
    for face_index, face in enumerate(faces):
        for corner, vertex in enumerate(face):
            near = np.array(around[vertex])
            smooth = near[unit[near] @ unit[face_index] >= limit]
            total = weighted[smooth].sum(0) if len(smooth) else unit[face_index]
            normals[face_index, corner] = total / max(np.linalg.norm(total), 1e-15)
    return DrawMesh(corners.reshape(-1, 3).astype(np.float32),
                    normals.reshape(-1, 3).astype(np.float32))


def draw_mesh_file(mesh: MeshFile, crease_deg: float = 30.0) -> DrawMesh:
    """Return a ``DrawMesh`` of a user's mesh with its UV map, if it has one."""
    drawn = draw_mesh(mesh.vertices_m, mesh.faces, crease_deg)
    if mesh.uv is None or mesh.texture_rgb is None:
        return drawn
    # The file counts v upwards, the picture's rows go down.
    uv = mesh.uv[mesh.faces].reshape(-1, 2).astype(np.float32)
    return DrawMesh(drawn.positions, drawn.normals, np.stack([uv[:, 0], 1 - uv[:, 1]], axis=1))
