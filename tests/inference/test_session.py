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

"""Opening model files: the good one, and every bad one with its text."""
import dataclasses
import hashlib

import numpy as np
import pytest

onnx = pytest.importorskip('onnx', reason='needs the trainer: pip install .[train]')
torch = pytest.importorskip('torch', reason='needs the trainer: pip install .[train]')

from dr_perception import PinholeCamera, PoseEstimator  # noqa: E402, I100
from dr_perception.core.contract import METADATA_KEY, ModelContract  # noqa: E402
from dr_perception.core.errors import ContractError, ModelFileError, ProviderError  # noqa: E402
from dr_perception.core.network_spec import DecoderSpec, InputSpec  # noqa: E402
from dr_perception.core.transforms import look_at  # noqa: E402
from dr_perception.inference import session  # noqa: E402
from dr_perception.inference.benchmark import measure_batch  # noqa: E402
from dr_perception.inference.provider_check import check_provider  # noqa: E402
from dr_perception.inference.session import OnnxNetwork, open_session, read_metadata  # noqa: E402
from sim_trainer.export.onnx_export import export_model, write_contract  # noqa: E402
from sim_trainer.objects import primitives  # noqa: E402
from sim_trainer.objects.catalogue import object_from_points  # noqa: E402
from sim_trainer.training.networks.keypoints import KeypointNetwork  # noqa: E402


@pytest.fixture(scope='module')
def contract():
    """Return a contract of two objects."""
    objects = (object_from_points('cube', primitives.box_points((0.05, 0.05, 0.05))),
               object_from_points('pyramid', primitives.pyramid_points(0.06, 0.06)))
    return ModelContract('tiny', objects, InputSpec(32, 100.0, 1.12, 1_500_000),
                         DecoderSpec(4, 16.0, 0.15, 0.5, (0.0, 1.0, 0.0, 0.0), 1.0, 0.001, 0.01,
                                     (0.0, 1.0, 0.0, 0.0), 1.0))


@pytest.fixture(scope='module')
def good(contract, tmp_path_factory):
    """Return the path of a model of an untrained network."""
    path = tmp_path_factory.mktemp('good') / 'tiny.onnx'
    torch.manual_seed(0)
    export_model(KeypointNetwork(2, 9, widths=(8, 8, 8, 8)), contract, path)
    return path


def _changed(good, folder, change):
    """Return a copy of the model after ``change(model)``."""
    model = onnx.load(str(good))
    change(model)
    path = folder / 'changed.onnx'
    path.write_bytes(model.SerializeToString())
    return path


def _refused(kind, path, **options):
    with pytest.raises(kind) as info:
        OnnxNetwork(path, **options)
    assert type(info.value) is kind
    message = str(info.value)
    assert '\n' not in message
    return message


def test_a_good_model_loads_and_runs(good, contract):
    network = OnnxNetwork(good, threads=1)
    assert network.contract.to_json() == contract.to_json()
    assert network.active_providers == ('CPUExecutionProvider',)
    assert network.requested_providers == ('CPUExecutionProvider',)
    assert network.sha256 == hashlib.sha256(good.read_bytes()).hexdigest()
    outputs = network.run(np.zeros((2, 64, 96, 3), np.uint8))
    assert {name: array.shape for name, array in outputs.items()} == {
        'heat': (2, 2, 16, 24), 'keypoints': (2, 18, 16, 24), 'log_scales': (2, 9, 16, 24)}
    assert all(array.dtype == np.float32 for array in outputs.values())
    assert outputs['heat'].min() >= 0 and outputs['heat'].max() <= 1


def test_the_estimator_of_a_file(good):
    estimator = PoseEstimator.from_file(str(good), providers=['CPUExecutionProvider'], threads=1)
    assert estimator.contract.name == 'tiny'
    assert estimator.active_providers == estimator.requested_providers == (
        'CPUExecutionProvider',)
    assert len(estimator.model_sha256) == 64
    estimator.warm_up(width_px=70, height_px=50)
    camera = PinholeCamera(100.0, 100.0, 34.5, 24.5, 70, 50)
    # An untrained network finds nothing: its heat is about 0.01 everywhere.
    assert estimator.estimate(np.zeros((50, 70, 3), np.uint8), camera) == []


@pytest.fixture(scope='module')
def seeing(contract, tmp_path_factory):
    """Return the path of a model that is told how large things look on the plane."""
    path = tmp_path_factory.mktemp('seeing') / 'seeing.onnx'
    told = dataclasses.replace(contract, input=dataclasses.replace(contract.input,
                                                                   plane_px_per_m=120.0))
    torch.manual_seed(0)
    network = KeypointNetwork(2, 9, widths=(8, 8, 8, 8), sees_plane=True)
    torch.nn.init.normal_(network.backbone.planes[0].weigh.weight)
    export_model(network, told, path)
    return path


def test_a_model_that_sees_the_plane_takes_four_channels(seeing):
    estimator = PoseEstimator.from_file(seeing, threads=1)
    estimator.warm_up(width_px=70, height_px=50)
    network = OnnxNetwork(seeing, threads=1)
    image = np.full((2, 64, 96, 4), 90, np.uint8)
    image[1, ..., 3] = 0
    heat = network.run(image)['heat']
    assert not np.allclose(heat[0], heat[1], atol=1e-5)
    camera = PinholeCamera(100.0, 100.0, 34.5, 24.5, 70, 50)
    T_base_camera = look_at((0.5, 0.0, 0.5), (0.0, 0.0, 0.0))
    for pose in (T_base_camera, None):
        assert estimator.estimate(np.zeros((50, 70, 3), np.uint8), camera, pose) == []
    assert check_provider(seeing, 'CPUExecutionProvider', 32).runs_model
    assert measure_batch(network, [np.zeros((50, 70, 3), np.uint8)], camera, 2, 2) > 0


def test_a_contract_that_knows_no_plane_is_refused_with_four_channels(seeing, contract, tmp_path):
    path = tmp_path / 'model.onnx'
    path.write_bytes(seeing.read_bytes())
    write_contract(path, contract)
    assert 'tensor(uint8) of shape (N, H, W, 3)' in _refused(ContractError, path)


def test_the_file_may_be_gone_once_it_is_open(good, tmp_path):
    path = tmp_path / 'model.onnx'
    path.write_bytes(good.read_bytes())
    network = OnnxNetwork(path, threads=1)
    path.unlink()
    network.run(np.zeros((1, 32, 32, 3), np.uint8))


def test_metadata_is_read_without_a_contract(good, tmp_path):
    assert METADATA_KEY in _metadata_of(good)
    bare = _changed(good, tmp_path, lambda model: model.ClearField('metadata_props'))
    assert _metadata_of(bare) == {}
    with pytest.raises(ModelFileError, match='there is no such model file'):
        _metadata_of(tmp_path / 'nothing.onnx')


def _metadata_of(path):
    opened, _ = open_session(path, ['CPUExecutionProvider'], threads=1)
    return read_metadata(path, opened)


def test_a_missing_file(tmp_path):
    path = tmp_path / 'nothing.onnx'
    assert _refused(ModelFileError, path) == f'{path}: there is no such model file'
    assert _refused(ModelFileError, tmp_path).endswith('there is no such model file')


def test_an_empty_file(tmp_path):
    path = tmp_path / 'empty.onnx'
    path.touch()
    assert _refused(ModelFileError, path) == f'{path}: the file is empty'


def test_a_file_that_may_not_be_read(good, monkeypatch):
    def refuse(self):
        raise PermissionError(13, 'Permission denied')
    monkeypatch.setattr(type(good), 'read_bytes', refuse)
    assert _refused(ModelFileError, good) == f'{good}: cannot be read (Permission denied)'


def test_a_file_too_large(good, monkeypatch):
    monkeypatch.setattr(session, 'MAX_MODEL_BYTES', 1000)
    size = good.stat().st_size
    assert _refused(ModelFileError, good) == f'{good}: {size} bytes; at most 1000 are accepted'


@pytest.mark.parametrize('content', [b'no model', b'\x00' * 500, b'\x08\x07\xff\xff\xff'])
def test_a_file_that_is_not_onnx(tmp_path, content):
    path = tmp_path / 'other.onnx'
    path.write_bytes(content)
    assert _refused(ModelFileError, path).startswith(f'{path}: ONNX Runtime cannot open it: ')


def test_half_a_model(good, tmp_path):
    path = tmp_path / 'half.onnx'
    content = good.read_bytes()
    path.write_bytes(content[:len(content) // 2])
    assert 'ONNX Runtime cannot open it: ' in _refused(ModelFileError, path)


def test_weights_in_other_files(good, tmp_path):
    model = onnx.load(str(good))
    path = tmp_path / 'outside.onnx'
    onnx.save_model(model, str(path), save_as_external_data=True, location='weights.bin',
                    size_threshold=0)
    assert (tmp_path / 'weights.bin').is_file()
    assert _refused(ModelFileError, path) == (
        f'{path}: keeps weights in other files (ONNX external data); only self-contained models '
        'are accepted')


def test_no_contract(good, tmp_path):
    path = _changed(good, tmp_path, lambda model: model.ClearField('metadata_props'))
    assert _refused(ContractError, path) == (
        f'{path}: carries no dr_perception contract; export it with python -m sim_trainer train')


def test_a_broken_contract_is_named_with_its_file(good, tmp_path):
    def break_it(model):
        model.metadata_props[0].value = '{"format_version": 9}'
    path = _changed(good, tmp_path, break_it)
    assert _refused(ContractError, path) == (
        f'{path}: the contract has format version 9; this version of dr_perception reads '
        '1 and 2 and 3 and 4 and 5')


def test_fewer_objects_than_channels(good, contract, tmp_path):
    path = tmp_path / 'one.onnx'
    path.write_bytes(good.read_bytes())
    write_contract(path, dataclasses.replace(contract, objects=contract.objects[:1]))
    message = _refused(ContractError, path)
    assert "the graph gives 'heat' of shape ['batch', 2, 'rows', 'columns']" in message
    assert message.endswith('the contract wants 1 channels (N, C, h, w)')


def test_fewer_keypoints_than_channels(good, contract, tmp_path):
    path = tmp_path / 'eight.onnx'
    path.write_bytes(good.read_bytes())
    objects = tuple(dataclasses.replace(model, keypoints_m=model.keypoints_m[:8])
                    for model in contract.objects)
    write_contract(path, dataclasses.replace(contract, objects=objects))
    assert "gives 'keypoints' of shape" in _refused(ContractError, path)


def test_an_output_is_missing(good, tmp_path):
    def rename(model):
        model.graph.output[2].name = 'scales'
        for node in model.graph.node:
            node.output[:] = ['scales' if n == 'log_scales' else n for n in node.output]
    path = _changed(good, tmp_path, rename)
    assert _refused(ContractError, path) == (
        f"{path}: the graph gives 'log_scales' of shape None; the contract wants 9 channels "
        '(N, C, h, w)')


@pytest.mark.parametrize('change, shown', [
    (lambda i: setattr(i, 'name', 'picture'), "{'picture': ('tensor(uint8)'"),
    (lambda i: setattr(i.type.tensor_type, 'elem_type', onnx.TensorProto.INT8),
     "{'image': ('tensor(int8)'"),
    (lambda i: setattr(i.type.tensor_type.shape.dim[3], 'dim_value', 4), "'width', 4])}")])
def test_another_input(good, contract, tmp_path, change, shown):
    # A graph of one node is enough, so that a changed input is valid in itself.
    outputs = [onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT,
                                                  ['n', channels, 'h', 'w'])
               for name, channels in contract.output_channels().items()]
    image = onnx.helper.make_tensor_value_info('image', onnx.TensorProto.UINT8,
                                               ['batch', 'height', 'width', 3])
    change(image)
    nodes = [onnx.helper.make_node('Cast', [image.name], [o.name], to=onnx.TensorProto.FLOAT)
             for o in outputs]
    for output in outputs:
        del output.type.tensor_type.shape.dim[:]
        output.type.tensor_type.ClearField('shape')
    graph = onnx.helper.make_graph(nodes, 'cast', [image], outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid('', 17)])
    model.ir_version = 8
    entry = model.metadata_props.add()
    entry.key, entry.value = METADATA_KEY, contract.to_json()
    path = tmp_path / 'input.onnx'
    path.write_bytes(model.SerializeToString())
    message = _refused(ContractError, path)
    assert f'{path}: the graph takes ' in message
    assert shown in message
    assert message.endswith("; the contract wants one input 'image', tensor(uint8) of shape "
                            '(N, H, W, 3)')


def test_an_unknown_provider(good):
    message = _refused(ProviderError, good, providers=['AbacusExecutionProvider'])
    assert message.startswith("execution provider 'AbacusExecutionProvider' is not in this ONNX "
                              'Runtime (it has ')
    assert message.endswith('CPUExecutionProvider)')


def test_a_missing_gpu_provider_names_the_package(good, monkeypatch):
    monkeypatch.setattr(session.onnxruntime, 'get_available_providers',
                        lambda: ['CPUExecutionProvider'])
    for name in ('CUDAExecutionProvider', 'TensorrtExecutionProvider'):
        message = _refused(ProviderError, good, providers=[name, 'CPUExecutionProvider'])
        assert message == (
            f"execution provider '{name}' is not in this ONNX Runtime (it has "
            'CPUExecutionProvider); install onnxruntime-gpu in place of onnxruntime: pip install '
            "'dr_perception[gpu]'")


def test_metadata_that_is_no_text(good, tmp_path):
    path = tmp_path / 'bytes.onnx'
    content = good.read_bytes()
    assert content.count(b'"name": "tiny"') == 1
    path.write_bytes(content.replace(b'"name": "tiny"', b'"name": "ti\xff\xfe"'))
    assert _refused(ModelFileError, path).startswith(f'{path}: its metadata is not UTF-8 text (')
    with pytest.raises(ModelFileError, match='its metadata is not UTF-8 text'):
        _metadata_of(path)


def test_a_graph_for_one_picture_size_alone(good, tmp_path):
    def bake(model):
        for dimension, size in zip(model.graph.input[0].type.tensor_type.shape.dim[1:3], (96, 64)):
            dimension.ClearField('dim_param')
            dimension.dim_value = size
    path = _changed(good, tmp_path, bake)
    assert _refused(ContractError, path) == (
        f'{path}: the graph takes pictures of 64x96 alone; the contract wants any height and '
        'width')


def test_threads_do_not_wait_for_the_next_picture_at_full_speed(good):
    options = open_session(good, ['CPUExecutionProvider'], 2)[0].get_session_options()
    assert options.get_session_config_entry('session.force_spinning_stop') == '1'
    assert options.intra_op_num_threads == 2
