"""Figures of a run: training curves and predictions."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Detection
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
    """A contact sheet of detections (red) on truth (green)."""
    write_sheet([annotated(picture, detections, contract.objects)
                 for picture, detections in shown], path)
