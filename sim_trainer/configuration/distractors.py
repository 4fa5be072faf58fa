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

"""The distractors of a scene YAML: things on the table that are not to be localized."""

from __future__ import annotations

from dataclasses import dataclass
import math

from sim_trainer.configuration.laws import Range
from sim_trainer.errors import ConfigurationError

#: Kinds of distractors, in the order in which ``weights`` goes with them by default.
KINDS = ('primitives', 'near_misses', 'convex', 'concave', 'random_urdfs')
#: Kinds for validation: training draws one only where the scene YAML names it.
HELD_OUT_KINDS = ('household',)
#: A near miss as near as this (part of a dimension) could not be told from the object.
NEAREST_RATIO = 0.10


@dataclass(frozen=True)
class DistractorConfig:
    """How many distractors a picture holds, of which kinds and sizes."""

    #: distractors in one picture: whole number uniform in [low, high]
    count: Range = Range(0, 10)
    #: kinds: primitives (boxes, spheres, rings ... of any proportions), near_misses (the scene's
    #: own objects in clearly other sizes or proportions), convex (crystals, rounded lumps),
    #: concave (stars, L/T/U blocks, cups, tubes), random_urdfs (pybullet_data's 1,000 bodies),
    #: household (its toys: duck, teddy, mug, lego, ...; kept for validation unless named here)
    kinds: tuple[str, ...] = KINDS
    #: how often each kind is drawn, in the order of kinds, any scale; default: all equally often
    weights: tuple[float, ...] | None = None
    #: size of a distractor, metres, log-uniform; its proportions vary round it. Near misses have
    #: the size of their object instead
    size_m: Range = Range(0.015, 0.12)
    #: near misses: part by which a dimension differs from the object's, larger or smaller
    near_miss_ratio: Range = Range(0.15, 0.60)

    def __post_init__(self) -> None:
        if not 0 <= self.count.low <= self.count.high <= 100:
            raise ConfigurationError(f'distractors.count: [{self.count.low:g}, '
                                     f'{self.count.high:g}]; expected counts of 0...100')
        if not self.kinds:
            raise ConfigurationError('distractors.kinds: the list is empty; for no distractors '
                                     'write count: 0')
        for kind in self.kinds:
            if kind not in KINDS + HELD_OUT_KINDS:
                raise ConfigurationError(f'distractors.kinds: unknown kind {kind!r}; expected '
                                         f'some of {", ".join(KINDS + HELD_OUT_KINDS)}')
            if self.kinds.count(kind) > 1:
                raise ConfigurationError(f'distractors.kinds: {kind} stands twice; give it a '
                                         'larger weight instead')
        if self.weights is not None:
            self._check_weights(self.weights)
        if not 0.005 <= self.size_m.low <= self.size_m.high <= 1:
            raise ConfigurationError(
                f'distractors.size_m: [{self.size_m.low:g}, {self.size_m.high:g}] m; expected '
                'sizes of 0.005...1 m (metres, not millimetres)')
        if not NEAREST_RATIO < self.near_miss_ratio.low <= self.near_miss_ratio.high <= 0.9:
            raise ConfigurationError(
                f'distractors.near_miss_ratio: [{self.near_miss_ratio.low:g}, '
                f'{self.near_miss_ratio.high:g}]; expected above {NEAREST_RATIO:g} (nearer, it is '
                'the object) and at most 0.9')

    def _check_weights(self, weights: tuple[float, ...]) -> None:
        if len(weights) != len(self.kinds):
            raise ConfigurationError(f'distractors.weights: {len(weights)} numbers for '
                                     f'{len(self.kinds)} kinds; give one for each of '
                                     f'{", ".join(self.kinds)}')
        if min(weights) < 0 or not 0 < sum(weights) < math.inf:
            raise ConfigurationError(f'distractors.weights: {list(weights)}; expected numbers of '
                                     '0 or more, one of them above 0')
