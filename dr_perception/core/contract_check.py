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

"""Which values a model contract may hold."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from dr_perception.core.errors import ContractError
from dr_perception.core.network_spec import (BIAS_KEYS, EDGE_KEYS, EDGELESS_WEIGHT_COUNT, HEADS,
                                             MAX_MULTIPLE_PX, SCORE_WEIGHT_COUNTS, TRUST_KEYS,
                                             TRUST_WEIGHT_COUNTS, WEIGHT_KEYS)
from dr_perception.core.objects import is_object_name

if TYPE_CHECKING:
    from dr_perception.core.contract import ModelContract


def check_contract(contract: ModelContract) -> None:
    """Refuse values that cannot be.

    Raises:
        ContractError: says which.
    """
    _check_objects(contract)
    _check_numbers(contract)
    _check_weights(contract)


def _check_objects(contract: ModelContract) -> None:
    if not contract.objects:
        raise ContractError('the contract names no objects')
    names = [model.name for model in contract.objects]
    for name in names:
        if not is_object_name(name):
            raise ContractError(f'the contract names an object {name[:40]!r}; expected ASCII '
                                'letters, digits and underscores, a letter first')
    if len(set(names)) != len(names):
        raise ContractError(f'the contract names an object twice: {names}')
    if len({len(model.keypoints_m) for model in contract.objects}) != 1:
        raise ContractError('the objects of the contract have different keypoint counts')


def _check_numbers(contract: ModelContract) -> None:
    decoder = contract.decoder
    positive = {'input.multiple_px': contract.input.multiple_px,
                'input.focal_px': contract.input.focal_px,
                'input.focal_tolerance': contract.input.focal_tolerance,
                'input.max_pixels': contract.input.max_pixels,
                'decoder.stride_px': decoder.stride_px,
                'decoder.offset_unit_px': decoder.offset_unit_px,
                'decoder.covariance_scale': decoder.covariance_scale,
                'decoder.camera_covariance_scale': decoder.camera_covariance_scale,
                'decoder.plane_sigma_m': decoder.plane_sigma_m,
                'decoder.tilt_sigma_rad': decoder.tilt_sigma_rad}
    for key, value in positive.items():
        if not 0 < value < math.inf:
            raise ContractError(f'the contract has {key} = {value}; expected a positive '
                                'number')
    if contract.input.multiple_px > MAX_MULTIPLE_PX:
        raise ContractError(f'the contract has input.multiple_px = {contract.input.multiple_px}; '
                            f'at most {MAX_MULTIPLE_PX} is accepted')
    finite = {'support_plane_z_m': (contract.support_plane_z_m,),
              'decoder.peak_threshold': (decoder.peak_threshold,),
              'decoder.score_threshold': (decoder.score_threshold,),
              'decoder.score_weights': decoder.score_weights,
              'decoder.camera_score_weights': decoder.camera_score_weights,
              **{f'decoder.{key}': getattr(decoder, key)
                 for key in (*TRUST_KEYS, *BIAS_KEYS)}}
    for key, values in finite.items():
        if not all(map(math.isfinite, values)):
            raise ContractError(f'the contract has {key} = {values}; expected finite numbers')
    if decoder.head not in HEADS:
        raise ContractError(f'the contract has decoder.head = {decoder.head!r}; expected '
                            f'{" or ".join(HEADS)}')
    if not 0 <= contract.input.plane_px_per_m < math.inf:
        raise ContractError('the contract has input.plane_px_per_m = '
                            f'{contract.input.plane_px_per_m}; expected 0 or more')
    for key in (*EDGE_KEYS, 'image_sigma_px'):
        if not 0 <= getattr(decoder, key) < math.inf:
            raise ContractError(f'the contract has decoder.{key} = '
                                f'{getattr(decoder, key)}; expected 0 or more')
    if len({getattr(decoder, key) > 0 for key in EDGE_KEYS}) > 1:
        raise ContractError('the contract has one of decoder.edge_prior_scale and '
                            'decoder.camera_edge_prior_scale; expected both or none')


def _check_weights(contract: ModelContract) -> None:
    decoder = contract.decoder
    for key in BIAS_KEYS:
        count = len(getattr(decoder, key))
        if count not in (0, len(contract.objects)):
            raise ContractError(f'the contract has {count} decoder.{key} of '
                                f'{len(contract.objects)} objects')
    for key in TRUST_KEYS:
        count = len(getattr(decoder, key))
        if count not in TRUST_WEIGHT_COUNTS or count and decoder.edge_prior_scale == 0:
            raise ContractError(f'the contract has {count} decoder.{key}; expected '
                                f'{" or ".join(map(str, TRUST_WEIGHT_COUNTS))}, and none '
                                'where poses are not refined along edges')
    for key in WEIGHT_KEYS:
        count = len(getattr(decoder, key))
        if count not in SCORE_WEIGHT_COUNTS:
            raise ContractError(f'the contract has {count} decoder.{key}; expected '
                                f'{" or ".join(map(str, SCORE_WEIGHT_COUNTS))}')
        if (count > EDGELESS_WEIGHT_COUNT) != (decoder.edge_prior_scale > 0):
            raise ContractError(f'the contract has {count} decoder.{key} with '
                                f'decoder.edge_prior_scale = {decoder.edge_prior_scale}')
