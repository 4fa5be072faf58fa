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

"""Pictures of messages shaped like sensor_msgs/Image and CompressedImage, with at most one copy.

Messages are read by attribute alone, so that those of rclpy and those of a recording serve alike.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import cv2
from dr_perception.core.errors import ImageError
import numpy as np

#: encoding -> (channels, OpenCV conversion to RGB or None).
_DIRECT = {
    'rgb8': (3, None),
    '8UC3': (3, cv2.COLOR_BGR2RGB),  # OpenCV's own order
    'bgr8': (3, cv2.COLOR_BGR2RGB),
    'mono8': (1, cv2.COLOR_GRAY2RGB),
    '8UC1': (1, cv2.COLOR_GRAY2RGB),
    'rgba8': (4, cv2.COLOR_RGBA2RGB),
    'bgra8': (4, cv2.COLOR_BGRA2RGB),
}
DIRECT_ENCODINGS = ('rgb8', 'bgr8', 'mono8', 'rgba8', 'bgra8')
#: Larger than any camera; a side beyond it is a damaged message.
_LARGEST_SIDE_PX = 32768


def rgb_from_image(message: Any, read_other: Callable[[Any], np.ndarray] | None = None
                   ) -> np.ndarray:
    """Return the picture of a sensor_msgs/Image.

    Args:
        message: 8-bit encodings are read directly (byte order does not matter for them).
        read_other: called with a message of any other encoding; its answer is returned.

    Returns:
        (H, W, 3) uint8, RGB. For 'rgb8' without padding it is a view of the message's data.

    Raises:
        ImageError: empty, truncated, a step that does not fit the width, or an encoding that
            cannot be read; one line with the remedy.
    """
    width_px, height_px = int(message.width), int(message.height)
    if width_px < 1 or height_px < 1:
        raise ImageError(f'image is {width_px}x{height_px} px; expected at least 1x1 (is the '
                         'camera driver running properly?)')
    if max(width_px, height_px) > _LARGEST_SIDE_PX:
        raise ImageError(f'image is {width_px}x{height_px} px; expected at most '
                         f'{_LARGEST_SIDE_PX} px a side')
    if message.encoding not in _DIRECT:
        if read_other is not None:
            return read_other(message)
        raise ImageError(f'image encoding {message.encoding!r} cannot be read; expected one of '
                         f'{", ".join(DIRECT_ENCODINGS)}: set the camera driver to one of them, '
                         'or use its compressed topic')
    channels, conversion = _DIRECT[message.encoding]
    step, row = int(message.step), width_px * channels
    if step < row:
        raise ImageError(f'image step is {step} bytes; a row of {width_px} px in '
                         f'{message.encoding} has {row}')
    size = len(message.data)
    if size < (height_px - 1) * step + row:
        raise ImageError(f'image data is truncated: {size} bytes; {height_px} rows of {step} '
                         f'bytes need {height_px * step}')
    pixels = np.ndarray((height_px, width_px, channels), np.uint8,
                        np.frombuffer(message.data, np.uint8), strides=(step, channels, 1))
    if conversion is None:
        return np.ascontiguousarray(pixels)
    return cv2.cvtColor(pixels, conversion)


def rgb_from_compressed(message: Any) -> np.ndarray:
    """Return the picture of a sensor_msgs/CompressedImage (JPEG, PNG): (H, W, 3) uint8, RGB.

    Raises:
        ImageError: the data is empty or is not a picture that OpenCV reads.
    """
    data = np.frombuffer(message.data, np.uint8)
    try:
        bgr = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except cv2.error as error:
        raise ImageError(f'compressed image ({message.format!r}) cannot be read: '
                         f'{" ".join(str(error).split())}') from error
    if bgr is None:
        raise ImageError(f'compressed image ({message.format!r}, {data.size} bytes) cannot be '
                         'read; expected JPEG or PNG data, whole')
    return cv2.cvtColor(bgr, cv2.COLOR_BGR2RGB)
