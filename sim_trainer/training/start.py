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
"""Weights to begin a training with: of another run, of a model.onnx, or the mean of several."""

from __future__ import annotations

from collections.abc import Callable, Sequence
import logging
from pathlib import Path
from typing import Any

from sim_trainer.errors import CheckpointError
from sim_trainer.export.exported_weights import normalize_anew, read_exported, unfolded
from sim_trainer.training.checkpoint import read_weights
from sim_trainer.training.networks.blocks import Residual
import torch
from torch import nn, Tensor

logger = logging.getLogger(__name__)


def start_from(network: nn.Module, paths: Sequence[Path],
               pictures: Callable[[], Tensor]) -> None:
    """Give a network the weights of another run, as far as they fit.

    Tensors fit by name and shape: a scene of other objects keeps all but the layers that give
    the answers. Residual blocks that the other network did not have begin as the identity, so a
    deeper network begins with the answers of the other one.

    Of several models the mean of the weights is taken. Runs that began with the same weights are
    close enough to each other for it, and their mean is often better than each of them
    (Wortsman et al. 2022, "Model soups"); of runs that have nothing in common it is nothing.

    Args:
        network: what is about to be trained; changed in place.
        paths: a run's folder, its ``checkpoint.pt`` (the averaged weights are taken), one of its
            ``snapshots``, or a ``model.onnx``; or two or more ``model.onnx``.
        pictures: returns some of the training's, (N, 3, H, W); asked for a ``model.onnx`` alone,
            whose normalizations were folded away.

    Raises:
        CheckpointError: nothing to read there, less than half of the weights fit, or several that
            are no ``model.onnx`` or not of the same network.
    """
    files = [path / 'checkpoint.pt' if path.is_dir() else path for path in paths]
    for file in files:
        if not file.is_file():
            raise CheckpointError(f'training.start_from: {file}: no such file; give the folder of '
                                  'a run of train, a file of its snapshots, or a model.onnx')
    exported = len(files) > 1 or files[0].suffix == '.onnx'
    mine = network.state_dict()
    theirs = (unfolded(network, _mean_of_exported(files)) if exported
              else read_weights(files[0]))
    fitting: dict[str, Any] = {name: value for name, value in theirs.items()
                               if name in mine and value.shape == mine[name].shape}
    count = sum(mine[name].numel() for name in fitting)
    total = sum(value.numel() for value in mine.values())
    named = ' and '.join(map(str, files))
    if count < total / 2:
        raise CheckpointError(
            f'training.start_from: {named}: {count} of {total} weights fit this network; give '
            'training.network as that run had it (its config.yaml), or train without start_from')
    network.load_state_dict(fitting, strict=False)
    for name, module in network.named_modules():
        if isinstance(module, Residual) and not any(key.startswith(f'{name}.') for key in fitting):
            module.be_identity()
    if exported:
        normalize_anew(network, pictures())
    left = sorted({name.rsplit('.', 1)[0] for name in mine.keys() - fitting.keys()
                   if not name.endswith('num_batches_tracked')})
    logger.info('starting with %d of %d weights of %s%s', count, total,
                f'the mean of {named}' if len(files) > 1 else named,
                f'; anew: {", ".join(left)}' if left else '')


def _mean_of_exported(files: list[Path]) -> dict[str, Tensor]:
    """Return the mean of the weights of model.onnx of one network."""
    for file in files:
        if file.suffix != '.onnx':
            # Before a normalization a kernel may have any length: a mean would weigh by it.
            raise CheckpointError(f'training.start_from: {file}: of several only model.onnx; give '
                                  'the ones that train wrote into the folders of the runs')
    models = [read_exported(file) for file in files]
    shapes = [{name: tuple(value.shape) for name, value in model.items()} for model in models]
    for file, theirs in zip(files[1:], shapes[1:]):
        if theirs != shapes[0]:
            raise CheckpointError(f'training.start_from: {file}: another network than that of '
                                  f'{files[0]}; a mean needs the same layers of the same objects')
    return {name: torch.stack([model[name] for model in models]).mean(0) for name in models[0]}
