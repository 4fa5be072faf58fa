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

"""Pictures of a mesh from samples of its surface: any mesh, no graphics card, always the same."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from sim_trainer.objects.mesh_file import MeshFile
from sim_trainer.objects.surface import sample_triangles, texture_colors

#: Samples of the surface: some six a pixel where a panel shows the object.
_SAMPLES = 260_000
#: Grey level of what is not drawn on, 0...255.
PAPER = 245
_PLAIN_RGB = (0.72, 0.74, 0.78)
_LIGHT = np.array([-0.35, 0.45, 0.82])


@dataclass(frozen=True, eq=False)
class Splats:
    """Samples of a surface: points (N, 3) metres, unit normals (N, 3), colours (N, 3) 0...1."""

    points_m: np.ndarray
    normals: np.ndarray
    colors: np.ndarray

    @classmethod
    def of(cls, mesh: MeshFile) -> Splats:
        """Return samples of a mesh, in its picture's colours or in grey."""
        corners = mesh.vertices_m[mesh.faces]
        triangle, weights = sample_triangles(corners, _SAMPLES)
        normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-30)
        points = np.einsum('nk,nkj->nj', weights, corners[triangle])
        if mesh.uv is None or mesh.texture_rgb is None:
            colors = np.tile(_PLAIN_RGB, (len(points), 1))
        else:
            uv = mesh.uv[mesh.faces].astype(float)
            colors = texture_colors(mesh.texture_rgb,
                                    np.einsum('nk,nkj->nj', weights, uv[triangle]))
        return cls(points, normals[triangle], colors)


@dataclass(frozen=True, eq=False)
class View:
    """A parallel view.

    Attributes:
        R_view_object: (3, 3); in the view x is right, y up and z towards the eye.
        middle_m: (3,) object point in the middle of the picture.
        px_per_m: scale.
        side_px: the picture is square.
    """

    R_view_object: np.ndarray
    middle_m: np.ndarray
    px_per_m: float
    side_px: int

    def project(self, points_m: np.ndarray) -> np.ndarray:
        """Pixels (N, 2) of object points (N, 3)."""
        view = (np.asarray(points_m) - self.middle_m) @ self.R_view_object.T
        return (self.side_px - 1) / 2 + view[:, :2] * self.px_per_m * [1, -1]


def view_from(direction: np.ndarray, up: np.ndarray, middle_m: np.ndarray, px_per_m: float,
              side_px: int) -> View:
    """Return the view of an eye that stands in a direction (3,) from the object."""
    z = np.asarray(direction, float) / np.linalg.norm(direction)
    x = np.cross(up, z)
    x /= np.linalg.norm(x)
    return View(np.stack([x, np.cross(z, x), z]), np.asarray(middle_m, float), px_per_m, side_px)


def draw_splats(splats: Splats, view: View, colors: np.ndarray | None = None) -> np.ndarray:
    """Return a picture (S, S, 3) uint8 RGB; ``colors`` (N, 3) 0...1 replace the samples' own."""
    side = view.side_px
    image = np.full((side, side, 3), PAPER / 255)
    filled = np.zeros((side, side), np.uint8)
    pixels = np.round(view.project(splats.points_m)).astype(int)
    inside = ((pixels >= 0) & (pixels < side)).all(1)
    normals = splats.normals @ view.R_view_object.T
    # Both sides are lit: a mesh whose normals point inwards is to be seen, too.
    light = 0.35 + 0.65 * np.abs(normals @ (_LIGHT / np.linalg.norm(_LIGHT)))
    depth = (splats.points_m @ view.R_view_object[2])[inside]
    order = np.argsort(depth, kind='stable')        # the nearest is written last
    u, v = pixels[inside][order].T
    shown = (splats.colors if colors is None else colors) * light[:, None]
    image[v, u] = shown[inside][order]
    filled[v, u] = 1
    # Pixels that no sample hit lie between pixels that one did.
    closed = cv2.morphologyEx(filled, cv2.MORPH_CLOSE, np.ones((3, 3), np.uint8))
    holes = (closed == 1) & (filled == 0)
    around = cv2.blur(image * filled[..., None], (3, 3))
    share = cv2.blur(filled.astype(float), (3, 3))
    image[holes] = around[holes] / np.maximum(share[holes], 1e-9)[:, None]
    return np.round(255 * np.clip(image, 0, 1)).astype(np.uint8)
