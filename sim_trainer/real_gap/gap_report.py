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

"""The real-gap report: sentences, figures, HTML and markdown."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from dr_perception.core.contract import ModelContract
import numpy as np
from sim_trainer.evaluation.breakdown import Group, group
from sim_trainer.evaluation.records import collect, SetRecords
from sim_trainer.evaluation.trust import coverage
from sim_trainer.real_gap.agreement import standing_things, StandingThing
from sim_trainer.real_gap.circumstances import by_circumstance
from sim_trainer.real_gap.examined import Examined
from sim_trainer.real_gap.picture_statistics import compare, Comparison, STATISTICS, WORDS
from sim_trainer.report import page
from sim_trainer.report.plots import bin_chart
from sim_trainer.report.run_report import MeasuredSet
from sim_trainer.report.tiles import largest_errors, missed, samples

#: More of the real pictures than this outside of training's usual range is worth a sentence.
_STRANGE_SHARE = 0.2
#: A group is named as failing when this much less of it is found than of all.
_FAILS_PERCENT, _LEAST_MISSED = 20.0, 2
#: Means of fewer errors are not compared in words.
_LEAST_FOUND = 5
#: Scores and reprojection errors that differ by these factors from simulation are named.
_WORSE_PX, _LOWER_SCORE = 1.7, 0.1


@dataclass(frozen=True, eq=False)
class GapReport:
    """What real pictures show of a model.

    Attributes:
        contract: of the model.
        real: the pictures that it looked at.
        drawn: fresh pictures of its training's kind; none: nothing to compare with.
        true: real pictures have their truth.
    """

    contract: ModelContract
    real: Sequence[Examined]
    drawn: Sequence[Examined]
    true: bool

    @property
    def records(self) -> SetRecords | None:
        """What became of each object; None without truth."""
        if not self.true:
            return None
        return collect([(e.picture, e.detections) for e in self.real],
                       {model.name: model for model in self.contract.objects})

    def groups(self) -> dict[str, list[Group]]:
        """Errors by circumstance; none without truth."""
        return by_circumstance(self.records, self.real) if self.true else {}

    def comparisons(self) -> list[Comparison]:
        """Return how the pictures look against training's."""
        return compare([e.statistics for e in self.real], [e.statistics for e in self.drawn])

    def things(self) -> list[StandingThing]:
        """Things that stood still; with truth, positions may change on purpose."""
        return [] if self.true else standing_things(self.real)


def sentences(report: GapReport) -> list[str]:
    """Return what a user should expect, for someone who reads nothing else."""
    lines = _truth_sentences(report) if report.true else _blind_sentences(report)
    real_px, drawn_px = (_median([px for e in part for px in e.reprojection_px])
                         for part in (report.real, report.drawn))
    if real_px is not None and drawn_px is not None:
        worse = real_px > _WORSE_PX * drawn_px
        lines.append(f'The keypoints agree with the poses to {real_px:.1f} px, in simulation to '
                     f'{drawn_px:.1f} px' + ('; much worse: check the camera calibration and the '
                                             'sizes of the objects.' if worse else '.'))
    real_score, drawn_score = (_median([d.score for e in part for d in e.detections])
                               for part in (report.real, report.drawn))
    if real_score is not None and drawn_score is not None:
        lower = drawn_score - real_score > _LOWER_SCORE
        lines.append(f'Scores: median {real_score:.2f}, in simulation {drawn_score:.2f}'
                     + ('; the model is less sure of these pictures than of its own.' if lower
                        else '.'))
    for c in report.comparisons():
        for share, word, edge in ((c.below, WORDS[c.key][0], 'low'),
                                  (c.above, WORDS[c.key][1], 'high')):
            if share > _STRANGE_SHARE:
                lines.append(f'{100 * share:.0f} % of the pictures are more {word} than nearly '
                             'all that training drew: change the settings of the camera or widen '
                             f'randomization ({_remedy(c.key)}).')
    return lines


def _truth_sentences(report: GapReport) -> list[str]:
    records = report.records
    overall = group('all', records.instances)
    if not overall.count:
        return ['No object that the model knows is in the truth, so nothing was measured.']
    if overall.error_mean_cm is None:
        return [f'None of {overall.count} objects is found: check the camera, the sizes of the '
                'objects and the light.']
    distance = np.median([i.distance_m for i in records.instances])
    false = sum(d.right is False for d in records.detections)
    lines = [f'Expect {10 * overall.error_mean_cm:.0f} mm at {distance:.1f} m: '
             f'{overall.found} of {overall.count} objects are found within 2 cm, with a mean '
             f'error of {overall.error_mean_cm:.2f} cm; {false} are invented in '
             f'{records.pictures} pictures.']
    share = coverage([i.mahalanobis_squared for i in records.instances if i.found])[0.9]
    lines.append(f'The stated 90 % region holds the truth {100 * share:.0f} % of the time.')
    for name, groups in report.groups().items():
        for g in groups:
            if (g.count - g.found >= _LEAST_MISSED
                    and g.found_percent < overall.found_percent - _FAILS_PERCENT):
                lines.append(f'It fails at {name} {g.label}: {g.found} of {g.count} found.')
        measured = [g for g in groups if g.found >= _LEAST_FOUND]
        if len(measured) > 1:
            best, worst = (f(measured, key=lambda g: g.error_mean_cm) for f in (min, max))
            if worst.error_mean_cm > 1.5 * best.error_mean_cm:
                lines.append(f'By {name}: {10 * best.error_mean_cm:.0f} mm at {best.label}, '
                             f'{10 * worst.error_mean_cm:.0f} mm at {worst.label}.')
    return lines


def _blind_sentences(report: GapReport) -> list[str]:
    found = sum(len(e.detections) for e in report.real)
    empty = sum(not e.detections for e in report.real)
    lines = [f'{found} objects are found in {len(report.real)} pictures; {empty} pictures show '
             'none. Without truth this report says how well the model agrees with itself, not '
             'how right it is.']
    things = report.things()
    if things:
        spread = np.sqrt(np.mean([t.spread_m ** 2 for t in things]))
        stated = np.sqrt(np.mean([t.stated_m ** 2 for t in things]))
        lines.append(f'Things that stand still are placed again within {1e3 * spread:.1f} mm '
                     f'(the model states {1e3 * stated:.1f} mm), and seen in '
                     f'{100 * np.mean([t.seen / t.pictures for t in things]):.0f} % of the '
                     'pictures between first and last sight.')
        if spread > 2 * stated:
            lines.append('They scatter by more than twice what the model states: its covariance '
                         'is too small for these pictures.')
    outside = [d for e in report.real for d in e.detections if d.out_of_range]
    if found and len(outside) > _STRANGE_SHARE * found:
        reasons = sorted({reason for d in outside for reason in d.out_of_range})
        lines.append(f'{100 * len(outside) / found:.0f} % of the detections are outside of what '
                     f'training covered ({", ".join(reasons)}).')
    return lines


def _remedy(key: str) -> str:
    return {'brightness': 'lighting.exposure_stops, sensor.exposure', 'contrast': 'sensor.tone',
            'sharpness': 'sensor.lens_blur, sensor.noise, sensor.sharpening',
            'saturation': 'sensor.saturation'}[key]


def figures(report: GapReport) -> dict[str, Any]:
    """Everything as JSON values."""
    return {
        'model': report.contract.name, 'pictures': len(report.real),
        'sentences': sentences(report),
        'groups': {name: [vars(g) for g in groups] for name, groups in report.groups().items()},
        'statistics': [vars(c) for c in report.comparisons()],
        'things': [vars(t) for t in report.things()],
        'scores': {'real': [d.score for e in report.real for d in e.detections],
                   'drawn': [d.score for e in report.drawn for d in e.detections]},
        'reprojection_px': {'real': [px for e in report.real for px in e.reprojection_px],
                            'drawn': [px for e in report.drawn for px in e.reprojection_px]}}


def tables(report: GapReport) -> list[tuple[str, list[str], list[list[str]]]]:
    """Title, head and rows of each table."""
    found = []
    for name, groups in report.groups().items():
        found.append((f'Error by {name}', [name, 'objects', 'found', 'mean, cm', 'median, cm'],
                      [[g.label, str(g.count), str(g.found), _number(g.error_mean_cm),
                        _number(g.error_median_cm)] for g in groups]))
    if report.things():
        found.append(('Things that stand still', ['object', 'seen', 'spread, mm', 'stated, mm'],
                      [[t.object_name, f'{t.seen} of {t.pictures}', f'{1e3 * t.spread_m:.1f}',
                        f'{1e3 * t.stated_m:.1f}'] for t in report.things()]))
    rows = [_span_row('score', [d.score for e in part for d in e.detections], origin)
            for part, origin in ((report.real, 'these pictures'), (report.drawn, 'simulation'))]
    rows += [_span_row('keypoints against pose, px',
                       [px for e in part for px in e.reprojection_px], origin)
             for part, origin in ((report.real, 'these pictures'), (report.drawn, 'simulation'))]
    found.append(('What the model says', ['', 'of', 'low (2.5 %)', 'median', 'high (97.5 %)'],
                  [row for row in rows if row]))
    found.append(('How the pictures look', ['', 'these: low', 'median', 'high', 'training: low',
                                            'median', 'high', '% below', '% above'],
                  [[STATISTICS[c.key], *(f'{v:.1f}' for v in (*c.real, *c.drawn)),
                    f'{100 * c.below:.0f}', f'{100 * c.above:.0f}']
                   for c in report.comparisons()]))
    return [(title, head, rows) for title, head, rows in found if rows]


def markdown(report: GapReport) -> str:
    """Return the report as text."""
    parts = [f'# Real-gap report: {report.contract.name}', *sentences(report)]
    for title, head, rows in tables(report):
        parts.append(f'## {title}')
        parts.append('\n'.join('| ' + ' | '.join(cells) + ' |' for cells in
                               (head, ['---'] * len(head), *rows)))
    return '\n\n'.join(parts) + '\n'


def html(report: GapReport, now: datetime) -> str:
    """Return the report as one file that needs nothing else."""
    measured = MeasuredSet('these pictures', [(e.picture, e.detections) for e in report.real],
                           {model.name: model for model in report.contract.objects})
    lines = sentences(report)
    parts = [page.heading(f'Real-gap report: {report.contract.name}', 1),
             page.paragraph(' '.join(lines[:2]), 'summary'), *map(page.paragraph, lines[2:]),
             page.facts({'Written': now.strftime('%Y-%m-%d %H:%M'),
                         'Pictures': str(len(report.real)),
                         'Fresh simulated pictures': str(len(report.drawn))})]
    charts = [(bin_chart(groups, f'By {name}', name), f'found rate and error by {name}')
              for name, groups in report.groups().items()]
    if charts:
        parts.append(page.charts(charts))
    for title, head, rows in tables(report):
        parts += [page.heading(title), page.table(head, rows)]
    parts += [page.heading('Pictures'), page.tiles(samples(measured, 6), 'samples')]
    if report.true:
        worst = [*missed(measured, 4), *largest_errors(measured, 4)]
        parts += [page.heading('Missed, and the largest errors'), page.tiles(worst)]
    return page.page(f'Real-gap report: {report.contract.name}', parts)


def _span_row(name: str, values: Sequence[float], origin: str) -> list[str]:
    finite = [v for v in values if np.isfinite(v)]
    if not finite:
        return []
    return [name, origin, *(f'{v:.2f}' for v in np.quantile(finite, [0.025, 0.5, 0.975]))]


def _median(values: Sequence[float]) -> float | None:
    finite = [v for v in values if np.isfinite(v)]
    return float(np.median(finite)) if finite else None


def _number(value: float | None) -> str:
    return '–' if value is None else f'{value:.2f}'
