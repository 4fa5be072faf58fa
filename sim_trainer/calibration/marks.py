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

"""Marks at known positions, as tape crosses on the table: read from a CSV or YAML file."""

from __future__ import annotations

from collections.abc import Mapping
import csv
import math
from pathlib import Path
from typing import Any

import numpy as np
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.points import ImagePoints
import yaml

COLUMNS = ('u_px', 'v_px', 'x_m', 'y_m', 'z_m')
#: A mark that a person has clicked on.
SIGMA_PX = 1.0
_FORM = ('expected the columns u_px,v_px,x_m,y_m,z_m (CSV with that first line, or a YAML list of '
         'mappings), and name if you like')
_FARTHEST_M = 20.0


def read_marks(path: Path, sigma_m: float) -> ImagePoints:
    """Return the marks of a file.

    Args:
        path: .csv, .yaml or .yml.
        sigma_m: how well the marks' places are measured, standard deviation per axis.

    Raises:
        CalibrationError: the file cannot be read, or a row is wrong; names the row.
    """
    try:
        text = path.read_text(encoding='utf-8-sig')
    except (OSError, UnicodeDecodeError) as error:
        raise CalibrationError(f'{path}: cannot be read ({error}); {_FORM}') from error
    rows = _yaml_rows(path, text) if path.suffix in ('.yaml', '.yml') else _csv_rows(path, text)
    values, names = [], []
    for number, row in enumerate(rows, 1):
        values.append([_number(path, number, row, column) for column in COLUMNS])
        names.append(str(row.get('name') or f'mark {number}'))
    if len(set(names)) < len(names):
        double = next(name for name in names if names.count(name) > 1)
        raise CalibrationError(f'{path}: the name {double!r} stands twice; names are unique')
    table = np.array(values, dtype=float).reshape(-1, 5)
    return ImagePoints(tuple(names), table[:, 2:], table[:, :2], SIGMA_PX, sigma_m)


def _csv_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    lines = [line for line in text.splitlines() if line.strip() and not line.startswith('#')]
    reader = csv.DictReader(lines, skipinitialspace=True)
    head = [name.strip() for name in reader.fieldnames or []]
    _check_columns(path, head)
    reader.fieldnames = head
    return list(reader)


def _yaml_rows(path: Path, text: str) -> list[Mapping[str, Any]]:
    try:
        rows = yaml.safe_load(text)
    except yaml.YAMLError as error:
        raise CalibrationError(f'{path}: not valid YAML ({" ".join(str(error).split())}); '
                               f'{_FORM}') from error
    rows = rows.get('marks') if isinstance(rows, Mapping) else rows
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise CalibrationError(f'{path}: holds no list of marks; {_FORM}')
    for row in rows:
        _check_columns(path, list(row))
    return rows


def _check_columns(path: Path, names: list[str]) -> None:
    missing = [column for column in COLUMNS if column not in names]
    if missing:
        raise CalibrationError(f'{path}: without {", ".join(missing)}; {_FORM}')


def _number(path: Path, row_number: int, row: Mapping[str, Any], column: str) -> float:
    try:
        value = float(row[column])
    except (TypeError, ValueError):
        value = math.nan
    if not math.isfinite(value):
        raise CalibrationError(f'{path}: mark {row_number}: {column} is {row[column]!r}; expected '
                               'a number')
    if column.endswith('_m') and abs(value) > _FARTHEST_M:
        raise CalibrationError(f'{path}: mark {row_number}: {column} is {value:g}; give metres, '
                               'not millimetres')
    return value
