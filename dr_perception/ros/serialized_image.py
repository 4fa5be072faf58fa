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

"""Images as they come from the middleware, read without copying the pixels.

Making a sensor_msgs/Image of a picture of 1920x1080 takes 3 ms in Python, on the thread that all
of a node's callbacks share. So the node subscribes to the serialized messages, and what is
dropped for a newer one is never read at all.
"""

from __future__ import annotations

from dataclasses import dataclass
import struct

from builtin_interfaces.msg import Time
from dr_perception.core.errors import ImageError
from rclpy.serialization import deserialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

#: Encapsulation of plain CDR and of plain CDR2, in which an Image is laid out alike, as it has
#: no member of 8 bytes (OMG, "Extensible and Dynamic Topic Types for DDS", 1.3, 7.6.3.1.2).
_ORDERS = {b'\0\0': '>', b'\0\1': '<', b'\0\6': '>', b'\0\7': '<'}
#: Members are aligned to their size, counted from the end of the encapsulation.
_BEGIN = 4


@dataclass(frozen=True, eq=False)
class SerializedImage:
    """A sensor_msgs/Image, attribute by attribute, whose pixels lie in the serialized message.

    Attributes:
        serialized: the whole message.
        header, height, width, encoding, is_bigendian, step: as in sensor_msgs/Image.
        data: the pixels, read-only.
    """

    serialized: bytes
    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview

    def message(self) -> Image:
        """Return the message, with a copy of the pixels."""
        return deserialize_message(self.serialized, Image)


class _Reader:
    """Reads member after member of a serialized message."""

    def __init__(self, serialized: bytes) -> None:
        self._bytes, self._at = serialized, _BEGIN
        self._order = _ORDERS[serialized[:2]]

    def integer(self, code: str) -> int:
        """Return an integer of a struct code."""
        size = struct.calcsize(code)
        self._at += -(self._at - _BEGIN) % size
        value, = struct.unpack_from(self._order + code, self._bytes, self._at)
        self._at += size
        return value

    def sequence(self) -> memoryview:
        """Return a sequence of bytes, without its length."""
        size = self.integer('I')
        part = memoryview(self._bytes)[self._at:self._at + size]
        if len(part) < size:
            raise struct.error(f'{size} bytes announced, {len(part)} left')
        self._at += size
        return part

    def string(self) -> str:
        """Return a string as rclpy does: up to the first zero, whatever its bytes are."""
        return bytes(self.sequence()).split(b'\0', 1)[0].decode('utf-8', 'replace')


def read_image(serialized: bytes, compressed: bool) -> SerializedImage | CompressedImage:
    """Return what a serialized image message tells.

    Args:
        serialized: with its encapsulation, as a raw subscription delivers it.
        compressed: it is a sensor_msgs/CompressedImage, not a sensor_msgs/Image.

    Raises:
        ImageError: it is none.
    """
    try:
        if not compressed and serialized[:2] in _ORDERS:
            return _read_plain(serialized)
        message = deserialize_message(serialized, CompressedImage if compressed else Image)
    except Exception as error:  # struct.error, and rclpy's of each middleware
        raise ImageError(f'a message of {len(serialized)} bytes is no image: '
                         f'{" ".join(str(error).split())}') from error
    if compressed:
        return message
    return SerializedImage(serialized, message.header, message.height, message.width,
                           message.encoding, message.is_bigendian, message.step,
                           memoryview(message.data))


def _read_plain(serialized: bytes) -> SerializedImage:
    reader = _Reader(serialized)
    stamp = Time(sec=reader.integer('i'), nanosec=reader.integer('I'))
    header = Header(stamp=stamp, frame_id=reader.string())
    height, width = reader.integer('I'), reader.integer('I')
    encoding, is_bigendian = reader.string(), reader.integer('B')
    return SerializedImage(serialized, header, height, width, encoding, is_bigendian,
                           reader.integer('I'), reader.sequence())
