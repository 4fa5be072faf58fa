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

"""The export refuses what does not do in ONNX Runtime what it does in torch."""
import pytest

onnx = pytest.importorskip('onnx', reason='needs the trainer: pip install .[train]')
torch = pytest.importorskip('torch', reason='needs the trainer: pip install .[train]')

from dr_perception.core.contract import METADATA_KEY, ModelContract  # noqa: E402, I100
from dr_perception.core.network_spec import DecoderSpec, InputSpec  # noqa: E402, I100
from sim_trainer.errors import ExportError  # noqa: E402
from sim_trainer.export import onnx_export  # noqa: E402
from sim_trainer.export.onnx_export import export_model, write_contract  # noqa: E402
from sim_trainer.objects import primitives  # noqa: E402
from sim_trainer.objects.catalogue import object_from_points  # noqa: E402
from sim_trainer.training.networks.keypoints import KeypointNetwork  # noqa: E402


@pytest.fixture(scope='module')
def contract():
    """Return a contract of one object."""
    objects = (object_from_points('cube', primitives.box_points((0.05, 0.05, 0.05))),)
    return ModelContract('tiny', objects, InputSpec(32, 100.0, 1.12, 1_500_000),
                         DecoderSpec(4, 16.0, 0.15, 0.5, (0.0, 1.0, 0.0, 0.0), 1.0, 0.001, 0.01,
                                     (0.0, 1.0, 0.0, 0.0), 1.0))


class Baked(torch.nn.Module):
    """A module whose answer depends on the picture's size, which tracing makes a constant."""

    def forward(self, image):
        cells = torch.nn.functional.avg_pool2d(image, 4)[:, :1] * float(image.shape[2])
        return cells, cells.repeat(1, 18, 1, 1), cells.repeat(1, 9, 1, 1)


class NotANumber(torch.nn.Module):
    """A module that answers NaN."""

    def forward(self, image):
        cells = torch.nn.functional.avg_pool2d(image, 4)[:, :1] * float('nan')
        return cells, cells.repeat(1, 18, 1, 1), cells.repeat(1, 9, 1, 1)


def test_the_network_itself_is_not_changed(contract, tmp_path):
    torch.manual_seed(0)
    network = KeypointNetwork(1, 9, widths=(8, 8, 8, 8)).train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    export_model(network, contract, tmp_path / 'model.onnx')
    after = network.state_dict()
    assert network.training
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert [p.name for p in tmp_path.iterdir()] == ['model.onnx']


def test_batch_normalization_is_folded(contract, tmp_path):
    torch.manual_seed(0)
    network = KeypointNetwork(1, 9, widths=(8, 8, 8, 8))
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(module.running_mean, -1, 1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    export_model(network, contract, tmp_path / 'model.onnx')
    kinds = {node.op_type for node in onnx.load(str(tmp_path / 'model.onnx')).graph.node}
    assert 'BatchNormalization' not in kinds


@pytest.mark.parametrize('module', [Baked, NotANumber])
def test_a_disagreement_is_refused_and_leaves_no_file(contract, tmp_path, module):
    text = (r"output '\w+' differs by \S+ between torch and ONNX Runtime at input "
            r'\(\d, \d+, \d+, 3\); more than 0.002 is refused')
    with pytest.raises(ExportError, match=text) as info:
        export_model(module(), contract, tmp_path / 'model.onnx')
    assert '\n' not in str(info.value)
    assert list(tmp_path.iterdir()) == []


def test_a_former_model_stays_when_the_export_is_refused(contract, tmp_path, monkeypatch):
    path = tmp_path / 'model.onnx'
    path.write_bytes(b'former')
    monkeypatch.setattr(onnx_export, 'TOLERANCE', -1.0)
    with pytest.raises(ExportError, match='more than -1 is refused'):
        export_model(KeypointNetwork(1, 9, widths=(8, 8, 8, 8)), contract, path)
    assert path.read_bytes() == b'former'
    assert [p.name for p in tmp_path.iterdir()] == ['model.onnx']


def test_a_new_contract_replaces_the_former_and_keeps_other_entries(contract, tmp_path):
    path = tmp_path / 'model.onnx'
    export_model(KeypointNetwork(1, 9, widths=(8, 8, 8, 8)), contract, path)
    model = onnx.load(str(path))
    entry = model.metadata_props.add()
    entry.key, entry.value = 'author', 'somebody'
    path.write_bytes(model.SerializeToString())
    write_contract(path, contract)
    entries = [(e.key, e.value) for e in onnx.load(str(path)).metadata_props]
    assert sorted(entries) == [('author', 'somebody'), (METADATA_KEY, contract.to_json())]
