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

"""Trained network and contract into one model.onnx, checked against torch before it is kept."""

from __future__ import annotations

import copy
import os
from pathlib import Path
import warnings

from dr_perception.core.contract import INPUT_NAME, METADATA_KEY, ModelContract, OUTPUT_NAMES
import numpy as np
import onnx
import onnxruntime
from sim_trainer.errors import ExportError
import torch
from torch import nn, Tensor

#: Largest disagreement of any output between torch and ONNX Runtime, float32 both.
TOLERANCE = 2e-3
OPSET = 17


class _Deployed(nn.Module):
    """uint8 (N, H, W, C) in; heat probabilities, offsets and log scales out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        logits, offsets, log_scales = self.network(image.permute(0, 3, 1, 2).float())
        return torch.sigmoid(logits), offsets, log_scales


def export_model(network: nn.Module, contract: ModelContract, path: Path) -> None:
    """Write a model.onnx.

    Args:
        network: the trained network; it is not changed.
        contract: what goes into the file's metadata.
        path: where the file goes; it appears there only when it passed the check.

    Raises:
        ExportError: torch and ONNX Runtime disagree.
    """
    deployed = _Deployed(_folded(network)).eval()
    temporary = path.with_suffix('.tmp')
    channels = contract.input.channels
    example = torch.zeros(1, 64, 96, channels, dtype=torch.uint8)
    axes = {0: 'batch', 1: 'height', 2: 'width'}
    with warnings.catch_warnings():
        # The TorchScript exporter is deprecated in favour of one that needs onnxscript; for a
        # plain convolutional graph both write the same.
        warnings.simplefilter('ignore')
        torch.onnx.export(
            deployed, (example,), str(temporary), input_names=[INPUT_NAME],
            output_names=list(OUTPUT_NAMES), opset_version=OPSET, dynamo=False,
            dynamic_axes={INPUT_NAME: axes,
                          **{n: {0: 'batch', 2: 'rows', 3: 'columns'} for n in OUTPUT_NAMES}})
    write_contract(temporary, contract)
    try:
        _compare(deployed, temporary, channels)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_contract(path: Path, contract: ModelContract) -> None:
    """Put a contract into the metadata of an ONNX file, in place of a former one."""
    model = onnx.load(str(path), load_external_data=False)
    others = [entry for entry in model.metadata_props if entry.key != METADATA_KEY]
    del model.metadata_props[:]
    model.metadata_props.extend(others)
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, contract.to_json()
    onnx.checker.check_model(model)
    path.write_bytes(model.SerializeToString())


def _compare(deployed: nn.Module, path: Path, channels: int) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(path), options,
                                           providers=['CPUExecutionProvider'])
    rng = np.random.default_rng(0)
    # Two sizes and a batch: a size that was baked into the graph shows.
    for shape in ((1, 96, 128, channels), (2, 160, 96, channels)):
        image = rng.integers(0, 256, shape, dtype=np.uint8)
        with torch.no_grad():
            wanted = deployed(torch.from_numpy(image))
        got = session.run(list(OUTPUT_NAMES), {INPUT_NAME: image})
        for name, a, b in zip(OUTPUT_NAMES, wanted, got):
            worst = float(np.abs(a.numpy() - b).max())
            if not worst <= TOLERANCE:
                raise ExportError(f'output {name!r} differs by {worst:.3g} between torch and ONNX '
                                  f'Runtime at input {shape}; more than {TOLERANCE:g} is refused')


def _folded(network: nn.Module) -> nn.Module:
    """Return a copy on the CPU with every batch normalization folded into its convolution."""
    network = copy.deepcopy(network).cpu().float().eval()
    for module in network.modules():
        if isinstance(module, nn.Sequential):
            for i in range(len(module) - 1):
                if isinstance(module[i], nn.Conv2d) and isinstance(module[i + 1], nn.BatchNorm2d):
                    module[i] = nn.utils.fuse_conv_bn_eval(module[i], module[i + 1])
                    module[i + 1] = nn.Identity()
    return network.to(memory_format=torch.contiguous_format)
