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

"""The training loop, top to bottom: samples -> network -> loss -> optimizer -> checkpoint.

``--resume`` continues exactly: sample n depends on (seed, n) alone, nothing else is random, and a
checkpoint holds weights, averaged weights, optimizer state and the step.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import copy
import dataclasses
import logging
import math
from pathlib import Path
import signal
import threading
import time
from typing import Any

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.errors import TrainingError
from sim_trainer.training.batches import prefetched_batches
from sim_trainer.training.checkpoint import drop_snapshots, save_checkpoint, save_snapshot
from sim_trainer.training.compiling import compiled
from sim_trainer.training.distributed import ProcessGroup
from sim_trainer.training.log import TrainingLog
from sim_trainer.training.optimizer import Optimizer
from sim_trainer.training.precision import uses_bfloat16
from sim_trainer.training.resume import (BEFORE_COOLDOWN, CHECKPOINT, first_step, plan,
                                         resumable_key, schedule_of)
from sim_trainer.training.schedule import Clock, PACE_STEPS
from sim_trainer.training.tasks import Task
import torch
from torch import nn
from tqdm import tqdm

logger = logging.getLogger(__name__)

EMA_DECAY = 0.998
GRADIENT_CLIP = 5.0


class Interrupted(Exception):
    """Ctrl-C or SIGTERM arrived; the state was saved."""


@dataclasses.dataclass(frozen=True)
class Trained:
    """What a training ends with.

    Attributes:
        network: the averaged one.
        seconds: of this run and those it resumed.
        steps: that it took; fewer than ``training.steps`` where ``training.minutes`` ended it.
    """

    network: nn.Module
    seconds: float
    steps: int


def train(task: Task, config: SceneConfig, folder: Path, state: dict[str, Any] | None = None,
          group: ProcessGroup | None = None, spent_s: float = 0.0) -> Trained:
    """Train.

    Args:
        task: network, samples and loss.
        config: the run's configuration.
        folder: where ``checkpoint.pt``, ``snapshots/`` and ``log.jsonl`` go.
        state: the checkpoint to go on from.
        group: the processes that train together; None for this one alone.
        spent_s: what the first pictures took, which counts for ``training.minutes``.

    Raises:
        Interrupted: stopped by a signal after saving.
        TrainingError: the loss is not finite.
        CheckpointError: the checkpoint cannot be written.
    """
    group = group or ProcessGroup()
    settings = config.training
    torch.backends.cudnn.benchmark = True       # every batch has one shape: try what is fastest
    network = task.network.to(group.device, memory_format=torch.channels_last).train()
    group.share(network.state_dict().values())
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimizer = Optimizer(network, settings)
    step, elapsed_s, started_at = 0, 0.0, time.monotonic()
    clock_s = spent_s
    if state is not None:
        network.load_state_dict(state['network'])
        averaged.load_state_dict(state['averaged'])
        optimizer.load_state_dict(state['optimizer'])
        step, elapsed_s = state['step'], state['elapsed_s']
        clock_s += state.get('clock_s', elapsed_s)
        optimizer.schedule = schedule_of(settings, state)
        logger.info('resuming at step %d of %d', step, optimizer.schedule.steps)
    clock = Clock(settings.minutes, settings.cooldown, clock_s, step, elapsed_s)

    def save(name: str = CHECKPOINT) -> None:
        if group.first:
            save_checkpoint(folder / name, {
                'config_key': resumable_key(config), 'by_the_clock': plan(settings),
                'clock_s': clock.spent_s, 'schedule': dataclasses.asdict(optimizer.schedule),
                'network': network.state_dict(),
                'averaged': averaged.state_dict(), 'optimizer': optimizer.state_dict(),
                'step': step, 'elapsed_s': elapsed_s + time.monotonic() - started_at})

    forward = compiled(network, settings)
    bfloat16 = uses_bfloat16(settings.mixed_precision, group.device)
    saved_at = paced_at = time.monotonic()
    begin, end = (step + count for count in PACE_STEPS)
    if group.first:
        drop_snapshots(folder, step)
    first = first_step(settings, state)
    with _stop_requests() as stop, tqdm(
            total=optimizer.schedule.steps, initial=step, desc='training', unit='step',
            disable=None if group.first else True) as bar, \
            TrainingLog(folder, step, settings.tensorboard, write=group.first) as log, \
            contextlib.closing(prefetched_batches(task, first, group.device.type == 'cuda')
                               ) as batches:
        for made in batches:
            batch = made.to(group.device)
            optimizer.begin(step)
            with torch.autocast(group.device.type, torch.bfloat16,
                                enabled=bfloat16):
                outputs = forward(task.image(batch).float())
            loss, values = task.loss(outputs, batch)
            loss.backward()
            # All processes must decide alike, so what they decide by is averaged, too.
            mean_loss, stopping, cooling = group.average(network, [
                loss.detach(), float(stop.is_set()), float(clock.is_time(step + 1))])
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_CLIP)
            optimizer.step()
            _average(averaged, network, min(EMA_DECAY, (step + 1) / (step + 11.0)))
            # Read last: a GPU has the whole step to do by now, and is waited for once.
            figures = {key: float(value) for key, value in {'loss': mean_loss, **values}.items()}
            if not math.isfinite(figures['loss']):
                raise TrainingError(
                    f'the loss is {figures["loss"]} at step {step}; lower training.learning_rate '
                    f'({settings.learning_rate:g}) and training.muon_learning_rate '
                    f'({settings.muon_learning_rate:g}), or set training.mixed_precision=false; '
                    'the last checkpoint is kept')
            step += 1
            bar.update()
            if cooling and step < optimizer.schedule.cooldown_begin:
                optimizer.schedule = optimizer.schedule.cooling_from(step)
                bar.total = optimizer.schedule.steps
            schedule = optimizer.schedule
            if step == begin:
                paced_at = time.monotonic()
            elif step == end and group.first:
                logger.info('%s', pace((time.monotonic() - paced_at) / (end - begin),
                                       schedule.steps - step, clock.left_s))
            means = log.add(step, figures, last=step == schedule.steps)
            if means:
                bar.set_postfix({k: f'{v:.3g}' for k, v in means.items()})
            if step == schedule.cooldown_begin:
                save(BEFORE_COOLDOWN)
            if group.first and step in schedule.snapshots(settings.snapshots):
                save_snapshot(folder, step, averaged.state_dict())
            if stopping:
                save()
                raise Interrupted(f'stopped at step {step}; --resume goes on from there')
            if time.monotonic() - saved_at > settings.checkpoint_s:
                save()
                saved_at = time.monotonic()
            if step == schedule.steps:
                break
    save()
    return Trained(averaged.eval(), elapsed_s + time.monotonic() - started_at, step)


def pace(each_s: float, left: int, left_s: float = math.inf) -> str:
    """Return what seconds a step mean for the steps that are left, or the seconds."""
    if each_s * left > left_s:
        return (f'{each_s:.2f} s a step: about {max(left_s, 0) / each_s:.0f} more steps until '
                'training.minutes are over')
    return (f'{each_s:.2f} s a step: about {math.ceil(each_s * left / 60)} minutes for the '
            f'remaining {left} steps')


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and normalization statistics."""
    values = network.state_dict()
    means, targets = [], []
    for name, mean in averaged.state_dict().items():
        if mean.dtype.is_floating_point:
            means.append(mean)
            targets.append(values[name])
        else:
            mean.copy_(values[name])
    torch._foreach_lerp_(means, targets, 1 - decay)     # one call, not a hundred


@contextlib.contextmanager
def _stop_requests() -> Iterator[threading.Event]:
    """Turn SIGINT and SIGTERM into a request that the loop sees between two steps."""
    stop = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    previous = {number: signal.signal(number, lambda *_: stop.set())
                for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in previous.items():
            signal.signal(number, handler)
