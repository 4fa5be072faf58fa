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

"""report.md and report.html: plain sentences first, then the figures."""

from __future__ import annotations

import base64
from dataclasses import dataclass
from html import escape
from pathlib import Path

import cv2
from dr_perception.replay.summary import InstanceFigures, Reasons, Summary
import numpy as np

_PICTURE_WIDTH_PX = 640
#: The policy makes the browser refuse what is not in the file.
_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto }}
table {{ border-collapse: collapse; margin: 1rem 0 }}
th, td {{ border: 1px solid #bbb; padding: .2rem .6rem; text-align: right }}
th:first-child, td:first-child {{ text-align: left }}
img {{ max-width: 100%; margin: .5rem 0 }}
</style>
</head>
<body>
{body}
</body>
</html>
"""


@dataclass(frozen=True)
class Table:
    """Rows of texts below a heading."""

    heading: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass(frozen=True)
class ReplayFacts:
    """What was replayed, for the head of the report.

    Attributes:
        bag, model: as the user named them.
        model_sha256: of the model's file.
        image_topic, camera_info_topic: what was read.
        provider: what the network ran on.
        notes: sentences on what went wrong.
    """

    bag: str
    model: str
    model_sha256: str
    image_topic: str
    camera_info_topic: str
    provider: str
    notes: tuple[str, ...]


def write_reports(folder: Path, facts: ReplayFacts, summary: Summary,
                  pictures: list[np.ndarray]) -> None:
    """Write both files.

    Args:
        folder: where to.
        facts: what was replayed.
        summary: what came of it.
        pictures: annotated pictures (H, W, 3) uint8 RGB for the HTML.
    """
    title = f'Replay of {facts.bag}'
    sentences, tables = plain_sentences(facts, summary), _tables(facts, summary)
    (folder / 'report.md').write_text(_markdown(title, sentences, tables), encoding='utf-8')
    (folder / 'report.html').write_text(_html(title, sentences, tables, pictures),
                                        encoding='utf-8')


def plain_sentences(facts: ReplayFacts, summary: Summary) -> list[str]:
    """Return what somebody who reads no tables should know."""
    skipped = summary.skipped.total()
    sentences = [f'{_count(summary.used, "picture was", "pictures were")} used, {skipped} skipped'
                 + ('.' if not skipped else ', mostly because: '
                    f'{summary.skipped.most_common()[0][0]}.')]
    for note in facts.notes:
        sentences.append(f'Attention: {note}.')
    if not summary.used:
        return sentences
    sentences.append(_base_sentence(summary))
    figures = summary.figures()
    if not figures:
        sentences.append('Nothing was found in any of them: compare the picture below with the '
                         'objects that the model knows, and the CameraInfo with the camera.')
    for f in figures:
        spread_mm = 1e3 * float(np.linalg.norm(f.spread_m))
        sentences.append(f'{f.instance_name} was found in {_percent(f.found_share)} of the '
                         f'pictures, at {_metres(f.mean_m)} m in {f.frame} on average, with a '
                         f'spread of {spread_mm:.1f} mm, median score {f.median_score:.2f}.')
    share = summary.out_of_range_share()
    if share > 0:
        sentences.append(f'{_percent(share)} of what was found lies outside of what training '
                         'covered (distance, view angle or image border): score and covariance '
                         'are only extrapolated there.')
    whole = summary.stages()[-1]
    sentences.append(f'One picture took {whole.median_ms:.1f} ms (median), {whole.p95_ms:.1f} ms '
                     f'(95 %), on {facts.provider}.')
    return sentences


def _base_sentence(summary: Summary) -> str:
    missing = summary.without_base.total()
    if not missing:
        return ("The camera's pose in the base frame was known for all of them: the support plane "
                'took part.')
    part = 'all' if missing == summary.used else f'{missing} of {summary.used}'
    return (f"For {part} pictures the camera's pose in the base frame is not known "
            f'({summary.without_base.most_common()[0][0]}): the support plane took no part there, '
            "poses are less accurate and given in the camera's frame. Record TF, or give "
            '--camera-pose.')


def _tables(facts: ReplayFacts, summary: Summary) -> list[Table]:
    tables = [Table('Instances', (
        'instance', 'frame', 'found', 'mean x y z (m)', 'spread x y z (mm)', 'median score',
        'out of range'), tuple(_instance_row(f) for f in summary.figures()))]
    tables.append(Table('Time for one picture', ('step', 'median ms', '95 % ms'), tuple(
        (stage.stage, f'{stage.median_ms:.2f}', f'{stage.p95_ms:.2f}')
        for stage in summary.stages())))
    tables.append(_reasons('Skipped pictures', summary.skipped))
    tables.append(_reasons("Without the camera's pose in the base frame", summary.without_base))
    tables.append(Table('Input', ('what', 'value'), (
        ('recording', facts.bag), ('images', facts.image_topic),
        ('CameraInfo', facts.camera_info_topic), ('model', facts.model),
        ('SHA-256 of the model', facts.model_sha256), ('runs on', facts.provider))))
    return [table for table in tables if table.rows]


def _instance_row(f: InstanceFigures) -> tuple[str, ...]:
    spread_mm = ' '.join(f'{1e3 * v:.1f}' for v in f.spread_m)
    return (f.instance_name, f.frame, _percent(f.found_share), _metres(f.mean_m), spread_mm,
            f'{f.median_score:.3f}', _percent(f.out_of_range_share))


def _reasons(heading: str, reasons: Reasons) -> Table:
    return Table(heading, ('why', 'pictures'), tuple(
        (text, str(count)) for text, count in reasons.most_common()))


def _markdown(title: str, sentences: list[str], tables: list[Table]) -> str:
    lines = [f'# {title}', '', *(f'- {sentence}' for sentence in sentences)]
    for table in tables:
        lines += ['', f'## {table.heading}', '', _row(table.columns),
                  _row(('---',) * len(table.columns)), *map(_row, table.rows)]
    return '\n'.join(lines) + '\n'


def _row(cells: tuple[str, ...]) -> str:
    return '| ' + ' | '.join(cell.replace('|', '\\|') for cell in cells) + ' |'


def _html(title: str, sentences: list[str], tables: list[Table],
          pictures: list[np.ndarray]) -> str:
    body = [f'<h1>{escape(title)}</h1>', '<ul>',
            *(f'<li>{escape(sentence)}</li>' for sentence in sentences), '</ul>']
    body += [f'<img alt="annotated picture" src="{_picture_uri(picture)}">'
             for picture in pictures]
    for table in tables:
        body += [f'<h2>{escape(table.heading)}</h2>', '<table>', _html_row('th', table.columns),
                 *(_html_row('td', row) for row in table.rows), '</table>']
    return _FRAME.format(title=escape(title), body='\n'.join(body))


def _html_row(tag: str, cells: tuple[str, ...]) -> str:
    return '<tr>' + ''.join(f'<{tag}>{escape(cell)}</{tag}>' for cell in cells) + '</tr>'


def _picture_uri(image_rgb: np.ndarray) -> str:
    height_px, width_px = image_rgb.shape[:2]
    if width_px > _PICTURE_WIDTH_PX:
        height_px = max(round(height_px * _PICTURE_WIDTH_PX / width_px), 1)
        image_rgb = cv2.resize(image_rgb, (_PICTURE_WIDTH_PX, height_px),
                               interpolation=cv2.INTER_AREA)
    jpeg = cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                        [cv2.IMWRITE_JPEG_QUALITY, 85])[1]
    return f'data:image/jpeg;base64,{base64.b64encode(jpeg.tobytes()).decode()}'


def _count(number: int, one: str, many: str) -> str:
    return f'{number} {one if number == 1 else many}'


def _percent(share: float) -> str:
    return f'{100 * share:.1f} %'


def _metres(position_m: np.ndarray) -> str:
    return ' '.join(f'{v:.4f}' for v in position_m)
