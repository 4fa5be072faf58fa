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
