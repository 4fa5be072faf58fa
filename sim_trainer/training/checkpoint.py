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

"""Full-state checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any
import zipfile

from sim_trainer.errors import CheckpointError
import torch


def save_checkpoint(path: Path, state: dict[str, Any]) -> None:
    """Write a checkpoint; an interruption leaves the former one intact.

    Raises:
        CheckpointError: the disk is full or not writable; the former checkpoint is kept.
    """
    try:
        _write(path, state)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f'{path}: cannot be written ({error}); the former checkpoint is '
                              'kept; free some disk space and --resume') from error


def save_snapshot(folder: Path, step: int, weights: dict[str, Any]) -> None:
    """Keep the averaged weights of a step as ``folder``/snapshots/step_NNNNNNN.pt.

    Raises:
        CheckpointError: the disk is full or not writable.
    """
    path = folder / 'snapshots' / f'step_{step:07d}.pt'
    try:
        path.parent.mkdir(exist_ok=True)
        _write(path, weights)
    except (OSError, RuntimeError) as error:
        raise CheckpointError(f'{path}: cannot be written ({error}); free some disk space and '
                              '--resume') from error


def drop_snapshots(folder: Path, after_step: int) -> None:
    """Delete what a run kept after the step that it goes on from: it comes to other weights."""
    for path in (folder / 'snapshots').glob('step_*.pt'):
        if int(path.stem.split('_')[1]) > after_step:
            path.unlink()


def load_snapshots(folder: Path) -> dict[int, dict[str, Any]]:
    """Return the kept weights by step, ascending.

    Raises:
        CheckpointError: one cannot be read.
    """
    found = {}
    for path in sorted((folder / 'snapshots').glob('step_*.pt')):
        try:
            found[int(path.stem.split('_')[1])] = torch.load(path, map_location='cpu',
                                                             weights_only=True)
        except Exception as error:      # zip, pickle and tensor errors of many kinds
            raise CheckpointError(f'{path}: damaged ({type(error).__name__}); delete it and '
                                  '--resume: the others do') from error
    return found


def _write(path: Path, state: dict[str, Any]) -> None:
    """Whole or not at all: the former file stays until the new one is on the disk."""
    temporary = path.with_suffix('.tmp')
    try:
        with open(temporary, 'wb') as file:
            torch.save(state, file)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise


def load_checkpoint(path: Path, config_key: str) -> dict[str, Any]:
    """Read a checkpoint of the same configuration.

    Raises:
        CheckpointError: missing, damaged, or of another configuration.
    """
    if not path.is_file():
        raise CheckpointError(f'{path}: there is no checkpoint to resume; run without --resume')
    state = _read(path, 'delete it to train anew')
    if not isinstance(state, dict) or state.get('config_key') != config_key:
        raise CheckpointError(f'{path}: belongs to another configuration; give the same CONFIG '
                              'and --set as before, or another --output')
    return state


def read_weights(path: Path) -> dict[str, Any]:
    """Return the averaged weights of a checkpoint, or the weights of a snapshot, by name.

    Raises:
        CheckpointError: damaged, or something else.
    """
    state = _read(path, 'take another file of that run')
    weights = state.get('averaged', state) if isinstance(state, dict) else None
    if not weights or not all(isinstance(value, torch.Tensor) for value in weights.values()):
        raise CheckpointError(f'{path}: not a checkpoint or snapshot of this program')
    return weights


def _read(path: Path, remedy: str) -> Any:
    """Return what a file holds; plain tensors, lists and numbers alone are read."""
    try:
        return torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise CheckpointError(f'{path}: damaged ({type(error).__name__}); {remedy}') from error
    except Exception as error:      # pickle.UnpicklingError for anything but plain tensors
        raise CheckpointError(f'{path}: not a checkpoint of this program '
                              f'({type(error).__name__}); nothing of it was run') from error
