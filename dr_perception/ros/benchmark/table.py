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

"""The figures as a markdown table and as JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from dr_perception.inference.benchmark import AFTER_NETWORK, NETWORK, StageTimes, TOTAL
from dr_perception.ros.benchmark.transport import LATENCY, TransportTimes

COLUMNS = ('provider', 'image', 'objects found', 'estimate ms p50 / p95',
           'network ms p50 / p95', 'network ms a picture of a batch',
           'decode + pose ms p50 / p95', 'outside the network', 'frames/s without ROS',
           'frames/s with ROS', 'stamp to poses ms p50 / p95',
           'node RSS MB', 'GPU MB')
_NOT_MEASURED = '-'


@dataclass(frozen=True)
class Row:
    """One provider with one image size.

    Attributes:
        batch_ms: of the network alone, for each picture of a batch.
        transport: None when ROS was left out.
    """

    provider: str
    width_px: int
    height_px: int
    stages: StageTimes
    batch_ms: float
    transport: TransportTimes | None

    def cells(self) -> tuple[str, ...]:
        """Its texts, as ``COLUMNS``."""
        stages, transport = self.stages, self.transport
        with_ros = (_NOT_MEASURED,) * 4 if transport is None else (
            f'{transport.rate_hz:.1f}', f'{transport.p50_ms:.1f} / {transport.p95_ms:.1f}',
            _number(transport.rss_mb), _number(transport.gpu_mb))
        return (self.provider, f'{self.width_px}x{self.height_px}', f'{stages.objects:.1f}',
                _pair(stages, TOTAL), _pair(stages, NETWORK), f'{self.batch_ms:.1f}',
                _pair(stages, AFTER_NETWORK), f'{stages.outside_network:.0%}',
                f'{stages.pictures_per_s:.1f}', *with_ros)

    def as_dict(self) -> dict[str, Any]:
        """Its figures for machines."""
        return {'provider': self.provider, 'width_px': self.width_px,
                'height_px': self.height_px,
                'estimate': {**asdict(self.stages), 'pictures_per_s': self.stages.pictures_per_s},
                'batch_network_ms': self.batch_ms,
                'ros': None if self.transport is None else asdict(self.transport)}


def as_markdown(rows: list[Row], measured: dict[str, str]) -> str:
    """Return what was measured, on what, and the table."""
    lines = [f'- {name}: {value}' for name, value in measured.items()]
    lines += ['', *_table(COLUMNS, [row.cells() for row in rows])]
    with_ros = [(row, row.transport) for row in rows if row.transport is not None]
    if with_ros:
        steps = [step for step in with_ros[0][1].steps_ms if step != LATENCY]
        columns = 'provider', 'image', *steps, 'stamp to published', 'all but the network'
        lines += ['', 'In the node, from the stamp until the poses are published, ms (p50):', '',
                  *_table(columns, [_step_cells(row, transport, steps)
                                    for row, transport in with_ros])]
    return '\n'.join(lines)


def _table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> list[str]:
    return ['| ' + ' | '.join(cells) + ' |' for cells in (columns, ('---',) * len(columns), *rows)]


def _step_cells(row: Row, transport: TransportTimes, steps: list[str]) -> tuple[str, ...]:
    whole_ms, outside_ms = transport.steps_ms[LATENCY]['p50'], transport.outside_network_ms
    return (row.provider, f'{row.width_px}x{row.height_px}',
            *(f'{transport.steps_ms[step]["p50"]:.1f}' if step in transport.steps_ms
              else _NOT_MEASURED for step in steps),
            f'{whole_ms:.1f}', f'{outside_ms:.1f} ({outside_ms / whole_ms:.0%})')


def _pair(stages: StageTimes, name: str) -> str:
    return f'{stages.p50_ms[name]:.1f} / {stages.p95_ms[name]:.1f}'


def _number(value: float | None) -> str:
    return _NOT_MEASURED if value is None else f'{value:.0f}'
