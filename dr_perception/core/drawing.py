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

"""Objects drawn into pictures: edges, axes and a label, to be looked at."""

from __future__ import annotations

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import transform_points
import numpy as np

_PALETTE_RGB = ((255, 80, 80), (80, 220, 80), (90, 150, 255), (255, 200, 40), (220, 90, 255),
                (60, 220, 220), (255, 140, 60), (180, 255, 120))
_AXES_RGB = ((255, 0, 0), (0, 255, 0), (0, 0, 255))
#: OpenCV draws with this many fractional bits.
_SHIFT = 4


def feature_edges(vertices_m: np.ndarray, faces: np.ndarray,
                  smallest_angle_deg: float = 25.0) -> np.ndarray:
    """Return the edges of a mesh that a person would draw.

    Args:
        vertices_m: (V, 3).
        faces: (F, 3) int.
        smallest_angle_deg: an edge between two faces counts when these turn by more.

    Returns:
        (E, 2) int, vertex indices; border edges are among them. Vertices at one place count as
        one, since meshes often repeat them.
    """
    vertices, faces = np.asarray(vertices_m, float), np.asarray(faces, int).reshape(-1, 3)
    if not len(faces):
        return np.empty((0, 2), int)
    _, first, same = np.unique(np.round(vertices, 7), axis=0, return_index=True,
                               return_inverse=True)
    joined = first[same.reshape(-1)][faces]
    corners = vertices[joined]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    lengths = np.linalg.norm(normals, axis=1, keepdims=True)
    normals = normals / np.where(lengths > 0, lengths, 1.0)
    neighbours: dict[tuple[int, int], list[int]] = {}
    for index, face in enumerate(joined):
        for a, b in ((face[0], face[1]), (face[1], face[2]), (face[2], face[0])):
            if a != b:
                neighbours.setdefault((min(a, b), max(a, b)), []).append(index)
    limit = np.cos(np.deg2rad(smallest_angle_deg))
    kept = [edge for edge, sides in neighbours.items()
            if len(sides) != 2 or normals[sides[0]] @ normals[sides[1]] < limit]
    return np.array(kept, int).reshape(-1, 2)


def object_color(name: str) -> tuple[int, int, int]:
    """Return an RGB colour for a name, always the same."""
    return _PALETTE_RGB[sum(name.encode()) % len(_PALETTE_RGB)]


def draw_object(image_rgb: np.ndarray, camera: PinholeCamera, vertices_m: np.ndarray,
                edges: np.ndarray, T_camera_object: np.ndarray, label: str) -> None:
    """Draw an object into a picture, in place.

    Args:
        image_rgb: (H, W, 3) uint8, contiguous.
        camera: what the picture was taken with.
        vertices_m: (V, 3) in the object frame.
        edges: (E, 2) vertex indices, of ``feature_edges``.
        T_camera_object: (4, 4), metres.
        label: written at the object's origin; its first word's name decides the colour.
    """
    color = object_color(label.split(' ')[0].rstrip('0123456789'))
    pixels = camera.project(transform_points(T_camera_object, vertices_m))
    for a, b in edges:
        _draw_line(image_rgb, pixels[a], pixels[b], color, 1)
    length_m = 0.6 * float(np.linalg.norm(vertices_m.max(0) - vertices_m.min(0)))
    axes = camera.project(transform_points(
        T_camera_object, np.vstack([np.zeros(3), np.eye(3) * length_m])))
    for tip, axis_color in zip(axes[1:], _AXES_RGB):
        _draw_line(image_rgb, axes[0], tip, axis_color, 2)
    if _in_reach(axes[0]):
        place = tuple(int(round(value)) for value in axes[0] + [6, -6])
        for ink, thickness in (((0, 0, 0), 3), (color, 1)):
            cv2.putText(image_rgb, label, place, cv2.FONT_HERSHEY_SIMPLEX, 0.42, ink, thickness,
                        cv2.LINE_AA)


def _in_reach(pixel: np.ndarray) -> bool:
    """Finite, and small enough for OpenCV's fixed-point numbers."""
    return bool(np.isfinite(pixel).all() and np.abs(pixel).max() < 1e5)


def _draw_line(image_rgb: np.ndarray, start: np.ndarray, end: np.ndarray,
               color: tuple[int, int, int], thickness: int) -> None:
    if _in_reach(start) and _in_reach(end):
        a, b = (tuple(int(round(value * (1 << _SHIFT))) for value in pixel)
                for pixel in (start, end))
        cv2.line(image_rgb, a, b, color, thickness, cv2.LINE_AA, _SHIFT)
