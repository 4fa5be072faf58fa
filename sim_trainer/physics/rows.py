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
