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

"""Whether samples of an object agree well enough to act on, or why not. No ROS here."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import enum
import math

from dr_perception.core.symmetry import Symmetry
from dr_perception.ros.planning_scene.pose_agreement import mean_pose, seen_as, spread
import numpy as np


class Refusal(enum.Enum):
    """Why there is no answer; the value begins the text that the asker reads."""

    STALE = 'stale'
    NOT_SEEN = 'not seen'
    MOVING = 'moving'
    UNCERTAIN = 'uncertain'


@dataclass(frozen=True)
class SamplingRules:
    """When samples agree.

    Attributes:
        samples: this many in a row.
        max_spread_m, max_spread_rad: none farther than this from their mean.
        max_std_m: none of a larger standard deviation, in the direction in which it is largest.
        min_score: none of a smaller score.
    """

    samples: int = 5
    max_spread_m: float = 0.003
    max_spread_rad: float = math.radians(5.0)
    max_std_m: float = 0.01
    min_score: float = 0.0


@dataclass(frozen=True, eq=False)
class Sample:
    """One instance in one picture.

    Attributes:
        instance_name, object_name: as detected.
        T_plan_object: (4, 4).
        std_m: standard deviation of the position in its worst direction.
        score: 0 ... 1.
    """

    instance_name: str
    object_name: str
    T_plan_object: np.ndarray
    std_m: float
    score: float


@dataclass(frozen=True, eq=False)
class Agreement:
    """What the samples agree on: their mean, at the time of the newest."""

    instance_name: str
    T_plan_object: np.ndarray
    stamp_ns: int
    spread_m: float
    spread_rad: float


class PoseSampler:
    """Collects samples of what was asked for until enough of them agree.

    Args:
        wanted: name of an object (any instance of it) or of one instance.
        symmetries: object name -> its group.
        rules: when samples agree.
        not_before_ns: pictures older than this do not count.
    """

    def __init__(self, wanted: str, symmetries: Mapping[str, Symmetry], rules: SamplingRules,
                 not_before_ns: int = 0) -> None:
        self.wanted = wanted
        self._symmetries, self._rules = symmetries, rules
        self._not_before_ns = not_before_ns
        self._windows: dict[str, deque[Sample]] = {}
        self._pictures = self._old_pictures = self._sightings = 0
        self._others: set[str] = set()
        self._last_problem: tuple[Refusal, str] | None = None

    def add_picture(self, samples: Sequence[Sample], stamp_ns: int) -> Agreement | None:
        """Take over what one picture shows; the answer once there is one."""
        if stamp_ns < self._not_before_ns:
            self._old_pictures += 1
            return None
        self._pictures += 1
        matching = [sample for sample in samples
                    if self.wanted in (sample.instance_name, sample.object_name)]
        self._others |= {sample.instance_name for sample in samples} - {
            sample.instance_name for sample in matching}
        for name in set(self._windows) - {sample.instance_name for sample in matching}:
            del self._windows[name]     # in a row: a picture without it begins anew
        for sample in sorted(matching, key=lambda sample: -sample.score):
            answer = self._take(sample, stamp_ns)
            if answer is not None:
                return answer
        self._sightings += bool(matching)
        return None

    def refusal(self, waited_s: float, topic: str) -> tuple[Refusal, str]:
        """Why there is no answer yet, as a kind and one line."""
        kind, text = self._reason(topic)
        return kind, f'{kind.value}: {self.wanted} within {waited_s:g} s: {text}'

    def _reason(self, topic: str) -> tuple[Refusal, str]:
        if not self._pictures:
            if self._old_pictures:
                return Refusal.STALE, (f'all {self._old_pictures} detections on {topic} are of '
                                       'pictures older than was asked for (source_time)')
            return Refusal.STALE, (f'no detections on {topic}; is pose_estimator active, and does '
                                   'the camera publish?')
        if not self._sightings:
            seen = ', '.join(sorted(self._others)[:12]) or 'nothing'
            return Refusal.NOT_SEEN, f'not in {self._pictures} pictures, which show {seen}'
        return self._last_problem or (
            Refusal.NOT_SEEN, f'in {self._sightings} of {self._pictures} pictures, never in '
            f'{self._rules.samples} in a row')

    def _take(self, sample: Sample, stamp_ns: int) -> Agreement | None:
        rules = self._rules
        window = self._windows.setdefault(sample.instance_name, deque(maxlen=rules.samples))
        doubt = ''
        if not sample.std_m <= rules.max_std_m:         # NaN is no certainty either
            doubt = (f'standard deviation {1000 * sample.std_m:.1f} mm, at most '
                     f'{1000 * rules.max_std_m:g} mm is allowed (get_pose_max_std_m)')
        elif not sample.score >= rules.min_score:
            doubt = (f'score {sample.score:.2f}, at least {rules.min_score:g} is wanted '
                     '(min_score)')
        if doubt:
            self._last_problem = Refusal.UNCERTAIN, doubt
            window.clear()
            return None
        if window:
            T_plan_object = seen_as(self._symmetries.get(sample.object_name),
                                    window[-1].T_plan_object, sample.T_plan_object)
            sample = Sample(sample.instance_name, sample.object_name, T_plan_object,
                            sample.std_m, sample.score)
        window.append(sample)
        if len(window) < rules.samples:
            return None
        poses = [item.T_plan_object for item in window]
        T_plan_mean = mean_pose(poses)
        spread_m, spread_rad = spread(poses, T_plan_mean)
        if spread_m > rules.max_spread_m or spread_rad > rules.max_spread_rad:
            self._last_problem = Refusal.MOVING, (
                f'{rules.samples} samples lie up to {1000 * spread_m:.1f} mm and '
                f'{math.degrees(spread_rad):.1f} deg from their mean; at most '
                f'{1000 * rules.max_spread_m:g} mm (get_pose_max_spread_m) and '
                f'{math.degrees(rules.max_spread_rad):g} deg (get_pose_max_spread_deg) are '
                'allowed')
            return None
        return Agreement(sample.instance_name, T_plan_mean, stamp_ns, spread_m, spread_rad)
