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

"""Where a training goes on: at its last step, or, made longer, before it cooled down."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
from pathlib import Path
from typing import Any

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.configuration.training import TrainingConfig
from sim_trainer.errors import CheckpointError
from sim_trainer.training.checkpoint import load_checkpoint
from sim_trainer.training.schedule import Schedule

logger = logging.getLogger(__name__)

CHECKPOINT = 'checkpoint.pt'
BEFORE_COOLDOWN = 'before_cooldown.pt'
#: what may differ between two parts of a training; learning rates are compared by themselves
_LENGTH = ('steps', 'minutes', 'snapshots', 'schedule', 'cooldown')


def config_key(config: SceneConfig) -> str:
    """Return a hash of everything that decides the weights; workers and checkpoints do not."""
    return hashlib.sha256(json.dumps(keyed(config), sort_keys=True).encode()).hexdigest()[:16]


def keyed(config: SceneConfig) -> dict[str, Any]:
    """Return what ``config_key`` is a hash of."""
    data = dataclasses.asdict(config)
    del data['frames']['workers']
    for entry in data['objects']:
        del entry['subframes']      # travel with the weights, decide nothing of them
    for key in ('workers', 'checkpoint_s', 'tensorboard', 'calibration_pictures',
                'measured_pictures', 'stress_pictures', 'threshold_beta'):
        del data['training'][key]
    if data['training']['minutes'] is None:     # older checkpoints do not know the key
        del data['training']['minutes']
    return data


def resumable_key(config: SceneConfig) -> str:
    """Return a hash of what has to be the same in all parts of a training."""
    alike = {key: getattr(TrainingConfig, key) for key in _LENGTH}
    frames = config.frames
    # More steps want more pictures; where all of them fit in memory, their number is their order.
    count = min(frames.count, frames.pool_count + 1)
    return config_key(dataclasses.replace(
        config, frames=dataclasses.replace(frames, count=count),
        training=dataclasses.replace(config.training, **alike)))


def schedule_of(settings: TrainingConfig, state: dict[str, Any] | None) -> Schedule:
    """Return the schedule of a training that goes on from ``state``; None: that begins."""
    planned = Schedule.of(settings)
    if settings.minutes is not None and state and state.get('by_the_clock') == plan(settings):
        return Schedule(**state['schedule'])        # the clock may have said how long it is
    return planned


def first_step(settings: TrainingConfig, state: dict[str, Any] | None) -> int:
    """Return the step whose samples a training begins with.

    What the clock made shorter is at its end before the steps that it might have had: nothing more
    is drawn then.
    """
    step = state['step'] if state else 0
    return step if step < schedule_of(settings, state).steps else settings.steps


def plan(settings: TrainingConfig) -> dict[str, Any]:
    """Return what a training that ends by the clock was told, as a checkpoint keeps it."""
    return {'minutes': settings.minutes, **dataclasses.asdict(Schedule.of(settings))}


def state_to_resume(folder: Path, config: SceneConfig) -> dict[str, Any] | None:
    """Return the checkpoint that this training goes on from; None if it has not begun.

    Args:
        folder: of the run.
        config: of the run; ``training.steps`` may be another than before, and ``frames.count``
            where pictures are drawn all the time.

    Raises:
        CheckpointError: damaged, of another configuration, or its steps had other learning rates
            than those with which this training begins.
    """
    path = folder / CHECKPOINT
    if not path.is_file():
        return None
    state = load_checkpoint(path, resumable_key(config))
    schedule = schedule_of(config.training, state)
    former = Schedule(**state['schedule'])
    if former.begins_like(schedule, state['step']):
        return state
    earlier = folder / BEFORE_COOLDOWN
    if earlier.is_file():
        before = load_checkpoint(earlier, resumable_key(config))
        if Schedule(**before['schedule']).begins_like(schedule, before['step']):
            logger.info('going on before the cooldown of the former %d steps', former.steps)
            return before
    raise CheckpointError(
        f'{path}: its {state["step"]} steps are the first of {former}; those of {schedule} have '
        'other learning rates. Give training.steps, schedule and cooldown as before, or another '
        '--output and training.start_from with these weights. (A training that can be made '
        'longer: training.schedule=constant)')
