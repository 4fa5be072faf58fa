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

"""Poses of things that stand still, over many pictures of a static camera."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sim_trainer.real_gap.examined import Examined

#: Detections of a kind nearer than this to the last one of a thing are that thing again.
SAME_M = 0.03
#: A thing that is seen in fewer pictures says nothing of agreement.
LEAST_SEEN = 3


@dataclass(frozen=True)
class StandingThing:
    """One thing that was found at the same place again and again.

    Attributes:
        object_name: its kind.
        seen: in this many pictures, of ``pictures`` from its first to its last.
        spread_m: rms distance of its positions from their mean.
        stated_m: what the covariances say of the same (rms of the square root of the trace).
    """

    object_name: str
    seen: int
    pictures: int
    spread_m: float
    stated_m: float


def standing_things(examined: Sequence[Examined]) -> list[StandingThing]:
    """Things that stand still, in pictures taken one after the other by a camera that does too."""
    tracks: list[list[tuple[int, np.ndarray, float]]] = []
    names: list[str] = []
    for number, entry in enumerate(examined):
        taken: set[int] = set()
        for detection in entry.detections:
            position = detection.T_camera_object[:3, 3]
            near = [(float(np.linalg.norm(track[-1][1] - position)), i)
                    for i, track in enumerate(tracks)
                    if names[i] == detection.object_name and i not in taken]
            distance, i = min(near, default=(np.inf, -1))
            if distance > SAME_M:
                tracks.append([])
                names.append(detection.object_name)
                i = len(tracks) - 1
            taken.add(i)
            tracks[i].append((number, position, float(np.trace(detection.covariance[:3, :3]))))
    return [_thing(name, track) for name, track in zip(names, tracks) if len(track) >= LEAST_SEEN]


def _thing(name: str, track: list[tuple[int, np.ndarray, float]]) -> StandingThing:
    positions = np.array([position for _, position, _ in track])
    apart = ((positions - positions.mean(0)) ** 2).sum(1)
    return StandingThing(name, len(track), track[-1][0] - track[0][0] + 1,
                         float(np.sqrt(apart.sum() / (len(track) - 1))),
                         float(np.sqrt(np.mean([variance for *_, variance in track]))))
