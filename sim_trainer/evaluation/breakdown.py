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

"""Found rate and errors of groups of objects: by kind, by distance, by how much of them shows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
import math

import numpy as np
from sim_trainer.evaluation.matching import LEAST_VISIBLE
from sim_trainer.evaluation.records import InstanceRecord
from sim_trainer.evaluation.trust import wilson_interval

#: Edges of the groups by visible fraction: what shows less is not asked for.
VISIBLE_EDGES = tuple(np.round(np.arange(LEAST_VISIBLE, 1.05, 0.1), 6).tolist())
#: Groups by distance, about.
DISTANCE_BINS = 6


@dataclass(frozen=True)
class Group:
    """Some objects that were asked for; errors are of those found, None where none was.

    Attributes:
        label: for people, units included.
        count: asked for.
        found: of these.
        found_interval: where the share found lies with 95 % (Wilson), 0...1; None of no objects.
        error_mean_cm, error_median_cm: of the position.
        rotation_median_deg: modulo symmetry.
    """

    label: str
    count: int
    found: int
    found_interval: tuple[float, float] | None
    error_mean_cm: float | None
    error_median_cm: float | None
    rotation_median_deg: float | None

    @property
    def found_percent(self) -> float | None:
        """Share found in percent; None of no objects."""
        return 100 * self.found / self.count if self.count else None


def group(label: str, instances: Sequence[InstanceRecord]) -> Group:
    """Return the figures of some objects."""
    found = [i for i in instances if i.found]
    cm = [100 * i.position_error_m for i in found]
    degrees = np.degrees([i.rotation_error_rad for i in found])
    return Group(label, len(instances), len(found),
                 wilson_interval(len(found), len(instances)) if instances else None,
                 float(np.mean(cm)) if found else None, float(np.median(cm)) if found else None,
                 float(np.median(degrees)) if found else None)


def by_object(instances: Sequence[InstanceRecord], names: Sequence[str]) -> list[Group]:
    """Return a group for each name, those never asked for included."""
    return [group(name, [i for i in instances if i.object_name == name]) for name in names]


def by_distance(instances: Sequence[InstanceRecord], bins: int = DISTANCE_BINS) -> list[Group]:
    """Return groups by distance from the camera (m)."""
    edges = round_edges([i.distance_m for i in instances], bins)
    digits = max(0, -math.floor(math.log10(edges[1] - edges[0]) + 1e-9)) if edges else 0
    number = f'{{:.{digits}f}}'
    return _binned(instances, lambda i: i.distance_m, edges, f'{number}–{number}')


def by_visible(instances: Sequence[InstanceRecord]) -> list[Group]:
    """Return groups by visible fraction (labels in %); instances without one are in no group."""
    given = [i for i in instances if i.visible_fraction is not None]
    return _binned(given, lambda i: 100 * min(i.visible_fraction, 1.0),
                   [100 * edge for edge in VISIBLE_EDGES], '{:.0f}–{:.0f}') if given else []


def _binned(instances: Sequence[InstanceRecord], value: Callable[[InstanceRecord], float],
            edges: Sequence[float], label: str) -> list[Group]:
    places = bin_of([value(i) for i in instances], edges)
    return [group(label.format(low, high), [i for i, p in zip(instances, places) if p == number])
            for number, (low, high) in enumerate(zip(edges, edges[1:]))]


def bin_of(values: Sequence[float], edges: Sequence[float]) -> np.ndarray:
    """(N,) index of each value's bin: lower edge included; the last bin has its upper edge too.

    A value outside lies in the nearest bin.
    """
    return np.clip(np.searchsorted(edges, np.asarray(values, dtype=float), 'right') - 1,
                   0, len(edges) - 2)


def round_edges(values: Sequence[float], bins: int) -> list[float]:
    """Edges of at most about ``bins`` bins of a round width (1, 2 or 5 times 10^k) over values.

    No values have no edges; equal values have one bin.
    """
    if len(values) == 0:
        return []
    low, high = float(np.min(values)), float(np.max(values))
    least = max((high - low) / bins, 1e-3)
    power = 10.0 ** np.floor(np.log10(least))
    step = next(power * m for m in (1, 2, 5, 10) if power * m >= least * (1 - 1e-9))
    first = int(np.floor(low / step + 1e-9))
    last = max(int(np.ceil(high / step - 1e-9)), first + 1)
    return [round(k * step, 9) for k in range(first, last + 1)]
