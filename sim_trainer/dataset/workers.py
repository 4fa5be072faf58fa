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

"""Worker processes that draw: started, watched by a thread, restarted when one dies, ended."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import logging
import multiprocessing
from multiprocessing import connection, resource_tracker
import signal
import threading
from typing import Any

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.drawing import draw_share
from sim_trainer.dataset.pool import PoolAddress
from sim_trainer.processes import quiet_environment

logger = logging.getLogger(__name__)

#: Deaths of workers, in all, that a run gets over.
ALLOWED_DEATHS = 3


@dataclass(eq=False)
class _Worker:
    """One share of the pictures and the process that draws it now."""

    share: range
    process: Any = None
    pipe: Any = None
    finished: bool = False


class DrawingWorkers:
    """Processes that draw shares of the pictures into a pool."""

    def __init__(self, config: SceneConfig, address: PoolAddress, shares: list[range],
                 on_drawn: Callable[[int], None],
                 on_failure: Callable[[str | None, str, str], None]) -> None:
        """Nothing is started yet.

        Args:
            config: see ``draw_share``.
            address: see ``draw_share``.
            shares: the pictures of each worker, in order.
            on_drawn: told the number of each picture when it stands in its slot.
            on_failure: told (name of a class of ``errors`` or None, one line, traceback) when
                drawing cannot go on. Both are called by the watching thread.
        """
        self._config, self._address = config, address
        self._on_drawn, self._on_failure = on_drawn, on_failure
        self._workers = [_Worker(share) for share in shares]
        self._drawn_count = self._deaths = 0
        self._closing, self._closing_end = multiprocessing.Pipe(duplex=False)
        self._lock = threading.Lock()
        self._stopped = False
        self._thread = threading.Thread(target=self._watch, name='drawing', daemon=True)

    @property
    def pids(self) -> list[int]:
        """Process ids of the workers that run."""
        with self._lock:
            return [worker.process.pid for worker in self._workers
                    if worker.process is not None and not worker.finished
                    and worker.process.exitcode is None]

    def start(self) -> None:
        """Start the processes and watch them."""
        for worker in self._workers:
            self._launch(worker)
        self._thread.start()

    def close(self) -> None:
        """End the processes, whatever they do, and wait for them."""
        with self._lock:
            self._stopped = True
        self._closing_end.send(None)
        if self._thread.is_alive() and threading.current_thread() is not self._thread:
            self._thread.join()
        self._end()
        self._closing.close()
        self._closing_end.close()

    def _end(self) -> None:
        for worker in self._workers:
            if worker.process is not None:
                worker.process.kill()      # they ignore SIGTERM and hold nothing worth saving
                worker.process.join()
                worker.pipe.close()

    def _launch(self, worker: _Worker) -> None:
        context = multiprocessing.get_context('spawn')
        # Started first, because its start unblocks the signals that are blocked below.
        resource_tracker.ensure_running()
        with self._lock:
            if self._stopped:
                return
            worker.pipe, theirs = context.Pipe(duplex=False)
            worker.process = context.Process(
                target=draw_share, daemon=True,
                args=(self._config, self._address, worker.share, theirs))
            # Inherited blocked, so that Ctrl-C while a worker starts prints no traceback of it.
            blocked = {signal.SIGINT, signal.SIGTERM}
            before = signal.pthread_sigmask(signal.SIG_BLOCK, blocked)
            try:
                with quiet_environment():
                    worker.process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
                theirs.close()      # else the end of the process would not end the pipe

    def _watch(self) -> None:
        try:
            while True:
                running = {w.pipe: w for w in self._workers if not w.finished}
                ready = connection.wait([self._closing, *running])
                if self._closing in ready:
                    return
                for pipe in ready:
                    if not self._receive(running[pipe]):
                        return
        except Exception as error:
            logger.debug('watching the drawing workers failed', exc_info=True)
            if not self._stopped:
                self._on_failure(None, f'drawing: {type(error).__name__}: {error}', '')

    def _receive(self, worker: _Worker) -> bool:
        """Take one message; False when drawing cannot go on."""
        try:
            message = worker.pipe.recv()
        except (EOFError, OSError):
            return self._died(worker)
        if message is None:
            worker.finished = True
        elif isinstance(message, int):
            self._drawn_count += 1
            # What is left of the share, for a worker that takes over.
            worker.share = range(message + worker.share.step, worker.share.stop,
                                 worker.share.step)
            self._on_drawn(message)
        else:
            self._on_failure(*message)
            return False
        return True

    def _died(self, worker: _Worker) -> bool:
        worker.process.join()
        code = worker.process.exitcode
        self._deaths += 1
        if self._deaths > ALLOWED_DEATHS:
            self._on_failure(
                None, f'drawing workers died {self._deaths} times, the last with exit code {code},'
                f' after {self._drawn_count} pictures; if memory ran out, lower frames.workers; '
                '--resume goes on from the last checkpoint', '')
            return False
        if not len(worker.share):
            worker.finished = True
            return True
        logger.warning('a drawing worker died with exit code %s; another goes on from picture %d',
                       code, worker.share.start)
        worker.pipe.close()
        self._launch(worker)
        return not self._stopped
