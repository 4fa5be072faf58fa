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

"""``ablate``: trains every run of a plan and measures all of them on the same pictures.

What is done already is not done again: an interrupted ablation goes on where it stopped.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import json
import logging
from pathlib import Path
from typing import Any

from dr_perception.core.pipeline import PosePipeline
from dr_perception.inference.estimator import PoseEstimator
from dr_perception.inference.session import OnnxNetwork
from sim_trainer.ablation.plan import AblationConfig, folder_name, Run
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopPicture, BopSplit
from sim_trainer.evaluation.evaluate import Estimator, evaluate, open_estimator
from sim_trainer.evaluation.heldout import held_out_pictures
from sim_trainer.evaluation.tobin2017 import is_tobin2017
from sim_trainer.training.resume import config_key
from sim_trainer.training.run import run_training
from sim_trainer.validation.choice import RANKING_THRESHOLD, records_of, with_threshold
from sim_trainer.validation.ranking import average_precision

logger = logging.getLogger(__name__)

#: The split that every ablation has: simulated pictures of the full configuration.
HELD_OUT = 'held-out simulation'
RESULTS = 'results.json'
#: Seed of the pictures that runs are measured on; their own held-out ones calibrate them.
_MEASURED_SEED_OFFSET = 500_009


def run_ablation(plan: AblationConfig, full: SceneConfig, runs: list[Run], folder: Path,
                 bop: dict[str, BopSplit]) -> dict[str, Any]:
    """Train and measure; the figures, which also stand in ``folder``/results.json.

    Args:
        plan: the ablation file.
        full: the configuration without any change.
        runs: what to train.
        folder: each run gets a folder of its own in it.
        bop: splits of BOP data sets by the name they have in the table.
    """
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / RESULTS
    known = json.loads(path.read_text()) if path.is_file() else {'runs': {}}
    simulated: list[BopPicture] | None = None
    for number, run in enumerate(runs):
        key = config_key(run.config)
        entry = known['runs'].get(run.name)
        if entry is None or entry['key'] != key:
            entry = {'key': key, 'splits': {}}
        target = folder / folder_name(run.name)
        missing = [name for name in [HELD_OUT, *bop] if name not in entry['splits']]
        if not missing:
            continue
        logger.info('run %d of %d: %s', number + 1, len(runs), run.name)
        model = target / 'model.onnx'
        if not (target / 'metrics.json').is_file() or not model.is_file():
            model = run_training(run.config, target, resume=True)
        estimator = open_estimator(model, ['CPUExecutionProvider'])
        for name in missing:
            if name == HELD_OUT and simulated is None:
                simulated = list(_measured_pictures(full, plan.held_out))
            pictures = simulated if name == HELD_OUT else bop[name]
            entry['splits'][name] = {
                **evaluate(estimator, pictures)['overall'],
                'average_precision': average_precision_of(model, pictures)}
        entry.update(paper_cm=run.paper_cm, curve=run.curve, point=run.point,
                     pictures=run.config.frames.count, steps=_steps_of(estimator, run.config))
        known['runs'][run.name] = entry
        path.write_text(json.dumps(known, indent=1))
    known['runs'] = {run.name: known['runs'][run.name] for run in runs}
    known['full'] = {curve.name: _value(full, curve.key) for curve in plan.curves}
    return known


def _steps_of(estimator: Estimator, config: SceneConfig) -> int:
    """Steps that a model took; tobin2017's does not tell."""
    told = getattr(estimator.contract, 'provenance', {})
    return told.get('steps', config.training.steps)     # the clock may have ended them


def _value(config: SceneConfig, key: str) -> Any:
    """Return what a configuration holds at a dotted key."""
    value: Any = config
    for part in key.split('.'):
        value = getattr(value, part)
    return value


def average_precision_of(model: Path, pictures: Iterable[BopPicture]) -> float | None:
    """Of a keypoint model: the order of its detections without a threshold; else None.

    Runs are short, and a weak model says nothing above its threshold; its order still tells.
    """
    if is_tobin2017(model):
        return None
    network = OnnxNetwork(model)
    contract = with_threshold(PoseEstimator.from_file(model).contract, RANKING_THRESHOLD)
    estimate = PosePipeline(contract, network).estimate
    return round(average_precision(records_of(estimate, pictures, contract)), 4)


def _measured_pictures(full: SceneConfig, count: int) -> Iterable[BopPicture]:
    return held_out_pictures(dataclasses.replace(full, seed=full.seed + _MEASURED_SEED_OFFSET),
                             count)
