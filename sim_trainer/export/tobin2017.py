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

"""Export of the paper's baseline, checked against torch before it is kept."""

from __future__ import annotations

import copy
import json
import os
from pathlib import Path
import warnings

from dr_perception.core.objects import ObjectModel
import numpy as np
import onnx
import onnxruntime
from sim_trainer.errors import ExportError
from sim_trainer.evaluation.tobin2017 import INPUT_SIZE_PX, TOBIN2017_KEY
from sim_trainer.export.onnx_export import OPSET
import torch
from torch import nn, Tensor

#: Largest disagreement between torch and ONNX Runtime, metres.
TOLERANCE_M = 1e-4


class _Deployed(nn.Module):
    """uint8 (1, 224, 224, 3) in, position (1, 3) out."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(self, image: Tensor) -> Tensor:
        return self.network(image.permute(0, 3, 1, 2).float())


def export_tobin2017(network: nn.Module, model: ObjectModel, path: Path) -> None:
    """Write the baseline's ONNX file.

    Raises:
        ExportError: torch and ONNX Runtime disagree.
    """
    deployed = _Deployed(copy.deepcopy(network).cpu().float().eval())
    rng = np.random.default_rng(0)
    image = torch.from_numpy(rng.integers(0, 256, (1, INPUT_SIZE_PX, INPUT_SIZE_PX, 3),
                                          dtype=np.uint8))
    temporary = path.with_suffix('.tmp')
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')     # see onnx_export.export_model
        torch.onnx.export(deployed, (image,), str(temporary), input_names=['image'],
                          output_names=['position'], opset_version=OPSET, dynamo=False)
    try:
        graph = onnx.load(str(temporary), load_external_data=False)
        entry = graph.metadata_props.add()
        entry.key, entry.value = TOBIN2017_KEY, json.dumps(model.to_json())
        temporary.write_bytes(graph.SerializeToString())
        session = onnxruntime.InferenceSession(str(temporary),
                                               providers=['CPUExecutionProvider'])
        got = session.run(None, {'image': image.numpy()})[0]
        with torch.no_grad():
            worst = float(np.abs(deployed(image).numpy() - got).max())
        if not worst <= TOLERANCE_M:
            raise ExportError(f'the position differs by {worst:.3g} m between torch and ONNX '
                              f'Runtime; more than {TOLERANCE_M:g} m is refused')
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
