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

"""Light to code and back, the camera's tone curve, and the colours of its software."""

from __future__ import annotations

import functools

import cv2
import numpy as np

#: Linear light is kept as 16 bits between the sensor and its coding.
WHITE = 65535
#: Luma of ITU-R BT.601, which JPEG and cameras use.
_LUMA = (0.299, 0.587, 0.114)


def to_linear(code: np.ndarray) -> np.ndarray:
    """Linear light 0...1 of sRGB-coded values 0...1. Source: IEC 61966-2-1."""
    return np.where(code <= 0.04045, code / 12.92, ((code + 0.055) / 1.055) ** 2.4)


def to_code(linear: np.ndarray) -> np.ndarray:
    """Return the inverse of ``to_linear``."""
    return np.where(linear <= 0.0031308, linear * 12.92,
                    1.055 * np.maximum(linear, 0) ** (1 / 2.4) - 0.055)


@functools.lru_cache(maxsize=None)
def _decoding_table() -> np.ndarray:
    return to_linear(np.arange(256) / 255).astype(np.float32)


@functools.lru_cache(maxsize=None)
def _coding_table() -> np.ndarray:
    return np.round(255 * to_code(np.arange(WHITE + 1) / WHITE)).astype(np.uint8)


def decode(image: np.ndarray) -> np.ndarray:
    """Linear light (H, W, 3) float32, white = 1, of an sRGB-coded picture (H, W, 3) uint8."""
    return cv2.LUT(image, _decoding_table())


def quantize(linear: np.ndarray, gains: tuple[float, float, float]) -> np.ndarray:
    """Linear light times a gain per channel as (H, W, 3) uint16, clipped at black and white."""
    return cv2.multiply(linear, (*(WHITE * gain for gain in gains), 0.0), dtype=cv2.CV_16U)


def encode(linear: np.ndarray) -> np.ndarray:
    """Return the sRGB-coded picture (H, W, 3) uint8 of linear light (H, W, 3) uint16.

    Quantized ``decode`` comes back to the same 256 codes: the first one is 20 steps above black.
    """
    return _coding_table().take(linear)


def tone_table(gamma: float, s_curve: float, contrast: float, offset_levels: float) -> np.ndarray:
    """Return the camera's tone curve on gamma-coded values; see ``ToneConfig``. (256,) uint8."""
    x = (np.arange(256) / 255) ** gamma
    x = x + s_curve * (x * x * (3 - 2 * x) - x)
    x = (x - 0.5) * contrast + 0.5 + offset_levels / 255
    return np.clip(np.round(255 * x), 0, 255).astype(np.uint8)


def color_matrix(saturation: float, hue_shift_deg: float) -> np.ndarray:
    """Return a (3, 3) float32 that turns the hue about grey and scales the distance from grey."""
    axis = np.ones(3) / np.sqrt(3)
    angle = np.radians(hue_shift_deg)
    K = np.array([[0, -axis[2], axis[1]], [axis[2], 0, -axis[0]], [-axis[1], axis[0], 0]])
    R = np.eye(3) + np.sin(angle) * K + (1 - np.cos(angle)) * K @ K
    grey = np.tile(_LUMA, (3, 1))
    return ((saturation * np.eye(3) + (1 - saturation) * grey) @ R).astype(np.float32)
