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

"""What is to be known of a mesh before it is trained on: size, origin, holes, doubles, normals."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.spatial import ConvexHull
from sim_trainer.objects.decimation import welded
from sim_trainer.objects.mesh_file import MeshFile
from sim_trainer.objects.resting import hull_centre_of_mass

#: A triangle of less than this part of the largest extent's square has no area.
_NO_AREA = 1e-10


@dataclass(frozen=True, eq=False)
class MeshFacts:
    """Facts of a mesh in the object frame, metres.

    Attributes:
        extents_m: (3,) of its bounding box.
        middle_m: (3,) middle of the box, from the origin.
        mass_m: (3,) centre of mass of its convex hull, from the origin.
        face_count: triangles of the file.
        open_edges: edges that do not belong to exactly two triangles; 0 is watertight.
        double_faces: triangles that stand there again.
        flat_faces: triangles without area.
        inward: normals point into the body.
        mixed: edges whose two triangles are wound against each other.
    """

    extents_m: np.ndarray
    middle_m: np.ndarray
    mass_m: np.ndarray
    face_count: int
    open_edges: int
    double_faces: int
    flat_faces: int
    inward: bool
    mixed: int

    @property
    def watertight(self) -> bool:
        """Every edge joins two triangles."""
        return self.open_edges == 0

    def warnings(self) -> list[str]:
        """Return what should be mended, with remedies; training works without, but less well."""
        found = []
        if self.inward:
            found.append('normals point inwards, so light falls on the wrong side; turn them '
                         'round (Blender: Mesh > Normals > Recalculate Outside)')
        elif self.mixed:
            found.append(f'{self.mixed} edges join triangles that face opposite sides; '
                         'recalculate the normals (Blender: Mesh > Normals > Recalculate Outside)')
        if self.open_edges:
            found.append(f'not watertight, {self.open_edges} open edges: fine for drawing, but '
                         'look for holes in the picture')
        if self.double_faces:
            found.append(f'{self.double_faces} triangles are there twice; merge by distance '
                         '(Blender) removes them')
        if self.flat_faces:
            found.append(f'{self.flat_faces} triangles have no area; they are left out')
        return found


def mesh_facts(mesh: MeshFile) -> MeshFacts:
    """Return the facts of a mesh as it is drawn."""
    vertices, faces = mesh.vertices_m, mesh.faces
    low, high = vertices.min(0), vertices.max(0)
    size = float((high - low).max())
    corners = vertices[faces]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
                           axis=1) / 2
    joined_vertices, joined = welded(vertices, faces)
    single = np.unique(np.sort(joined, axis=1), axis=0)
    directed = np.concatenate([joined[:, [0, 1]], joined[:, [1, 2]], joined[:, [2, 0]]])
    count = np.unique(np.sort(directed, axis=1), axis=0, return_counts=True)[1]
    same_way = np.unique(directed, axis=0, return_counts=True)[1]
    mass = hull_centre_of_mass(ConvexHull(joined_vertices))
    return MeshFacts(high - low, (low + high) / 2, mass, len(faces), int((count != 2).sum()),
                     len(joined) - len(single), int((areas < _NO_AREA * size ** 2).sum()),
                     _is_inward(joined_vertices - mass, joined), int((same_way > 1).sum()))


def _is_inward(vertices: np.ndarray, faces: np.ndarray) -> bool:
    """Volume below zero: true of what is closed, and of most of what is nearly so."""
    return bool(np.linalg.det(vertices[faces]).sum() < 0)
