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

"""An MCAP file that ends in the middle, as a whole one: what a killed recorder leaves behind.

The records up to the last complete one are shown to the reader followed by a footer without an
index, so that it scans them. Nothing is copied or written.

Source: MCAP format specification, version 0: magic, records of opcode (1 byte), length (8 bytes,
little endian) and content, footer, magic.
"""

from __future__ import annotations

import io
from pathlib import Path, PurePath
import struct
from typing import Any, BinaryIO

_MAGIC = b'\x89MCAP0\r\n'
_HEADER = struct.Struct('<BQ')
_FOOTER = 0x02
_DATA_END = 0x0F
_HIGHEST_OPCODE = 0x0F
#: Opcode 2, 20 bytes: no summary, no summary offsets, no checksum; and the magic again.
_TAIL = _HEADER.pack(_FOOTER, 20) + bytes(20) + _MAGIC


def complete_size(path: Path) -> int:
    """Bytes up to the end of the last complete record of the data section; 0 for no MCAP file."""
    size = path.stat().st_size
    with path.open('rb') as stream:
        if stream.read(len(_MAGIC)) != _MAGIC:
            return 0
        end = len(_MAGIC)
        while True:
            header = stream.read(_HEADER.size)
            if len(header) < _HEADER.size:
                return end
            opcode, length = _HEADER.unpack(header)
            following = end + _HEADER.size + length
            if not 0 < opcode <= _HIGHEST_OPCODE or opcode in (_FOOTER, _DATA_END) \
                    or following > size:
                return end
            end = following
            stream.seek(end)


class SalvagedPath:
    """The path of a damaged file, opened as if it ended properly after ``size`` bytes.

    It has what ``rosbags`` asks of a path (its ``RPath`` protocol).
    """

    def __init__(self, path: Path, size: int) -> None:
        self._path, self._size = path, size

    def __str__(self) -> str:
        return str(self._path)

    def __truediv__(self, key: PurePath | str) -> Path:
        return self._path / key

    @property
    def stem(self) -> str:
        """Name without the last suffix."""
        return self._path.stem

    @property
    def suffix(self) -> str:
        """Last suffix."""
        return self._path.suffix

    def exists(self) -> bool:
        """Whether the file is there."""
        return self._path.exists()

    def is_dir(self) -> bool:
        """Return True: it is a file."""
        return False

    def open(self, *_: Any, **__: Any) -> BinaryIO:  # noqa: A003
        """Return the complete records and the footer."""
        return io.BufferedReader(_PrefixAndTail(self._path, self._size))

    def read_text(self, encoding: str | None = None) -> str:
        """Return the file is not text; only directories are asked for it."""
        return self._path.read_text(encoding)

    def stat(self, *, follow_symlinks: bool = True) -> Any:
        """Of the file itself."""
        return self._path.stat(follow_symlinks=follow_symlinks)


class _PrefixAndTail(io.RawIOBase):
    """The first bytes of a file, then the tail."""

    def __init__(self, path: Path, size: int) -> None:
        self._stream = path.open('rb')
        self._size, self._position = size, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position,
                 io.SEEK_END: self._size + len(_TAIL)}[whence]
        self._position = max(start + offset, 0)
        return self._position

    def readinto(self, buffer: Any) -> int:
        wanted = len(buffer)
        if self._position < self._size:
            self._stream.seek(self._position)
            data = self._stream.read(min(wanted, self._size - self._position))
        else:
            start = self._position - self._size
            data = _TAIL[start:start + wanted]
        buffer[:len(data)] = data
        self._position += len(data)
        return len(data)

    def close(self) -> None:
        self._stream.close()
        super().close()
