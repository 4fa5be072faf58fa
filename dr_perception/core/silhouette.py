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

"""How many pixels an object covers: the convex hull of its projected outline."""

from __future__ import annotations

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import transform_points
import numpy as np

#: Directions whose outermost vertices stand for the object: a mesh of thousands need not be
#: projected as a whole.
_DIRECTIONS = 96


class SilhouetteArea:
    """The area of one object's silhouette; exact for convex objects, at most too large else.

    Attributes:
        points_m: (P, 3) vertices that can be outermost, in the object's frame.
    """

    def __init__(self, vertices_m: np.ndarray) -> None:
        """Choose the vertices (V, 3) that can be outermost."""
        steps = np.arange(_DIRECTIONS)
        z = 1 - (2 * steps + 1) / _DIRECTIONS
        angle = steps * np.pi * (3 - np.sqrt(5))    # Fibonacci's sphere: evenly spread directions
        radius = np.sqrt(1 - z ** 2)
        directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z])
        self.points_m = vertices_m[np.unique((vertices_m @ directions).argmax(0))]

    def pixels(self, T_camera_object: np.ndarray, camera: PinholeCamera) -> float:
        """Pixels covered in this pose (4, 4), beyond the picture's border too; 0 if unseen."""
        pixels = camera.project(transform_points(T_camera_object, self.points_m))
        if not np.isfinite(pixels).all():
            return 0.0
        return float(cv2.contourArea(cv2.convexHull(pixels.astype(np.float32))))
