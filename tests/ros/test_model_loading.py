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

"""Loading a model for the node: provider, engines, progress, and a provider that runs dry."""
import time

from dr_perception.core.errors import InferenceError, ProviderError
from dr_perception.inference import session as session_module
from dr_perception.inference.io_binding import BoundSession
from dr_perception.ros import model_loading, parameters
from dr_perception.ros.model_loading import load_estimator, prepare_estimator
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native
import pytest
from vision_msgs.msg import Detection3DArray

TENSORRT, CPU = 'TensorrtExecutionProvider', 'CPUExecutionProvider'


@pytest.fixture
def make_settings(tiny_model, tmp_path):
    """Return a function that makes the node's settings."""
    def make(**values):
        defaults = {spec.name: spec.default for spec in parameters.SPECS}
        return parameters.settings_from_values({
            **defaults, 'model': str(tiny_model), 'providers': [CPU], 'threads': 1,
            'engine_cache': str(tmp_path / 'engines'), **values})
    return make


@pytest.fixture
def fake_tensorrt(monkeypatch):
    """Make a CPU session pass for one of TensorRT; returns the options of each."""
    real, options = onnxruntime.InferenceSession, []

    def session(content, session_options, providers, enable_fallback):
        options.append(dict(providers))
        made = real(content, session_options, providers=[CPU])
        made.get_providers = lambda: [name for name, _ in providers]
        return made
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [TENSORRT, CPU])
    monkeypatch.setattr(onnxruntime, 'InferenceSession', session)
    monkeypatch.setattr(session_module, 'BoundSession',
                        lambda made, device: BoundSession(made, 'cpu'))
    return options


def test_the_parameters_reach_the_provider(fake_tensorrt, make_settings, tmp_path):
    estimator, problem = prepare_estimator(make_settings(
        providers=[TENSORRT, CPU], precision='fp16', gpu_memory_limit_mb=300))
    assert problem == ''
    (options,) = fake_tensorrt
    assert options[TENSORRT]['trt_fp16_enable'] == 'True'
    assert options[TENSORRT]['trt_max_workspace_size'] == str(300 << 20)
    assert estimator.engine_folder.parent == tmp_path / 'engines'
    assert options[TENSORRT]['trt_engine_cache_path'] == str(estimator.engine_folder)


def test_a_setting_without_effect_is_a_problem_and_no_failure(make_settings):
    estimator, problem = load_estimator(make_settings(precision='fp16', strict_provider=True))
    assert estimator.active_providers == (CPU,)
    assert problem.startswith('precision fp16 has no effect on CPUExecutionProvider')


def test_a_provider_that_is_not_there_names_what_to_install(monkeypatch, make_settings):
    monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: [CPU])
    wanted = ['CUDAExecutionProvider', CPU]
    _, problem = load_estimator(make_settings(providers=wanted))
    assert problem == (
        'provider CUDAExecutionProvider is not active, the model runs on CPUExecutionProvider: '
        "execution provider 'CUDAExecutionProvider' is not in this ONNX Runtime (it has "
        'CPUExecutionProvider); install onnxruntime-gpu in place of onnxruntime: pip install '
        "'dr_perception[gpu]'")
    with pytest.raises(ProviderError, match='is not in this ONNX Runtime'):
        load_estimator(make_settings(providers=wanted, strict_provider=True))
    with pytest.raises(ProviderError, match='is not in this ONNX Runtime'):
        load_estimator(make_settings(providers=wanted[:1]))


def test_a_provider_that_does_not_start_is_refused_where_strict(
        monkeypatch, fake_tensorrt, make_settings):
    fake = onnxruntime.InferenceSession

    def without(*args, **kwargs):
        made = fake(*args, **kwargs)
        made.get_providers = lambda: [CPU]
        return made
    monkeypatch.setattr(onnxruntime, 'InferenceSession', without)
    _, problem = load_estimator(make_settings(providers=[TENSORRT, CPU]))
    assert problem.startswith(f'provider {TENSORRT} is not active, the model runs on {CPU}: ')
    with pytest.raises(ProviderError, match=r'is not active.*\(strict_provider is set\)$'):
        load_estimator(make_settings(providers=[TENSORRT, CPU], strict_provider=True))


def test_progress_is_told_while_an_engine_is_built(monkeypatch, fake_tensorrt, make_settings):
    monkeypatch.setattr(model_loading, 'PROGRESS_PERIOD_S', 0.05)
    warm_up = model_loading.warm_up

    def slowly(estimator):
        time.sleep(0.5)
        warm_up(estimator)
    monkeypatch.setattr(model_loading, 'warm_up', slowly)
    lines = []
    begin_s = time.monotonic()
    prepare_estimator(make_settings(providers=[TENSORRT, CPU]), lines.append)
    most = 2 + (time.monotonic() - begin_s) / model_loading.PROGRESS_PERIOD_S
    assert lines[0] == ('loading the model, for which TensorRT builds an engine (minutes the '
                        'first time, then from the cache)')
    assert lines[1].startswith(lines[0]) and lines[1].endswith(' s so far')
    assert 2 <= len(lines) < most
    count = len(lines)
    time.sleep(0.2)
    assert len(lines) == count      # and no more once it is done
    lines.clear()
    prepare_estimator(make_settings(), lines.append)
    assert lines[0].startswith('loading the model: ')


def test_a_damaged_engine_is_built_anew(monkeypatch, fake_tensorrt, make_settings):
    settings, lines = make_settings(providers=[TENSORRT, CPU]), []
    folder = load_estimator(settings)[0].engine_folder
    (folder / 'half.engine').write_bytes(b'half of it')
    warm_up = model_loading.warm_up

    def check(estimator):
        if list(estimator.engine_folder.iterdir()):
            raise InferenceError('could not deserialize engine')
        warm_up(estimator)
    monkeypatch.setattr(model_loading, 'warm_up', check)
    prepare_estimator(settings, lines.append)
    assert lines[-1] == (f'could not deserialize engine; the engines in {folder} are removed and '
                         'built anew')
    assert not list(folder.iterdir())


def test_a_failure_without_engines_is_not_tried_again(monkeypatch, fake_tensorrt, make_settings):
    calls = []

    def fail(estimator):
        calls.append(estimator)
        raise InferenceError('no memory')
    monkeypatch.setattr(model_loading, 'warm_up', fail)
    for providers in ([TENSORRT, CPU], [CPU]):
        with pytest.raises(InferenceError, match='no memory'):
            prepare_estimator(make_settings(providers=providers))
    assert len(calls) == 2


@pytest.mark.parametrize('error', [
    MemoryError(), native.RuntimeException('CUDA failure 2: out of memory'),
    native.EPFail('BFCArena::AllocateRawInternal Failed to allocate memory')])
def test_a_provider_that_runs_out_of_memory_costs_frames_and_no_more(
        ros_graph, make_camera_client, tiny_model, error):
    node = ros_graph.start_estimator(
        model=str(tiny_model), camera_pose=[1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0])
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    session = node._estimator._network._session
    run = session.run

    def fail(*args):
        raise error
    session.run = fail
    camera.send_image()
    ros_graph.until(lambda: 'estimation' in node._statistics.snapshot().errors)
    record = node._statistics.snapshot().errors['estimation']
    assert record.text.startswith('out of memory on CPUExecutionProvider with 1 picture of 640x')
    assert 'raise gpu_memory_limit_mb' in record.text
    assert set(node._statistics.snapshot().errors) == {'estimation'}
    assert not detections.messages
    session.run = run
    good = camera.send_image()
    assert detections.wait()[0].header == good.header
