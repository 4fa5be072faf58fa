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

"""A rosbag2 recording: its topics and its messages, as far as they can be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
import re
from typing import Any

from dr_perception.replay.errors import BagError
from dr_perception.replay.mcap_salvage import complete_size, SalvagedPath
from rosbags.rosbag2 import Reader
from rosbags.typesys import get_typestore, Stores

_SUFFIXES = ('.mcap', '.db3')
_LONGEST_REASON = 160


@dataclass(frozen=True)
class Topic:
    """One topic of a recording."""

    name: str
    kind: str
    count: int


class Bag:
    """An open recording; a context manager.

    Attributes:
        path: what was asked for.
        notes: one sentence for everything that could not be read so far.
    """

    def __init__(self, path: Path) -> None:
        """Open a recording.

        Args:
            path: a rosbag2 folder, or one .mcap or .db3 file. A folder without a usable
                metadata.yaml and an MCAP file that ends in the middle are read as far as they go.

        Raises:
            BagError: nothing is there, or nothing in it can be read.
        """
        self.path = path
        self.notes: list[str] = []
        self._typestore = get_typestore(Stores.ROS2_JAZZY)
        self._readers = self._open()
        self._readers.sort(key=lambda reader: reader.start_time)

    def __enter__(self) -> Bag:
        return self

    def __exit__(self, *_: object) -> None:
        for reader in self._readers:
            reader.close()

    @property
    def topics(self) -> list[Topic]:
        """All topics that have a message, by name."""
        counts: dict[tuple[str, str], int] = {}
        for reader in self._readers:
            for connection in reader.connections:
                key = connection.topic, connection.msgtype
                counts[key] = counts.get(key, 0) + connection.msgcount
        return [Topic(name, kind, count) for (name, kind), count in sorted(counts.items())
                if count]

    @property
    def start_ns(self) -> int:
        """When the first message was recorded."""
        return min(reader.start_time for reader in self._readers)

    @property
    def end_ns(self) -> int:
        """When the last message was recorded."""
        return max(reader.end_time for reader in self._readers)

    def messages(self, name: str, start_ns: int | None = None,
                 stop_ns: int | None = None) -> Iterator[tuple[int, bytes]]:
        """When a topic's messages were recorded, and their bytes, in that order.

        Where the recording is damaged the topic ends early, with a note.
        """
        for reader in self._readers:
            connections = [c for c in reader.connections if c.topic == name]
            if not connections:
                continue
            count = 0
            try:
                for _, recorded_ns, raw in reader.messages(connections, start_ns, stop_ns):
                    count += 1
                    yield recorded_ns, raw
            except Exception as error:  # parsers and decompressors raise many unrelated types
                self._note(f'{reader.path} is damaged: {name} could be read up to its message '
                           f'{count} ({_reason(error)})')

    def decode(self, raw: bytes, kind: str) -> Any:
        """Return the message of its bytes, with the fields that the ROS class has.

        Raises:
            BagError: the bytes are no such message.
        """
        try:
            return self._typestore.deserialize_cdr(raw, kind)
        except Exception as error:  # struct, numpy, unicode and assertion errors alike
            raise BagError(f'a damaged {kind} message of {len(raw)} bytes '
                           f'({_reason(error)})') from error

    def _note(self, text: str) -> None:
        if text not in self.notes:
            self.notes.append(text)

    def _open(self) -> list[Reader]:
        path = self.path
        if not path.exists():
            raise BagError(f'{path}: there is no such file or folder; give a rosbag2 folder, or '
                           'an .mcap or .db3 file')
        if path.suffix == '.bag':
            raise BagError(f'{path}: is a ROS 1 bag; convert it first: rosbags-convert --src '
                           f'{path} --dst {path.with_suffix("")}')
        if not path.is_dir():
            if path.suffix not in _SUFFIXES:
                raise BagError(f'{path}: is no recording that can be read; expected a rosbag2 '
                               'folder, or a file named .mcap or .db3')
            return [self._open_file(path)]
        if (path / 'metadata.yaml').exists():
            try:
                return [_opened(path)]
            except Exception as error:  # damaged YAML, missing or damaged files
                self._note(f'{path} cannot be read as a whole ({_reason(error)}): its files are '
                           'read one by one')
        return self._open_files(path)

    def _open_files(self, folder: Path) -> list[Reader]:
        paths = sorted((p for p in folder.iterdir() if p.suffix in _SUFFIXES), key=_by_number)
        if not paths:
            raise BagError(f'{folder}: holds no recording; expected metadata.yaml with .mcap or '
                           '.db3 files')
        if not (folder / 'metadata.yaml').exists():
            self._note(f'{folder} has no metadata.yaml (the recorder was killed?): its files are '
                       'read one by one')
        readers: list[Reader] = []
        errors: list[BagError] = []
        for path in paths:
            try:
                readers.append(self._open_file(path))
            except BagError as error:
                errors.append(error)
        if not readers:
            raise errors[0]
        for error in errors:
            self._note(f'{error}; left out')
        return readers

    def _open_file(self, path: Path) -> Reader:
        try:
            return _opened(path)
        except Exception as error:  # parsers raise many unrelated types
            if path.suffix == '.db3':
                raise BagError(
                    f'{path}: is no SQLite recording or is damaged ({_reason(error)}); try: '
                    f'sqlite3 {path} .recover | sqlite3 recovered.db3') from error
            size, whole = complete_size(path), path.stat().st_size
            problem = BagError(f'{path}: is no MCAP recording or is damaged ({_reason(error)}); '
                               'try: mcap recover')
            if not size:
                raise problem from error
        try:
            reader = _opened(SalvagedPath(path, size))
        except Exception as error:
            raise problem from error
        self._note(f'{path} ends in the middle (the recorder was killed, or the copy is not '
                   f'complete): {size} of its {whole} bytes are used')
        return reader


def _opened(path: Path | SalvagedPath) -> Reader:
    reader = Reader(path)
    reader.open()
    return reader


def _reason(error: Exception) -> str:
    text = ' '.join(str(error).split()) or type(error).__name__
    return text if len(text) <= _LONGEST_REASON else text[:_LONGEST_REASON] + '...'


def _by_number(path: Path) -> list[tuple[int, str]]:
    """Sort key: bag_10 comes after bag_9."""
    return [(int(part), '') if part.isdigit() else (-1, part)
            for part in re.split(r'(\d+)', path.name)]
