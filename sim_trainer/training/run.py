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

"""One training run: draw, train, export, calibrate, measure, report."""

from __future__ import annotations

import dataclasses
from pathlib import Path
import time
from typing import Any

from sim_trainer import __version__
from sim_trainer.configuration.loader import to_plain
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.law import FrameLaw
from sim_trainer.dataset.stream import FrameStream
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training.distributed import ProcessGroup
from sim_trainer.training.finish import finish_keypoints
from sim_trainer.training.loop import train
from sim_trainer.training.resume import CHECKPOINT, first_step, state_to_resume
from sim_trainer.training.start import start_from
from sim_trainer.training.tasks import first_pictures, make_task
import torch
import yaml


def run_training(config: SceneConfig, folder: Path, resume: bool) -> Path | None:
    """Train a configuration into a folder and return the path of its model.onnx.

    The folder gets: config.yaml (resolved), checkpoint.pt, snapshots, log.jsonl, model.onnx,
    metrics.json, report.html, curves.png, predictions.png. Under torchrun, all processes train
    and the first one writes; the others return None.
    """
    begun = time.monotonic()
    catalogue = build_catalogue(config.objects)
    with ProcessGroup() as group:
        state = group.told(_begin(config, folder, resume) if group.first else None)
        part = group.part_of(config)
        settings = part.training
        first_sample = (settings.first_batch(first_step(settings, state))
                        * settings.batch_size)
        with FrameStream(part, first_sample) as stream:
            stream.fill()
            torch.manual_seed(config.seed)
            task = make_task(part, stream, catalogue)
            if settings.start_paths and state is None and group.first:
                start_from(task.network, [Path(name) for name in settings.start_paths],
                           lambda: first_pictures(task, first_sample))      # others are told
            trained = train(task, config, folder, state, group, time.monotonic() - begun)
        if not group.first:
            return None
    config = _as_it_was(config, trained.steps)
    if config.training.model == 'tobin2017':
        from sim_trainer.training.tobin2017 import finish_tobin2017
        return finish_tobin2017(trained.network, config, catalogue, folder)
    seconds = {'training_s': round(trained.seconds, 1)}
    if settings.workers == 1:       # processes that make samples keep their waiting to themselves
        seconds['waited_for_pictures_s'] = round(stream.elapsed_s, 1)
    return finish_keypoints(config, catalogue, folder, seconds, group.size)


def _as_it_was(config: SceneConfig, steps: int) -> SceneConfig:
    """Return the configuration of a training that took so many steps, and their pictures."""
    training = dataclasses.replace(config.training, steps=steps)
    count = FrameLaw(config).allowed(training.batch_count * training.batch_size)
    return dataclasses.replace(
        config, frames=dataclasses.replace(config.frames, count=min(count, config.frames.count)),
        training=training)


def _begin(config: SceneConfig, folder: Path, resume: bool) -> dict[str, Any] | None:
    """Write what the run is before it does anything; the checkpoint to go on from, if any."""
    if folder.exists() and not folder.is_dir():
        raise ConfigurationError(f'--output {folder}: is a file; give a folder')
    if (folder / CHECKPOINT).is_file() and not resume:
        raise ConfigurationError(f'--output {folder}: holds a training already; go on with it by '
                                 '--resume, or give another folder')
    state = state_to_resume(folder, config)
    folder.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(to_plain(config), sort_keys=False)
    (folder / 'config.yaml').write_text(f'# sim_trainer {__version__}, resolved\n{text}')
    return state
