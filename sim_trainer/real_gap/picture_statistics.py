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

"""How pictures look, in a few numbers, and where that is outside of what training drew."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

#: Key -> what it is for people.
STATISTICS = {'brightness': 'brightness (mean grey level)',
              'contrast': 'contrast (deviation of the grey levels)',
              'sharpness': 'sharpness (edge energy, logarithm)',
              'saturation': 'colour (mean saturation)'}
#: Names of what is too little and too much.
WORDS = {'brightness': ('dark', 'bright'), 'contrast': ('flat', 'harsh'),
         'sharpness': ('blurred', 'sharp or noisy'), 'saturation': ('pale', 'colourful')}
#: Training's pictures between these quantiles are its usual ones.
USUAL = (0.025, 0.975)
#: Sharpness depends on the size: pictures are compared at this width.
_WIDTH_PX = 640


@dataclass(frozen=True)
class Comparison:
    """One statistic, real against drawn.

    Attributes:
        key: of ``STATISTICS``.
        real, drawn: low, median and high of each (quantiles ``USUAL`` round the median).
        below, above: share of the real pictures outside of the drawn ones' usual range.
    """

    key: str
    real: tuple[float, float, float]
    drawn: tuple[float, float, float]
    below: float
    above: float


def picture_statistics(image_rgb: np.ndarray) -> dict[str, float]:
    """Return the statistics of a picture (H, W, 3) uint8."""
    height, width = image_rgb.shape[:2]
    if width != _WIDTH_PX:
        image_rgb = cv2.resize(image_rgb, (_WIDTH_PX, max(1, round(height * _WIDTH_PX / width))),
                               interpolation=cv2.INTER_AREA)
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    saturation = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2HSV)[..., 1]
    edges = cv2.Laplacian(grey, cv2.CV_32F)
    return {'brightness': float(grey.mean()), 'contrast': float(grey.std()),
            'sharpness': float(np.log10(edges.var() + 1.0)),
            'saturation': float(saturation.mean())}


def compare(real: Sequence[dict[str, float]], drawn: Sequence[dict[str, float]]
            ) -> list[Comparison]:
    """Each statistic of real pictures against those of drawn ones; none of both: nothing."""
    if not real or not drawn:
        return []
    found = []
    for key in STATISTICS:
        ours, theirs = (np.array([entry[key] for entry in s]) for s in (real, drawn))
        low, high = np.quantile(theirs, USUAL)
        found.append(Comparison(key, _span(ours), _span(theirs), float((ours < low).mean()),
                                float((ours > high).mean())))
    return found


def _span(values: np.ndarray) -> tuple[float, float, float]:
    low, middle, high = np.quantile(values, [USUAL[0], 0.5, USUAL[1]])
    return float(low), float(middle), float(high)
