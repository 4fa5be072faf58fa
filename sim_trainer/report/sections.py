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

"""The sections of a report, in their order."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
import json

from sim_trainer.evaluation.breakdown import by_distance, by_visible
from sim_trainer.evaluation.confusion import confusion
from sim_trainer.report import page, tiles
from sim_trainer.report.figures_json import all_figures
from sim_trainer.report.plots import bin_chart, curve_chart, object_chart
from sim_trainer.report.run_report import MeasuredSet, RunReport
from sim_trainer.report.summary import duration, sentences, set_figures, SetFigures
from sim_trainer.report.training_log import read_curves
from sim_trainer.report.trust_plots import (coverage_chart, reliability_chart, risk_chart,
                                            risk_curves, score_reliability)

#: Sets with charts of their own, the main one included: what bounds the file's size.
DETAILED_SETS = 6
#: Pictures of the main set: samples, and of each sort of error; and of every other set.
MAIN_SAMPLES, MAIN_WORST, OTHER_SAMPLES, OTHER_WORST = 6, 4, 2, 2
NOTHING_THERE, MISSED = 'nothing, or a distractor', 'missed'


def header(run: RunReport, figures: Sequence[SetFigures], now: datetime) -> str:
    """Return what run this is, and what it came to."""
    provenance = run.contract.provenance
    entries = {'Written': now.strftime('%Y-%m-%d %H:%M')}
    if run.seconds is not None:
        entries['Time taken'] = duration(run.seconds)
    for label, key in (('Machine', 'machine'), ('Trainer', 'trainer'), ('Torch', 'torch'),
                       ('Steps', 'steps'), ('Training pictures', 'pictures'), ('Seed', 'seed')):
        if provenance.get(key) not in (None, ''):
            entries[label] = str(provenance[key])
    entries['Objects'] = ', '.join(model.name for model in run.contract.objects)
    return '\n'.join([page.heading(f'Training report: {run.contract.name}', 1),
                      page.paragraph(' '.join(sentences(figures)), 'summary'),
                      page.facts(entries), *map(page.paragraph, run.notes)])


def set_table(figures: Sequence[SetFigures]) -> str:
    """Return a row for each set of pictures."""
    head = ['set', 'pictures', 'objects', 'found, %', 'mean, cm', 'median, cm', 'invented a '
            'picture', 'rotation, median °', 'in 50 %', 'in 90 %', 'in 95 %']
    rows = [[f.name, str(f.pictures), str(f.overall.count), _number(f.overall.found_percent, 1),
             _number(f.overall.error_mean_cm, 2), _number(f.overall.error_median_cm, 2),
             _number(f.false_per_picture, 2), _number(f.overall.rotation_median_deg, 1),
             *(_number(None if share is None else 100 * share, 0)
               for share in f.coverage.values())] for f in figures]
    return '\n'.join([
        page.heading('Sets of pictures'), page.table(head, rows),
        page.paragraph('Found: within 2 cm, modulo symmetry, of the objects that show 30 % or '
                       'more. Errors are of what was found. Invented: reported where no such '
                       'object is within reach. In 50, 90, 95 %: share (%) of the found objects '
                       'whose true position lies in the ellipsoid that the covariance states.',
                       'note')])


def training(run: RunReport) -> str:
    """Curves of the training log."""
    curves = read_curves(run.log_path)
    body = (page.charts([(curve_chart(key, points), f'{key} over the training steps')
                         for key, points in curves.items()]) if curves else
            page.paragraph('There is no training log.'))
    return page.heading('Training') + body


def predictions(sets: Sequence[MeasuredSet]) -> str:
    """Return samples and the worst errors."""
    return _section('Predictions', 'Green: truth. Red: detections, on whole pictures with their '
                    'score. In close views the object that is meant stands in the middle.', sets,
                    lambda measured, main: _pictures(
                        measured, *((MAIN_SAMPLES, MAIN_WORST) if main else
                                    (OTHER_SAMPLES, OTHER_WORST))))


def _pictures(measured: MeasuredSet, sample_count: int, worst_count: int) -> str:
    parts = [page.tiles(tiles.samples(measured, sample_count), 'samples')]
    for title, choose, none in (
            ('Missed, those that show most', tiles.missed, 'No object was missed.'),
            ('Invented, the surest', tiles.invented, 'Nothing was invented.'),
            ('Found, the farthest off', tiles.largest_errors, 'No object was found.')):
        chosen = choose(measured, worst_count)
        parts += [page.heading(title, 3), page.tiles(chosen) if chosen else page.paragraph(none)]
    return '\n'.join(parts)


def breakdown(sets: Sequence[MeasuredSet]) -> str:
    """Found rate and error by kind, distance and visible fraction."""
    return _section('What is found and how exactly',
                    'At the bars: found of asked, and n, the number of errors. Thin lines: where '
                    'the found rate lies with 95 %, given so few objects.', sets,
                    lambda measured, main: _breakdown_charts(measured))


def _breakdown_charts(measured: MeasuredSet) -> str:
    instances = measured.records.instances
    shown = [(object_chart(set_figures(measured).objects), 'found rate and error by object'),
             (bin_chart(by_distance(instances), 'By distance', 'distance from the camera, m'),
              'found rate and error by distance')]
    visible = by_visible(instances)
    if visible:
        shown.append((bin_chart(visible, 'By visible part', 'visible part of the object, %'),
                      'found rate and error by visible part'))
    return page.charts(shown)


def trust(sets: Sequence[MeasuredSet]) -> str:
    """Scores and covariances against what came true."""
    return _section('Do score and covariance mean what they say',
                    'The score is the probability of being right within 2 cm: points should lie '
                    'on the dashed line; under it, the model is too sure. Bins of equal counts. '
                    'The ellipsoid is judged on found objects only (chi-square, 3 degrees of '
                    'freedom). The lower two charts: the better the order, the lower the curve '
                    'on the left. Detections of objects that show too little to be asked for '
                    'are left out.', sets, lambda measured, main: _trust_charts(measured))


def _trust_charts(measured: MeasuredSet) -> str:
    records = measured.records
    curves = risk_curves(records)
    squared = [i.mahalanobis_squared for i in records.instances if i.found]
    return page.charts([
        (reliability_chart(score_reliability(records)), 'reliability of the score'),
        (coverage_chart(squared), 'coverage of the position ellipsoid'),
        (risk_chart(curves, wrong=True), 'wrong detections over the share kept'),
        (risk_chart(curves, wrong=False), 'error over the share kept')])


def kinds(sets: Sequence[MeasuredSet]) -> str:
    """Return the confusion matrix."""
    return _section('Which kind is taken for which',
                    'Rows: what is there. Columns: what was reported within 5 cm of it. The '
                    'diagonal also holds objects reported as themselves but more than 2 cm off; '
                    'an object reported twice counts twice.', sets,
                    lambda measured, main: _matrix(measured))


def _matrix(measured: MeasuredSet) -> str:
    result = confusion(measured.records, list(measured.catalogue))
    return page.matrix([*result.names, NOTHING_THERE], [*result.names, MISSED],
                       result.counts.tolist())


def details(run: RunReport, sets: Sequence[MeasuredSet]) -> str:
    """Return configuration and figures in full, folded."""
    text = json.dumps(all_figures(run, sets), indent=1, ensure_ascii=False)
    return '\n'.join([page.heading('In full'),
                      page.folded('Resolved configuration', page.preformatted(run.config_text)),
                      page.folded('All figures as JSON', page.preformatted(text))])


def _section(title: str, explanation: str, sets: Sequence[MeasuredSet],
             body: Callable[[MeasuredSet, bool], str]) -> str:
    """Return the main set in the open, the others folded; without pictures there is none."""
    shown = [measured for measured in sets[:DETAILED_SETS] if measured.results]
    parts = [page.heading(title)]
    if not shown:
        return '\n'.join([*parts, page.paragraph('There are no pictures.')])
    parts += [page.paragraph(explanation, 'note'), page.heading(shown[0].name, 3),
              body(shown[0], True)]
    parts += [page.folded(measured.name, body(measured, False)) for measured in shown[1:]]
    if len(sets) > DETAILED_SETS:
        parts.append(page.paragraph(
            f'{len(sets) - DETAILED_SETS} more sets are in the table and in the figures in full '
            'only, to keep this file small.', 'note'))
    return '\n'.join(parts)


def _number(value: float | None, digits: int) -> str:
    return '–' if value is None else f'{value:.{digits}f}'
