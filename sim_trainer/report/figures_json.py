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

"""All figures of a run as JSON values, for programs and for whoever wants one more digit."""

from __future__ import annotations

from collections.abc import Sequence
import math
from typing import Any

import numpy as np
from sim_trainer.evaluation.breakdown import by_distance, by_visible, Group
from sim_trainer.evaluation.confusion import confusion
from sim_trainer.report.run_report import MeasuredSet, RunReport
from sim_trainer.report.summary import set_figures
from sim_trainer.report.trust_plots import risk_curves, score_reliability

#: A risk curve is told at about this many shares kept.
_RISK_POINTS = 20


def all_figures(run: RunReport, sets: Sequence[MeasuredSet]) -> dict[str, Any]:
    """Everything that the report shows as numbers; finite numbers or None."""
    return _finite({
        'name': run.contract.name, 'seconds': run.seconds,
        'provenance': run.contract.provenance, 'metrics': run.contract.metrics,
        'notes': run.notes, 'sets': {measured.name: _of_set(measured) for measured in sets}})


def _of_set(measured: MeasuredSet) -> dict[str, Any]:
    figures, records = set_figures(measured), measured.records
    trust = score_reliability(records)
    matrix = confusion(records, list(measured.catalogue))
    return {
        'pictures': figures.pictures,
        'false_positives': figures.false_positives,
        'false_positives_per_picture': figures.false_per_picture,
        'overall': _group(figures.overall),
        'objects': {g.label: _group(g) for g in figures.objects},
        'by_distance_m': {g.label: _group(g) for g in by_distance(records.instances)},
        'by_visible_percent': {g.label: _group(g) for g in by_visible(records.instances)},
        'coverage': {f'{nominal:g}': share for nominal, share in figures.coverage.items()},
        'score_bins': [vars(b) for b in trust.bins],
        'expected_calibration_error': trust.expected_error,
        'risk': {order: {'wrong': _thinned(wrong), 'error_cm': _thinned(error),
                         'wrong_area': wrong.area, 'error_cm_area': error.area}
                 for order, (wrong, error) in risk_curves(records).items()},
        'confusion': {'names': list(matrix.names), 'counts': matrix.counts.tolist()}}


def _group(g: Group) -> dict[str, Any]:
    values = {key: value for key, value in vars(g).items() if key != 'label'}
    return {**values, 'found_percent': g.found_percent}


def _thinned(curve) -> list[list[float]]:
    """[share kept, risk] at about ``_RISK_POINTS`` places, the last included."""
    count = len(curve.kept)
    chosen = np.unique(np.linspace(0, count - 1, min(count, _RISK_POINTS)).round().astype(int))
    return [[float(curve.kept[i]), float(curve.risk[i])] for i in chosen]


def _finite(value: Any) -> Any:
    """Return a copy with plain types, five digits, and None for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _finite(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(entry) for entry in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return float(f'{value:.5g}') if math.isfinite(value) else None
    return value if isinstance(value, (str, int, bool, type(None))) else str(value)
