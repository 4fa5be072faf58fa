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

"""The contract of a model.onnx by itself: read from the file's metadata, without a session.

Whoever only wants to know what a model's objects are need not load its network.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from dr_perception.core.contract import METADATA_KEY, ModelContract
from dr_perception.core.errors import ContractError, ModelFileError

#: Larger files are refused before they are read.
MAX_MODEL_BYTES = 512 << 20
# Field numbers of onnx.proto: ModelProto.metadata_props; StringStringEntryProto.key and .value.
_METADATA_PROPS, _KEY, _VALUE = 14, 1, 2
_MAX_VARINT_BYTES = 10


def read_contract(path: str | Path) -> ModelContract:
    """Return the contract that a model.onnx carries.

    The graph is not looked at: that it agrees with the contract is the estimator's to check.

    Raises:
        ModelFileError: the file is missing, too large, or not ONNX.
        ContractError: it carries no contract, or one that cannot be used.
    """
    path = Path(path)
    if not path.is_file():
        raise ModelFileError(f'{path}: there is no such model file')
    if path.stat().st_size > MAX_MODEL_BYTES:
        raise ModelFileError(f'{path}: {path.stat().st_size} bytes; at most {MAX_MODEL_BYTES} '
                             'are accepted')
    try:
        entries = dict(_metadata(memoryview(path.read_bytes())))
        text = entries.get(METADATA_KEY)
    except OSError as error:
        raise ModelFileError(f'{path}: cannot be read ({error.strerror})') from error
    except ValueError as error:
        raise ModelFileError(f'{path}: is not a model.onnx ({error})') from error
    if text is None:
        raise ContractError(f'{path}: carries no dr_perception contract; export it with '
                            'python -m sim_trainer train')
    try:
        return ModelContract.from_json(text)
    except ContractError as error:
        raise ContractError(f'{path}: {error}') from error


def _metadata(model: memoryview) -> Iterator[tuple[str, str]]:
    """Return the entries of metadata_props of a serialized ModelProto."""
    for number, content in _fields(model):
        if number == _METADATA_PROPS:
            entry = dict(_fields(content))
            yield (bytes(entry.get(_KEY, b'')).decode('utf-8'),
                   bytes(entry.get(_VALUE, b'')).decode('utf-8'))


def _fields(message: memoryview) -> Iterator[tuple[int, memoryview]]:
    """Yield (number, content) of every field of a protobuf message; of numbers nothing is read.

    Source: protobuf.dev/programming-guides/encoding.

    Raises:
        ValueError: the bytes are no such message.
    """
    place = 0
    while place < len(message):
        tag, place = _varint(message, place)
        wire_type = tag & 7
        if wire_type == 0:
            length, place = 0, _varint(message, place)[1]
        elif wire_type == 2:
            length, place = _varint(message, place)
        elif wire_type in (1, 5):
            length = 8 if wire_type == 1 else 4
        else:
            raise ValueError(f'wire type {wire_type} at byte {place}')
        if place + length > len(message):
            raise ValueError(f'it ends {place + length - len(message)} bytes early')
        yield tag >> 3, message[place:place + length]
        place += length


def _varint(message: memoryview, place: int) -> tuple[int, int]:
    """Return a number of 7 bits a byte, the lowest first, and the place behind it."""
    value = 0
    for count in range(_MAX_VARINT_BYTES):
        if place + count >= len(message):
            raise ValueError('it ends within a number')
        byte = message[place + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, place + count + 1
    raise ValueError(f'a number of more than {_MAX_VARINT_BYTES} bytes at byte {place}')
