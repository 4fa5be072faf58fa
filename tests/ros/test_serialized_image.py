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

"""Serialized image messages are read as rclpy reads them, whatever they are."""
from array import array
import struct

from dr_perception.core.errors import ImageError
from dr_perception.ros import serialized_image
from dr_perception.ros.image_conversion import rgb_from_image
from dr_perception.ros.serialized_image import read_image
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

UINT32 = st.integers(0, 2 ** 32 - 1)
#: A C string ends at the first zero.
TEXT = st.text(st.characters(exclude_characters='\0', exclude_categories=['Cs']), max_size=9)
FIELDS = ('height', 'width', 'encoding', 'is_bigendian', 'step')


@st.composite
def images(draw):
    """Return any sensor_msgs/Image, sensible or not."""
    message = Image(height=draw(UINT32), width=draw(UINT32), encoding=draw(TEXT),
                    is_bigendian=draw(st.integers(0, 255)), step=draw(UINT32),
                    data=array('B', draw(st.binary(max_size=40))))
    message.header.frame_id = draw(TEXT)
    message.header.stamp.sec = draw(st.integers(-2 ** 31, 2 ** 31 - 1))
    message.header.stamp.nanosec = draw(UINT32)
    return message


def big_endian(message):
    """Serialize by hand, as a machine of the other byte order does."""
    out = bytearray()

    def put(code, value):
        out.extend(bytes(-len(out) % struct.calcsize(code)) + struct.pack('>' + code, value))

    def put_bytes(value):
        put('I', len(value))
        out.extend(value)

    put('i', message.header.stamp.sec)
    put('I', message.header.stamp.nanosec)
    put_bytes(message.header.frame_id.encode() + b'\0')
    put('I', message.height)
    put('I', message.width)
    put_bytes(message.encoding.encode() + b'\0')
    put('B', message.is_bigendian)
    put('I', message.step)
    put_bytes(bytes(message.data))
    return b'\0\0\0\0' + bytes(out)


@given(images())
@settings(max_examples=200, deadline=None, derandomize=True)
def test_every_field_of_any_image(message):
    for serialized in (serialize_message(message), big_endian(message)):
        read = read_image(serialized, compressed=False)
        assert read.header == message.header
        assert [getattr(read, name) for name in FIELDS] == [
            getattr(message, name) for name in FIELDS]
        assert bytes(read.data) == bytes(message.data)
    assert read_image(serialize_message(message), compressed=False).message() == message


def test_the_pixels_are_not_copied():
    pixels = np.random.default_rng(1).integers(0, 256, (4, 6, 3), np.uint8)
    message = Image(header=Header(frame_id='camera'), height=4, width=6, encoding='rgb8', step=18,
                    data=array('B', pixels.tobytes()))
    serialized = serialize_message(message)
    read = rgb_from_image(read_image(serialized, compressed=False))
    assert np.array_equal(read, pixels)
    assert np.shares_memory(read, np.frombuffer(serialized, np.uint8))


@given(images(), st.integers(0, 200), st.binary(min_size=1, max_size=4))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_what_is_damaged_is_refused_or_read(message, place, other):
    whole = serialize_message(message)
    cut = whole[:place % len(whole)]
    with pytest.raises(ImageError, match=f'a message of {len(cut)} bytes is no image: '):
        read_image(cut, compressed=False)
    damaged = bytearray(whole)
    begin = 4 + place % (len(whole) - 4)
    damaged[begin:begin + len(other)] = other
    try:
        read_image(bytes(damaged), compressed=False)
    except ImageError as error:
        assert '\n' not in str(error)


def test_another_representation_is_left_to_the_middleware(monkeypatch):
    message = Image(height=2, width=3, encoding='rgb8', step=9, data=array('B', bytes(18)))
    seen = []
    monkeypatch.setattr(serialized_image, 'deserialize_message',
                        lambda serialized, kind: seen.append(kind) or message)
    read = read_image(b'\0\x0a\0\0...', compressed=False)
    assert seen == [Image] and (read.width, bytes(read.data)) == (3, bytes(18))


def test_compressed_images():
    message = CompressedImage(format='jpeg', data=array('B', b'abc'))
    message.header.frame_id = 'camera'
    assert read_image(serialize_message(message), compressed=True) == message
    with pytest.raises(ImageError, match='a message of 3 bytes is no image: '):
        read_image(b'abc', compressed=True)


def test_odd_strings_are_read_as_rclpy_reads_them():
    """A C++ driver may send any bytes, or a buffer that is longer than its text."""
    message = Image(header=Header(frame_id='kamera_??bc'), encoding='rgb8??????')
    serialized = serialize_message(message)
    for mark, other in ((b'kamera_??bc', b'kamera_\xe4\xffbc'), (b'rgb8??????', b'rgb8\0\0????')):
        serialized = serialized.replace(mark, other)
    read, wanted = (read_image(serialized, compressed=False),
                    deserialize_message(serialized, Image))
    assert read.header == wanted.header and '\ufffd' in read.header.frame_id
    assert read.encoding == wanted.encoding == 'rgb8'
