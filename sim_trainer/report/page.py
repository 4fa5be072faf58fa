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

"""The HTML of a report: a frame and small parts. Every text that is not markup is escaped here."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape

from matplotlib.figure import Figure
from sim_trainer.report.encoding import figure_uri, picture_uri
from sim_trainer.report.tiles import Tile

# The policy makes the browser refuse what is not in the file, so that nothing can creep in.
_FRAME = """<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>{title}</title>
<style>{style}</style>
</head>
<body>
<main>
{body}
</main>
</body>
</html>
"""
_STYLE = """
:root { color-scheme: light; }
* { box-sizing: border-box; }
body { margin: 0; background: #fff; color: #1c1e21;
  font: 16px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, sans-serif; }
main { max-width: 1120px; margin: 0 auto; padding: 16px; }
h1 { font-size: 1.6rem; line-height: 1.2; margin: 0 0 .6rem; overflow-wrap: anywhere; }
h2 { font-size: 1.25rem; margin: 2.2rem 0 .5rem; border-bottom: 1px solid #d0d4d9; }
h3 { font-size: 1.05rem; margin: 1.3rem 0 .4rem; }
p { margin: .4rem 0; max-width: 75ch; }
.summary { background: #eef4fa; border-left: 4px solid #2a6fb0; padding: .6rem .9rem;
  font-size: 1.08rem; }
.note, figcaption { color: #4a5058; font-size: .86rem; }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .1rem .9rem; margin: .8rem 0; }
dt { color: #4a5058; }
dd { margin: 0; overflow-wrap: anywhere; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .9rem; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .55rem; border: 1px solid #d0d4d9; text-align: right; }
th { background: #f3f5f7; font-weight: 600; }
tbody th { text-align: left; }
.matrix thead th { vertical-align: bottom; }
.matrix thead span { writing-mode: vertical-rl; transform: rotate(180deg); }
.charts { display: grid; gap: 14px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 330px), 1fr)); align-items: start; }
.tiles { display: grid; gap: 10px;
  grid-template-columns: repeat(auto-fill, minmax(min(100%, 215px), 1fr)); }
.samples { grid-template-columns: repeat(auto-fill, minmax(min(100%, 440px), 1fr)); }
figure { margin: 0; break-inside: avoid; }
img { display: block; width: 100%; height: auto; }
details { margin: .7rem 0; border: 1px solid #d0d4d9; border-radius: 4px; padding: .4rem .8rem; }
summary { cursor: pointer; font-weight: 600; }
pre { overflow-x: auto; font-size: .78rem; line-height: 1.35; background: #f7f8f9;
  padding: .6rem; }
@media print {
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  h2, h3 { break-after: avoid; }
  tr { break-inside: avoid; }
  .wide, pre { overflow: visible; }
  pre { white-space: pre-wrap; }
  .charts { grid-template-columns: 1fr 1fr; }
  .tiles { grid-template-columns: repeat(4, 1fr); }
  .samples { grid-template-columns: repeat(3, 1fr); }
}
"""


def page(title: str, parts: Sequence[str]) -> str:
    """Return the whole document; ``parts`` are markup."""
    return _FRAME.format(title=escape(title), style=_STYLE, body='\n'.join(parts))


def heading(text: str, level: int = 2) -> str:
    """Return a heading."""
    return f'<h{level}>{escape(text)}</h{level}>'


def paragraph(text: str, kind: str = '') -> str:
    """Return a paragraph; kind: summary or note."""
    return f'<p class="{kind}">{escape(text)}</p>'


def facts(entries: dict[str, str]) -> str:
    """Names and values, two columns."""
    rows = ''.join(f'<dt>{escape(name)}</dt><dd>{escape(value)}</dd>'
                   for name, value in entries.items())
    return f'<dl>{rows}</dl>'


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table whose rows begin with their name."""
    return (f'<div class="wide"><table><thead><tr>{"".join(map(_th, head))}</tr></thead><tbody>'
            + ''.join(f'<tr>{_th(row[0])}{"".join(_td(cell) for cell in row[1:])}</tr>'
                      for row in rows) + '</tbody></table></div>')


def matrix(rows: Sequence[str], columns: Sequence[str], counts: Sequence[Sequence[int]]) -> str:
    """Return counts, darker where a row has more: green on the diagonal, red elsewhere."""
    head = ''.join(f'<th scope="col"><span>{escape(c)}</span></th>' for c in columns)
    body = ''
    for i, (name, row) in enumerate(zip(rows, counts)):
        total = sum(row)
        cells = ''.join(_td(str(n) if n else '·', _shade(n / total if total else 0, i == j))
                        for j, n in enumerate(row))
        body += f'<tr>{_th(name)}{cells}<td>{total}</td></tr>'
    return ('<div class="wide"><table class="matrix"><thead><tr><th>true \\ reported</th>'
            f'{head}<th>all</th></tr></thead><tbody>{body}</tbody></table></div>')


def charts(figures: Sequence[tuple[Figure, str]]) -> str:
    """Charts side by side where there is room; each with a description for who cannot see."""
    return '<div class="charts">' + ''.join(
        f'<figure><img src="{figure_uri(chart)}" alt="{escape(text)}"></figure>'
        for chart, text in figures) + '</div>'


def tiles(pictures: Sequence[Tile], kind: str = '') -> str:
    """Return a contact sheet that flows to the page's width; kind: samples for larger pictures."""
    return f'<div class="tiles {kind}">' + ''.join(
        f'<figure><img src="{picture_uri(tile.image_rgb)}" alt="{escape(tile.caption)}">'
        f'<figcaption>{escape(tile.caption)}</figcaption></figure>'
        for tile in pictures) + '</div>'


def folded(title: str, markup: str) -> str:
    """Something that opens on a touch."""
    return f'<details><summary>{escape(title)}</summary>{markup}</details>'


def preformatted(text: str) -> str:
    """Text as it is."""
    return f'<pre>{escape(text)}</pre>'


def _th(text: str) -> str:
    return f'<th>{escape(text)}</th>'


def _td(text: str, color: str = '') -> str:
    style = f' style="background:{color}"' if color else ''
    return f'<td{style}>{escape(text)}</td>'


def _shade(share: float, right: bool) -> str:
    if share <= 0:
        return ''
    red_green_blue = '47,143,78' if right else '205,60,50'
    return f'rgba({red_green_blue},{0.12 + 0.6 * share:.2f})'
