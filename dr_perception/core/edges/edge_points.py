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
"""Points along the edges that a camera sees of a hypothesis."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.compiled import library
from dr_perception.core.edges.mesh_edges import MeshEdges
import numpy as np

#: Points of a hypothesis, evenly along its edges as they appear.
POINTS = 56
#: Nearer than this (m) in front of the camera nothing is projected.
_NEAREST_M = 0.02


@dataclass(frozen=True, eq=False)
class EdgePoints:
    """S points of each of M hypotheses.

    Attributes:
        points_m: (M, S, 3) in the objects' frames.
        directions: (M, S, 3) unit vectors along the edges, objects' frames.
        on_outline: (M, S) bool: between the object and what is behind it; else a crease.
        length: (M,) of all edges seen, in units of the focal length.
        is_seen: (M,) bool; where false the object lies behind the camera or has no edges.
    """

    points_m: np.ndarray
    directions: np.ndarray
    on_outline: np.ndarray
    length: np.ndarray
    is_seen: np.ndarray


def visible_edge_points(edges: MeshEdges, kinds: np.ndarray, T_camera_object: np.ndarray
                        ) -> EdgePoints:
    """Points along the outline and the creases that face the camera.

    Exact for convex objects. Edges that the same object hides by another part of itself are not
    left out: what is computed from the points has to bear outliers anyway.

    Args:
        edges: of the contract's models.
        kinds: (M,) index of each hypothesis' model.
        T_camera_object: (M, 4, 4) poses.
    """
    if library.LIBRARY is not None:
        return _points_by_library(edges, kinds, T_camera_object)
    R, t = T_camera_object[:, :3, :3], T_camera_object[:, None, :3, 3]
    eye = -t @ R
    toward = ((edges.normals[:, kinds] @ eye.transpose(0, 2, 1))[..., 0]
              > edges.offsets_m[:, kinds])
    outline = toward[0] != toward[1]
    seen = (outline | (toward[0] & toward[1] & edges.is_crease[kinds])) & edges.is_edge[kinds]
    R_object_camera = R.transpose(0, 2, 1)
    start = edges.start_m[kinds] @ R_object_camera + t
    end = start + edges.vector_m[kinds] @ R_object_camera
    nearest = np.where(seen, np.minimum(start[..., 2], end[..., 2]), np.inf).min(1)
    ahead = nearest > _NEAREST_M
    ahead_too = ahead[:, None, None]
    apparent = (end[..., :2] / np.where(ahead_too, end[..., 2:], 1.0)
                - start[..., :2] / np.where(ahead_too, start[..., 2:], 1.0))
    lengths = np.where(seen, np.hypot(apparent[..., 0], apparent[..., 1]), 0.0)
    total = lengths.sum(1)
    is_seen = ahead & (total > 0)
    reached = np.cumsum(lengths, axis=1) / np.where(is_seen, total, 1.0)[:, None]
    # One search for all hypotheses: row m of ``reached`` lies in m ... m + 1.
    M, E = lengths.shape
    rows = np.arange(M)[:, None]
    wanted = (np.arange(POINTS) + 0.5) / POINTS + rows
    index = np.searchsorted((np.minimum(reached, 1.0) + rows).reshape(-1), wanted) - rows * E
    index = np.clip(index, 0, E - 1)
    length = lengths[rows, index]
    part = np.clip(1 - (reached[rows, index] - (wanted - rows)) * total[:, None]
                   / np.where(length > 0, length, 1.0), 0, 1)
    vector = edges.vector_m[kinds[:, None], index]
    norm = np.linalg.norm(vector, axis=-1, keepdims=True)
    return EdgePoints(edges.start_m[kinds[:, None], index] + vector * part[..., None],
                      vector / np.where(norm > 0, norm, 1.0), outline[rows, index], total, is_seen)


def _points_by_library(edges: MeshEdges, kinds: np.ndarray, T_camera_object: np.ndarray
                       ) -> EdgePoints:
    M, (kind_count, E) = len(kinds), edges.is_edge.shape
    points = EdgePoints(np.empty((M, POINTS, 3)), np.empty((M, POINTS, 3)),
                        np.empty((M, POINTS), bool), np.empty(M), np.empty(M, bool))
    library.run('dr_visible_edge_points', M, kind_count, E, POINTS, _NEAREST_M, edges.start_m,
                edges.vector_m, edges.normals, edges.offsets_m, edges.is_crease, edges.is_edge,
                kinds, T_camera_object, points.points_m, points.directions, points.on_outline,
                points.length, points.is_seen)
    return points
