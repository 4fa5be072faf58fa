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

"""The numbers behind the markers: an ellipsoid of a covariance, a mesh of few triangles."""

from __future__ import annotations

import numpy as np

#: Square of the radius that holds 90 % of a 3-D normal distribution of unit variance: the
#: quantile of chi squared with three degrees of freedom.
CHI2_3_90 = 6.251388631170325
#: RViz refuses a sphere of no thickness.
THINNEST_M = 1e-5
#: The finest grid of ``limit_triangles`` has this many cells a side.
_FINEST_GRID = 128


def ellipsoid_90(covariance: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the ellipsoid that holds a position with 90 % probability.

    Args:
        covariance: (3, 3) or larger; its upper left is the position's, square metres.

    Returns:
        R_frame_axes: (3, 3) right-handed, columns along the ellipsoid's axes, about the axes of
            the covariance's frame.
        diameters_m: (3,) ascending, at least ``THINNEST_M``.
    """
    variances, axes = np.linalg.eigh(np.asarray(covariance, np.float64)[:3, :3])
    if np.linalg.det(axes) < 0:  # eigenvectors have no sign: a mirror is not a rotation
        axes = axes * [-1.0, 1.0, 1.0]
    diameters_m = 2.0 * np.sqrt(CHI2_3_90 * np.maximum(variances, 0.0))
    return axes, np.maximum(diameters_m, THINNEST_M)


def limit_triangles(vertices_m: np.ndarray, faces: np.ndarray,
                    largest_count: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a mesh as it is, or, where it has too many triangles, a coarse one to be looked at.

    Vertices within one cell of a grid become one, at their mean; the grid grows coarser until the
    triangles that are left are few enough. The cells have the proportions of the mesh, so that the
    two sides of a plate stay apart.

    Args:
        vertices_m: (V, 3).
        faces: (F, 3) int.
        largest_count: the most triangles wanted; at least 100.

    Returns:
        Vertices (W, 3) and faces (G, 3), G at most ``largest_count``.

    Raises:
        ValueError: ``largest_count`` is too small to be met by a grid.

    Source: Rossignac and Borrel 1993, vertex clustering.
    """
    vertices, faces = np.asarray(vertices_m, np.float64), np.asarray(faces, np.int64)
    if largest_count < 100:
        raise ValueError(f'largest_count is {largest_count}; expected at least 100')
    if len(faces) <= largest_count:
        return vertices, faces
    low = vertices.min(0)
    size_m = np.maximum(vertices.max(0) - low, 1e-9)
    cells = _FINEST_GRID
    while True:
        place = np.minimum((vertices - low) / size_m * cells, cells - 1).astype(np.int64)
        _, cluster = np.unique(place @ [cells * cells, cells, 1], return_inverse=True)
        counts = np.bincount(cluster)
        means = np.stack([np.bincount(cluster, vertices[:, axis]) / counts
                          for axis in range(3)], axis=1)
        kept = _distinct(cluster[faces])
        if len(kept) <= largest_count:
            return means, kept
        # A surface has triangles as the square of the cells.
        shrink = np.clip(np.sqrt(largest_count / len(kept)), 0.5, 0.95)
        cells = min(cells - 1, int(cells * shrink))


def _distinct(faces: np.ndarray) -> np.ndarray:
    """Return the triangles (F, 3) with three different corners, each once."""
    a, b, c = faces.T
    faces = faces[(a != b) & (b != c) & (c != a)]
    _, first = np.unique(np.sort(faces, axis=1), axis=0, return_index=True)
    return faces[np.sort(first)]
