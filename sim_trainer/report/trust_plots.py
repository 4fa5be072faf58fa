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

"""Charts of whether scores and covariances mean what they say."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
import numpy as np
from sim_trainer.evaluation.records import DetectionRecord, SetRecords
from sim_trainer.evaluation.trust import (chi2_share, coverage, Reliability, reliability,
                                          risk_curve, RiskCurve, wilson_interval)
from sim_trainer.report.style import BLUE, empty_chart, GREEN, GREY, ORANGE, style, WIDTH_IN

_SQUARE_IN = (WIDTH_IN, 3.9)
#: Apart by this part of an axis, two counts of three digits can be read.
_COUNT_GAP = 0.055
#: Percent: an axis of wrong detections shows this much at least; nought is then seen as nought.
_LEAST_TOP = 5.0


def judged(records: SetRecords) -> list[DetectionRecord]:
    """Return detections that are right or wrong, the forgiven ones left out."""
    return [d for d in records.detections if d.right is not None]


def score_reliability(records: SetRecords) -> Reliability:
    """Return the reliability diagram of the score."""
    detections = judged(records)
    return reliability([d.score for d in detections], [d.right for d in detections])


def risk_curves(records: SetRecords) -> dict[str, tuple[RiskCurve, RiskCurve]]:
    """Return, by order, the share of wrong ones and the mean error (cm) of right ones kept."""
    detections = judged(records)
    right = [i for i in records.instances if i.found]
    errors_cm = [100 * i.position_error_m for i in right]
    wrong = [not d.right for d in detections]
    return {
        'score': (risk_curve([d.score for d in detections], wrong),
                  risk_curve([i.score for i in right], errors_cm)),
        'covariance': (risk_curve([-d.position_variance_m2 for d in detections], wrong),
                       risk_curve([-i.position_variance_m2 for i in right], errors_cm))}


def reliability_chart(result: Reliability) -> Figure:
    """Return what the score promises against what comes true, with the counts."""
    with style():
        figure = Figure(_SQUARE_IN, layout='constrained')
        axis = figure.add_subplot()
        axis.plot([0, 1], [0, 1], '--', color=GREY, linewidth=1, label='as promised')
        low = 0.0
        promised = np.array([b.score_mean for b in result.bins])
        right = np.array([b.right_share for b in result.bins])
        if result.bins:
            ends = np.array([wilson_interval(round(b.right_share * b.count), b.count)
                             for b in result.bins])
            spread = np.maximum([right - ends[:, 0], ends[:, 1] - right], 0)
            axis.errorbar(promised, right, spread, fmt='o-', color=BLUE, markersize=4,
                          linewidth=1.2, elinewidth=0.8, capsize=2, label='measured, 95 %')
            # A model reports nothing below its threshold: no room for what cannot be.
            low = min(np.floor(10 * promised.min() - 0.5) / 10, 0.8)
            _write_counts(axis, promised, [b.count for b in result.bins],
                          _COUNT_GAP * (1 - low))
            axis.legend(loc='upper center', ncols=2)        # above the points, wherever they are
        else:
            empty_chart(axis, 'no detections')
        error = result.expected_error
        axis.set(xlim=(low, 1.02 - 0.02 * low), ylim=(0, 1.14), yticks=np.arange(6) / 5,
                 xlabel='score (promised probability)', ylabel='share right within 2 cm',
                 title='Score' if error is None else
                 f'Score: expected calibration error {error:.3f}')
    return figure


def _write_counts(axis: Axes, promised: np.ndarray, counts: Sequence[int],
                  gap: float) -> None:
    """Write counts under their points, apart where bins are narrow (most scores are near 1)."""
    places = np.array(promised, dtype=float)
    places[-1] = min(places[-1], 1 - gap / 5)
    for i in range(len(places) - 2, -1, -1):
        places[i] = min(places[i], places[i + 1] - gap)
    for place, at, count in zip(places, promised, counts):
        axis.plot([at, place], [0.11, 0.075], color=GREY, linewidth=0.6)
        axis.text(place, 0.07, str(count), ha='center', va='top', fontsize=7)
    axis.text(places[0] - gap, 0.07, 'n =', ha='right', va='top', fontsize=7)


def coverage_chart(squared: Sequence[float]) -> Figure:
    """Share of positions inside the stated ellipsoid, over its nominal share."""
    with style():
        figure = Figure(_SQUARE_IN, layout='constrained')
        axis = figure.add_subplot()
        axis.plot([0, 1], [0, 1], '--', color=GREY, linewidth=1, label='as promised')
        count = len(squared)
        if count:
            shares = np.sort(chi2_share(squared))
            axis.step([0, *shares, 1], [*(np.arange(count + 1) / count), 1], where='post',
                      color=GREEN, linewidth=1.3, label=f'measured, n={count}')
            for nominal, inside in coverage(squared).items():
                low, high = wilson_interval(round(inside * count), count)
                axis.errorbar(nominal, inside, [[max(inside - low, 0)], [max(high - inside, 0)]],
                              fmt='o', color=GREEN, markersize=5, capsize=2)
            text = '\n'.join(f'{100 * inside:.0f} % in the {100 * nominal:g} % ellipsoid'
                             for nominal, inside in coverage(squared).items())
            axis.text(0.98, 0.03, text, ha='right', va='bottom', fontsize=8,
                      transform=axis.transAxes,
                      bbox={'facecolor': 'white', 'alpha': 0.8, 'edgecolor': 'none'})
            axis.legend(loc='upper left')
        else:
            empty_chart(axis, 'nothing was found')
        axis.set(xlim=(0, 1.02), ylim=(0, 1.04), xlabel='nominal share of the ellipsoid',
                 ylabel='share of found objects inside', title='Covariance of the position')
    return figure


def risk_chart(curves: dict[str, tuple[RiskCurve, RiskCurve]], wrong: bool) -> Figure:
    """Share of wrong detections, or mean error of the right ones, over the share kept."""
    with style():
        figure = Figure((WIDTH_IN, 3.2), layout='constrained')
        axis = figure.add_subplot()
        names = {'score': ('surest score first', BLUE, '-'),
                 'covariance': ('smallest covariance first', ORANGE, '--')}
        factor = 100 if wrong else 1
        top = 0.0
        for key, (label, color, line) in names.items():
            curve = curves[key][0 if wrong else 1]
            if len(curve.kept):
                axis.plot(100 * curve.kept, factor * curve.risk, line, color=color,
                          linewidth=1.4, label=label, clip_on=False)
                top = max(top, factor * float(curve.risk.max()))
        if axis.lines:
            axis.legend()
        else:
            empty_chart(axis, 'no detections')
        title = 'Wrong detections' if wrong else 'Error of the right detections'
        axis.set(xlim=(0, 100), xlabel='share of detections kept, %', title=title,
                 ylabel='wrong among those kept, %' if wrong else 'mean position error, cm')
        axis.set_ylim(0, min(max(1.25 * top, _LEAST_TOP), 105.0) if wrong else 1.25 * top or 1.0)
    return figure
