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

"""The table and the figure of an ablation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

#: A curve's end without a limit is drawn this many times as far as its last point.
_NO_LIMIT = 100


def format_table(results: dict[str, Any]) -> str:
    """Return a Markdown table with a row for each run.

    With the median time of a whole ``estimate``; for each split average precision (%), found (%),
    mean error (cm) of what was found, and false positives a picture.
    """
    runs = results['runs']
    splits = list(next(iter(runs.values()))['splits'])
    paper = any(entry['paper_cm'] for entry in runs.values())
    head = ['run', 'pictures', 'steps', 'ms',
            *(f'{split}: AP % / found % / cm / false' for split in splits)]
    if paper:
        head.append('paper, cm (only / distractors / occluded)')
    lines = ['| ' + ' | '.join(head) + ' |', '|' + '---|' * len(head)]
    for name, entry in runs.items():
        milliseconds = entry['splits'][splits[0]]['milliseconds_per_picture_median']
        cells = [name, str(entry['pictures']), str(entry['steps']), f'{milliseconds:.0f}']
        cells += [_cell(entry['splits'][split]) for split in splits]
        if paper:
            cells.append(' / '.join(f'{v:g}' for v in entry['paper_cm'] or []) or '–')
        lines.append('| ' + ' | '.join(cells) + ' |')
    return '\n'.join(lines)


def _cell(figures: dict[str, Any]) -> str:
    error = figures['position_error_mean_cm']
    precision = figures.get('average_precision')
    return (f'{"–" if precision is None else f"{100 * precision:.0f}"} / '
            f'{figures["found_percent"]:g} / {"–" if error is None else f"{error:.2f}"} / '
            f'{figures["false_positives_per_picture"]:.2f}')


def write_figure(results: dict[str, Any], path: Path) -> None:
    """Draw average precision and false positives by variant and split, and the curves."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    runs = results['runs']
    splits = list(next(iter(runs.values()))['splits'])
    variants = {name: entry for name, entry in runs.items() if entry['curve'] is None}
    curves: dict[str, list[dict[str, Any]]] = {}
    for entry in runs.values():
        if entry['curve'] is not None:
            curves.setdefault(entry['curve'], []).append(entry)
    columns = 2 + len(curves)
    figure, axes = pyplot.subplots(1, columns, figsize=(5 + 3.2 * columns, 4.2))
    places = np.arange(len(variants))
    width = 0.8 / len(splits)
    for axis, key, title in ((axes[0], 'average_precision', 'average precision within 2 cm'),
                             (axes[1], 'false_positives_per_picture', 'false a picture')):
        for i, split in enumerate(splits):
            axis.barh(places + (i - (len(splits) - 1) / 2) * width,
                      [entry['splits'][split][key] or 0 for entry in variants.values()],
                      width, label=split)
        names = list(variants) if axis is axes[0] else [''] * len(places)
        axis.set_yticks(places, names)
        axis.invert_yaxis()
        axis.set_title(title)
    axes[0].legend(fontsize=7, loc='lower right')
    first = next(iter(variants.values()), None)
    for axis, (name, entries) in zip(axes[2:], curves.items()):
        points = [entry['point'] for entry in entries]
        if first is not None:       # where the curve ends: the first variant, the full one
            points.append(results['full'][name] or _NO_LIMIT * max(points))
            entries = [*entries, first]
        for split in splits:
            axis.plot(points, [entry['splits'][split]['average_precision'] or 0
                               for entry in entries], 'o-', label=split)
        axis.set_xscale('log')
        axis.set_xticks(points, [str(entry['point'] or results['full'][name] or 'no limit')
                                 for entry in entries])
        axis.minorticks_off()
        axis.set_ylim(0)
        axis.set_xlabel(name)
        axis.set_title(f'average precision over {name}')
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
