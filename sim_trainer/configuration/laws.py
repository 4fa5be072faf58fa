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

"""Random laws that a scene YAML can give: ranges and chances, each checked where it is read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from sim_trainer.configuration.loader import shorten, to_float
from sim_trainer.errors import ConfigurationError


@dataclass(frozen=True)
class Range:
    """A uniform law: ``x ~ U(low, high)``."""

    low: float
    high: float

    @classmethod
    def from_yaml(cls, value: Any, where: str) -> Range:
        """Parse ``[low, high]`` or a single number."""
        if isinstance(value, list):
            if len(value) != 2:
                raise ConfigurationError(f'{where}: got {shorten(value)}; expected [low, high]')
            low, high = (to_float(v, where) for v in value)
        else:
            low = high = to_float(value, where)
        if low > high:
            raise ConfigurationError(f'{where}: low {low:g} is above high {high:g}; swap them')
        return cls(low, high)

    def to_yaml(self) -> list[float]:
        """Return the inverse of ``from_yaml``."""
        return [self.low, self.high]

    def sample(self, rng: np.random.Generator) -> float:
        """One draw."""
        return float(rng.uniform(self.low, self.high))

    def sample_int(self, rng: np.random.Generator) -> int:
        """One whole draw, both ends included."""
        return int(rng.integers(round(self.low), round(self.high) + 1))


@dataclass(frozen=True)
class Chance:
    """A probability, 0...1."""

    probability: float

    @classmethod
    def from_yaml(cls, value: Any, where: str) -> Chance:
        """Parse one number."""
        probability = to_float(value, where)
        if not 0 <= probability <= 1:
            raise ConfigurationError(f'{where}: {probability:g}; expected a chance, 0...1')
        return cls(probability)

    def to_yaml(self) -> float:
        """Return the inverse of ``from_yaml``."""
        return self.probability

    def happens(self, rng: np.random.Generator) -> bool:
        """One draw."""
        return bool(rng.random() < self.probability)
