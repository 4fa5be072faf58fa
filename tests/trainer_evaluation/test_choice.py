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

"""What is decided after a snapshot is calibrated."""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

from dr_perception.core.contract_file import read_contract
import pytest
from sim_trainer.validation import choice


@pytest.fixture(scope='module')
def shipped():
    """Return the contract of the shipped model."""
    return read_contract(Path(__file__).parents[2] / 'models' / 'tabletop.onnx')


class HeatPipeline:
    """Finds, in a "picture" that is a list of heats, those that are no fainter than asked for."""

    def __init__(self, contract, network):
        self._least = contract.decoder.peak_threshold

    def estimate(self, heats, camera, T_base_camera):
        return [heat for heat in heats if heat >= self._least]


@pytest.mark.parametrize('faint, expected', [
    ([0.22], 0.2),              # one of a hundred is too many
    ([0.16], 0.15),
    ([0.26], 0.25),
    ([], 0.25)])
def test_faint_candidates_are_left_out_where_none_of_them_passes(
        monkeypatch, shipped, faint, expected):
    contract = dataclasses.replace(shipped, decoder=dataclasses.replace(
        shipped.decoder, peak_threshold=0.15))
    monkeypatch.setattr(choice, 'PosePipeline', HeatPipeline)
    pictures = [SimpleNamespace(image_rgb=heats, camera=None, T_base_camera=None)
                for heats in ([0.9] * 60, [0.5] * 40, faint)]
    assert choice.with_least_heat(contract, None, pictures).decoder.peak_threshold == expected


def test_a_model_that_asks_for_more_already_stays(monkeypatch, shipped):
    contract = dataclasses.replace(shipped, decoder=dataclasses.replace(
        shipped.decoder, peak_threshold=0.4))
    monkeypatch.setattr(choice, 'PosePipeline', HeatPipeline)
    assert choice.with_least_heat(contract, None, []) == contract
