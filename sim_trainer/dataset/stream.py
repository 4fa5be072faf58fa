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

"""The training pictures of a run: drawn by worker processes while it trains, nothing on disk.

A pool of pictures lies in shared memory. Workers draw picture after picture into it; the training
side says which samples are finished, so that the oldest pictures may be overwritten. Linux only.
"""

from __future__ import annotations

import atexit
from collections.abc import Iterator
import contextlib
import logging
import os
import threading
import time

import numpy as np
from sim_trainer import errors
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.frames import Frame, frame_shape
from sim_trainer.dataset.pool import PicturePool, PoolAddress
from sim_trainer.dataset.reader import FrameReader
from sim_trainer.dataset.workers import DrawingWorkers
from sim_trainer.errors import TrainingError
from tqdm import tqdm

logger = logging.getLogger(__name__)

#: Seconds after which a waiting thread looks again, in case a wake-up was lost.
_LOOK_AGAIN_S = 1.0


class FrameStream(FrameReader):
    """Has the pictures drawn, and gives the frame of every sample.

    A context manager: workers run inside it.
    """

    def __init__(self, config: SceneConfig, first_sample: int = 0) -> None:
        """Prepare; nothing is drawn before the context is entered.

        Args:
            config: the run's configuration.
            first_sample: on resume, the first sample that is made; only pictures that it and
                later ones need are drawn again.

        Raises:
            DatasetError: a BOP source cannot be used.
        """
        super().__init__(config)
        self._first = self.law.lowest(first_sample)
        self._last = self.law.count if first_sample < self.law.sample_count else self._first
        self._released = first_sample
        self._condition = threading.Condition()
        self._closed = True
        self._failure: tuple[type[Exception], str, str] | None = None
        self._waiting, self._waiting_since, self._waited_s = 0, 0.0, 0.0

    def __enter__(self) -> FrameStream:
        """Take the memory and start the workers.

        Raises:
            TrainingError: there is not enough memory.
        """
        self._pool = PicturePool.create((self.law.pool_count, *frame_shape(self.config)))
        self._pool.allowed[0] = self.law.allowed(self._released)
        count = min(self.config.frames.workers or os.cpu_count() or 1, self._last - self._first)
        shares = [range(self._first + w, self._last, count) for w in range(count)]
        if count:
            logger.info('drawing %d pictures of %dx%d with %d workers, at most %d in memory',
                        self._last - self._first, self._pool.pictures.shape[2],
                        self._pool.pictures.shape[1], count, self.law.pool_count)
        self._closed = False
        self._workers = DrawingWorkers(self.config, self._pool.address, shares, self._on_drawn,
                                       self._on_failure)
        # Else multiprocessing would wait at exit for workers that ignore SIGTERM.
        atexit.register(self.close)
        self._workers.start()
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self) -> None:
        """End the workers and wake every waiting thread, which gets a ``TrainingError``."""
        with self._condition:
            if self._closed:
                return
            self._closed = True
            self._pool.closed[0] = 1
            self._condition.notify_all()
        self._workers.close()
        atexit.unregister(self.close)
        self._pool.close()

    @property
    def elapsed_s(self) -> float:
        """Seconds in which this process waited for a picture, filling the pool included."""
        with self._condition:
            now = time.monotonic() - self._waiting_since if self._waiting else 0.0
            return self._waited_s + now

    @property
    def worker_pids(self) -> list[int]:
        """Process ids of the workers that run."""
        return self._workers.pids

    @property
    def address(self) -> PoolAddress:
        """Where child processes find the pictures (``PicturePool.attach``)."""
        return self._pool.address

    def frame(self, number: int, attempt: int = 0) -> Frame:
        """Return the frame of sample ``number``, a copy; waits until it is drawn.

        Args:
            number: of the sample; not released yet.
            attempt: 0, 1, ... another frame each, for samples that cannot use the first.

        Raises:
            IndexError: the sample is released, or not of this run.
            TrainingError: the workers died, or the stream is closed.
            PerceptionError: what a worker met, such as a ``ConfigurationError``; or a picture of
                a BOP source cannot be read.
        """
        if not self._released <= number < self.law.sample_count:
            raise IndexError(f'sample {number} is not one of {self._released} ... '
                             f'{self.law.sample_count - 1}')
        return super().frame(number, attempt)

    def _wait_for(self, slot: int, index: int) -> None:
        with self._waiting_for():
            self.check()
            while self._pool.drawn[slot] != index:
                self._condition.wait(_LOOK_AGAIN_S)
                self.check()

    def release(self, number: int) -> None:
        """Every sample below ``number`` is finished: pictures that only they need may go."""
        with self._condition:
            if self._closed or number <= self._released:
                return
            self._released = number
            self._pool.allowed[0] = self.law.allowed(number)

    def fill(self) -> None:
        """Wait until the first pool is drawn; shows a progress bar on a terminal.

        Raises:
            TrainingError, PerceptionError: as ``frame``.
        """
        wanted = np.arange(self._first, min(self._last, self._first + self.law.pool_count))
        with tqdm(total=len(wanted), desc='drawing', unit='picture', disable=None) as bar, \
                self._waiting_for():
            while True:
                self.check()
                done = int((self._pool.drawn[wanted % self.law.pool_count] >= wanted).sum())
                bar.update(done - bar.n)
                if done == len(wanted):
                    return
                self._condition.wait(_LOOK_AGAIN_S)

    def check(self) -> None:
        """Raise what ``frame`` would raise now, if nothing more is drawn."""
        if self._failure is not None:
            cls, text, details = self._failure
            raise cls(text) from (RuntimeError(details) if details else None)
        if self._closed:
            raise TrainingError('the stream of pictures is closed')

    def _on_drawn(self, index: int) -> None:
        with self._condition:
            self._pool.drawn[index % self.law.pool_count] = index
            self._condition.notify_all()

    def _on_failure(self, name: str | None, text: str, details: str) -> None:
        with self._condition:
            if self._failure is None:
                cls = getattr(errors, name or '', None) or TrainingError
                self._failure = cls, text, details
                self._pool.closed[0] = 1
            self._condition.notify_all()

    @contextlib.contextmanager
    def _waiting_for(self) -> Iterator[None]:
        """Lock, with the clock of ``elapsed_s`` running; threads that wait at once count once."""
        with self._condition:
            if self._waiting == 0:
                self._waiting_since = time.monotonic()
            self._waiting += 1
            try:
                yield
            finally:
                self._waiting -= 1
                if self._waiting == 0:
                    self._waited_s += time.monotonic() - self._waiting_since
