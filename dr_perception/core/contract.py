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
import math
from typing import Any

from dr_perception.core.errors import ContractError
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
#: How many of the features of ``scoring.score_features`` a model may weigh: models of format
#: version 1 know the first four, those of version 2 the first seven or eight; the others are those
#: of the edges, 17 without and 19 with what they say of the sizes.
SCORE_WEIGHT_COUNTS = (4, 7, 8, 17, 19)
EDGELESS_WEIGHT_COUNT = 8
#: What the maps of kinds show: heat at the centres, or the visible surface.
HEADS = ('centres', 'surface')
#: Pictures are padded by less than this; bounds memory before it is taken.
MAX_MULTIPLE_PX = 1024


_WEIGHT_KEYS = ('score_weights', 'camera_score_weights')
_EDGE_KEYS = ('edge_prior_scale', 'camera_edge_prior_scale')
_TRUST_KEYS = ('covariance_weights', 'camera_covariance_weights')
_BIAS_KEYS = ('score_biases', 'camera_score_biases')
#: How many weights a covariance may have; ``scoring.TRUST_FEATURES``.
TRUST_WEIGHT_COUNTS = (0, 3)


@dataclass(frozen=True)
class InputSpec:
    """How a picture goes into the graph: uint8 (N, H, W, ``channels``), RGB first.

    Attributes:
        multiple_px: height and width are padded to multiples of this.
        focal_px: focal length of the pictures that the network was trained on. A picture of
            another focal length is resized towards it when it differs by more than
            ``focal_tolerance`` (a factor), so that objects appear as large as in training.
        focal_tolerance: largest factor that is not resized.
        max_pixels: larger pictures are made smaller.
        plane_px_per_m: the usual scale of the support plane, pixels a metre, that the codes of the
            fourth channel go by (``plane_scale``); 0: there is none.
    """

    multiple_px: int
    focal_px: float
    focal_tolerance: float
    max_pixels: int
    plane_px_per_m: float = 0.0

    @property
    def channels(self) -> int:
        """Channels of the graph's picture."""
        return 4 if self.plane_px_per_m > 0 else 3


@dataclass(frozen=True)
class DecoderSpec:
    """How detections come out of the graph's outputs.

    Attributes:
        stride_px: pixels a cell.
        offset_unit_px: unit of the keypoint offsets.
        peak_threshold: least heat of a candidate.
        score_threshold: least score of a detection.
        score_weights: logistic regression to the probability of being right within 2 cm: bias and
            weights of the features of ``scoring.score_features``.
        covariance_scale: factor (position and rotation) that calibrates the covariance.
        score_biases: what the kind of each object adds to its log-odds, in channel order; empty:
            nothing.
        camera_score_biases: as ``score_biases``, for a pose from the camera alone.
        covariance_weights: of the features ``scoring.TRUST_FEATURES``: the factor is
            ``covariance_scale * exp(weights . features)``; empty: it is the same for all.
        plane_sigma_m: trust in the support plane's height.
        tilt_sigma_rad: trust in the support plane's direction.
        camera_score_weights: as ``score_weights``, for a pose from the camera alone.
        camera_covariance_scale: as ``covariance_scale``, likewise.
        camera_covariance_weights: as ``covariance_weights``, likewise.
        head: one of ``HEADS``.
        edge_prior_scale: factor that calibrates the covariance of the keypoints' poses, from
            where they are refined along the picture's edges; 0: they are not.
        camera_edge_prior_scale: as ``edge_prior_scale``, for a pose from the camera alone.
        plane_scaled: the covariance's factor is of what the support plane says, too; else only
            of what the picture says.
        image_sigma_px: by how much the whole picture may lie beside where the camera's calibration
            puts it: covariances do not fall below what that makes of a position.
    """

    stride_px: int
    offset_unit_px: float
    peak_threshold: float
    score_threshold: float
    score_weights: tuple[float, ...]
    covariance_scale: float
    plane_sigma_m: float
    tilt_sigma_rad: float
    camera_score_weights: tuple[float, ...]
    camera_covariance_scale: float
    head: str = 'centres'
    edge_prior_scale: float = 0.0
    camera_edge_prior_scale: float = 0.0
    score_biases: tuple[float, ...] = ()
    camera_score_biases: tuple[float, ...] = ()
    covariance_weights: tuple[float, ...] = ()
    camera_covariance_weights: tuple[float, ...] = ()
    plane_scaled: bool = False
    image_sigma_px: float = 0.0


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
                input=_input(data['input'], version),
                decoder=_decoder(data['decoder'], version),
                support_plane_z_m=float(data['support_plane_z_m']),
                trained_range=dict(data['trained_range']), provenance=dict(data['provenance']),
                metrics=dict(data['metrics']))
        except KeyError as error:
            raise ContractError(f'the contract lacks the key {error}') from error
        except (TypeError, ValueError, OverflowError) as error:
            if isinstance(error, ContractError):
                raise
            raise ContractError(f'the contract holds a wrong value: {error}') from error
        contract._check()
        return contract

    def _check(self) -> None:
        if not self.objects:
            raise ContractError('the contract names no objects')
        names = [model.name for model in self.objects]
        if len(set(names)) != len(names):
            raise ContractError(f'the contract names an object twice: {names}')
        if len({len(model.keypoints_m) for model in self.objects}) != 1:
            raise ContractError('the objects of the contract have different keypoint counts')
        positive = {'input.multiple_px': self.input.multiple_px,
                    'input.focal_px': self.input.focal_px,
                    'input.focal_tolerance': self.input.focal_tolerance,
                    'input.max_pixels': self.input.max_pixels,
                    'decoder.stride_px': self.decoder.stride_px,
                    'decoder.offset_unit_px': self.decoder.offset_unit_px,
                    'decoder.covariance_scale': self.decoder.covariance_scale,
                    'decoder.camera_covariance_scale': self.decoder.camera_covariance_scale,
                    'decoder.plane_sigma_m': self.decoder.plane_sigma_m,
                    'decoder.tilt_sigma_rad': self.decoder.tilt_sigma_rad}
        for key, value in positive.items():
            if not 0 < value < math.inf:
                raise ContractError(f'the contract has {key} = {value}; expected a positive '
                                    'number')
        if self.input.multiple_px > MAX_MULTIPLE_PX:
            raise ContractError(f'the contract has input.multiple_px = {self.input.multiple_px}; '
                                f'at most {MAX_MULTIPLE_PX} is accepted')
        finite = {'support_plane_z_m': (self.support_plane_z_m,),
                  'decoder.peak_threshold': (self.decoder.peak_threshold,),
                  'decoder.score_threshold': (self.decoder.score_threshold,),
                  'decoder.score_weights': self.decoder.score_weights,
                  'decoder.camera_score_weights': self.decoder.camera_score_weights,
                  **{f'decoder.{key}': getattr(self.decoder, key)
                     for key in (*_TRUST_KEYS, *_BIAS_KEYS)}}
        for key, values in finite.items():
            if not all(map(math.isfinite, values)):
                raise ContractError(f'the contract has {key} = {values}; expected finite numbers')
        if self.decoder.head not in HEADS:
            raise ContractError(f'the contract has decoder.head = {self.decoder.head!r}; expected '
                                f'{" or ".join(HEADS)}')
        if not 0 <= self.input.plane_px_per_m < math.inf:
            raise ContractError('the contract has input.plane_px_per_m = '
                                f'{self.input.plane_px_per_m}; expected 0 or more')
        for key in (*_EDGE_KEYS, 'image_sigma_px'):
            if not 0 <= getattr(self.decoder, key) < math.inf:
                raise ContractError(f'the contract has decoder.{key} = '
                                    f'{getattr(self.decoder, key)}; expected 0 or more')
        if len({getattr(self.decoder, key) > 0 for key in _EDGE_KEYS}) > 1:
            raise ContractError('the contract has one of decoder.edge_prior_scale and '
                                'decoder.camera_edge_prior_scale; expected both or none')
        for key in _BIAS_KEYS:
            count = len(getattr(self.decoder, key))
            if count not in (0, len(self.objects)):
                raise ContractError(f'the contract has {count} decoder.{key} of '
                                    f'{len(self.objects)} objects')
        for key in _TRUST_KEYS:
            count = len(getattr(self.decoder, key))
            if count not in TRUST_WEIGHT_COUNTS or count and self.decoder.edge_prior_scale == 0:
                raise ContractError(f'the contract has {count} decoder.{key}; expected '
                                    f'{" or ".join(map(str, TRUST_WEIGHT_COUNTS))}, and none '
                                    'where poses are not refined along edges')
        for key in _WEIGHT_KEYS:
            count = len(getattr(self.decoder, key))
            if count not in SCORE_WEIGHT_COUNTS:
                raise ContractError(f'the contract has {count} decoder.{key}; expected '
                                    f'{" or ".join(map(str, SCORE_WEIGHT_COUNTS))}')
            if (count > EDGELESS_WEIGHT_COUNT) != (self.decoder.edge_prior_scale > 0):
                raise ContractError(f'the contract has {count} decoder.{key} with '
                                    f'decoder.edge_prior_scale = {self.decoder.edge_prior_scale}')


def _input(data: dict[str, Any], version: int) -> InputSpec:
    numbers = {}
    for name, annotation in InputSpec.__annotations__.items():
        value = data[name] if name != 'plane_px_per_m' or version >= 5 else 0.0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ContractError(f'the contract has {name} = {value!r}; expected a number')
        numbers[name] = int(value) if annotation == 'int' else float(value)
    return InputSpec(**numbers)


def _decoder(data: dict[str, Any], version: int) -> DecoderSpec:
    # Version 3 brought what has to do with edges.
    lists = (*_WEIGHT_KEYS, *((*_TRUST_KEYS, *_BIAS_KEYS) if version >= 3 else ()))
    weights = {key: tuple(float(w) for w in data[key]) for key in lists}
    head = 'centres' if version == 1 else str(data['head'])
    scales = _EDGE_KEYS if version >= 3 else ()
    plain = {k: data[k] for k in DecoderSpec.__annotations__
             if k not in (*_WEIGHT_KEYS, *_TRUST_KEYS, *_BIAS_KEYS, *_EDGE_KEYS, 'head',
                          'plane_scaled', 'image_sigma_px') or k in scales}
    if version >= 4:
        plain['image_sigma_px'] = data['image_sigma_px']
    numbers = {k: int(v) if k == 'stride_px' else float(v) for k, v in plain.items()}
    plane_scaled = data['plane_scaled'] if version >= 4 else True
    if not isinstance(plane_scaled, bool):
        raise ContractError(f'the contract has plane_scaled = {plane_scaled!r}; expected true or '
                            'false')
    return DecoderSpec(**weights, **numbers, head=head, plane_scaled=plane_scaled)
