"""One training run: draw, train, export, calibrate, measure, report."""

from __future__ import annotations

import dataclasses
import json
import logging
import platform
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml

from dr_perception.core.contract import DecoderSpec, InputSpec, ModelContract
from dr_perception.core.decoding import score_features
from dr_perception.core.pipeline import Detection
from dr_perception.inference.estimator import PoseEstimator
from dr_perception.inference.session import OnnxNetwork
from sim_trainer import __version__
from sim_trainer.configuration.loader import to_plain
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.dataset.frames import scene_key
from sim_trainer.dataset.stream import FrameStream
from sim_trainer.errors import ConfigurationError
from sim_trainer.evaluation.calibration import calibrate
from sim_trainer.evaluation.evaluate import evaluate
from sim_trainer.evaluation.heldout import held_out_pictures
from sim_trainer.evaluation.report import format_table
from sim_trainer.export.onnx_export import export_model, write_contract
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training.figures import write_curves, write_predictions
from sim_trainer.training.loop import first_step, train
from sim_trainer.training.network import OFFSET_UNIT_PX, STRIDE
from sim_trainer.training.tasks import make_task

logger = logging.getLogger(__name__)

#: Held-out pictures: the first part calibrates, the second is measured.
CALIBRATION_PICTURES, MEASURED_PICTURES = 160, 80
#: A detection is published when it is more likely right than wrong.
SCORE_THRESHOLD = 0.5


def run_training(config: SceneConfig, folder: Path, resume: bool) -> Path:
    """Train a configuration into a folder and return the path of its model.onnx.

    The folder gets: config.yaml (resolved), checkpoint.pt, log.jsonl, model.onnx,
    metrics.json, curves.png, predictions.png.
    """
    _prepare_folder(config, folder, resume)
    catalogue = build_catalogue(config.objects)
    first_sample = first_step(config, folder, resume) * config.training.batch_size
    with FrameStream(config, first_sample) as stream:
        stream.fill()
        torch.manual_seed(config.seed)
        task = make_task(config, stream, catalogue)
        network, training_s = train(task, config, folder, resume)
    model_path = folder / 'model.onnx'
    if config.training.model == 'tobin2017':
        from sim_trainer.training.tobin2017 import finish_tobin2017
        return finish_tobin2017(network, config, catalogue, folder)
    contract = _contract(config, catalogue)
    export_model(network, contract, model_path)
    contract, figures = _calibrate_and_measure(config, contract, model_path, folder)
    seconds = {'waited_for_pictures_s': round(stream.elapsed_s, 1),
               'training_s': round(training_s, 1)}
    contract = dataclasses.replace(
        contract, metrics={'held_out_simulation': figures['overall']},
        provenance={**contract.provenance, **seconds})
    write_contract(model_path, contract)
    (folder / 'metrics.json').write_text(json.dumps({**seconds, 'held_out': figures}, indent=1))
    write_curves(folder / 'log.jsonl', folder / 'curves.png')
    return model_path


def _calibrate_and_measure(config: SceneConfig, contract: ModelContract, model_path: Path,
                           folder: Path) -> tuple[ModelContract, dict[str, Any]]:
    """Calibrate on one part of the held-out pictures and measure on the other."""
    pictures = list(held_out_pictures(config, CALIBRATION_PICTURES + MEASURED_PICTURES))
    contract = calibrate(contract, OnnxNetwork(model_path), pictures[:CALIBRATION_PICTURES])
    write_contract(model_path, contract)
    estimator = PoseEstimator.from_file(model_path)
    shown: list[tuple[BopPicture, list[Detection]]] = []
    figures = evaluate(estimator, pictures[CALIBRATION_PICTURES:],
                       on_picture=lambda *result: shown.append(result))
    logger.info('%s', format_table(figures, 'held-out simulated pictures'))
    write_predictions(shown[:12], contract, folder / 'predictions.png')
    return contract, figures


def _prepare_folder(config: SceneConfig, folder: Path, resume: bool) -> None:
    """Write what the run is before it does anything."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f'--output {folder}: is a file; give a folder')
    if (folder / 'checkpoint.pt').is_file() and not resume:
        raise ConfigurationError(f'--output {folder}: holds a training already; go on with it by '
                                 '--resume, or give another folder')
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(to_plain(config), sort_keys=False)
    (folder / 'config.yaml').write_text(f'# sim_trainer {__version__}, resolved\n{text}')


def _contract(config: SceneConfig, catalogue) -> ModelContract:
    camera = config.camera
    feature_count = score_features(np.zeros(0), np.zeros((0, 1)), np.zeros(0)).shape[1]
    plain_weights = (0.0, 1.0) + (0.0,) * (feature_count - 2)      # until calibrated: the heat
    reach = np.linalg.norm(np.array(config.randomization.viewpoint.box_m)) / 2
    nominal = np.linalg.norm(np.array(camera.position_m) - camera.look_at_m)
    focal_px = float(np.sqrt(camera.fx_px * camera.fy_px)) * config.frames.scale
    return ModelContract(
        name=config.name, objects=catalogue,
        input=InputSpec(multiple_px=32, focal_px=focal_px, focal_tolerance=1.12,
                        max_pixels=1_500_000),
        decoder=DecoderSpec(
            stride_px=STRIDE, offset_unit_px=OFFSET_UNIT_PX, peak_threshold=0.15,
            score_threshold=SCORE_THRESHOLD, score_weights=plain_weights, covariance_scale=1.0,
            plane_sigma_m=0.001, tilt_sigma_rad=0.01, camera_score_weights=plain_weights,
            camera_covariance_scale=1.0),
        trained_range={'camera_distance_m': [round(float(nominal - reach), 3),
                                             round(float(nominal + reach), 3)],
                       'camera_position_m': list(camera.position_m),
                       'camera_box_m': list(config.randomization.viewpoint.box_m)},
        provenance={'trainer': f'sim_trainer {__version__}', 'scene_key': scene_key(config),
                    'seed': config.seed, 'pictures': config.frames.count,
                    'steps': config.training.steps, 'batch_size': config.training.batch_size,
                    'torch': torch.__version__, 'machine': platform.processor() or
                    platform.machine()})
