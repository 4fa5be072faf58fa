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
"""Gradients of a picture across the edges that a hypothesis predicts."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.compiled import library
from dr_perception.core.edges.edge_points import EdgePoints
import numpy as np


@dataclass(frozen=True, eq=False)
class Profiles:
    """What the picture shows across each of M x S points.

    Attributes:
        gradients: (M, S, 2 r + 1) grey levels a pixel, at -r ... r pixels along the normal.
        normals: (M, S, 2) unit vectors in the picture.
        points_camera: (M, S, 3) the points in the camera's frame, metres.
        is_inside: (M, S) bool, the point lies in the picture.
    """

    gradients: np.ndarray
    normals: np.ndarray
    points_camera: np.ndarray
    is_inside: np.ndarray

    @property
    def reach_px(self) -> int:
        """How far the profiles go to both sides."""
        return self.gradients.shape[-1] // 2


@dataclass(frozen=True, eq=False)
class SmoothedPart:
    """The part of a picture that profiles are read from, less noisy.

    Attributes:
        image: (h, w, 3) uint8.
        left_px, top_px: where it lies in the picture.
        width_px, height_px: of the whole picture.
    """

    image: np.ndarray
    left_px: int
    top_px: int
    width_px: int
    height_px: int


def smoothed(image_rgb: np.ndarray, region_px: tuple[float, float, float, float] | None = None
             ) -> SmoothedPart:
    """Smooth a picture.

    Args:
        image_rgb: (H, W, 3) uint8.
        region_px: left, top, right and bottom of what is needed; smoothing all costs more than
            reading all profiles. None: all.
    """
    height, width = image_rgb.shape[:2]
    left, top, right, bottom = 0, 0, width, height
    if region_px is not None:
        left, top = (int(np.clip(np.floor(low), 0, size - 1))
                     for low, size in zip(region_px[:2], (width, height)))
        right, bottom = (int(np.clip(np.ceil(high), begin + 1, size)) for high, begin, size in
                         zip(region_px[2:], (left, top), (width, height)))
    return SmoothedPart(cv2.GaussianBlur(image_rgb[top:bottom, left:right], (5, 5), 1.0),
                        left, top, width, height)


def edge_profiles(part: SmoothedPart, camera: PinholeCamera, points: EdgePoints,
                  T_camera_object: np.ndarray, reach_px: int,
                  content_px: tuple[int, int] | None = None) -> Profiles:
    """Gradients across the points of hypotheses.

    Args:
        part: of the picture, with all that the hypotheses show.
        camera: of the picture.
        points: of M hypotheses.
        T_camera_object: (M, 4, 4) their poses.
        reach_px: how far to look to both sides.
        content_px: width and height of what is picture; the rest is padding. None: all.
    """
    P, normals = (_normals if library.LIBRARY is None else _normals_by_library)(
        camera, points, T_camera_object)
    pixels = camera.project(P.reshape(-1, 3)).reshape(normals.shape)
    content_px = content_px or (part.width_px, part.height_px)
    read = _read if library.LIBRARY is None else _read_by_library
    gradients, is_inside = read(part, pixels, normals, points.is_seen, reach_px, content_px)
    return Profiles(gradients, normals, P, is_inside)


def _normals(camera: PinholeCamera, points: EdgePoints, T_camera_object: np.ndarray
             ) -> tuple[np.ndarray, np.ndarray]:
    """Return the points in the camera's frame (M, S, 3), and normals in the picture (M, S, 2)."""
    R, t = T_camera_object[:, :3, :3].transpose(0, 2, 1), T_camera_object[:, None, :3, 3]
    P = np.where(points.is_seen[:, None, None], points.points_m @ R + t, (0.0, 0.0, 1.0))
    along = points.directions @ R
    # The lens bends directions by far less than the profile's width.
    across = along[..., :2] - P[..., :2] / P[..., 2:] * along[..., 2:]
    normals = across[..., ::-1] * (-camera.fy_px, camera.fx_px)
    norm = np.sqrt((normals * normals).sum(-1, keepdims=True))
    return P, normals / np.where(norm > 0, norm, 1.0)


def _normals_by_library(camera: PinholeCamera, points: EdgePoints, T_camera_object: np.ndarray
                        ) -> tuple[np.ndarray, np.ndarray]:
    M, S = points.on_outline.shape
    P, normals = np.empty((M, S, 3)), np.empty((M, S, 2))
    library.run('dr_edge_normals', M, S, points.points_m, points.directions, points.is_seen,
                T_camera_object, camera.fx_px, camera.fy_px, P, normals)
    return P, normals


def _read(part: SmoothedPart, pixels: np.ndarray, normals: np.ndarray, is_seen: np.ndarray,
          reach_px: int, content_px: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """Return the gradients (M, S, 2 r + 1), and which points (M, S) lie in the picture."""
    width, height = content_px
    pixels = np.nan_to_num(pixels, nan=-1e4)
    inside = ((pixels >= 1) & (pixels <= (width - 2, height - 2))).all(-1) & is_seen[:, None]
    steps = np.arange(-reach_px - 1, reach_px + 2, dtype=np.float32)[:, None]
    pixels = np.minimum(np.maximum(pixels - (part.left_px, part.top_px), -1e4), 1e4)
    pixels = pixels.astype(np.float32).reshape(-1, 1, 2)
    values = _colours(part, pixels + normals.astype(np.float32).reshape(-1, 1, 2) * steps)
    values = values.astype(np.float32)
    slope = values[:, 2:] - values[:, :-2]
    gradients = 0.5 * np.sqrt(np.einsum('nsc,nsc->ns', slope, slope))
    return gradients.reshape(*inside.shape, -1), inside


def _read_by_library(part: SmoothedPart, pixels: np.ndarray, normals: np.ndarray,
                     is_seen: np.ndarray, reach_px: int, content_px: tuple[int, int]
                     ) -> tuple[np.ndarray, np.ndarray]:
    M, S = normals.shape[:2]
    inside = np.empty((M, S), bool)
    places = np.empty((M * S, 2 * reach_px + 3, 2), np.float32)
    library.run('dr_profile_places', M, S, reach_px, *content_px, part.left_px, part.top_px,
                pixels, normals, is_seen, inside, places)
    gradients = np.empty((M, S, 2 * reach_px + 1), np.float32)
    library.run('dr_profile_gradients', M * S, reach_px, _colours(part, places), gradients)
    return gradients, inside


def _colours(part: SmoothedPart, places: np.ndarray) -> np.ndarray:
    """(N, n, 3) uint8 at places (N, n, 2) of the part."""
    return cv2.remap(part.image, places, None, cv2.INTER_LINEAR,
                     borderMode=cv2.BORDER_REPLICATE)
