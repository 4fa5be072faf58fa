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

"""Pictures in which nothing is to be found: a capped or blinded lens, static, an upside-down view.

A network that has only ever seen tables says something about everything; a few such samples teach
it to be silent. Empty tables are not made here: ``randomization.objects.count`` draws them.
"""

from __future__ import annotations

import cv2
import numpy as np

#: A camera that is rolled by more than this sees views that others call upside down.
_MOST_ROLL_DEG = 60.0
#: Least and most side (px) of a grain of static.
_GRAIN_PX = (1, 12)
#: Cells of the coarse picture that becomes a hand over the lens.
_BLOBS = (3, 6)
#: Warm skin, dark rubber, cloth: mean colours (RGB) of what covers a lens.
_COVERS_RGB = np.array([[190, 130, 100], [110, 70, 50], [25, 25, 28], [90, 95, 105]], float)


def may_turn(roll_deg: float) -> bool:
    """Return whether an upside-down view is none of a camera that rolls by so much at most."""
    return roll_deg <= _MOST_ROLL_DEG


def nothing(rng: np.random.Generator, image_rgb: np.ndarray, upside_down: bool) -> np.ndarray:
    """One such picture.

    Args:
        rng: decides which.
        image_rgb: (H, W, 3) uint8, a picture of the scene; not changed.
        upside_down: the turned picture may be given. Not where training turns the camera that
            far itself: such a view is a good one then.

    Returns:
        (H, W, 3) uint8.
    """
    makers = [_flat, _static, _covered] + [_turned] * (2 if upside_down else 0)
    return makers[int(rng.integers(len(makers)))](rng, image_rgb)


def _flat(rng: np.random.Generator, image_rgb: np.ndarray) -> np.ndarray:
    """Black, white, or one colour; a little uneven."""
    kind = rng.integers(3)
    level = np.array([rng.uniform(0, 12)] * 3 if kind == 0 else [rng.uniform(243, 255)] * 3
                     if kind == 1 else rng.uniform(0, 255, 3))
    slope = rng.uniform(-12, 12) * np.linspace(-1, 1, image_rgb.shape[1])[None, :, None]
    return _clipped(level + np.broadcast_to(slope, image_rgb.shape))


def _static(rng: np.random.Generator, image_rgb: np.ndarray) -> np.ndarray:
    """Random grains, grey or coloured."""
    height_px, width_px = image_rgb.shape[:2]
    grain = int(rng.integers(_GRAIN_PX[0], _GRAIN_PX[1] + 1))
    channels = 3 if rng.random() < 0.5 else 1
    small = rng.integers(0, 256, (height_px // grain + 1, width_px // grain + 1, channels),
                         dtype=np.uint8)
    large = cv2.resize(small, (width_px, height_px), interpolation=cv2.INTER_NEAREST)
    return np.ascontiguousarray(np.broadcast_to(large.reshape(height_px, width_px, channels),
                                                image_rgb.shape))


def _covered(rng: np.random.Generator, image_rgb: np.ndarray) -> np.ndarray:
    """Something right before the lens: large soft patches of about one colour."""
    height_px, width_px = image_rgb.shape[:2]
    cells = int(rng.integers(_BLOBS[0], _BLOBS[1] + 1))
    colour = _COVERS_RGB[int(rng.integers(len(_COVERS_RGB)))] * rng.uniform(0.3, 1.2)
    coarse = colour + rng.normal(0, 1, (cells, cells, 1)) * rng.uniform(5, 45)
    return _clipped(cv2.resize(coarse, (width_px, height_px), interpolation=cv2.INTER_CUBIC))


def _turned(rng: np.random.Generator, image_rgb: np.ndarray) -> np.ndarray:
    """Return the scene upside down."""
    return np.ascontiguousarray(image_rgb[::-1, ::-1])


def _clipped(values: np.ndarray) -> np.ndarray:
    return np.clip(np.round(values), 0, 255).astype(np.uint8)
