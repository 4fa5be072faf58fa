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

"""Figures of many pictures, per object and overall, and the table that shows them."""

from __future__ import annotations

from typing import Any

import numpy as np
from sim_trainer.evaluation.matching import Match, PictureResult

#: 90 % quantile of chi squared with 3 degrees of freedom.
CHI2_90 = 6.2514


def summarize(results: list[PictureResult], names: list[str], timings_ms: list[float]
              ) -> dict[str, Any]:
    """Figures by object and overall. Errors are of what was found; None where nothing was."""
    pictures = len(results)
    objects = {}
    for name in names:
        asked = sum(r.asked.count(name) for r in results)
        matches = [m for r in results for m in r.matches if m.object_name == name]
        false = sum(r.false_positives.count(name) for r in results)
        nearest = [e for r in results for n, e in r.nearest_errors_m if n == name]
        if asked or matches or false:
            objects[name] = _figures(asked, matches, false, pictures, nearest)
    overall = _figures(sum(len(r.asked) for r in results),
                       [m for r in results for m in r.matches],
                       sum(len(r.false_positives) for r in results), pictures,
                       [e for r in results for _, e in r.nearest_errors_m])
    overall['milliseconds_per_picture_median'] = _round(np.median(timings_ms), 2)
    overall['milliseconds_per_picture_p95'] = _round(np.percentile(timings_ms, 95), 2)
    return {'pictures': pictures, 'overall': overall, 'objects': objects}


def _figures(asked: int, matches: list[Match], false: int, pictures: int,
             nearest_m: list[float]) -> dict[str, Any]:
    position_cm = np.array([m.position_error_m for m in matches]) * 100
    rotation_deg = np.degrees([m.rotation_error_rad for m in matches])
    pixels = np.array([m.reprojection_error_px for m in matches])
    inside = np.array([m.mahalanobis_squared < CHI2_90 for m in matches])
    some = len(matches) > 0
    return {
        'count': asked,
        'found': len(matches),
        'found_percent': _round(100 * len(matches) / asked, 1) if asked else None,
        'false_positives': false,
        'false_positives_per_picture': _round(false / max(pictures, 1), 3),
        'position_error_mean_cm': _round(position_cm.mean(), 3) if some else None,
        'position_error_std_cm': _round(position_cm.std(), 3) if some else None,
        'position_error_median_cm': _round(np.median(position_cm), 3) if some else None,
        'nearest_detection_error_mean_cm': (_round(100 * np.mean(nearest_m), 3) if nearest_m
                                            else None),
        'rotation_error_median_deg': _round(np.median(rotation_deg), 2) if some else None,
        'reprojection_error_mean_px': _round(pixels.mean(), 2) if some else None,
        'coverage_90_percent': _round(100 * inside.mean(), 1) if some else None,
    }


def _round(value: float, digits: int) -> float:
    return round(float(value), digits)


_COLUMNS = (('found', 'count', 'found'), ('%', 'found_percent', None),
            ('false/pic', 'false_positives_per_picture', None),
            ('mean cm', 'position_error_mean_cm', None),
            ('std cm', 'position_error_std_cm', None),
            ('median cm', 'position_error_median_cm', None),
            ('any cm', 'nearest_detection_error_mean_cm', None),
            ('rot deg', 'rotation_error_median_deg', None),
            ('reproj px', 'reprojection_error_mean_px', None),
            ('in 90 %', 'coverage_90_percent', None))


def format_table(report: dict[str, Any], title: str) -> str:
    """Return the report as a text table."""
    rows = [*report['objects'].items(), ('all', report['overall'])]
    lines = [title, f'{"":18s}' + ''.join(f'{head:>11s}' for head, _, _ in _COLUMNS)]
    for name, figures in rows:
        cells = []
        for _, key, numerator in _COLUMNS:
            value = figures[key]
            text = '-' if value is None else f'{value:g}'
            cells.append(f'{figures[numerator]} of {text}' if numerator else text)
        lines.append(f'{name:18s}' + ''.join(f'{cell:>11s}' for cell in cells))
    overall = report['overall']
    lines.append(f'{report["pictures"]} pictures, '
                 f'{overall["milliseconds_per_picture_median"]:g} ms a picture (median), '
                 f'{overall["milliseconds_per_picture_p95"]:g} ms (p95)')
    return '\n'.join(lines)
