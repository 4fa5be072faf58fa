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

"""``log.jsonl`` read as curves."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np

#: Keys of a row that are no curve.
_NOT_CURVES = ('step', 'time_s')


def read_curves(path: Path | None) -> dict[str, np.ndarray]:
    """(N, 2) of step and value for every key of the log, in the order in which keys appear.

    A row may lack a key, as one measured now and then. A missing file has no curves, and a line
    that is no JSON (the last one, of a run that was cut off) is passed over.
    """
    if path is None or not path.is_file():
        return {}
    points: dict[str, list[tuple[float, float]]] = {}
    for line in path.read_text(encoding='utf-8', errors='replace').splitlines():
        try:
            row = json.loads(line)
        except ValueError:
            continue
        if not isinstance(row, dict) or not _is_number(row.get('step')):
            continue
        for key, value in row.items():
            if key not in _NOT_CURVES and _is_number(value):
                points.setdefault(key, []).append((row['step'], value))
    return {key: np.array(rows, dtype=float) for key, rows in points.items()}


def _is_number(value: object) -> bool:
    return (isinstance(value, (int, float)) and not isinstance(value, bool)
            and math.isfinite(value))
