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

"""How learning rates run over a training, and which steps keep their weights."""

from __future__ import annotations

from dataclasses import dataclass
import math

from sim_trainer.configuration.training import TrainingConfig

WARMUP_STEPS = 300
#: of the peak, at the end
FLOOR = 0.01


@dataclass(frozen=True)
class Schedule:
    """What decides the learning rate of a step, as a part of its peak.

    cosine: half a period, down to 1 %. constant: the peak until the last ``cooldown`` of the
    steps, then down by the square root of their progress (Haegele et al. 2024, "Scaling Laws and
    Compute-Optimal Training Beyond Fixed Training Durations": as good as a cosine). Two
    trainings of different length are the same until the shorter one cools down.
    """

    steps: int
    kind: str = 'cosine'
    cooldown: float = 0.2

    @classmethod
    def of(cls, settings: TrainingConfig) -> Schedule:
        """Return that of a training."""
        return cls(settings.steps, settings.schedule, settings.cooldown)

    @property
    def cooldown_begin(self) -> int | None:
        """The steps before the cooldown; None for a cosine, which falls from the start."""
        if self.kind != 'constant':
            return None
        return self.steps - round(self.cooldown * self.steps)

    def part(self, step: int) -> float:
        """Return the learning rate of ``step`` (the first is 0), by its peak."""
        begin = self.cooldown_begin
        if begin is None:
            warmup = min(WARMUP_STEPS, max(1, self.steps // 10))
            fallen = 0.5 - 0.5 * math.cos(
                math.pi * max(0, step - warmup) / max(1, self.steps - warmup))
        else:
            warmup = WARMUP_STEPS       # of any length, so that the length may change later
            fallen = math.sqrt(max(0, step - begin) / max(1, self.steps - begin))
        return min(1.0, (step + 1) / warmup) * (1 - (1 - FLOOR) * fallen)

    def begins_like(self, other: Schedule, steps: int) -> bool:
        """Return whether the first ``steps`` have the same learning rates in both."""
        return steps <= min(self.steps, other.steps) and all(
            self.part(step) == other.part(step) for step in range(steps))

    def __str__(self) -> str:
        """Return it as it stands in messages."""
        return f'{self.steps} steps, {self.kind}' + (
            f' with a cooldown of {self.cooldown:g}' if self.kind == 'constant' else '')


def snapshot_steps(steps: int, count: int) -> set[int]:
    """Return the steps that keep the averaged weights: ``count`` in the last half, and the end."""
    return {steps - round(i * steps / (2 * count)) for i in range(count)} if count else set()
