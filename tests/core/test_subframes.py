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

"""Subframes in the contract: out and in again, absent in old ones, refused in words."""
import copy
import dataclasses
import json

from dr_perception.core.contract import ModelContract
from dr_perception.core.errors import ContractError
from dr_perception.core.transforms import make_transform, rotation_about
import numpy as np
import pytest

GRASP = make_transform(rotation_about('x', np.pi), (0.0, 0.01, 0.025))


@pytest.fixture(scope='module')
def with_grasp(contract):
    """Return a contract whose first object has a grasp."""
    first = dataclasses.replace(contract.objects[0], subframes={'grasp_top': GRASP})
    return dataclasses.replace(contract, objects=(first, *contract.objects[1:]))


def test_round_trip(with_grasp):
    first, second, *_ = ModelContract.from_json(with_grasp.to_json()).objects
    assert list(first.subframes) == ['grasp_top']
    assert np.allclose(first.subframes['grasp_top'], GRASP, atol=1e-9)
    assert second.subframes == {}


def test_a_contract_without_subframes_is_written_as_ever(contract):
    assert 'subframes' not in contract.to_json()
    assert all(model.subframes == {}
               for model in ModelContract.from_json(contract.to_json()).objects)


@pytest.mark.parametrize('value, message', [
    ([1], 'subframes is a list; expected names and transforms'),
    ({'grasp top': GRASP.tolist()}, "the name 'grasp top' has other signs"),
    ({'': GRASP.tolist()}, "the name '' has other signs"),
    ({'grasp': [[1.0]]}, "subframe 'grasp' has shape"),
    ({'grasp': (2 * np.eye(4)).tolist()}, "subframe 'grasp': its 3x3 part is not a rotation"),
    ({'grasp': [[float('nan')] * 4] * 4}, "subframe 'grasp' holds NaN")])
def test_a_wrong_subframe_is_named(with_grasp, value, message):
    data = copy.deepcopy(json.loads(with_grasp.to_json()))
    data['objects'][0]['subframes'] = value
    with pytest.raises(ContractError, match=message):
        ModelContract.from_json(json.dumps(data))
