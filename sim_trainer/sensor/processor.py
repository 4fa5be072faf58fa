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

"""What the camera's processor does: demosaicing, sharpening, JPEG."""

from __future__ import annotations

import cv2
import numpy as np

#: Bayer phase -> channel (red 0, green 1, blue 2) at (0, 0), (0, 1), (1, 0), (1, 1), and OpenCV's
#: codes of the bilinear and the edge-aware interpolation.
_PHASES = (
    ((0, 1, 1, 2), cv2.COLOR_BayerRGGB2RGB, cv2.COLOR_BayerRGGB2RGB_EA),
    ((1, 0, 2, 1), cv2.COLOR_BayerGRBG2RGB, cv2.COLOR_BayerGRBG2RGB_EA),
    ((1, 2, 0, 1), cv2.COLOR_BayerGBRG2RGB, cv2.COLOR_BayerGBRG2RGB_EA),
    ((2, 1, 1, 0), cv2.COLOR_BayerBGGR2RGB, cv2.COLOR_BayerBGGR2RGB_EA))
PHASE_COUNT = len(_PHASES)


def demosaic(image_rgb: np.ndarray, phase: int, edge_aware: bool) -> np.ndarray:
    """One colour of each pixel is kept, and the other two are interpolated again.

    Args:
        image_rgb: (H, W, 3) uint8 or uint16.
        phase: 0 RGGB, 1 GRBG, 2 GBRG, 3 BGGR.
        edge_aware: along edges instead of bilinearly.
    """
    channels, bilinear, aware = _PHASES[phase]
    mosaic = np.empty(image_rgb.shape[:2], image_rgb.dtype)
    for place, channel in enumerate(channels):
        row, column = divmod(place, 2)
        mosaic[row::2, column::2] = image_rgb[row::2, column::2, channel]
    return cv2.cvtColor(mosaic, aware if edge_aware else bilinear)


def sharpen(image: np.ndarray, amount: float, sigma_px: float) -> np.ndarray:
    """Unsharp masking of (H, W, 3) uint8."""
    soft = cv2.GaussianBlur(image, (0, 0), sigma_px)
    return cv2.addWeighted(image, 1 + amount, soft, -amount, 0)


def compress(image_rgb: np.ndarray, quality: int) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 after JPEG of that quality, 1...100."""
    # In the order that OpenCV codes: with red and blue exchanged the luma's weights would be too.
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    coded = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    image_bgr = cv2.imdecode(coded, cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
    return cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB)
