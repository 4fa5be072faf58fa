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

"""How good published poses are: found, errors modulo symmetry, false positives. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dr_perception.core.objects import ObjectModel
import numpy as np

#: An object counts as found when its position is nearer than this.
FOUND_WITHIN_M = 0.02


@dataclass(frozen=True, eq=False)
class PosedObject:
    """An object in a frame: ``weight`` is the score of a detection, the visibility of a truth."""

    object_name: str
    T_camera_object: np.ndarray
    weight: float


@dataclass
class ObjectTally:
    """One object's count and errors."""

    shown: int = 0
    found: int = 0
    false_positives: int = 0
    position_errors_m: list[float] = field(default_factory=list)
    rotation_errors_rad: list[float] = field(default_factory=list)

    def add(self, other: ObjectTally) -> None:
        """Add another tally to this one."""
        self.shown += other.shown
        self.found += other.found
        self.false_positives += other.false_positives
        self.position_errors_m += other.position_errors_m
        self.rotation_errors_rad += other.rotation_errors_rad

    def summary(self) -> dict[str, float | int | None]:
        """Count, mean and median errors; None where there are none."""
        has_errors = bool(self.position_errors_m)
        return {
            'shown': self.shown, 'found': self.found, 'false_positives': self.false_positives,
            'position_error_mean_mm':
                float(np.mean(self.position_errors_m)) * 1e3 if has_errors else None,
            'rotation_error_median_deg':
                float(np.rad2deg(np.median(self.rotation_errors_rad))) if has_errors else None}


class Scoreboard:
    """Compares frames with the truth and sums up.

    Args:
        models: the objects that can be found; others in the truth are not asked for.
        min_visibility: a less visible object need not be found, but may be.
    """

    def __init__(self, models: tuple[ObjectModel, ...], min_visibility: float = 0.1) -> None:
        self._models = {model.name: model for model in models}
        self._min_visibility = min_visibility
        self.tallies: dict[str, ObjectTally] = {}
        self.frames = 0

    def add_frame(self, truth: list[PosedObject], found: list[PosedObject]) -> None:
        """Score one frame; both lists are in one frame of reference."""
        self.frames += 1
        free = [entry for entry in truth if entry.object_name in self._models]
        for entry in free:
            if entry.weight >= self._min_visibility:
                self._tally(entry.object_name).shown += 1
        for detection in sorted(found, key=lambda entry: -entry.weight):
            tally = self._tally(detection.object_name)
            model = self._models.get(detection.object_name)
            candidates = [(model.symmetry.position_error_m(
                detection.T_camera_object, entry.T_camera_object), index)
                for index, entry in enumerate(free)
                if entry.object_name == detection.object_name] if model else []
            error_m, index = min(candidates, default=(np.inf, -1))
            if error_m >= FOUND_WITHIN_M:
                tally.false_positives += 1
                continue
            entry = free.pop(index)
            if entry.weight < self._min_visibility:
                continue
            tally.found += 1
            tally.position_errors_m.append(error_m)
            tally.rotation_errors_rad.append(model.symmetry.rotation_error_rad(
                detection.T_camera_object[:3, :3], entry.T_camera_object[:3, :3]))

    def report(self) -> dict[str, Any]:
        """Summaries by object and over all, as JSON values."""
        total = ObjectTally()
        for tally in self.tallies.values():
            total.add(tally)
        return {'frames': self.frames, 'all': total.summary(), 'objects': {
            name: tally.summary() for name, tally in sorted(self.tallies.items())}}

    def _tally(self, name: str) -> ObjectTally:
        return self.tallies.setdefault(name, ObjectTally())


def format_table(report: dict[str, Any]) -> str:
    """Return the report as a table, one line an object."""
    lines = [f'{"object":<20}{"found":>14}{"position mm":>13}{"rotation deg":>14}{"false":>7}']
    rows = {**report['objects'], 'all': report['all']}
    for name, row in rows.items():
        share = f'{row["found"]} of {row["shown"]}'
        lines.append(f'{name:<20}{share:>14}{_number(row["position_error_mean_mm"]):>13}'
                     f'{_number(row["rotation_error_median_deg"]):>14}'
                     f'{row["false_positives"]:>7}')
    return '\n'.join(lines)


def _number(value: float | None) -> str:
    return '-' if value is None else f'{value:.2f}'
