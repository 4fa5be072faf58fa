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

"""Figures of a run: training curves and predictions."""

from __future__ import annotations

import json
from pathlib import Path

from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Detection
import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.annotation import annotated, write_sheet


def write_curves(log_path: Path, path: Path) -> None:
    """Loss and keypoint error over the steps."""
    import matplotlib
    matplotlib.use('Agg')
    from matplotlib import pyplot

    rows = [json.loads(line) for line in log_path.read_text(encoding='utf-8').splitlines()]
    if not rows:
        return
    keys = [key for key in rows[-1] if key not in ('step', 'time_s')]
    figure, axes = pyplot.subplots(1, len(keys), figsize=(4 * len(keys), 3.2), squeeze=False)
    for axis, key in zip(axes[0], keys):
        axis.plot([row['step'] for row in rows], [row.get(key, np.nan) for row in rows])
        axis.set_title(key)
        axis.set_xlabel('step')
        axis.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    pyplot.close(figure)


def write_predictions(shown: list[tuple[BopPicture, list[Detection]]], contract: ModelContract,
                      path: Path) -> None:
    """Write a contact sheet of detections (red) on truth (green)."""
    write_sheet([annotated(picture, detections, contract.objects)
                 for picture, detections in shown], path)
