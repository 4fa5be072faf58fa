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

"""Shot and read noise of linear light, from banks of noise that are drawn once per process."""

from __future__ import annotations

import functools

import cv2
import numpy as np

_BANK_SIZE_PX = 1024
#: A tile of noise is a piece of the bank; its origin is anywhere in the other half.
TILE_SIZE_PX = 512


@functools.lru_cache(maxsize=None)
def _bank(coarse: bool) -> np.ndarray:
    """Noise of variance 1, (1024, 1024, 3) float32, from a fixed seed: a constant in effect."""
    white = np.random.default_rng(0).standard_normal(
        (_BANK_SIZE_PX, _BANK_SIZE_PX, 3), dtype=np.float32)
    if not coarse:
        return white
    soft = cv2.GaussianBlur(white, (0, 0), 0.8)
    return soft / soft.std()


def _tile(bank: np.ndarray, height: int, width: int, origin: tuple[int, int],
          flips: tuple[bool, bool]) -> np.ndarray:
    tile = bank[origin[0]:origin[0] + height, origin[1]:origin[1] + width]
    down, across = flips
    if down or across:
        tile = cv2.flip(tile, -1 if down and across else int(across))
    return tile


def noise_field(height: int, width: int, coarse: bool, origin: tuple[int, int],
                flips: tuple[bool, bool]) -> np.ndarray:
    """Noise of mean 0 and variance 1 for a picture of any size.

    Pictures larger than a tile have further tiles, each with an origin and flips of its own that
    follow from ``origin`` and its place: nothing repeats at a fixed distance.

    Args:
        height, width: of the picture, pixels.
        coarse: correlated over neighbouring pixels.
        origin: row and column in the bank, 0...512.
        flips: upside down, left to right.

    Returns:
        (H, W, 3) float32, not to be written to.
    """
    bank = _bank(coarse)
    if height <= TILE_SIZE_PX and width <= TILE_SIZE_PX:
        return _tile(bank, height, width, origin, flips)
    field = np.empty((height, width, 3), np.float32)
    for top in range(0, height, TILE_SIZE_PX):
        for left in range(0, width, TILE_SIZE_PX):
            part = field[top:top + TILE_SIZE_PX, left:left + TILE_SIZE_PX]
            rng = np.random.default_rng([*origin, *flips, top, left])
            part[:] = _tile(bank, *part.shape[:2], rng.integers(0, TILE_SIZE_PX + 1, 2),
                            rng.random(2) < 0.5)
    return field


def add_noise(linear: np.ndarray, full_well_electrons: float, read_electrons: float,
              noise: np.ndarray) -> np.ndarray:
    """Linear light with the noise of a sensor, in place; darkness can become negative.

    Counting n electrons has the variance n (Poisson; Gaussian here), reading them a constant one.
    So light L (white = 1) has the variance ``L / well + (read / well)^2``. Coding compresses
    light: levels of 255 deviate most in the shadows.

    Args:
        linear: (H, W, 3) float32, nowhere negative.
        full_well_electrons: electrons at white.
        read_electrons: standard deviation of the read noise.
        noise: (H, W, 3) float32 of variance 1.
    """
    deviation = linear * np.float32(1 / full_well_electrons)
    deviation += np.float32((read_electrons / full_well_electrons) ** 2)
    cv2.sqrt(deviation, deviation)
    cv2.multiply(deviation, noise, deviation)
    return cv2.add(linear, deviation, linear)
