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

"""The batches of a run, made ahead: by a thread, or by processes where one Python is too slow."""

from __future__ import annotations

import atexit
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
import contextlib
import dataclasses
import os
import signal
import threading
from typing import Any

import cv2
from dr_perception.core.errors import PerceptionError
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.configuration.training import REUSED_BATCHES
from sim_trainer.dataset.pool import PicturePool, PoolAddress
from sim_trainer.dataset.reader import FrameReader
from sim_trainer.errors import TrainingError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.processes import quiet_environment
from sim_trainer.training.tasks import make_task, Task
from sim_trainer.training.tensor_batch import TensorBatch
from torch.utils.data import DataLoader, Dataset, get_worker_info

PREFETCHED_BATCHES = 3
#: Batches that each process makes ahead.
_AHEAD = 2


def prefetched_batches(task: Task, first_step: int, pinned: bool = False) -> Iterator[Any]:
    """Batches of steps ``first_step`` ... ``training.steps - 1`` of a run.

    With one ``training.workers`` they are made in a thread beside the training (OpenCV frees the
    GIL), with more in so many processes. The batches are the same.

    Args:
        task: makes them; its stream is told what is finished.
        first_step: where to begin.
        pinned: in memory that a GPU copies from by itself, if processes make them.

    Raises:
        TrainingError: a process died.
        PerceptionError: what making a sample raises.
    """
    settings = task.stream.config.training
    first = settings.first_batch(first_step)
    numbers = range(first, settings.batch_count)
    make = _by_processes if settings.workers > 1 and numbers else _by_a_thread
    with contextlib.closing(make(task, numbers, pinned)) as made:
        kept: dict[int, Any] = {}
        for step in range(first * settings.reuse, settings.steps):
            number, is_new = settings.batch_of(step)
            if is_new:
                kept[number] = next(made)
                kept.pop(number - (settings.reuse - 1) * REUSED_BATCHES - 1, None)
                # Its samples are made; the pictures that only they needed may be replaced.
                task.stream.release((number + 1) * settings.batch_size)
            if step >= first_step:
                yield kept[number]


def _by_a_thread(task: Task, numbers: range, _: bool) -> Iterator[Any]:
    size = task.stream.config.training.batch_size
    with ThreadPoolExecutor(1) as pool:
        pending = deque(pool.submit(_batch, task, size, number)
                        for number in numbers[:PREFETCHED_BATCHES])
        for number in numbers:
            future = pending.popleft()
            if number + PREFETCHED_BATCHES in numbers:
                pending.append(pool.submit(_batch, task, size, number + PREFETCHED_BATCHES))
            yield future.result()


def _batch(task: Task, size: int, number: int) -> TensorBatch:
    return task.collate([task.sample(n) for n in range(number * size, (number + 1) * size)])


def _by_processes(task: Task, numbers: range, pinned: bool) -> Iterator[Any]:
    settings = task.stream.config.training
    loader = DataLoader(
        _Batches(task.stream.config, task.stream.address), batch_size=None, collate_fn=_as_it_is,
        sampler=numbers, num_workers=settings.workers, prefetch_factor=_AHEAD,
        multiprocessing_context='spawn', worker_init_fn=_begin_worker, pin_memory=pinned)
    batches, batch = _started(loader), None
    try:
        while True:
            try:
                batch = next(batches)
            except StopIteration:
                return
            except RuntimeError as error:
                if str(error).startswith('Caught'):     # an error of ours, with its traceback
                    raise
                raise TrainingError(
                    f'making samples: {error}; if memory ran out, lower training.workers; '
                    '--resume goes on from the last checkpoint') from error
            if isinstance(batch, Exception):
                task.stream.check()         # where it comes from, if drawing failed
                raise batch
            yield batch
    finally:
        # Else processes that wait for a picture would be waited for, one after another.
        task.stream.close()
        del batches, batch      # a batch that is an error holds this frame by its traceback


def _started(loader: DataLoader) -> Iterator[Any]:
    """Start the processes of a loader, so that signals and their deaths stay where they belong."""
    # Inherited blocked, so that Ctrl-C while a process starts prints no traceback of it.
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    on_death = signal.getsignal(signal.SIGCHLD)
    try:
        with quiet_environment():
            return iter(loader)
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
        # torch's handler raises wherever the training is just then; without it ``next`` notices.
        if threading.current_thread() is threading.main_thread():
            signal.signal(signal.SIGCHLD, on_death or signal.SIG_DFL)


class _Batches(Dataset):
    """Batch number -> batch in shared memory, in a process that makes them."""

    def __init__(self, config: SceneConfig, address: PoolAddress) -> None:
        # Its task only makes samples.
        self._config = dataclasses.replace(
            config, training=dataclasses.replace(config.training, compile=False))
        self._address = address
        self._pool: PicturePool | None = None
        self._task: Task | None = None

    def attach(self) -> None:
        """Begin in the process that makes batches."""
        self._pool = PicturePool.attach(self._address)
        # Both signals reach the whole group: the training saves first and ends its processes
        # then. SIGTERM is also how they are ended when Python exits, the pictures being closed.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, lambda *_: os._exit(0) if self._pool.closed[0] else None)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})
        # Threads of libraries still run (OpenCV's, torch's); some abort when Python ends below
        # them. Nothing is left to be written.
        atexit.register(os._exit, 0)

    def __getitem__(self, number: int) -> Any:
        """Return a batch, or the error of making it."""
        try:
            if self._task is None:
                self._task = make_task(self._config, FrameReader(self._config, self._pool),
                                       build_catalogue(self._config.objects))
            return _shared(_batch(self._task, self._config.training.batch_size, number))
        except PerceptionError as error:
            return error


def _shared(batch: TensorBatch) -> TensorBatch:
    """Move the tensors of a batch to shared memory, here, where an error reaches the training.

    Raises:
        TrainingError: there is not enough.
    """
    try:
        return batch.share_memory()
    except RuntimeError as error:
        raise TrainingError(f'making samples: no room for a batch in /dev/shm ({error}); lower '
                            'training.workers, or give the container more (--shm-size)'
                            ) from error


def _as_it_is(batch: Any) -> Any:
    return batch


def _begin_worker(_: int) -> None:
    get_worker_info().dataset.attach()
    cv2.setNumThreads(1)
