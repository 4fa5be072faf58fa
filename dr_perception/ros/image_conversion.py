"""Images: sensor_msgs/Image and CompressedImage to RGB arrays and back, with at most one copy."""

from __future__ import annotations

from array import array

import cv2
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

from dr_perception.core.errors import ImageError

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


def rgb_from_image(message: Image) -> np.ndarray:
    """The picture of a sensor_msgs/Image.

    Args:
        message: 8-bit encodings are read directly (byte order does not matter for them), others
            through cv_bridge where it can be imported.

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
        return _through_cv_bridge(message)
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


def rgb_from_compressed(message: CompressedImage) -> np.ndarray:
    """The picture of a sensor_msgs/CompressedImage (JPEG, PNG): (H, W, 3) uint8, RGB.

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


def image_from_rgb(header: Header, image_rgb: np.ndarray) -> Image:
    """The sensor_msgs/Image ('rgb8') of an (H, W, 3) uint8 array."""
    height_px, width_px = image_rgb.shape[:2]
    message = Image(header=header, height=int(height_px), width=int(width_px), encoding='rgb8',
                    is_bigendian=0, step=int(width_px) * 3)
    # frombytes takes 1 ms where assigning the array or bytes takes half a second.
    data = array('B')
    data.frombytes(memoryview(np.ascontiguousarray(image_rgb)).cast('B'))
    message.data = data
    return message


def _through_cv_bridge(message: Image) -> np.ndarray:
    try:
        from cv_bridge import CvBridge
    except (ImportError, AttributeError) as error:  # AttributeError: built for another numpy
        raise ImageError(
            f'image encoding {message.encoding!r} cannot be read without cv_bridge: install it '
            '(apt install ros-jazzy-cv-bridge) or let the camera driver send one of '
            f'{", ".join(DIRECT_ENCODINGS)}') from error
    try:
        return np.ascontiguousarray(CvBridge().imgmsg_to_cv2(message, 'rgb8'))
    except Exception as error:  # CvBridgeError, and whatever its C++ part raises
        raise ImageError(f'cv_bridge cannot read an image of encoding {message.encoding!r}: '
                         f'{" ".join(str(error).split())}') from error
