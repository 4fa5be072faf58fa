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

"""How a picture goes into a model's graph, and how detections come out of what it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dr_perception.core.errors import ContractError

#: How many of the features of ``scoring.score_features`` a model may weigh: models of format
#: version 1 know the first four, those of version 2 the first seven or eight; the others are those
#: of the edges, 17 without and 19 with what they say of the sizes.
SCORE_WEIGHT_COUNTS = (4, 7, 8, 17, 19)
EDGELESS_WEIGHT_COUNT = 8
#: What the maps of kinds show: heat at the centres, or the visible surface.
HEADS = ('centres', 'surface')
#: Pictures are padded by less than this; bounds memory before it is taken.
MAX_MULTIPLE_PX = 1024
#: Keys of the decoder that come in pairs: where the camera's pose in the base frame is known, and
#: where it is not.
WEIGHT_KEYS = ('score_weights', 'camera_score_weights')
EDGE_KEYS = ('edge_prior_scale', 'camera_edge_prior_scale')
TRUST_KEYS = ('covariance_weights', 'camera_covariance_weights')
BIAS_KEYS = ('score_biases', 'camera_score_biases')
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


def read_input(data: dict[str, Any], version: int) -> InputSpec:
    """Return the ``input`` of a contract's JSON of a format version."""
    numbers = {}
    for name, annotation in InputSpec.__annotations__.items():
        value = data[name] if name != 'plane_px_per_m' or version >= 5 else 0.0
        if isinstance(value, bool) or not isinstance(value, (int, float)):
            raise ContractError(f'the contract has {name} = {value!r}; expected a number')
        numbers[name] = int(value) if annotation == 'int' else float(value)
    return InputSpec(**numbers)


def read_decoder(data: dict[str, Any], version: int) -> DecoderSpec:
    """Return the ``decoder`` of a contract's JSON of a format version."""
    # Version 3 brought what has to do with edges.
    lists = (*WEIGHT_KEYS, *((*TRUST_KEYS, *BIAS_KEYS) if version >= 3 else ()))
    weights = {key: tuple(float(w) for w in data[key]) for key in lists}
    head = 'centres' if version == 1 else str(data['head'])
    scales = EDGE_KEYS if version >= 3 else ()
    plain = {k: data[k] for k in DecoderSpec.__annotations__
             if k not in (*WEIGHT_KEYS, *TRUST_KEYS, *BIAS_KEYS, *EDGE_KEYS, 'head',
                          'plane_scaled', 'image_sigma_px') or k in scales}
    if version >= 4:
        plain['image_sigma_px'] = data['image_sigma_px']
    numbers = {k: int(v) if k == 'stride_px' else float(v) for k, v in plain.items()}
    plane_scaled = data['plane_scaled'] if version >= 4 else True
    if not isinstance(plane_scaled, bool):
        raise ContractError(f'the contract has plane_scaled = {plane_scaled!r}; expected true or '
                            'false')
    return DecoderSpec(**weights, **numbers, head=head, plane_scaled=plane_scaled)
