"""Full-state checkpoints: written whole or not at all, read without running code from the file."""

from __future__ import annotations

import os
import zipfile
from pathlib import Path
from typing import Any

import torch

from sim_trainer.errors import CheckpointError


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


def load_snapshots(folder: Path) -> dict[int, dict[str, Any]]:
    """The kept weights by step, ascending.

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
    try:
        state = torch.load(path, map_location='cpu', weights_only=True)
    except (RuntimeError, EOFError, ValueError, KeyError, zipfile.BadZipFile, OSError) as error:
        raise CheckpointError(f'{path}: damaged ({type(error).__name__}); delete it to train '
                              'anew') from error
    except Exception as error:      # pickle.UnpicklingError for anything but plain tensors
        raise CheckpointError(f'{path}: not a checkpoint of this program '
                              f'({type(error).__name__}); nothing of it was run') from error
    if not isinstance(state, dict) or state.get('config_key') != config_key:
        raise CheckpointError(f'{path}: belongs to another configuration; give the same CONFIG '
                              'and --set as before, or another --output')
    return state
