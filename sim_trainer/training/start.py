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
"""Weights to begin a training with: of another run, or of a finished model.onnx."""

from __future__ import annotations

from collections.abc import Callable
import logging
from pathlib import Path
from typing import Any

from sim_trainer.errors import CheckpointError
from sim_trainer.export.exported_weights import normalize_anew, read_exported, unfolded
from sim_trainer.training.checkpoint import read_weights
from sim_trainer.training.networks.blocks import Residual
from torch import nn, Tensor

logger = logging.getLogger(__name__)


def start_from(network: nn.Module, path: Path, pictures: Callable[[], Tensor]) -> None:
    """Give a network the weights of another run, as far as they fit.

    Tensors fit by name and shape: a scene of other objects keeps all but the layers that give
    the answers. Residual blocks that the other network did not have begin as the identity, so a
    deeper network begins with the answers of the other one.

    Args:
        network: what is about to be trained; changed in place.
        path: a run's folder, its ``checkpoint.pt`` (the averaged weights are taken), one of its
            ``snapshots``, or a ``model.onnx``.
        pictures: returns some of the training's, (N, 3, H, W); asked for a ``model.onnx`` alone,
            whose normalizations were folded away.

    Raises:
        CheckpointError: nothing to read there, or less than half of the weights fit.
    """
    file = path / 'checkpoint.pt' if path.is_dir() else path
    if not file.is_file():
        raise CheckpointError(f'training.start_from: {file}: no such file; give the folder of a '
                              'run of train, a file of its snapshots, or a model.onnx')
    exported = file.suffix == '.onnx'
    mine = network.state_dict()
    theirs = unfolded(network, read_exported(file)) if exported else read_weights(file)
    fitting: dict[str, Any] = {name: value for name, value in theirs.items()
                               if name in mine and value.shape == mine[name].shape}
    count = sum(mine[name].numel() for name in fitting)
    total = sum(value.numel() for value in mine.values())
    if count < total / 2:
        raise CheckpointError(
            f'training.start_from: {file}: {count} of {total} weights fit this network; give '
            'training.network as that run had it (its config.yaml), or train without start_from')
    network.load_state_dict(fitting, strict=False)
    for name, module in network.named_modules():
        if isinstance(module, Residual) and not any(key.startswith(f'{name}.') for key in fitting):
            module.be_identity()
    if exported:
        normalize_anew(network, pictures())
    left = sorted({name.rsplit('.', 1)[0] for name in mine.keys() - fitting.keys()
                   if not name.endswith('num_batches_tracked')})
    logger.info('starting with %d of %d weights of %s%s', count, total, file,
                f'; anew: {", ".join(left)}' if left else '')
