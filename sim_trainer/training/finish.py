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

"""After training: choose a snapshot, calibrate, measure, write the model and the report."""

from __future__ import annotations

from collections.abc import Callable
import dataclasses
import json
import logging
import os
from pathlib import Path
from typing import Any

from dr_perception.core.contract import ModelContract
from dr_perception.core.objects import ObjectModel
from dr_perception.inference.estimator import PoseEstimator
from dr_perception.inference.session import OnnxNetwork
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.evaluate import evaluate
from sim_trainer.evaluation.heldout import blinded_pictures, held_out_pictures
from sim_trainer.evaluation.report import format_table
from sim_trainer.export.onnx_export import export_model, write_contract
from sim_trainer.objects.catalogue import KEYPOINT_COUNT
from sim_trainer.report.run_report import Results, RunReport
from sim_trainer.report.write import write_report
from sim_trainer.training.checkpoint import load_snapshots
from sim_trainer.training.contract import make_contract
from sim_trainer.training.figures import write_curves, write_predictions
from sim_trainer.training.networks.keypoints import build_network
from sim_trainer.training.schedule import Schedule
from sim_trainer.validation.choice import choose, Snapshot, snapshot_path
from sim_trainer.validation.stress import stress_pictures

logger = logging.getLogger(__name__)

HELD_OUT = 'held-out simulation'


def finish_keypoints(config: SceneConfig, catalogue: tuple[ObjectModel, ...], folder: Path,
                     seconds: dict[str, float], processes: int) -> Path:
    """Write model.onnx, metrics.json, report.html and figures of a trained run.

    Args:
        config: of the run.
        catalogue: its objects.
        folder: of the run, with its snapshots.
        seconds: what took how long, for the model's provenance.
        processes: how many trained.

    Raises:
        TrainingError: no snapshot finds enough to be calibrated.
        ExportError: torch and ONNX Runtime disagree.
    """
    settings = config.training
    held_out = list(held_out_pictures(
        config, settings.calibration_pictures + settings.measured_pictures))
    calibration = held_out[:settings.calibration_pictures]
    contract = make_contract(config, catalogue, calibration)
    # A score has to know what static and covered lenses look like, too.
    calibration = calibration + blinded_pictures(config, calibration)
    stress: dict[str, list[BopPicture]] = {}
    for name, picture in stress_pictures(config, settings.stress_pictures):
        stress.setdefault(name, []).append(picture)
    ranked = choose(_exported(config, contract, folder, all_of_them=bool(stress)), contract,
                    calibration, stress, settings.threshold_beta)
    best = ranked[0]
    model_path = folder / 'model.onnx'
    os.replace(snapshot_path(folder, best.step), model_path)
    write_contract(model_path, best.contract)
    for other in folder.glob('snapshots/*.onnx'):
        other.unlink()
    sets, figures = _measured(model_path, {
        HELD_OUT: held_out[settings.calibration_pictures:],
        **{f'stress: {name}': pictures[1::2] for name, pictures in stress.items()}})
    contract = dataclasses.replace(
        best.contract,
        metrics={name.replace(' ', '_').replace(':', ''): report['overall']
                 for name, report in figures.items()},
        provenance={**best.contract.provenance, **seconds, 'processes': processes,
                    'step': best.step})
    write_contract(model_path, contract)
    (folder / 'metrics.json').write_text(json.dumps(
        {**seconds, 'held_out': figures[HELD_OUT], 'sets': figures,
         'snapshots': {s.step: s.precision for s in ranked}}, indent=1))
    write_curves(folder / 'log.jsonl', folder / 'curves.png')
    write_predictions(sets[HELD_OUT][:12], contract, folder / 'predictions.png')
    write_report(folder / 'report.html', RunReport(
        contract, (folder / 'config.yaml').read_text(), folder / 'log.jsonl', sets,
        _notes(ranked), sum(seconds.values())))
    return model_path


def _exported(config: SceneConfig, contract: ModelContract, folder: Path, all_of_them: bool
              ) -> dict[int, Callable[[], OnnxNetwork]]:
    """Step -> function that opens the snapshot's ONNX file; the last alone if nothing chooses."""
    settings = config.training.network
    weights = load_snapshots(folder)
    # Those that a shorter plan of the same run kept before it was made longer do not compete.
    planned = Schedule.of(config.training).snapshots(config.training.snapshots)
    weights = {step: weights[step] for step in weights if step in planned}
    opened = {}
    for step in weights if all_of_them else [max(weights)]:
        network = build_network(settings, len(contract.objects), KEYPOINT_COUNT)
        network.load_state_dict(weights[step])
        path = snapshot_path(folder, step)
        export_model(network, contract, path)
        opened[step] = lambda path=path: OnnxNetwork(path)
    return opened


def _measured(model_path: Path, sets: dict[str, list[BopPicture]]
              ) -> tuple[dict[str, Results], dict[str, dict[str, Any]]]:
    """Return what the model finds in each set, and the figures of each."""
    estimator = PoseEstimator.from_file(model_path)
    found: dict[str, Results] = {}
    figures = {}
    for name, pictures in sets.items():
        shown: Results = []
        figures[name] = evaluate(estimator, pictures,
                                 on_picture=lambda *result: shown.append(result))
        found[name] = shown
        logger.info('%s', format_table(figures[name], name))
    return found, figures


def _notes(ranked: list[Snapshot]) -> list[str]:
    best = ranked[0]
    if not best.precision:
        return [f'The weights of step {best.step} were kept: no stress splits were drawn '
                '(training.stress_pictures: 0).']
    others = ', '.join(f'{s.merit:.3f} (step {s.step})' for s in ranked)
    return [f'Step {best.step} was chosen by average precision within 2 cm on the stress splits '
            f'({", ".join(best.precision)}), whose textures, lights, sensors and distractors '
            f'training never saw: {others}.',
            f'The score threshold, {best.contract.decoder.score_threshold:.2f}, was set on '
            'held-out and stress pictures; pictures of other origin may want another.']
