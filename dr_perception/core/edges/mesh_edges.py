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
"""The edges of the models that can be seen in a picture."""

from __future__ import annotations

from collections.abc import Sequence

from dr_perception.core.objects import ObjectModel
import numpy as np

#: Of finer meshes every so-and-so-many-th edge stands for all.
MAX_EDGES = 400
#: Vertices this near (m) are one: files of triangles repeat them.
_SAME_VERTEX_M = 1e-6
#: Cosines between the normals of an edge's faces: flatter than the first it is never seen, sharper
#: than the second it is seen inside the silhouette, too.
_FLAT, _CREASE = 0.99995, 0.8


class MeshEdges:
    """The edges of all models of a contract, padded to arrays.

    Attributes:
        start_m: (K, E, 3) one end, in the object's frame.
        vector_m: (K, E, 3) from there to the other end.
        normals: (2, K, E, 3) of the two faces, outward.
        offsets_m: (2, K, E) ``normal . start``.
        is_crease: (K, E) bool, seen where both faces are.
        is_edge: (K, E) bool, false where padded.
        reach_m: (K,) how far from the model's origin its edges go.
    """

    def __init__(self, models: Sequence[ObjectModel]) -> None:
        """Find the edges of ``models``, in their order."""
        found = [_edges(model) for model in models]
        size = max(1, max(len(entry[0]) for entry in found))
        shape = (len(found), size)
        self.start_m, self.vector_m = np.zeros((*shape, 3)), np.zeros((*shape, 3))
        self.normals = np.zeros((2, *shape, 3))
        self.is_edge = np.zeros(shape, bool)
        for k, (start, vector, first, second) in enumerate(found):
            n = len(start)
            self.start_m[k, :n], self.vector_m[k, :n] = start, vector
            self.normals[0, k, :n], self.normals[1, k, :n] = first, second
            self.is_edge[k, :n] = True
        self.reach_m = np.sqrt(np.maximum(
            (self.start_m ** 2).sum(-1), ((self.start_m + self.vector_m) ** 2).sum(-1)).max(1))
        self.offsets_m = (self.normals * self.start_m).sum(-1)
        self.is_crease = self.is_edge & ((self.normals[0] * self.normals[1]).sum(-1) < _CREASE)


def _edges(model: ObjectModel) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Return starts, vectors and the two normals (each (E, 3)) of the edges that are not flat."""
    grid = np.round(model.vertices_m / _SAME_VERTEX_M).astype(np.int64)
    _, first, index = np.unique(grid, axis=0, return_index=True, return_inverse=True)
    vertices, faces = model.vertices_m[first], index.reshape(-1)[np.asarray(model.faces)]
    normals = np.cross(vertices[faces[:, 1]] - vertices[faces[:, 0]],
                       vertices[faces[:, 2]] - vertices[faces[:, 0]])
    area = np.linalg.norm(normals, axis=1)
    faces, normals = faces[area > 0], normals[area > 0] / area[area > 0, None]
    pairs = np.sort(faces[:, [[0, 1], [1, 2], [2, 0]]].reshape(-1, 2), axis=1)
    owner = np.repeat(np.arange(len(faces)), 3)
    order = np.lexsort((owner, pairs[:, 1], pairs[:, 0]))
    pairs, owner = pairs[order], owner[order]
    new = np.append(True, (pairs[1:] != pairs[:-1]).any(1))
    begin = np.flatnonzero(new)
    count = np.diff(np.append(begin, len(pairs)))
    one = normals[owner[begin]]
    # An edge of one face alone is the rim of an open surface: whatever lies behind it is gone.
    two = np.where(count[:, None] > 1, normals[owner[np.minimum(begin + 1, len(owner) - 1)]], -one)
    kept = np.flatnonzero((one * two).sum(1) < _FLAT)
    if len(kept) > MAX_EDGES:
        kept = kept[np.linspace(0, len(kept) - 1, MAX_EDGES).astype(int)]
    start = vertices[pairs[begin[kept], 0]]
    return start, vertices[pairs[begin[kept], 1]] - start, one[kept], two[kept]
