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

"""Pictures of a lens with distortion: drawn by a wider pinhole camera, then bent."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
import numpy as np
from sim_trainer.rendering.base import Picture

#: A pinhole picture of more than this is refused: fisheye lenses of nearly 180 degrees.
MAX_SIDE_PX = 6000


@dataclass(frozen=True, eq=False)
class LensMap:
    """The pinhole camera that sees all that a lens sees, and where each pixel finds it.

    Attributes:
        pinhole: the camera to draw with.
        map_px: (H, W, 2) float32, pixel of the pinhole's picture for every pixel of the lens's.
    """

    pinhole: PinholeCamera
    map_px: np.ndarray

    @staticmethod
    @lru_cache(maxsize=8)
    def of(camera: PinholeCamera) -> LensMap:
        """Return the map of a camera with distortion.

        Raises:
            CameraError: the lens sees too wide for a pinhole camera.
        """
        u, v = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
        rays = camera.normalize(np.stack([u.ravel(), v.ravel()], 1).astype(np.float64))
        low, high = rays.min(0) - 2 / camera.fx_px, rays.max(0) + 2 / camera.fy_px
        # A lens that shrinks its border needs no more pixels there than it has in the middle.
        focal = np.array([camera.fx_px, camera.fy_px])
        size = np.ceil((high - low) * focal).astype(int) + 1
        if not np.isfinite(rays).all() or size.max() > MAX_SIDE_PX:
            raise CameraError(
                f'the lens ({camera.distortion_model}) sees too wide to be drawn: a pinhole '
                f'picture of it would have {size[0]}x{size[1]} px, at most {MAX_SIDE_PX} a side; '
                'crop the camera to the part round the workspace')
        pinhole = PinholeCamera(focal[0], focal[1], -low[0] * focal[0], -low[1] * focal[1],
                                int(size[0]), int(size[1]))
        map_px = ((rays - low) * focal).reshape(camera.height_px, camera.width_px, 2)
        return LensMap(pinhole, map_px.astype(np.float32))

    def bend(self, picture: Picture) -> Picture:
        """Return the picture as the lens shows it; ids take the nearest pixel."""
        def remap(image: np.ndarray, interpolation: int) -> np.ndarray:
            return cv2.remap(image, self.map_px, None, interpolation,
                             borderMode=cv2.BORDER_REPLICATE)

        return Picture(remap(picture.image_rgb, cv2.INTER_LINEAR),
                       remap(picture.instance_ids, cv2.INTER_NEAREST),
                       remap(picture.room_mask.astype(np.uint8), cv2.INTER_NEAREST) > 0)
