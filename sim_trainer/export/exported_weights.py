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

"""A model.onnx back into weights that training can go on from.

The export folds every batch normalization into the convolution before it. That is undone in two
steps: normalizations that do nothing but add the folded bias, exact but only for networks that do
not train; then, from a few pictures, the statistics that each convolution really has. Afterwards
the network gives the same answers and normalizes as one that was never folded.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import onnx
from onnx import numpy_helper
from sim_trainer.errors import CheckpointError
import torch
from torch import nn, Tensor

#: What the exporter puts before the names of the network's weights.
_PREFIX = 'network.'


def read_exported(path: Path) -> dict[str, Tensor]:
    """Return the weights of a model.onnx of ``export_model`` by their names in the network.

    Raises:
        CheckpointError: no such model.
    """
    try:
        graph = onnx.load(str(path), load_external_data=False).graph
        weights = {tensor.name[len(_PREFIX):]: torch.from_numpy(
                       numpy_helper.to_array(tensor).copy())
                   for tensor in graph.initializer if tensor.name.startswith(_PREFIX)}
    except Exception as error:      # protobuf's own errors, of bytes and of fields
        raise CheckpointError(f'{path}: not an ONNX model ({type(error).__name__}); give a '
                              'model.onnx that train wrote') from error
    if not weights:
        raise CheckpointError(f'{path}: holds no weights of a network of this program; give a '
                              'model.onnx that train wrote')
    return weights


def unfolded(network: nn.Module, weights: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return the weights with a normalization after each convolution that had one folded in.

    With the statistics 0 and 1, a normalization in evaluation mode adds the bias alone.

    Args:
        network: whose layers they are; not changed.
        weights: of ``read_exported``.
    """
    weights = dict(weights)
    for convolution, normalization, conv, norm in _normalized(network):
        bias = weights.pop(f'{convolution}.bias', None)
        if bias is None or bias.shape != norm.bias.shape:
            continue
        weights[f'{normalization}.weight'] = torch.ones_like(bias)
        weights[f'{normalization}.bias'] = bias
        weights[f'{normalization}.running_mean'] = torch.zeros_like(bias)
        weights[f'{normalization}.running_var'] = torch.full_like(bias, 1 - norm.eps)
    return weights


@torch.no_grad()
def normalize_anew(network: nn.Module, image: Tensor) -> None:
    """Give every normalization the statistics of pictures; the answers stay the same.

    Kernels get the length 1, which a normalization does not notice: an optimizer's steps have a
    length of their own, and folded kernels have any.

    Args:
        network: changed in place.
        image: (N, 3, H, W), as the network takes them.
    """
    training = network.training
    network.eval()
    statistics: dict[nn.Module, tuple[Tensor, Tensor]] = {}

    def measure(conv: nn.Module, _: object, output: Tensor) -> None:
        statistics[conv] = (output.mean((0, 2, 3)), output.var((0, 2, 3), unbiased=False))

    pairs = [(conv, norm) for _, _, conv, norm in _normalized(network)]
    hooks = [conv.register_forward_hook(measure) for conv, _ in pairs]
    network(image)
    for hook in hooks:
        hook.remove()
    for conv, norm in pairs:
        mean, variance = statistics[conv]
        # What it does now: y = gain * x + offset.
        gain = norm.weight / torch.sqrt(norm.running_var + norm.eps)
        offset = norm.bias - gain * norm.running_mean
        length = conv.weight.flatten(1).norm(dim=1).clamp(min=1e-12)
        conv.weight /= length[:, None, None, None]
        norm.running_mean.copy_(mean / length)
        norm.running_var.copy_(variance / length ** 2)
        norm.weight.copy_(gain * length * torch.sqrt(norm.running_var + norm.eps))
        norm.bias.copy_(offset + gain * mean)
    network.train(training)


def _normalized(network: nn.Module
                ) -> Iterator[tuple[str, str, nn.Conv2d, nn.BatchNorm2d]]:
    """Names and modules of every convolution with a normalization after it."""
    for name, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1],
                                                                   nn.BatchNorm2d):
                    yield f'{name}.{i}', f'{name}.{i + 1}', module[i], module[i + 1]
