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

from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
import copy
import logging
import math
from pathlib import Path
import signal
import threading
import time
from typing import Any

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.errors import TrainingError
from sim_trainer.training.checkpoint import save_checkpoint, save_snapshot
from sim_trainer.training.compiling import compiled
from sim_trainer.training.distributed import ProcessGroup
from sim_trainer.training.log import TrainingLog
from sim_trainer.training.optimizer import Optimizer
from sim_trainer.training.precision import uses_bfloat16
from sim_trainer.training.resume import BEFORE_COOLDOWN, CHECKPOINT, resumable_key
from sim_trainer.training.schedule import Schedule, snapshot_steps
from sim_trainer.training.tasks import Task
import torch
from torch import nn
from tqdm import tqdm

logger = logging.getLogger(__name__)

EMA_DECAY = 0.998
GRADIENT_CLIP = 5.0
PREFETCHED_BATCHES = 3
#: Steps after which the time that is left is told: the first ones compile and fill caches.
PACE_STEPS = (10, 40)


class Interrupted(Exception):
    """Ctrl-C or SIGTERM arrived; the state was saved."""


def train(task: Task, config: SceneConfig, folder: Path, state: dict[str, Any] | None = None,
          group: ProcessGroup | None = None) -> tuple[nn.Module, float]:
    """Train; the averaged network, and the seconds of this run and those it resumed.

    Args:
        task: network, samples and loss.
        config: the run's configuration.
        folder: where ``checkpoint.pt``, ``snapshots/`` and ``log.jsonl`` go.
        state: the checkpoint to go on from.
        group: the processes that train together; None for this one alone.

    Raises:
        Interrupted: stopped by a signal after saving.
        TrainingError: the loss is not finite.
        CheckpointError: the checkpoint cannot be written.
    """
    group = group or ProcessGroup()
    settings = config.training
    network = task.network.to(group.device, memory_format=torch.channels_last).train()
    group.share(network.state_dict().values())
    averaged = copy.deepcopy(network).requires_grad_(False)
    optimizer = Optimizer(network, settings)
    step, elapsed_s, started_at = 0, 0.0, time.monotonic()
    if state is not None:
        network.load_state_dict(state['network'])
        averaged.load_state_dict(state['averaged'])
        optimizer.load_state_dict(state['optimizer'])
        step, elapsed_s = state['step'], state['elapsed_s']
        logger.info('resuming at step %d of %d', step, settings.steps)

    schedule = Schedule.of(settings)

    def save(name: str = CHECKPOINT) -> None:
        if group.first:
            save_checkpoint(folder / name, {
                'config_key': resumable_key(config), 'schedule': schedule.plain(),
                'network': network.state_dict(),
                'averaged': averaged.state_dict(), 'optimizer': optimizer.state_dict(),
                'step': step, 'elapsed_s': elapsed_s + time.monotonic() - started_at})

    forward = compiled(network, settings)
    bfloat16 = uses_bfloat16(settings.mixed_precision, group.device)
    saved_at = paced_at = time.monotonic()
    begin, end = (step + count for count in PACE_STEPS)
    snapshots = snapshot_steps(settings.steps, settings.snapshots)
    with _stop_requests() as stop, tqdm(
            total=settings.steps, initial=step, desc='training', unit='step',
            disable=None if group.first else True) as bar, \
            TrainingLog(folder, step, settings.tensorboard, write=group.first) as log:
        for batch in prefetched_batches(task, settings.batch_size // group.size, step,
                                        settings.steps, settings.workers):
            optimizer.begin(step)
            with torch.autocast(group.device.type, torch.bfloat16,
                                enabled=bfloat16):
                outputs = forward(task.image(batch).to(group.device))
            loss, values = task.loss(outputs, batch)
            loss.backward()
            # All processes must decide alike, so what they decide by is averaged, too.
            mean_loss, stopping = group.average(network, [loss.item(), float(stop.is_set())])
            if not math.isfinite(mean_loss):
                raise TrainingError(
                    f'the loss is {mean_loss} at step {step}; lower training.learning_rate '
                    f'({settings.learning_rate:g}) and training.muon_learning_rate '
                    f'({settings.muon_learning_rate:g}), or set training.mixed_precision=false; '
                    'the last checkpoint is kept')
            nn.utils.clip_grad_norm_(network.parameters(), GRADIENT_CLIP)
            optimizer.step()
            step += 1
            _average(averaged, network, min(EMA_DECAY, step / (step + 10.0)))
            bar.update()
            if step == begin:
                paced_at = time.monotonic()
            elif step == end and group.first:
                logger.info('%s', pace(time.monotonic() - paced_at, end - begin,
                                       settings.steps - step))
            means = log.add(step, {'loss': mean_loss, **values}, last=step == settings.steps)
            if means:
                bar.set_postfix({k: f'{v:.3g}' for k, v in means.items()})
            if stopping:
                save()
                raise Interrupted(f'stopped at step {step}; --resume goes on from there')
            if step == schedule.cooldown_begin:
                save(BEFORE_COOLDOWN)
            if step in snapshots and group.first:
                save_snapshot(folder, step, averaged.state_dict())
            if time.monotonic() - saved_at > settings.checkpoint_s:
                save()
                saved_at = time.monotonic()
    save()
    return averaged.eval(), elapsed_s + time.monotonic() - started_at


def pace(seconds: float, steps: int, left: int) -> str:
    """Return what ``steps`` that took ``seconds`` mean for the steps that are left."""
    each_s = seconds / steps
    return (f'{each_s:.2f} s a step: about {math.ceil(each_s * left / 60)} minutes for the '
            f'remaining {left} steps')


def prefetched_batches(task: Task, batch_size: int, first_step: int, steps: int, workers: int
                       ) -> Iterator[Any]:
    """Batches ``first_step`` ... ``steps - 1``, made ahead by threads (OpenCV frees the GIL)."""
    with ThreadPoolExecutor(max(1, workers)) as pool:
        def submit(step: int) -> Any:
            numbers = range(step * batch_size, (step + 1) * batch_size)
            return [pool.submit(task.sample, number) for number in numbers]

        pending = deque(submit(s) for s in range(first_step,
                                                 min(first_step + PREFETCHED_BATCHES, steps)))
        for step in range(first_step, steps):
            futures = pending.popleft()
            if step + PREFETCHED_BATCHES < steps:
                pending.append(submit(step + PREFETCHED_BATCHES))
            samples = [future.result() for future in futures]
            # Those of this batch are made; the pictures that only they needed may be replaced.
            task.stream.release((step + 1) * batch_size)
            yield task.collate(samples)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float) -> None:
    """Exponential moving average of weights and normalization statistics."""
    for mean, value in zip(averaged.state_dict().values(), network.state_dict().values()):
        if mean.dtype.is_floating_point:
            mean.lerp_(value, 1 - decay)
        else:
            mean.copy_(value)


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
