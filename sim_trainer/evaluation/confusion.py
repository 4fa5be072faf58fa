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

"""Which kind was taken for which."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sim_trainer.evaluation.records import SetRecords


@dataclass(frozen=True, eq=False)
class Confusion:
    """Counts of what was there and what was reported.

    Attributes:
        names: (N) kinds, of the rows and the columns.
        counts: (N + 1, N + 1) int; row: the true kind, last nothing (or a distractor); column:
            the reported kind, last missed. Nothing reported as nothing is not counted.
    """

    names: tuple[str, ...]
    counts: np.ndarray


def confusion(records: SetRecords, names: Sequence[str]) -> Confusion:
    """Return the matrix of a set.

    A wrong detection counts in the row of the nearest true kind (within ``FORGIVEN_M``), so the
    diagonal holds the objects found and those reported as themselves but too far off. An object
    reported twice counts twice. Forgiven detections count nowhere, as do kinds that ``names``
    lacks.
    """
    place = {name: i for i, name in enumerate(names)}
    nothing = missed = len(place)
    counts = np.zeros((len(place) + 1, len(place) + 1), dtype=int)
    for detection in records.detections:
        if detection.right is None or detection.object_name not in place:
            continue
        row = place.get(detection.nearest_kind, nothing)
        counts[row, place[detection.object_name]] += 1
    for instance in records.instances:
        if instance.reported_as is None and instance.object_name in place:
            counts[place[instance.object_name], missed] += 1
    return Confusion(tuple(names), counts)
