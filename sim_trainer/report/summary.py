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

"""The figures of a set, in a row and in plain sentences."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sim_trainer.evaluation.breakdown import by_object, Group, group
from sim_trainer.evaluation.matching import FOUND_M
from sim_trainer.evaluation.trust import coverage
from sim_trainer.report.run_report import MeasuredSet


@dataclass(frozen=True)
class SetFigures:
    """One row of the table of sets.

    Attributes:
        pictures: in the set.
        overall: found rate and errors of all objects.
        objects: the same by kind; those never asked for are left out.
        false_positives: inventions, in all pictures.
        coverage: nominal share -> share of the found objects inside the position's ellipsoid.
    """

    name: str
    pictures: int
    overall: Group
    objects: tuple[Group, ...]
    false_positives: int
    coverage: dict[float, float | None]

    @property
    def false_per_picture(self) -> float | None:
        """Inventions a picture; None without pictures."""
        return self.false_positives / self.pictures if self.pictures else None

    @property
    def weakest(self) -> Group | None:
        """The kind found least often; None where nothing was asked for."""
        return min(self.objects, key=lambda g: g.found_percent, default=None)


def set_figures(measured: MeasuredSet) -> SetFigures:
    """Return the figures of a set."""
    records = measured.records
    squared = [i.mahalanobis_squared for i in records.instances if i.found]
    return SetFigures(
        measured.name, records.pictures, group('all', records.instances),
        tuple(g for g in by_object(records.instances, list(measured.catalogue)) if g.count),
        sum(d.right is False for d in records.detections), coverage(squared))


def sentences(figures: Sequence[SetFigures]) -> list[str]:
    """Return what a run came to, for someone who reads nothing else; the main set is the first."""
    if not figures or not figures[0].overall.count:
        return ['No object was asked for in any picture, so nothing is known of this model.'
                if not any(f.overall.count for f in figures) else
                f'On {figures[0].name} no object was asked for.']
    main = figures[0]
    lines = [_found_sentence(main)]
    if main.weakest.found < main.weakest.count:
        lines.append(f'Weakest object: {main.weakest.label}, {main.weakest.found_percent:.0f} % '
                     f'of {main.weakest.count}.')
    if main.coverage[0.9] is not None:
        lines.append(f'The stated 90 % region holds the true position of '
                     f'{100 * main.coverage[0.9]:.0f} % of the found objects.')
    others = [f for f in figures[1:] if f.overall.count]
    if others:
        hardest = min(others, key=lambda f: f.overall.found_percent)
        lines.append(f'Of the other sets, {hardest.name} is the hardest: '
                     f'{hardest.overall.found_percent:.0f} % found, '
                     f'{hardest.false_per_picture:.2f} inventions a picture.')
    return lines


def _found_sentence(figures: SetFigures) -> str:
    overall = figures.overall
    error = ('' if overall.error_mean_cm is None else
             f', with a mean error of {overall.error_mean_cm:.2f} cm')
    return (f'On {figures.name}, {overall.found} of {overall.count} objects are found within '
            f'{100 * FOUND_M:g} cm{error}, and {figures.false_per_picture:.2f} inventions a '
            f'picture ({figures.pictures} pictures).')


def duration(seconds: float) -> str:
    """Seconds for people: '45 s', '12 min 5 s', '3 h 20 min'."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole // 60 % 60
    if hours:
        return f'{hours} h {minutes} min'
    return f'{minutes} min {whole % 60} s' if minutes else f'{whole} s'
