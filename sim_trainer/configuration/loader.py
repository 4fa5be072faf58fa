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

"""Strict YAML to dataclasses: unknown and duplicate keys fail, and an error says where and why."""

from __future__ import annotations

from collections.abc import Hashable
import dataclasses
import difflib
from pathlib import Path
import reprlib
import sys
import types
import typing
from typing import Any, TypeVar

from sim_trainer.errors import ConfigurationError
import yaml

T = TypeVar('T')
#: A scene file is a few kilobytes; anything larger is a mistake or an attack on the parser.
MAX_FILE_BYTES = 1 << 20
_MAX_TEXT = 100

_repr = reprlib.Repr()
_repr.maxstring = _repr.maxother = _repr.maxlong = _MAX_TEXT
_repr.maxlevel = 2


class _StrictLoader(yaml.SafeLoader):
    """Safe YAML without duplicate keys (PyYAML silently keeps the last one)."""


def _construct_mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict:
    seen: dict[Any, int] = {}
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        line = key_node.start_mark.line + 1
        if not isinstance(key, Hashable):
            raise ConfigurationError(f'line {line}: key {shorten(key)} is not text; did you '
                                     'forget quotes or a comma?')
        if key in seen:
            raise ConfigurationError(
                f'line {line}: key {shorten(key)} stands twice (first in line {seen[key]}); '
                'remove one of them')
        seen[key] = line
    return yaml.SafeLoader.construct_mapping(loader, node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _construct_mapping)


def read_yaml(path: Path) -> dict[str, Any]:
    """Return the mapping that a YAML file holds.

    Raises:
        ConfigurationError: missing, too large, not YAML, or not a mapping.
    """
    if not path.is_file():
        raise ConfigurationError(f'{path}: there is no such file; give the path of a scene YAML '
                                 '(config/tabletop.yaml is the reference scene)')
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigurationError(f'{path}: {path.stat().st_size} bytes; a scene YAML has at most '
                                 f'{MAX_FILE_BYTES}')
    try:
        data = _parse(path.read_text(encoding='utf-8'))
    except ConfigurationError as error:
        raise ConfigurationError(f'{path}: {error}') from error
    except UnicodeDecodeError as error:
        raise ConfigurationError(f'{path}: not valid YAML: {error}') from error
    if data is None:
        raise ConfigurationError(f'{path}: is empty; config/tabletop.yaml is the reference scene, '
                                 'python -m sim_trainer init writes one for your lab')
    if not isinstance(data, dict):
        raise ConfigurationError(f'{path}: holds a {type(data).__name__}; expected a mapping of '
                                 'keys to values')
    return data


def _parse(text: str) -> Any:
    try:
        return yaml.load(text, Loader=_StrictLoader)  # a safe subclass: it runs no code
    except ConfigurationError:
        raise
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        # ValueError: dates and numbers that Python refuses, such as 2026-13-45.
        raise ConfigurationError(f'not valid YAML: {" ".join(str(error).split())}') from error


def shorten(value: Any) -> str:
    """``repr`` for error messages, of bounded length.

    A kilobyte of nested YAML aliases is a value whose whole ``repr`` fills the memory.
    """
    return _repr.repr(value)


def apply_overrides(data: dict[str, Any], overrides: list[str]) -> None:
    """Set dotted keys in place, as ``--set training.steps=100`` does."""
    for item in overrides:
        key, separator, text = item.partition('=')
        item = item if len(item) <= _MAX_TEXT else item[:_MAX_TEXT] + '...'
        if not separator or not key:
            raise ConfigurationError(f'--set {item}: expected KEY.PATH=VALUE')
        target: Any = data
        *parents, last = key.split('.')
        for part in parents:
            if isinstance(target, list) and part.isdigit() and int(part) < len(target):
                target = target[int(part)]
            elif isinstance(target, dict):
                target = target.setdefault(part, {})
            else:
                raise ConfigurationError(f'--set {item}: {part!r} is not inside a mapping')
        try:
            value = _parse(text)
        except ConfigurationError as error:
            raise ConfigurationError(f'--set {item}: {shorten(text)} is not a YAML value '
                                     f'({error})') from error
        if isinstance(target, list) and last.isdigit() and int(last) < len(target):
            target[int(last)] = value
        elif isinstance(target, dict):
            target[last] = value
        else:
            raise ConfigurationError(f'--set {item}: {last!r} is not inside a mapping')


def build(cls: type[T], data: Any, path: str = '') -> T:
    """Return an instance of the dataclass ``cls`` from plain values.

    Raises:
        ConfigurationError: names the dotted path, what it got and what it takes.
    """
    if not isinstance(data, dict):
        raise ConfigurationError(f'{path or "the file"}: got {shorten(data)}; expected a mapping '
                                 f'with the keys {", ".join(_names(cls))}')
    hints = typing.get_type_hints(cls)
    names = _names(cls)
    for key in data:
        if key not in names:
            close = difflib.get_close_matches(str(key), names, n=1)
            hint = (f'; did you mean {close[0]!r}?' if close
                    else f'; expected one of {", ".join(names)}')
            raise ConfigurationError(f'{_join(path, key)}: unknown key{hint}')
    values = {}
    for field in dataclasses.fields(cls):
        where = _join(path, field.name)
        if field.name in data:
            values[field.name] = _convert(hints[field.name], data[field.name], where)
        elif (field.default is dataclasses.MISSING
              and field.default_factory is dataclasses.MISSING):
            raise ConfigurationError(f'{where}: missing; this key is required')
    try:
        return cls(**values)
    except ConfigurationError:
        raise
    except ValueError as error:
        raise ConfigurationError(f'{path}: {error}' if path else str(error)) from error


def to_plain(value: Any) -> Any:
    """Plain values from which ``build`` makes an equal dataclass.

    What is None, and None by default, is left out.
    """
    if dataclasses.is_dataclass(value):
        if hasattr(value, 'to_yaml'):
            return value.to_yaml()
        return {field.name: to_plain(getattr(value, field.name))
                for field in dataclasses.fields(value)
                if getattr(value, field.name) is not None or field.default is not None}
    return [to_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _names(cls: type) -> list[str]:
    return [field.name for field in dataclasses.fields(cls)]


def _join(path: str, key: Any) -> str:
    return f'{path}.{key}' if path else str(key)


def _convert(hint: Any, value: Any, where: str) -> Any:
    origin, args = typing.get_origin(hint), typing.get_args(hint)
    if origin in (types.UnionType, typing.Union):
        if value is None:
            return None
        kinds = [a for a in args if a is not type(None)]
        is_list = isinstance(value, (list, tuple))
        return _convert(next((a for a in kinds if (typing.get_origin(a) is tuple) == is_list),
                             kinds[0]), value, where)
    if dataclasses.is_dataclass(hint):
        parse = getattr(hint, 'from_yaml', None)
        return parse(value, where) if parse else build(hint, value, where)
    if origin is tuple:
        return _convert_tuple(args, value, where)
    if hint is float:
        return to_float(value, where)
    if hint is bool and isinstance(value, bool):
        return value
    if hint is int and isinstance(value, int) and not isinstance(value, bool):
        return value
    if hint is str and isinstance(value, str):
        return value
    raise ConfigurationError(f'{where}: got {shorten(value)}; expected {_describe(hint)}')


def _convert_tuple(args: tuple, value: Any, where: str) -> tuple:
    if not isinstance(value, (list, tuple)):
        raise ConfigurationError(f'{where}: got {shorten(value)}; expected a list')
    if len(args) == 2 and args[1] is Ellipsis:
        return tuple(_convert(args[0], v, f'{where}.{i}') for i, v in enumerate(value))
    if len(value) != len(args):
        raise ConfigurationError(f'{where}: got {len(value)} values; expected {len(args)}')
    return tuple(_convert(a, v, f'{where}.{i}') for i, (a, v) in enumerate(zip(args, value)))


def to_float(value: Any, where: str) -> float:
    """Return a finite float, or an error; numbers in quotes and booleans are not numbers."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        hint = ''
        if isinstance(value, str):
            # YAML 1.1 reads 1e-4 as text; the dot makes it a number.
            hint = ' (write 1.0e-4, not 1e-4)' if 'e' in value.lower() else ' (no unit, no quotes)'
        raise ConfigurationError(f'{where}: got {shorten(value)}; expected a number{hint}')
    if not abs(value) <= sys.float_info.max:     # also false for NaN
        raise ConfigurationError(f'{where}: got {shorten(value)}; expected a finite number')
    return float(value)


def _describe(hint: Any) -> str:
    return {bool: 'true or false', int: 'a whole number', str: 'text'}.get(hint, str(hint))
