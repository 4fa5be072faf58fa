"""Export of the paper's baseline, checked against torch before it is kept."""

from __future__ import annotations

import copy
import json
import os
import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import torch
from torch import Tensor, nn

from dr_perception.core.objects import ObjectModel
from sim_trainer.errors import ExportError
from sim_trainer.evaluation.tobin2017 import INPUT_SIZE_PX, TOBIN2017_KEY
from sim_trainer.export.onnx_export import OPSET

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
