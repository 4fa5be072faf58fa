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

"""The model contract: what trainer and runtime share about a model, as JSON in the ONNX metadata.

The runtime needs nothing beside the one ``model.onnx``; a graph whose inputs or outputs disagree
with its contract is refused.
"""

from __future__ import annotations

from dataclasses import dataclass, field
import json
from typing import Any

from dr_perception.core.contract_check import check_contract
from dr_perception.core.errors import ContractError
from dr_perception.core.network_spec import DecoderSpec, InputSpec, read_decoder, read_input
from dr_perception.core.objects import ObjectModel

#: Key of the ONNX metadata entry that holds the contract.
METADATA_KEY = 'dr_perception.contract'
FORMAT_VERSION = 5
#: Versions that can be read: 1 knows the head ``centres`` alone, and the first four weights; 2
#: does not refine poses along edges; 3 scales what the support plane says with the rest; 4 gives
#: the network the picture alone.
READABLE_VERSIONS = (1, 2, 3, 4, 5)
#: A contract is tens of kilobytes (meshes of primitives) to a few megabytes (meshes of scans).
MAX_JSON_BYTES = 16 << 20
#: Names of the graph's input and outputs.
INPUT_NAME = 'image'
OUTPUT_NAMES = ('heat', 'keypoints', 'log_scales')


@dataclass(frozen=True, eq=False)
class ModelContract:
    """Everything the runtime knows about a model. ``objects`` are in channel order."""

    name: str
    objects: tuple[ObjectModel, ...]
    input: InputSpec  # noqa: A003
    decoder: DecoderSpec
    support_plane_z_m: float = 0.0
    trained_range: dict[str, Any] = field(default_factory=dict)
    provenance: dict[str, Any] = field(default_factory=dict)
    metrics: dict[str, Any] = field(default_factory=dict)

    @property
    def keypoint_count(self) -> int:
        """Keypoints per object, K."""
        return len(self.objects[0].keypoints_m)

    def output_channels(self) -> dict[str, int]:
        """Channels that the graph's outputs must have."""
        return dict(zip(OUTPUT_NAMES, (len(self.objects), 2 * self.keypoint_count,
                                       self.keypoint_count)))

    def to_json(self) -> str:
        """Return the contract as a JSON text."""
        return json.dumps({
            'format_version': FORMAT_VERSION, 'name': self.name,
            'objects': [model.to_json() for model in self.objects],
            'input': vars(self.input), 'decoder': vars(self.decoder),
            'support_plane_z_m': self.support_plane_z_m, 'trained_range': self.trained_range,
            'provenance': self.provenance, 'metrics': self.metrics})

    @classmethod
    def from_json(cls, text: str) -> ModelContract:
        """Read and check a contract.

        Raises:
            ContractError: not JSON, another version, a missing key, or a value that cannot be.
        """
        if len(text) > MAX_JSON_BYTES:
            raise ContractError(f'the contract has {len(text)} bytes; at most {MAX_JSON_BYTES} '
                                'are accepted')
        try:
            data = json.loads(text)
        except (ValueError, RecursionError) as error:     # ValueError: thousands of digits too
            raise ContractError(f'the contract is not valid JSON: {error}') from error
        if not isinstance(data, dict):
            raise ContractError('the contract is not a JSON object')
        version = data.get('format_version')
        if version not in READABLE_VERSIONS or isinstance(version, bool):
            raise ContractError(f'the contract has format version {version!r}; this version of '
                                f'dr_perception reads {" and ".join(map(str, READABLE_VERSIONS))}')
        try:
            contract = cls(
                name=str(data['name']),
                objects=tuple(ObjectModel.from_json(entry) for entry in data['objects']),
                input=read_input(data['input'], version),
                decoder=read_decoder(data['decoder'], version),
                support_plane_z_m=float(data['support_plane_z_m']),
                trained_range=dict(data['trained_range']), provenance=dict(data['provenance']),
                metrics=dict(data['metrics']))
        except KeyError as error:
            raise ContractError(f'the contract lacks the key {error}') from error
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ContractError):
                raise
            raise ContractError(f'the contract holds a wrong value: {error}') from error
        check_contract(contract)
        return contract
