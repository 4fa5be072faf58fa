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

"""Errors by what could cause them: distance, place on the table, light."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dr_perception.core.transforms import transform_points
import numpy as np
from sim_trainer.evaluation.breakdown import by_distance, Group, group
from sim_trainer.evaluation.records import InstanceRecord, SetRecords
from sim_trainer.real_gap.examined import Examined

#: Fewer objects than this in every group are not divided.
_LEAST = 4


def by_circumstance(records: SetRecords, examined: Sequence[Examined]) -> dict[str, list[Group]]:
    """Return groups by 'distance, m', 'place' and 'brightness'; what is all one is left out."""
    instances = records.instances
    found = {'distance, m': [g for g in by_distance(instances, 4) if g.count]}
    places = _places(instances, examined)
    if places is not None:
        found['place (base x, y)'] = _halves(instances, places, ('x', 'y'))
    light = np.array([examined[i.picture].statistics['brightness'] for i in instances])
    found['brightness'] = _thirds(instances, light)
    return {name: groups for name, groups in found.items() if len(groups) > 1}


def _places(instances: Sequence[InstanceRecord], examined: Sequence[Examined]
            ) -> np.ndarray | None:
    """(N, 2) where each stands in the base frame; None where that is not known."""
    places = []
    for record in instances:
        picture = examined[record.picture].picture
        if picture.T_base_camera is None:
            return None
        truth = picture.instances[record.instance].T_camera_object
        places.append(transform_points(picture.T_base_camera, truth[None, :3, 3])[0, :2])
    return np.array(places).reshape(-1, 2)


def _halves(instances: Sequence[InstanceRecord], places: np.ndarray, names: tuple[str, str]
            ) -> list[Group]:
    if len(instances) < 2 * _LEAST:
        return []
    middle = np.median(places, axis=0)
    groups = []
    for high in ((False, False), (False, True), (True, False), (True, True)):
        label = ', '.join(f'{name} {">" if h else "<"} {m:.2f}'
                          for name, h, m in zip(names, high, middle))
        chosen = ((places > middle) == high).all(1)
        groups.append(group(label, [i for i, c in zip(instances, chosen) if c]))
    return [g for g in groups if g.count]


def _thirds(instances: Sequence[InstanceRecord], values: np.ndarray) -> list[Group]:
    if len(instances) < 3 * _LEAST or np.ptp(values) < 8:
        return []
    low, high = np.quantile(values, [1 / 3, 2 / 3])
    tests: list[tuple[str, Callable[[float], bool]]] = [
        (f'dark (below {low:.0f})', lambda v: v <= low),
        (f'middle ({low:.0f}–{high:.0f})', lambda v: low < v <= high),
        (f'bright (above {high:.0f})', lambda v: v > high)]
    groups = [group(label, [i for i, v in zip(instances, values) if test(v)])
              for label, test in tests]
    return [g for g in groups if g.count]
