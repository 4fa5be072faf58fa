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

"""Ranges outside of a training's ranges."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from sim_trainer.configuration.laws import Range


@dataclass(frozen=True)
class GapRange(Range):
    """A law uniform over [low, high] but for the gap between ``below`` and ``above``.

    Of use where a law is drawn by ``sample``; no scene YAML can give it.
    """

    below: float
    above: float

    def to_yaml(self) -> list[list[float]]:
        """Both parts; ``Range.from_yaml`` refuses them."""
        return [[self.low, self.below], [self.above, self.high]]

    def sample(self, rng: np.random.Generator) -> float:
        """One draw."""
        value = float(rng.uniform(self.low, self.high - (self.above - self.below)))
        return value if value <= self.below else value + (self.above - self.below)

    def sample_int(self, rng: np.random.Generator) -> int:
        """Not for whole numbers."""
        raise NotImplementedError('a GapRange has no whole draws')


@dataclass(frozen=True)
class Beyond:
    """Past one end of a range: above it where ``limit`` is the law's upper side, else below."""

    #: past the default range
    law: Range
    #: where nobody could work any more
    limit: float

    def outside(self, trained: Range) -> Range | None:
        """Move the law on where ``trained`` reaches into it; None without room up to the limit.

        The distance from ``trained`` is at least a quarter of the law's width.
        """
        width = self.law.high - self.law.low
        if self.limit >= self.law.high:
            low = max(self.law.low, trained.high + width / 4)
            high = min(max(self.law.high, low + width), self.limit)
        else:
            high = min(self.law.high, trained.low - width / 4)
            low = max(min(self.law.low, high - width), self.limit)
        return Range(low, high) if low < high else None


@dataclass(frozen=True)
class Around:
    """Past both ends of a range, or past the one that leaves room."""

    below: Beyond
    above: Beyond

    def outside(self, trained: Range) -> Range | None:
        """As ``Beyond.outside``."""
        below, above = self.below.outside(trained), self.above.outside(trained)
        if below is None or above is None:
            return below or above
        return GapRange(below.low, above.high, below.high, above.low)
