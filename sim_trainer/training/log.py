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

"""The log of a run: one JSON line every few steps, and TensorBoard on request."""

from __future__ import annotations

from collections import deque
import json
from pathlib import Path
import time
from typing import Any

from sim_trainer.errors import ConfigurationError

EVERY_STEPS = 50


class TrainingLog:
    """Means of the figures of the last steps, in ``log.jsonl``; a context manager."""

    def __init__(self, folder: Path, step: int, tensorboard: bool, write: bool = True) -> None:
        """Prepare.

        Args:
            folder: where ``log.jsonl`` and ``tensorboard/`` go.
            step: the step that training goes on from; later lines are of a run that was cut off.
            tensorboard: write event files as well.
            write: False in processes that leave writing to another.

        Raises:
            ConfigurationError: TensorBoard is wanted and not installed.
        """
        self._path, self._step, self._write = folder / 'log.jsonl', step, write
        self._figures: deque[dict[str, float]] = deque(maxlen=EVERY_STEPS)
        self._board: Any = _board(folder / 'tensorboard', step) if tensorboard and write else None

    def __enter__(self) -> TrainingLog:
        if self._write:
            _truncate(self._path, self._step)
            self._file = open(self._path, 'a', encoding='utf-8')
        return self

    def __exit__(self, *_) -> None:
        if self._write:
            self._file.close()
        if self._board is not None:
            self._board.close()

    def add(self, step: int, figures: dict[str, float], last: bool) -> dict[str, float]:
        """Take the figures of a step; write and return their means when it is time or the end."""
        self._figures.append(figures)
        if not self._write or not (step % EVERY_STEPS == 0 or last):
            return {}
        means = {key: sum(f.get(key, 0.0) for f in self._figures) / len(self._figures)
                 for key in self._figures[-1]}
        self._file.write(json.dumps({'step': step, 'time_s': round(time.time(), 1), **means})
                         + '\n')
        self._file.flush()
        if self._board is not None:
            for key, value in means.items():
                self._board.add_scalar(f'training/{key}', value, step)
        return means


def _board(folder: Path, step: int) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ModuleNotFoundError as error:
        raise ConfigurationError('training.tensorboard: TensorBoard is not installed: pip install '
                                 'tensorboard, or leave the key out') from error
    return SummaryWriter(str(folder), purge_step=step)


def _truncate(path: Path, step: int) -> None:
    """Keep the log's lines up to the step that training goes on from."""
    if not path.is_file():
        return
    lines = [line for line in path.read_text(encoding='utf-8').splitlines() if line.strip()]
    kept = [line for line in lines if json.loads(line)['step'] <= step] if step else []
    path.write_text(''.join(line + '\n' for line in kept), encoding='utf-8')
