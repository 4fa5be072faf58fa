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

"""What happens to the light before it is counted: blur of the lens and of motion, vignetting.

All of it acts on linear light, where a bright point spreads over a dark neighbourhood as it does
in a camera. On gamma-coded values a blurred edge would stand up to a pixel from where a camera
sees it.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

#: A pixel is divided into this many parts a side to count what a disc covers of it.
_PARTS = 8


def disc_kernel(radius_px: float) -> np.ndarray:
    """Return the disc that an unfocused lens makes of a point: (K, K) float32 of sum 1."""
    half = max(0, int(np.ceil(radius_px - 0.5)))
    size, parts = 2 * half + 1, _PARTS
    # The part of each pixel that is inside, counted at the middles of its 8 x 8 parts.
    squared = ((np.arange(size * parts) + 0.5) / parts - 0.5 - half) ** 2
    inside = squared[:, None] + squared <= max(radius_px, 0.5) ** 2
    kernel = inside.reshape(size, parts, size, parts).sum((1, 3), dtype=np.float32)
    return kernel / kernel.sum()


def line_kernel(length_px: float, angle_deg: float) -> np.ndarray:
    """Return the antialiased line that motion makes of a point: (K, K) float32 of sum 1.

    The angle is from +x (right) towards +y (down).
    """
    half = int(np.ceil(length_px / 2)) + 1
    size = 2 * half + 1
    t = np.linspace(-length_px / 2, length_px / 2, 8 * size)
    angle = np.radians(angle_deg)
    x, y = half + t * np.cos(angle), half + t * np.sin(angle)
    column, row = np.floor(x).astype(int), np.floor(y).astype(int)
    right, down = x - column, y - row
    kernel = np.zeros((size, size))
    for rows, by_row in ((row, 1 - down), (row + 1, down)):
        for columns, by_column in ((column, 1 - right), (column + 1, right)):
            np.add.at(kernel, (rows, columns), by_row * by_column)
    return (kernel / kernel.sum()).astype(np.float32)


def spread(linear: np.ndarray, blur_sigma_px: float, defocus_radius_px: float,
           motion_length_px: float, motion_angle_deg: float) -> np.ndarray:
    """Lens blur, defocus and motion of linear light (H, W, 3) float32; 0 leaves an effect out.

    In place, as are the other steps on linear light: memory that is fresh from the system takes
    longer than the arithmetic.
    """
    if blur_sigma_px:
        cv2.GaussianBlur(linear, (0, 0), blur_sigma_px, dst=linear)
    if defocus_radius_px:
        _filter(linear, disc_kernel(defocus_radius_px))
    if motion_length_px:
        _filter(linear, line_kernel(motion_length_px, motion_angle_deg))
    return linear


def _filter(linear: np.ndarray, kernel: np.ndarray) -> None:
    cv2.filter2D(linear, -1, kernel, dst=linear)
    if kernel.shape[0] >= 11:   # by Fourier transform, whose rounding can fall below black
        np.maximum(linear, 0, out=linear)


@functools.lru_cache(maxsize=4)
def _squared_distance(height: int, width: int) -> np.ndarray:
    """(H, W, 3) float32: 0 at the centre, 1 at the corners."""
    y = np.linspace(-1, 1, height, dtype=np.float32)[:, None]
    x = np.linspace(-1, 1, width, dtype=np.float32)[None]
    return np.repeat(((x * x + y * y) / 2)[..., None], 3, axis=2)


def vignette(linear: np.ndarray, corner_loss: float) -> np.ndarray:
    """Linear light (H, W, 3) float32, less ``corner_loss`` of it at the corners; in place."""
    lost = cv2.multiply(linear, _squared_distance(*linear.shape[:2]), scale=corner_loss)
    return cv2.subtract(linear, lost, linear)
