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

"""What a replay comes to: counts, times, and figures of every instance."""

from __future__ import annotations

from dataclasses import dataclass, field
import re

from dr_perception.replay.records import PoseRecord
import numpy as np


@dataclass(frozen=True)
class StageTime:
    """Milliseconds of one step of the work, over all pictures."""

    stage: str
    median_ms: float
    p95_ms: float


@dataclass(frozen=True, eq=False)
class InstanceFigures:
    """One instance over the recording.

    Attributes:
        instance_name, frame: as in the records; an instance seen in two frames has two entries.
        found_share: pictures of that frame in which it was found, of all that were used.
        mean_m: (3,) mean position.
        spread_m: (3,) standard deviation of the position along the frame's axes.
        median_score: of all its records.
        out_of_range_share: records that lie outside of what training covered.
    """

    instance_name: str
    frame: str
    found_share: float
    mean_m: np.ndarray
    spread_m: np.ndarray
    median_score: float
    out_of_range_share: float


class Reasons:
    """Counts of sentences; those that differ in their numbers alone count as one."""

    def __init__(self) -> None:
        self._first: dict[str, str] = {}
        self._counts: dict[str, int] = {}

    def add(self, text: str) -> None:
        """One more."""
        key = re.sub(r'\d+(\.\d+)?', '#', text)
        self._first.setdefault(key, text)
        self._counts[key] = self._counts.get(key, 0) + 1

    def total(self) -> int:
        """All of them."""
        return sum(self._counts.values())

    def most_common(self) -> list[tuple[str, int]]:
        """Return the first sentence of each kind and the count, the most frequent first."""
        return sorted(((self._first[key], count) for key, count in self._counts.items()),
                      key=lambda entry: -entry[1])


@dataclass
class Summary:
    """Collects while the pictures go by.

    Attributes:
        used: pictures that were estimated.
        skipped: pictures that could not be used, by reason.
        without_base: pictures without the camera's pose in the base frame, by reason.
        instances: records by (instance, frame): (position (3,), score, is out of range).
        times_ms: by stage.
        is_interrupted: the user stopped it before the end.
    """

    used: int = 0
    skipped: Reasons = field(default_factory=Reasons)
    without_base: Reasons = field(default_factory=Reasons)
    instances: dict[tuple[str, str], list[tuple[np.ndarray, float, bool]]] = field(
        default_factory=dict)
    times_ms: dict[str, list[float]] = field(default_factory=dict)
    is_interrupted: bool = False

    def add_frame(self, timing_ms: dict[str, float], problem: str) -> None:
        """One picture was estimated."""
        self.used += 1
        if problem:
            self.without_base.add(problem)
        for stage, ms in timing_ms.items():
            self.times_ms.setdefault(stage, []).append(ms)
        self.times_ms.setdefault('all', []).append(sum(timing_ms.values()))

    def add_record(self, record: PoseRecord) -> None:
        """One instance was found."""
        self.instances.setdefault((record.instance_name, record.frame), []).append(
            (record.T_frame_object[:3, 3].copy(), record.score, bool(record.out_of_range)))

    def stages(self) -> list[StageTime]:
        """Median and 95th percentile of every step; the last is their sum."""
        names = [name for name in self.times_ms if name != 'all']
        names += ['all'] if self.times_ms else []
        return [StageTime(name, *(float(v) for v in np.percentile(self.times_ms[name], [50, 95])))
                for name in names]

    def figures(self) -> list[InstanceFigures]:
        """Every instance, by name."""
        return [_figures(name, frame, records, self.used)
                for (name, frame), records in sorted(self.instances.items())]

    def record_count(self) -> int:
        """All records."""
        return sum(map(len, self.instances.values()))

    def out_of_range_share(self) -> float:
        """Return the share of records outside of what training covered."""
        flags = [flag for records in self.instances.values() for _, _, flag in records]
        return float(np.mean(flags)) if flags else 0.0


def _figures(name: str, frame: str, records: list[tuple[np.ndarray, float, bool]],
             used: int) -> InstanceFigures:
    positions_m = np.array([position for position, _, _ in records])
    return InstanceFigures(
        name, frame, len(records) / used, positions_m.mean(0), positions_m.std(0),
        float(np.median([score for _, score, _ in records])),
        float(np.mean([flag for _, _, flag in records])))
