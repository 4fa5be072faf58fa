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

"""Scene records on disk: JSON lines from which every picture can be drawn again, bit for bit.

File ``scene_records.jsonl``: one line a picture, ``{"version": 2, "picture_id": 7, "record":
{...}}``. A record is the tree of its dataclasses' fields; arrays are nested lists of float64. JSON
writes the shortest digits that read back as the same float, so nothing is lost.

Written and read by the type hints of the dataclasses alone: a new field needs no change here, but
``VERSION`` counts up when records of before can no longer be drawn. A field whose metadata has
'optional' is left out where it is None, as records of before it was there lack it.
"""

from __future__ import annotations

from collections.abc import Iterator
import dataclasses
from functools import lru_cache
import json
from pathlib import Path
import types
import typing
from typing import Any, TextIO

from dr_perception.core.errors import PerceptionError
import numpy as np
from sim_trainer.errors import DatasetError
from sim_trainer.scene.record import SceneRecord

FILE_NAME = 'scene_records.jsonl'
VERSION = 2
_LINE_KEYS = {'version', 'picture_id', 'record'}


def record_to_plain(record: SceneRecord) -> dict[str, Any]:
    """Return a record as JSON values, from which ``record_from_plain`` makes an equal one."""
    return _to_plain(record)


def record_from_plain(data: Any) -> SceneRecord:
    """Return the record of JSON values.

    Raises:
        DatasetError: a field is unknown, missing or of another type; names its dotted path.
    """
    return _from_plain(SceneRecord, data, 'record')


def write_record(stream: TextIO, picture_id: int, record: SceneRecord) -> None:
    """Append one line and hand it to the system, so that a killed process loses none."""
    line = {'version': VERSION, 'picture_id': picture_id, 'record': record_to_plain(record)}
    stream.write(json.dumps(line, separators=(',', ':')) + '\n')
    stream.flush()


def read_records(path: Path) -> Iterator[tuple[int, SceneRecord]]:
    """Picture ids and records of a file, line by line.

    A last line without its line end is what a killed process leaves; it is left out.

    Raises:
        DatasetError: the file cannot be read, or a line is damaged or of another version; names
            file and line.
    """
    try:
        with path.open(encoding='utf-8') as stream:
            for number, line in enumerate(stream, 1):
                if not line.endswith('\n'):
                    return
                try:
                    yield _parse(line)
                except DatasetError as error:
                    raise DatasetError(f'{path}, line {number}: {error}') from error
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
    except UnicodeDecodeError as error:
        raise DatasetError(f'{path}: damaged: {error}') from error


def _parse(line: str) -> tuple[int, SceneRecord]:
    try:
        data = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise DatasetError(f'damaged: not valid JSON ({error})') from error
    if not isinstance(data, dict) or 'version' not in data:
        raise DatasetError('damaged: expected an object with a version')
    if data['version'] != VERSION:
        raise DatasetError(f'version {data["version"]!r} of scene records is not known here; '
                           f'expected {VERSION}')
    if set(data) != _LINE_KEYS or type(data['picture_id']) is not int:
        raise DatasetError(f'damaged: has the keys {", ".join(sorted(data))}; expected '
                           f'{", ".join(sorted(_LINE_KEYS))}, picture_id a whole number')
    return data['picture_id'], record_from_plain(data['record'])


def _to_plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value):
        return {field.name: _to_plain(getattr(value, field.name))
                for field in dataclasses.fields(value)
                if getattr(value, field.name) is not None or not field.metadata.get('optional')}
    if isinstance(value, np.ndarray):
        return np.asarray(value, np.float64).tolist()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, (list, tuple)):
        return [_to_plain(item) for item in value]
    if isinstance(value, dict):
        return {key: _to_plain(item) for key, item in value.items()}
    return value


@lru_cache(maxsize=None)
def _hints(cls: type) -> dict[str, Any]:
    hints = typing.get_type_hints(cls)
    return {field.name: hints[field.name] for field in dataclasses.fields(cls)}


def _from_plain(hint: Any, data: Any, where: str) -> Any:
    """Return the value of one type hint."""
    origin, arguments = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if data is None and type(None) in arguments:
            return None
        [hint] = [a for a in arguments if a is not type(None)]
        return _from_plain(hint, data, where)
    if dataclasses.is_dataclass(hint):
        return _dataclass_from_plain(hint, data, where)
    if origin is tuple:
        return _tuple_from_plain(arguments, data, where)
    if origin is dict and isinstance(data, dict):
        return {key: _from_plain(arguments[1], item, f'{where}.{key}')
                for key, item in data.items()}
    if hint is np.ndarray or origin is np.ndarray:
        return _array_from_plain(data, where)
    if hint is float and type(data) in (float, int):
        return float(data)
    if hint in (int, bool, str) and type(data) is hint:
        return data
    raise DatasetError(f'{where}: got {_short(data)}; expected {getattr(hint, "__name__", hint)}')


def _dataclass_from_plain(cls: type, data: Any, where: str) -> Any:
    hints = _hints(cls)
    if not isinstance(data, dict):
        raise DatasetError(f'{where}: got {_short(data)}; expected the fields of a '
                           f'{cls.__name__}')
    optional = {field.name for field in dataclasses.fields(cls) if field.metadata.get('optional')}
    if not hints.keys() - optional <= data.keys() <= hints.keys():
        for name in data:
            if name not in hints:
                raise DatasetError(f'{where}.{name}: unknown field of a {cls.__name__}')
        missing = ', '.join(name for name in hints if name not in data and name not in optional)
        raise DatasetError(f'{where}: a {cls.__name__} lacks {missing}')
    values = {name: _from_plain(hint, data[name], f'{where}.{name}')
              for name, hint in hints.items() if name in data}
    try:
        return cls(**values)
    except (PerceptionError, ValueError) as error:
        raise DatasetError(f'{where}: {error}') from error


def _tuple_from_plain(arguments: tuple, data: Any, where: str) -> tuple:
    if not isinstance(data, list):
        raise DatasetError(f'{where}: got {_short(data)}; expected a list')
    if len(arguments) == 2 and arguments[1] is Ellipsis:
        arguments = arguments[:1] * len(data)
    if len(data) != len(arguments):
        raise DatasetError(f'{where}: got {len(data)} values; expected {len(arguments)}')
    return tuple(_from_plain(hint, item, f'{where}.{i}')
                 for i, (hint, item) in enumerate(zip(arguments, data)))


def _array_from_plain(data: Any, where: str) -> np.ndarray:
    try:
        if not isinstance(data, list):
            raise ValueError(f'got {_short(data)}')
        return np.array(data, np.float64)
    except (ValueError, TypeError) as error:
        raise DatasetError(f'{where}: {error}; expected nested lists of numbers') from error


def _short(data: Any) -> str:
    text = repr(data)
    return text if len(text) <= 60 else f'{text[:60]}...'
