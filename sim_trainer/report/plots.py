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

"""Charts of found rates, errors and training: plain figures, no display, no global state."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
import numpy as np
from sim_trainer.evaluation.breakdown import Group
from sim_trainer.report.style import BLUE, empty_chart, ERROR_BAR, ORANGE, style, WIDTH_IN

#: A curve that spans more than this factor is drawn on a logarithmic axis.
_LOG_FACTOR = 30.0
#: A curve of fewer points shows them.
_FEW_POINTS = 30
_UNITS = {'_px': 'px', '_cm': 'cm', '_mm': 'mm', '_m': 'm', '_rad': 'rad', '_deg': '°',
          '_ms': 'ms', '_s': 's', '_percent': '%'}
_FOUND, _ERROR = 'found within 2 cm, %', 'position error, cm'
#: Axes reach this much further than their bars: there the counts stand.
_ROOM = 1.3
_COUNT = {'fontsize': 7.5, 'color': '#333333'}


def curve_chart(key: str, points: np.ndarray) -> Figure:
    """One key of the training log: (N, 2) of step and value."""
    steps, values = points.T
    with style():
        figure = Figure((WIDTH_IN, 2.6), layout='constrained')
        axis = figure.add_subplot()
        axis.plot(steps, values, color=BLUE, linewidth=1.2,
                  marker='o' if len(points) < _FEW_POINTS else None, markersize=3)
        if values.min() > 0 and values.max() > _LOG_FACTOR * values.min():
            axis.set_yscale('log')
        axis.set_title(_short(key, 40))
        axis.set_xlabel('step')
        axis.set_ylabel(next((unit for end, unit in _UNITS.items() if key.endswith(end)), ''))
    return figure


def object_chart(groups: Sequence[Group]) -> Figure:
    """Found rate and error of each kind, a row each, so that long names can be read."""
    with style():
        figure = Figure((WIDTH_IN, 1.2 + 0.3 * max(len(groups), 2)), layout='constrained')
        left, right = figure.subplots(1, 2, sharey=True)
        left.set(title='Found', xlabel=_FOUND)
        right.set(title='Error', xlabel='cm: mean (bar), median (|)')
        if not groups:
            empty_chart(left, 'no objects')
            return figure
        rows = np.arange(len(groups))
        percent, means, medians = _heights(groups)
        left.barh(rows, percent, 0.7, color=BLUE, xerr=_interval(groups, percent),
                  error_kw=ERROR_BAR)
        right.barh(rows, means, 0.7, color=ORANGE)
        right.plot(medians, rows, '|', color='black', markersize=11, markeredgewidth=1.6)
        for row, g in enumerate(groups):
            left.text(103, row, f'{g.found}/{g.count}', va='center', **_COUNT)
            right.text(0.99, row, f'n={g.found}', va='center', ha='right',
                       transform=right.get_yaxis_transform(), **_COUNT)
        left.set_yticks(rows, [_short(g.label) for g in groups])
        left.set_ylim(len(groups) - 0.4, -0.6)
        left.set_xlim(0, 100 * _ROOM)
        left.set_xticks([0, 50, 100])
        right.set_xlim(0, _top(groups))
        for axis in (left, right):
            axis.grid(axis='y', visible=False)
    return figure


def bin_chart(groups: Sequence[Group], title: str, unit: str) -> Figure:
    """Found rate above, error below, over neighbouring bins."""
    with style():
        figure = Figure((WIDTH_IN, 4.4), layout='constrained')
        above, below = figure.subplots(2, 1, sharex=True)
        above.set(title=title, ylabel=_FOUND)
        below.set(xlabel=unit, ylabel=f'{_ERROR}\nmean (bar), median (line)')
        if not groups:
            empty_chart(above, 'no objects')
            return figure
        places = np.arange(len(groups))
        percent, means, medians = _heights(groups)
        above.bar(places, percent, 0.8, color=BLUE, yerr=_interval(groups, percent),
                  error_kw=ERROR_BAR)
        below.bar(places, means, 0.8, color=ORANGE)
        below.plot(places, medians, '_', color='black', markersize=16, markeredgewidth=1.6)
        for place, g in enumerate(groups):
            above.text(place, 104, f'{g.found}/{g.count}' if g.count else 'n=0', ha='center',
                       **_COUNT)
            below.text(place, 0.99, f'n={g.found}', ha='center', va='top',
                       transform=below.get_xaxis_transform(), **_COUNT)
        above.set_ylim(0, 115)
        above.set_yticks(range(0, 101, 20))
        below.set_ylim(0, _top(groups))
        below.set_xticks(places, [g.label for g in groups])
        if len(groups) > 5:
            below.tick_params(axis='x', rotation=25)
        for axis in (above, below):
            axis.grid(axis='x', visible=False)
    return figure


def _heights(groups: Sequence[Group]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Found rates (%), mean and median errors (cm), each (N,); NaN is not drawn."""
    values = [(g.found_percent, g.error_mean_cm, g.error_median_cm) for g in groups]
    percent, means, medians = np.array(values, dtype=float).T
    return np.nan_to_num(percent), np.nan_to_num(means), medians


def _interval(groups: Sequence[Group], percent: np.ndarray) -> np.ndarray:
    """(2, N) lengths of the bars of uncertainty; NaN (not drawn) without objects."""
    ends = 100 * np.array([g.found_interval or (np.nan, np.nan) for g in groups])
    # Rounding may leave an end a hair on the wrong side of its bar, which is refused.
    return np.maximum(np.stack([percent - ends[:, 0], ends[:, 1] - percent]), 0)


def _top(groups: Sequence[Group]) -> float:
    """Upper end (cm) of an axis of errors."""
    errors = [e for g in groups for e in (g.error_mean_cm, g.error_median_cm) if e is not None]
    return _ROOM * max(errors, default=0.0) or 1.0


def _short(name: str, limit: int = 18) -> str:
    """Without its middle: kinds often differ at the end (mug_large, mug_small)."""
    half = limit // 2
    return name if len(name) <= limit else f'{name[:half]}…{name[-half + 1:]}'
