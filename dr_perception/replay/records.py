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

"""poses.csv and poses.jsonl: one row for every instance in every picture."""

from __future__ import annotations

import csv
from dataclasses import dataclass
import json
from pathlib import Path
from types import TracebackType

from dr_perception.core.transforms import quat_xyzw_from_rotation
import numpy as np

CSV_COLUMNS = ('stamp_ns', 'object', 'instance', 'score', 'x_m', 'y_m', 'z_m', 'qx', 'qy', 'qz',
               'qw', *(f'covariance_{row}{column}' for row in range(6) for column in range(6)),
               'frame', 'out_of_range')


@dataclass(frozen=True, eq=False)
class PoseRecord:
    """One instance in one picture.

    Attributes:
        stamp_ns: the picture's.
        object_name: catalogue name.
        instance_name: `<object>_<n>`, the same from picture to picture while it stays near.
        score: 0 ... 1.
        T_frame_object: (4, 4), metres.
        covariance: (6, 6) about the frame's axes, x, y, z, rotX, rotY, rotZ (REP 103).
        frame: base frame, or the camera's where its pose in the base frame is not known.
        out_of_range: what training did not cover.
    """

    stamp_ns: int
    object_name: str
    instance_name: str
    score: float
    T_frame_object: np.ndarray
    covariance: np.ndarray
    frame: str
    out_of_range: tuple[str, ...]


class PoseFiles:
    """Writes both files as the records come; a context manager."""

    def __init__(self, folder: Path) -> None:
        self._csv_stream = (folder / 'poses.csv').open('w', newline='', encoding='utf-8')
        self._json_stream = (folder / 'poses.jsonl').open('w', encoding='utf-8')
        self._csv = csv.writer(self._csv_stream, lineterminator='\n')
        self._csv.writerow(CSV_COLUMNS)

    def __enter__(self) -> PoseFiles:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None,
                 trace: TracebackType | None) -> None:
        self._csv_stream.close()
        self._json_stream.close()

    def write(self, record: PoseRecord) -> None:
        """Append one record."""
        position_m = [float(v) for v in record.T_frame_object[:3, 3]]
        quat_xyzw = [float(v) for v in quat_xyzw_from_rotation(record.T_frame_object[:3, :3])]
        covariance = [[float(v) for v in row] for row in record.covariance]
        self._csv.writerow([
            record.stamp_ns, record.object_name, record.instance_name, repr(record.score),
            *map(repr, position_m), *map(repr, quat_xyzw),
            *(repr(value) for row in covariance for value in row), record.frame,
            '; '.join(record.out_of_range)])
        self._json_stream.write(json.dumps({
            'stamp_ns': record.stamp_ns, 'object': record.object_name,
            'instance': record.instance_name, 'score': record.score, 'position_m': position_m,
            'quat_xyzw': quat_xyzw, 'covariance': covariance, 'frame': record.frame,
            'out_of_range': list(record.out_of_range)}) + '\n')
