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

"""Pictures and figures as data URIs, small enough for one file."""

from __future__ import annotations

import base64
import io

import cv2
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
import numpy as np
from PIL import Image
from sim_trainer.report.style import style

#: Enough for a display of twice the usual density at the width of a phone.
FIGURE_DPI = 130
#: A chart has few colors and their edges; a palette makes its file three times smaller.
FIGURE_COLORS = 128
#: A noisy picture is compressed more, until it is this small or looks too bad.
PICTURE_BYTES = 30_000
_QUALITIES = (86, 78, 68, 56, 42)


def figure_uri(figure: Figure) -> str:
    """Return a figure as PNG."""
    figure.set_dpi(FIGURE_DPI)
    canvas = FigureCanvasAgg(figure)
    with style():       # ticks are made while they are drawn
        canvas.draw()
    pixels = Image.fromarray(np.asarray(canvas.buffer_rgba())).convert('RGB')
    buffer = io.BytesIO()
    pixels.quantize(FIGURE_COLORS, dither=Image.Dither.NONE).save(buffer, 'png', optimize=True)
    return _uri('png', buffer.getvalue())


def picture_uri(image_rgb: np.ndarray) -> str:
    """Return a picture (H, W, 3) uint8 as JPEG."""
    image_bgr = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR)
    for quality in _QUALITIES:
        data = cv2.imencode('.jpg', image_bgr, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()
        if len(data) <= PICTURE_BYTES:
            break
    return _uri('jpeg', data)


def _uri(kind: str, data: bytes) -> str:
    return f'data:image/{kind};base64,{base64.b64encode(data).decode()}'
