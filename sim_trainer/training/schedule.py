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

from dataclasses import dataclass, replace
import math
import time

from sim_trainer.configuration.training import TrainingConfig

WARMUP_STEPS = 300
#: of the peak, at the end
FLOOR = 0.01
#: Steps between which the pace is measured to tell it: those before compile and fill caches.
PACE_STEPS = (10, 40)


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
        """Return that of a training; by the clock, the longest that it may have."""
        kind = settings.schedule if settings.minutes is None else 'constant'
        return cls(settings.steps, kind, settings.cooldown)

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

    def cooling_from(self, step: int) -> Schedule:
        """Return a shorter one that begins to cool down at ``step``, if there is one."""
        steps = max(step + 1, math.ceil(step / max(1 - self.cooldown, 1e-9)))
        while steps < self.steps:
            shorter = replace(self, steps=steps)
            if shorter.cooldown_begin >= step:
                return shorter
            steps += 1
        return self

    def snapshots(self, count: int) -> set[int]:
        """Return the steps that keep the averaged weights: ``count``, the end among them.

        They lie in the last half; where the rates are constant, in the cooldown: before it no
        weights are as good, and a training that is made shorter by the clock has them all.
        """
        span = self.steps / 2 if self.cooldown_begin is None else self.steps - self.cooldown_begin
        return {self.steps - round(i * span / count) for i in range(count)} if count else set()

    def begins_like(self, other: Schedule, steps: int) -> bool:
        """Return whether the first ``steps`` have the same learning rates in both."""
        return steps <= min(self.steps, other.steps) and all(
            self.part(step) == other.part(step) for step in range(steps))

    def __str__(self) -> str:
        """Return it as it stands in messages."""
        return f'{self.steps} steps, {self.kind}' + (
            f' with a cooldown of {self.cooldown:g}' if self.kind == 'constant' else '')


class Clock:
    """Tells when a training that ends by the clock has to cool down.

    Args:
        minutes: that it may take; None: it has as long as it needs.
        cooldown: part of the steps.
        spent_s: seconds that are gone already, of earlier parts of the training too.
        step: that it goes on from.
        trained_s: seconds that those steps took.
    """

    def __init__(self, minutes: float | None, cooldown: float, spent_s: float, step: int,
                 trained_s: float) -> None:
        self._s = math.inf if minutes is None else 60 * minutes
        self._cooling = cooldown / max(1 - cooldown, 1e-9)      # steps, by those before it
        self._before_s, self._begun = spent_s, time.monotonic()
        self._first, self._trained_s = step, trained_s
        self._paced_at = self._begun

    @property
    def spent_s(self) -> float:
        """Seconds that are gone."""
        return self._before_s + time.monotonic() - self._begun

    @property
    def left_s(self) -> float:
        """Seconds until the end."""
        return self._s - self.spent_s

    def is_time(self, step: int) -> bool:
        """Whether the cooldown of ``step`` steps takes what is left; asked once a step.

        The pace is the mean over the whole training, so that a moment's delay decides nothing;
        the first steps after a start, which compile, are left out.
        """
        if step - self._first == PACE_STEPS[0]:
            self._paced_at = time.monotonic()
        paced = step - min(PACE_STEPS[0], step - self._first)
        pace_s = ((self._trained_s + time.monotonic() - self._paced_at) / paced
                  if paced > PACE_STEPS[0] else 0.0)
        return pace_s * self._cooling * step >= self.left_s
