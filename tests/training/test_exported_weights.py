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

"""A model.onnx is a place to begin a training: same answers, normalizations that can train."""

import copy

from dr_perception.core.network_spec import InputSpec
import onnx
import pytest
from sim_trainer.configuration.training import NetworkConfig
from sim_trainer.errors import CheckpointError
from sim_trainer.export.exported_weights import normalize_anew, read_exported, unfolded
from sim_trainer.export.onnx_export import export_model
from sim_trainer.training.networks.keypoints import build_network
from sim_trainer.training.start import start_from
import torch
from torch import nn


class _Contract:
    def __init__(self, channels):
        self.input = InputSpec(32, 100.0, 1.12, 10 ** 6, 100.0 * (channels - 3))

    def to_json(self):
        return '{}'


def used(backbone='residual', seed=0, **settings):
    """Return a network whose normalizations have seen something."""
    torch.manual_seed(seed)
    network = build_network(NetworkConfig(backbone=backbone, **settings), 3, 9)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter += 0.05 * torch.randn_like(parameter)
    network.train()
    for _ in range(3):
        network(pictures())
    return network.eval()


def pictures():
    """Return pictures of stripes and noise."""
    generator = torch.Generator().manual_seed(3)
    noise = 255 * torch.rand(4, 3, 64, 96, generator=generator)
    return (noise + 128 * (torch.arange(96) // 16 % 2)).clamp(0, 255)


@pytest.fixture(params=['residual', 'csp'])
def exported(request, tmp_path):
    """Return a network and its model.onnx."""
    network = used(request.param)
    path = tmp_path / 'model.onnx'
    export_model(network, _Contract(3), path)
    return network, path, request.param


def _same(a, b, image):
    with torch.no_grad():
        for x, y in zip(a(image), b(image)):
            torch.testing.assert_close(x, y, atol=2e-4, rtol=1e-3)


def test_an_exported_network_gives_the_same_answers_and_can_be_trained(exported, caplog):
    network, path, backbone = exported
    torch.manual_seed(7)
    again = build_network(NetworkConfig(backbone=backbone), 3, 9)
    with caplog.at_level('INFO'):
        start_from(again, [path], pictures)
    assert 'anew' not in caplog.text
    _same(network, again.eval(), pictures())
    # Statistics are those of the pictures: training, which normalizes by the batch, answers alike.
    _same(network, again.train(), pictures())
    lengths = [conv.weight.flatten(1).norm(dim=1) for name, conv in again.named_modules()
               if isinstance(conv, nn.Conv2d) and conv.bias is None]
    assert len(lengths) > 10
    for length in lengths:
        torch.testing.assert_close(length, torch.ones_like(length))


def test_folded_normalizations_alone_would_not_train(exported):
    network, path, backbone = exported
    plain = build_network(NetworkConfig(backbone=backbone), 3, 9)
    plain.load_state_dict(unfolded(plain, read_exported(path)), strict=False)
    _same(network, plain.eval(), pictures())
    with pytest.raises(AssertionError), torch.no_grad():
        _same(network, plain.train(), pictures())
    before = copy.deepcopy(plain)
    normalize_anew(plain, pictures())
    assert plain.training
    _same(before.eval(), plain.eval(), pictures())


def test_more_blocks_begin_as_the_identity(tmp_path, caplog):
    network, path = used(), tmp_path / 'model.onnx'
    export_model(network, _Contract(3), path)
    torch.manual_seed(7)
    deeper = build_network(NetworkConfig(blocks=(3, 4, 2)), 3, 9)
    with caplog.at_level('INFO'):
        start_from(deeper, [path], pictures)
    assert 'anew: backbone.down16.3.first.0' in caplog.text
    _same(network, deeper.eval(), pictures())
    _same(network, deeper.train(), pictures())
    sum(output.square().mean() for output in deeper(pictures())).backward()
    assert deeper.backbone.down16[4].second[1].weight.grad.abs().max() > 0


def test_a_network_that_sees_the_plane_begins_as_one_that_does_not(tmp_path):
    network, path = used(), tmp_path / 'model.onnx'
    export_model(network, _Contract(3), path)
    seeing = build_network(NetworkConfig(sees_plane=True), 3, 9)
    codes = torch.full((4, 1, 64, 96), 100.0)
    codes[0] = 0
    told = torch.cat([pictures(), codes], 1)
    start_from(seeing, [path], lambda: told)
    with torch.no_grad():
        for wanted, got in zip(network(pictures()), seeing.eval()(told)):
            torch.testing.assert_close(wanted, got, atol=2e-4, rtol=1e-3)
    sum(output.square().mean() for output in seeing.train()(told)).backward()
    for layer in seeing.backbone.planes:
        assert layer.weigh.weight.grad.abs().max() > 0
        torch.nn.init.normal_(layer.weigh.weight)
    seeing.eval()
    with torch.no_grad():
        other = told.clone()
        other[1:, 3] = 50
        a, b = seeing(told)[0], seeing(other)[0]
        assert torch.equal(a[0], b[0]) and not torch.allclose(a[1], b[1])
    export_model(seeing, _Contract(4), path)
    again = build_network(NetworkConfig(sees_plane=True), 3, 9)
    start_from(again, [path], lambda: told)
    _same(seeing, again.eval(), told)
    _same(seeing, again.train(), told)


def test_the_mean_of_several(tmp_path, caplog):
    network = used()
    kernel = network.backbone.down16[-1].second[0].weight
    original, paths = kernel.detach().clone(), [tmp_path / f'{i}.onnx' for i in range(3)]
    with torch.no_grad():
        for gain, path in zip((0.5, 1.0, 3.0), paths):
            kernel.copy_(gain * original)
            export_model(network, _Contract(3), path)
        # The export folds what comes after it into a kernel: linear, so the mean is that of gains.
        kernel.copy_(1.5 * original)
    torch.manual_seed(7)
    got = build_network(NetworkConfig(), 3, 9)
    with caplog.at_level('INFO'):
        start_from(got, paths, pictures)
    assert 'the mean of ' in caplog.text and f'{paths[0]} and {paths[1]} and ' in caplog.text
    _same(network, got.eval(), pictures())
    _same(network, got.train(), pictures())


def test_a_mean_of_what_does_not_belong_together(tmp_path):
    paths = [tmp_path / 'a.onnx', tmp_path / 'b.onnx', tmp_path / 'run' / 'checkpoint.pt']
    export_model(used(), _Contract(3), paths[0])
    export_model(used('csp'), _Contract(3), paths[1])
    paths[2].parent.mkdir()
    paths[2].write_bytes(b'')
    network = build_network(NetworkConfig(), 3, 9)
    with pytest.raises(CheckpointError, match='b.onnx: another network than that of .*a.onnx; a '
                                              'mean needs the same layers of the same objects'):
        start_from(network, paths[:2], pictures)
    with pytest.raises(CheckpointError, match='checkpoint.pt: of several only model.onnx; give'):
        start_from(network, [paths[0], paths[2].parent], pictures)
    with pytest.raises(CheckpointError, match='c.onnx: no such file'):
        start_from(network, [paths[0], tmp_path / 'c.onnx'], pictures)


def test_other_files_are_told(tmp_path):
    network = build_network(NetworkConfig(), 3, 9)
    path = tmp_path / 'x.onnx'
    path.write_bytes(b'no model at all')
    with pytest.raises(CheckpointError, match='x.onnx: not an ONNX model .*; give a model.onnx'):
        start_from(network, [path], pictures)
    onnx.save(onnx.helper.make_model(onnx.helper.make_graph([], 'empty', [], [])), str(path))
    with pytest.raises(CheckpointError, match='x.onnx: holds no weights of a network of this'):
        start_from(network, [path], pictures)
