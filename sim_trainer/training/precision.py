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

"""Which arithmetic a training uses."""

from __future__ import annotations

import logging

import torch

logger = logging.getLogger(__name__)

#: What processors call bfloat16 arithmetic: x86 with AVX-512 or AMX, Arm.
_CPU_BFLOAT16 = ('avx512_bf16', 'amx_bf16', 'arm_bf16', 'bf16')


def uses_bfloat16(asked: bool | None, device: torch.device) -> bool:
    """Return whether to train in bfloat16.

    Args:
        asked: what ``training.mixed_precision`` says; None: where the device computes in it.
        device: that trains.
    """
    if asked is not None:
        return asked
    has = has_bfloat16(device)
    logger.info('training in %s', 'bfloat16' if has else f'float32: this {device.type} has no '
                'bfloat16 arithmetic')
    return has


def has_bfloat16(device: torch.device) -> bool:
    """Return whether a device computes in bfloat16 itself.

    Elsewhere torch imitates it: 8 times slower than float32 on a CPU with AVX2 alone.
    """
    if device.type == 'cuda':
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != 'cpu':
        return False
    capabilities = torch.cpu.get_capabilities()
    return any(capabilities.get(name, False) for name in _CPU_BFLOAT16)
