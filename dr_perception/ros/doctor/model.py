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

"""Section: the model file."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

from dr_perception.core.errors import PerceptionError
from dr_perception.core.resources import find_resource
from dr_perception.ros.doctor.findings import error, ok, Section

if TYPE_CHECKING:
    from dr_perception import PoseEstimator

SHIPPED_MODEL = 'models/tabletop.onnx'
_REMEDY = ('name a model.onnx that python -m sim_trainer train wrote with --model, and copy or '
           'check it out again whole (git lfs pull where it is a pointer)')


@dataclass(frozen=True, eq=False)
class ModelInUse:
    """The model that the other sections run: on the CPU, or None where it does not open."""

    path: Path
    estimator: PoseEstimator | None


def inspect(path: str) -> tuple[Section, ModelInUse]:
    """Return the file, its contract and the graph.

    Args:
        path: of the model.onnx; '' is the shipped one.
    """
    section = Section('Model')
    file = Path(path) if path else find_resource(SHIPPED_MODEL)
    section.facts['path'] = str(file)
    if file.is_file():
        content = file.read_bytes()
        section.facts['sha256'] = hashlib.sha256(content).hexdigest()
        section.facts['size'] = f'{len(content) / 1e6:.2f} MB'
    try:
        from dr_perception import PoseEstimator
        estimator = PoseEstimator.from_file(file, ['CPUExecutionProvider'])
    except ImportError as problem:
        section.findings.append(error(f'ONNX Runtime is not there ({problem})',
                                      'pip install onnxruntime'))
        return section, ModelInUse(file, None)
    except PerceptionError as problem:
        section.findings.append(error(str(problem), _REMEDY))
        return section, ModelInUse(file, None)
    contract = estimator.contract
    section.facts['name'] = contract.name
    section.facts['objects'] = ', '.join(model.name for model in contract.objects)
    section.facts['score threshold'] = f'{contract.decoder.score_threshold:g}'
    for name, law in contract.trained_range.items():
        section.facts[f'trained {name}'] = str(law)
    if not contract.trained_range:
        section.facts['trained range'] = 'the model does not tell'
    section.findings.append(ok(f'{contract.name} opens: {len(contract.objects)} objects'))
    return section, ModelInUse(file, estimator)
