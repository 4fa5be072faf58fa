"""How far the work is."""

from __future__ import annotations

import sys


class ProgressLine:
    """How far the work is, on standard error; silent where that is not a terminal."""

    def __init__(self, total: int) -> None:
        self._total, self._done = max(total, 1), 0
        self._is_shown = sys.stderr.isatty()

    def step(self) -> None:
        """One more picture is done."""
        self._done += 1
        if self._is_shown:
            sys.stderr.write(f'\r{self._done} of about {self._total} pictures')
            sys.stderr.flush()

    def close(self) -> None:
        """End the line."""
        if self._is_shown and self._done:
            sys.stderr.write('\n')
