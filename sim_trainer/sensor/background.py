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

"""Another picture behind the scene: clutter that no scene file describes.

Source of the idea: the recipes of BOP's entrants (GDR-Net and its family), which put photographs
behind half of their synthetic objects. Without photographs, ``procedural_pictures`` stand in.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from sim_trainer.configuration.sensor import BackgroundConfig

#: Exponent of a display, near enough for the brightness of a random picture.
_GAMMA = 2.2


@dataclass(frozen=True)
class BackgroundDraw:
    """One replacement of the background, in plain numbers."""

    picture_index: int
    #: longer side of the crop, part of the picture's side
    crop: float
    #: place of the crop in what it leaves over, 0...1 from the left and from the top
    crop_place: tuple[float, float] = (0.5, 0.5)
    mirrored: bool = False
    #: gain of linear light per channel, powers of two
    gain_stops: tuple[float, float, float] = (0.0, 0.0, 0.0)
    #: standard deviation of the soft edge; 0: hard
    edge_sigma_px: float = 0.0


def draw_background(rng: np.random.Generator, config: BackgroundConfig, picture_count: int
                    ) -> BackgroundDraw | None:
    """Return a random replacement, or None where the background stays as it was drawn.

    Every number is drawn in either case, so that the probability shifts no later draw.
    """
    happens = config.probability.happens(rng)
    index = int(rng.random() * picture_count)
    crop = config.crop.sample(rng)
    place = (float(rng.random()), float(rng.random()))
    mirrored = bool(rng.random() < 0.5)
    exposure = config.exposure_stops.sample(rng)
    stops = tuple(exposure + config.channel_stops.sample(rng) for _ in range(3))
    edge_sigma_px = config.edge_sigma_px.sample(rng)
    if not (happens and picture_count):
        return None
    return BackgroundDraw(index, crop, place, mirrored, stops, edge_sigma_px)


def apply_background(image_rgb: np.ndarray, background_mask: np.ndarray, draw: BackgroundDraw,
                     pictures: np.ndarray) -> np.ndarray:
    """``replace_background`` by the drawn one of the pictures (N, S, S, 3) uint8."""
    return replace_background(image_rgb, background_mask, pictures[draw.picture_index], draw.crop,
                              draw.crop_place, draw.mirrored, draw.gain_stops, draw.edge_sigma_px)


def replace_background(image_rgb: np.ndarray, background_mask: np.ndarray,
                       picture_rgb: np.ndarray, crop: float = 1.0,
                       crop_place: tuple[float, float] = (0.5, 0.5), mirrored: bool = False,
                       gain_stops: tuple[float, float, float] = (0.0, 0.0, 0.0),
                       edge_sigma_px: float = 0.0) -> np.ndarray:
    """Return a picture behind what is not background.

    The two are mixed as they are coded, like the antialiased edges of a finished picture.

    Args:
        image_rgb: (H, W, 3) uint8.
        background_mask: (H, W) bool, true where the picture shall be seen.
        picture_rgb: (h, w, 3) uint8 of any size.
        crop: longer side of the crop that is shown, part of the picture's shorter side; it has
            the proportions of ``image_rgb``.
        crop_place: see ``BackgroundDraw``, as for the others.

    Returns:
        (H, W, 3) uint8, a new array.

    Raises:
        ValueError: the mask has another size than the picture.
    """
    height, width = image_rgb.shape[:2]
    if background_mask.shape != (height, width):
        raise ValueError(f'background_mask: shape {background_mask.shape}; expected '
                         f'{(height, width)}, as the picture has')
    behind = _crop(picture_rgb, crop * width / max(width, height),
                   crop * height / max(width, height), crop_place)
    # Bilinear is 10 times faster and skips no pixel until the picture becomes half as large.
    much_smaller = behind.shape[1] > 2 * width
    behind = cv2.resize(behind, (width, height),
                        interpolation=cv2.INTER_AREA if much_smaller else cv2.INTER_LINEAR)
    # In place from here on: memory that is fresh from the system takes longer than arithmetic.
    if mirrored:
        cv2.flip(behind, 1, behind)
    if any(gain_stops):
        # A gain of light is one of its code, but for the darkest levels; 3 times faster than LUT.
        cv2.transform(behind, np.diag(np.exp2(np.array(gain_stops) / _GAMMA)), behind)
    weight = background_mask.astype(np.float32)
    if edge_sigma_px:
        cv2.GaussianBlur(weight, (0, 0), edge_sigma_px, dst=weight)
    return cv2.blendLinear(behind, image_rgb, weight, 1 - weight, behind)


def _crop(picture: np.ndarray, width_part: float, height_part: float,
          place: tuple[float, float]) -> np.ndarray:
    side = min(picture.shape[:2])
    width, height = max(1, round(side * width_part)), max(1, round(side * height_part))
    left = round((picture.shape[1] - width) * place[0])
    top = round((picture.shape[0] - height) * place[1])
    return picture[top:top + height, left:left + width]
