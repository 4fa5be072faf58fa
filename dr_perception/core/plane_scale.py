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
"""How large things look that stand on the support plane: a fourth channel beside red, green, blue.

A picture alone does not tell a cylinder of 5 cm from one of 6 cm farther off; the camera's pose
over the plane does. So the network may be given the pixels that a metre takes where each pixel's
ray meets the plane. One over depth is linear along a plane, and so is this.
"""

from __future__ import annotations

from functools import lru_cache

import cv2
from dr_perception.core.camera import PinholeCamera
import numpy as np

#: What is written where nobody knows: without the camera's pose.
UNKNOWN = 0
#: Code of the scale that a model calls usual (``InputSpec.plane_px_per_m``). Codes go with the
#: scale: a step is 1.2 % of the usual one, 255 three times that.
USUAL = 85
#: Pixels that share one code, each way: the network reads no finer.
BLOCK_PX = 8


def plane_codes(pixels: np.ndarray, camera: PinholeCamera, T_base_camera: np.ndarray,
                plane_z_m: float, usual_px_per_m: float, zoom: float = 1.0) -> np.ndarray:
    """Codes (N,) uint8 of the scale of the support plane at pixels.

    Args:
        pixels: (N, 2) of the camera's picture.
        camera: of the picture.
        T_base_camera: (4, 4) its pose.
        plane_z_m: height of the plane in the base frame.
        usual_px_per_m: scale of the code ``USUAL``.
        zoom: by which the picture was enlarged since the camera took it.
    """
    height_m = T_base_camera[2, 3] - plane_z_m
    if height_m <= 0:       # seen from below, the plane hides what stands on it
        return np.full(len(pixels), UNKNOWN, np.uint8)
    x, y = camera.normalize(pixels).T
    down, right, ahead = T_base_camera[2, :3]
    one_over_depth = -(down * x + right * y + ahead) / height_m
    focal_px = zoom * np.sqrt(camera.fx_px * camera.fy_px)
    # At and above the horizon things are as far away as can be.
    code = np.nan_to_num(USUAL * focal_px / usual_px_per_m * one_over_depth, nan=1.0)
    return np.clip(np.rint(code), 1, 255).astype(np.uint8)


def plane_channel(width_px: int, height_px: int, camera: PinholeCamera,
                  T_base_camera: np.ndarray | None, plane_z_m: float, usual_px_per_m: float
                  ) -> np.ndarray:
    """Channel (H, W) uint8 of a whole picture; ``UNKNOWN`` without ``T_base_camera``."""
    if T_base_camera is None:
        return np.full((height_px, width_px), UNKNOWN, np.uint8)
    centres = block_centres(width_px, height_px)
    codes = plane_codes(centres.reshape(-1, 2), camera, T_base_camera, plane_z_m, usual_px_per_m)
    return spread(codes.reshape(centres.shape[:2]), width_px, height_px)


@lru_cache(maxsize=8)
def block_centres(width_px: int, height_px: int) -> np.ndarray:
    """Pixels (h, w, 2) in the middle of each block of a picture; read-only."""
    half = (BLOCK_PX - 1) / 2
    u = np.arange(half, width_px, BLOCK_PX)
    v = np.arange(half, height_px, BLOCK_PX)
    centres = np.stack(np.meshgrid(u, v), -1)
    centres.setflags(write=False)
    return centres


def spread(codes: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Return the channel (H, W) of the blocks' codes (h, w); H, W are multiples of a block."""
    if (height_px, width_px) != tuple(BLOCK_PX * count for count in codes.shape):
        return cv2.resize(codes, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    return np.repeat(np.repeat(codes, BLOCK_PX, axis=1), BLOCK_PX, axis=0)    # six times as fast


def with_channel(image_rgb: np.ndarray, channel: np.ndarray) -> np.ndarray:
    """Return the picture (H, W, 3) with a fourth channel (H, W), as (H, W, 4)."""
    image = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2RGBA)
    image[..., 3] = channel
    return image
