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

"""Names for instances, `<object>_<n>`, that stay with an object from frame to frame."""

from __future__ import annotations

import numpy as np

#: An instance that moved farther than this between two frames gets another number.
LARGEST_STEP_M = 0.10
#: A number that was not seen for so long is free again.
MEMORY_S = 2.0


class InstanceNamer:
    """Numbers instances of each object from 0; each keeps its number while it stays near."""

    def __init__(self) -> None:
        self._known: dict[str, dict[int, tuple[np.ndarray, float]]] = {}

    def assign(self, found: list[tuple[str, np.ndarray]], now_s: float) -> list[str]:
        """Names for the instances of one frame.

        Args:
            found: (object name, position (3,) in metres in a frame at rest), best score first.
            now_s: the frame's time; a jump backwards forgets everything.
        """
        names = [''] * len(found)
        for object_name in {name for name, _ in found}:
            known = self._known.setdefault(object_name, {})
            for number in [n for n, (_, seen_s) in known.items()
                           if not 0 <= now_s - seen_s <= MEMORY_S]:
                del known[number]
            indices = [i for i, (name, _) in enumerate(found) if name == object_name]
            pairs = sorted(
                (float(np.linalg.norm(found[i][1] - place)), i, number)
                for i in indices for number, (place, _) in known.items())
            numbers: dict[int, int] = {}
            for distance_m, i, number in pairs:
                if distance_m <= LARGEST_STEP_M and i not in numbers and (
                        number not in numbers.values()):
                    numbers[i] = number
            for i in indices:
                if i not in numbers:  # the lowest free one, so that a lone object is always 0
                    taken = set(numbers.values())
                    numbers[i] = next(n for n in range(len(taken) + 1) if n not in taken)
                known[numbers[i]] = (found[i][1], now_s)
                names[i] = f'{object_name}_{numbers[i]}'
        return names
