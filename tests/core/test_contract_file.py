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

"""A contract read from a model.onnx without a session: the same one, or a refusal in words."""
from dr_perception.core import contract_file
from dr_perception.core.contract import METADATA_KEY, ModelContract
from dr_perception.core.contract_file import read_contract
from dr_perception.core.errors import ContractError, ModelFileError
from hypothesis import given
from hypothesis import strategies as st
import pytest


def field(number, content):
    """Return a length-delimited protobuf field, written by hand."""
    return varint(number << 3 | 2) + varint(len(content)) + content


def varint(value):
    """Return a protobuf number."""
    head = b''
    while value > 127:
        head += bytes([value & 127 | 128])
        value >>= 7
    return head + bytes([value])


def model(text, key=METADATA_KEY):
    """Return a model file: a version, a graph of some bytes, and one metadata entry."""
    entry = field(1, key.encode()) + field(2, text.encode())
    return varint(1 << 3) + varint(300) + field(7, bytes(200)) + field(14, entry)


def test_it_is_what_the_session_reads(repository_root):
    from dr_perception.inference.session import OnnxNetwork
    path = repository_root / 'models' / 'tabletop.onnx'
    assert read_contract(path).to_json() == OnnxNetwork(path).contract.to_json()


def test_a_file_made_by_hand(tmp_path, contract):
    path = tmp_path / 'model.onnx'
    path.write_bytes(model('x', 'another key') + model(contract.to_json()))
    assert read_contract(path).to_json() == ModelContract.from_json(contract.to_json()).to_json()


@pytest.mark.parametrize('content, kind, message', [
    (model('{'), ContractError, 'not valid JSON'),
    (model('{}', 'author'), ContractError, 'carries no dr_perception contract; export it'),
    (b'', ContractError, 'carries no dr_perception contract'),
    (model('{}')[:-1], ModelFileError, 'is not a model.onnx .it ends 1 bytes early'),
    (b'\x80', ModelFileError, 'it ends within a number'),
    (b'\xff' * 11, ModelFileError, 'a number of more than 10 bytes'),
    (b'\x0b\x00', ModelFileError, 'wire type 3')])
def test_what_is_no_model_is_refused(tmp_path, content, kind, message):
    path = tmp_path / 'model.onnx'
    path.write_bytes(content)
    with pytest.raises(kind, match=message) as info:
        read_contract(path)
    assert str(path) in str(info.value)
    assert '\n' not in str(info.value)


def test_a_missing_and_a_huge_file(tmp_path, monkeypatch):
    with pytest.raises(ModelFileError, match='no such model file'):
        read_contract(tmp_path / 'nothing.onnx')
    monkeypatch.setattr(contract_file, 'MAX_MODEL_BYTES', 10)
    (tmp_path / 'big.onnx').write_bytes(bytes(11))
    with pytest.raises(ModelFileError, match='11 bytes; at most 10 are accepted'):
        read_contract(tmp_path / 'big.onnx')


@given(st.data())
def test_damaged_bytes_are_refused_or_read_and_nothing_else(tmp_path_factory, contract, data):
    content = bytearray(model(contract.to_json()[:2000]))
    for place in data.draw(st.lists(st.integers(0, len(content) - 1), max_size=4)):
        content[place] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.getbasetemp() / 'damaged.onnx'
    path.write_bytes(content[:data.draw(st.integers(0, len(content)))])
    with pytest.raises(ModelFileError):     # two thousand signs are no whole contract
        read_contract(path)
