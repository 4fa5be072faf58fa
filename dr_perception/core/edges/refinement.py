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
"""Poses moved until a model's edges lie on the picture's, as far as the keypoints allow.

Source of the idea: the search for edges along normals of a predicted outline (Harris and
Stennett 1990, RAPID), here with the keypoints' solution and covariance as prior.
"""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.compiled import library
from dr_perception.core.edges.edge_points import visible_edge_points
from dr_perception.core.edges.evidence import edge_evidence, EVIDENCE_COUNT
from dr_perception.core.edges.fitting import EdgeFit, step_towards_edges
from dr_perception.core.edges.mesh_edges import MeshEdges
from dr_perception.core.edges.profiles import edge_profiles, smoothed
import numpy as np

#: Pixels to both sides that are read from the picture. What counts as the edge lies nearer.
REACH_PX = 6
#: Readings of the picture.
READINGS = 2
#: By how much poses may move between two readings without leaving what was smoothed.
_WANDERED_PX = 16.0
#: A pose that goes farther than this from the keypoints' one (squared Mahalanobis distance) found
#: something else.
_FARTHEST = 60.0


@dataclass(frozen=True, eq=False)
class Refined:
    """M poses after refinement.

    Attributes:
        T_camera_object: (M, 4, 4).
        covariance: (M, 6, 6); keypoints and edges together, uncalibrated.
        shift: (M,) squared Mahalanobis distance from the prior's pose; 0 where nothing was
            refined.
        evidence: (M, 8), see ``evidence.edge_evidence``.
        size_chi_squared: (M,) by how much the edges would fit an object of other sizes along its
            x, y and z better.
        size_error: (M,) the largest of these three changes, part of the size.
    """

    T_camera_object: np.ndarray
    covariance: np.ndarray
    shift: np.ndarray
    evidence: np.ndarray
    size_chi_squared: np.ndarray
    size_error: np.ndarray


class EdgeRefinement:
    """Refines the hypotheses of one model's objects."""

    def __init__(self, edges: MeshEdges) -> None:
        """Keep the edges of the objects."""
        self._edges = edges

    def refine(self, image_rgb: np.ndarray, camera: PinholeCamera, kinds: np.ndarray,
               T_camera_object: np.ndarray, covariance: np.ndarray,
               content_px: tuple[int, int] | None = None) -> Refined:
        """Move M poses until keypoints and edges agree best.

        The picture is read along the normals of the predicted edges, twice: as far as poses
        move, an edge stays on the line that it was found on.

        Args:
            image_rgb: (H, W, 3) uint8.
            camera: of the picture.
            kinds: (M,) index of each hypothesis' object.
            T_camera_object: (M, 4, 4) of the keypoints.
            covariance: (M, 6, 6) of them, calibrated.
            content_px: width and height of what is picture; the rest is padding. None: all.
        """
        if len(kinds) == 0:
            none = np.zeros(0)
            return Refined(T_camera_object, covariance, none, np.zeros((0, EVIDENCE_COUNT)), none,
                           none)
        image = smoothed(image_rgb,
                         _region(camera, T_camera_object, self._edges.reach_m[kinds]))
        prior = _inverses(covariance)
        # Poses move by so little that the outline stays on the same part of the object.
        points = visible_edge_points(self._edges, kinds, T_camera_object)
        fit = EdgeFit.begin(T_camera_object, prior)
        for _ in range(READINGS):
            profiles = edge_profiles(image, camera, points, fit.T, REACH_PX, content_px)
            fit = step_towards_edges(fit, profiles, camera, points, prior)
        shift = (fit.moved * (prior @ fit.moved[..., None])[..., 0]).sum(1)
        good = points.is_seen & np.isfinite(fit.T).all((1, 2)) & (shift < _FARTHEST)
        return Refined(np.where(good[:, None, None], fit.T, T_camera_object),
                       np.where(good[:, None, None], _inverses(fit.information), covariance),
                       np.where(good, shift, 0.0), edge_evidence(profiles, points.on_outline),
                       np.where(good, fit.size_chi_squared, 0.0),
                       np.where(good, fit.size_error, 0.0))


def _inverses(matrices: np.ndarray) -> np.ndarray:
    """Of (M, 6, 6)."""
    if library.LIBRARY is None:
        return np.linalg.inv(matrices)
    result = np.empty(matrices.shape)
    library.run('dr_inverses', len(matrices), matrices, result)
    return result


def _region(camera: PinholeCamera, T: np.ndarray, reach_m: np.ndarray
            ) -> tuple[float, float, float, float]:
    """Left, top, right and bottom (px) of what profiles of the hypotheses are read from."""
    centre = camera.project(T[:, :3, 3])
    seen = np.isfinite(centre).all(1)
    if not seen.any():
        return 0.0, 0.0, 1.0, 1.0
    centre, z, reach_m = centre[seen], T[seen, 2, 3], reach_m[seen]
    focal_px = max(camera.fx_px, camera.fy_px)
    reach = focal_px * reach_m / np.maximum(z - reach_m, 0.1 * z) + REACH_PX + _WANDERED_PX
    low, high = centre - reach[:, None], centre + reach[:, None] + 1
    return (*low.min(0), *high.max(0))
