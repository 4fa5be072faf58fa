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
"""Weights of another run to begin with."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

from sim_trainer.errors import CheckpointError
from sim_trainer.training.checkpoint import read_weights
from torch import nn

logger = logging.getLogger(__name__)


def start_from(network: nn.Module, path: Path) -> None:
    """Give a network the weights of another run, as far as they fit.

    Tensors fit by name and shape: a scene of other objects keeps all but the layers that give
    the answers.

    Args:
        network: what is about to be trained; changed in place.
        path: a run's folder, its ``checkpoint.pt`` (the averaged weights are taken) or one of
            its ``snapshots``.

    Raises:
        CheckpointError: nothing to read there, or less than half of the weights fit.
    """
    file = path / 'checkpoint.pt' if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f'training.start_from: {file}: no such file; give the folder of a '
                              'run of train, or a file of its snapshots')
    mine, theirs = network.state_dict(), read_weights(file)
    fitting: dict[str, Any] = {name: value for name, value in theirs.items()
                               if name in mine and value.shape == mine[name].shape}
    count = sum(mine[name].numel() for name in fitting)
    total = sum(value.numel() for value in mine.values())
    if count < total / 2:
        raise CheckpointError(
            f'training.start_from: {file}: {count} of {total} weights fit this network; give '
            'training.network as that run had it (its config.yaml), or train without start_from')
    network.load_state_dict(fitting, strict=False)
    left = sorted({name.rsplit('.', 1)[0] for name in mine.keys() - fitting.keys()})
    logger.info('starting with %d of %d weights of %s%s', count, total, file,
                f'; anew: {", ".join(left)}' if left else '')
