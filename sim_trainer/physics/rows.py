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

"""Lists for PyBullet, which never lets go of the rows it is given."""

from __future__ import annotations

import numpy as np


class RowPool:
    """Turns arrays into lists of rows, always the same rows.

    PyBullet's ``createVisualShape`` and ``createCollisionShape`` keep a reference to every row of
    a list for ever, whatever becomes of the shape or the client. With new rows that is 200 to 340
    bytes a vertex (measured); with the same ones it is nothing.
    """

    def __init__(self) -> None:
        self._rows: list[list[float]] = []
        self._indices: list[int] = []

    def rows(self, values: np.ndarray) -> list[list[float]]:
        """``values.tolist()`` of (N, D); good until the next call."""
        self._rows += [[] for _ in range(len(values) - len(self._rows))]
        for row, new in zip(self._rows, values.tolist()):
            row[:] = new
        return self._rows[:len(values)]

    def indices(self, count: int) -> list[int]:
        """0 ... count - 1."""
        self._indices += range(len(self._indices), count)
        return self._indices[:count]
