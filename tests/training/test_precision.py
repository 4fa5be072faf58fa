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

"""bfloat16 is used where it is fast."""

import pytest
from sim_trainer.training.precision import has_bfloat16, uses_bfloat16
import torch

CPU = torch.device('cpu')


@pytest.mark.parametrize('capabilities, has', [
    ({'avx2': True, 'avx512_bf16': False, 'amx_bf16': False}, False), ({}, False),
    ({'avx512_bf16': True}, True), ({'amx_bf16': True}, True)])
def test_a_cpu_is_asked_what_it_can(capabilities, has, monkeypatch, caplog):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', lambda: capabilities)
    assert has_bfloat16(CPU) == has
    with caplog.at_level('INFO'):
        assert uses_bfloat16(None, CPU) == has
    assert ('in bfloat16' if has else 'float32: this cpu has no bfloat16') in caplog.text


def test_torch_tells_what_a_cpu_can():
    assert 'avx512_bf16' in torch.cpu.get_capabilities() or not has_bfloat16(CPU)


@pytest.mark.parametrize('asked', [True, False])
def test_what_is_asked_for_is_done(asked, monkeypatch):
    monkeypatch.setattr(torch.cpu, 'get_capabilities', dict)
    assert uses_bfloat16(asked, CPU) == asked
