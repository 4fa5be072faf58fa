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

"""Images: sensor_msgs/Image and CompressedImage to RGB arrays and back, with at most one copy."""

from __future__ import annotations

from array import array

from dr_perception.core import image_decoding
from dr_perception.core.errors import ImageError
from dr_perception.core.image_decoding import DIRECT_ENCODINGS, rgb_from_compressed
from dr_perception.ros.serialized_image import SerializedImage
import numpy as np
from sensor_msgs.msg import Image
from std_msgs.msg import Header

__all__ = ['DIRECT_ENCODINGS', 'image_from_rgb', 'rgb_from_compressed', 'rgb_from_image']


def rgb_from_image(message: Image | SerializedImage) -> np.ndarray:
    """Return the picture of a sensor_msgs/Image: (H, W, 3) uint8, RGB; the rest by cv_bridge.

    Raises:
        ImageError: see ``image_decoding.rgb_from_image``; or an encoding that cannot be read
            because cv_bridge is missing or refuses it.
    """
    return image_decoding.rgb_from_image(message, _through_cv_bridge)


def image_from_rgb(header: Header, image_rgb: np.ndarray) -> Image:
    """Return the sensor_msgs/Image ('rgb8') of an (H, W, 3) uint8 array."""
    height_px, width_px = image_rgb.shape[:2]
    message = Image(header=header, height=int(height_px), width=int(width_px), encoding='rgb8',
                    is_bigendian=0, step=int(width_px) * 3)
    # frombytes takes 1 ms where assigning the array or bytes takes half a second.
    data = array('B')
    data.frombytes(memoryview(np.ascontiguousarray(image_rgb)).cast('B'))
    message.data = data
    return message


def _through_cv_bridge(message: Image | SerializedImage) -> np.ndarray:
    if isinstance(message, SerializedImage):
        message = message.message()
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
