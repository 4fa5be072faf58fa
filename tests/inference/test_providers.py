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

"""Providers: what each is given, what becomes active, and what is said where it does not.

No GPU here: a provider that starts is played by a CPU session that says it is another; options,
control flow and texts are the real ones.
"""
import ctypes
from pathlib import Path
import re
import stat

from dr_perception.core.errors import ModelFileError, ProviderError
from dr_perception.inference import provider_libraries as libraries
from dr_perception.inference import session as session_module
from dr_perception.inference.providers import (CPU, CUDA, engine_cache_folder, engine_folder,
                                               provider_options, ProviderSettings, TENSORRT,
                                               unmet_settings)
from dr_perception.inference.session import OnnxNetwork
import onnxruntime
import pytest

MODEL = Path(__file__).resolve().parents[2] / 'models' / 'tabletop.onnx'
ALL = [TENSORRT, CUDA, CPU]


@pytest.fixture
def cache(monkeypatch, tmp_path):
    """Return the user's cache folder."""
    monkeypatch.setenv('XDG_CACHE_HOME', str(tmp_path / 'cache'))
    return tmp_path / 'cache'


# What each provider is given.

def test_options_of_the_cpu_and_of_unknown_providers_are_empty():
    settings = ProviderSettings('fp16', 512)
    assert provider_options([CPU, 'OpenVINOExecutionProvider'], settings, None) == [
        (CPU, {}), ('OpenVINOExecutionProvider', {})]


def test_options_of_cuda():
    assert provider_options([CUDA], ProviderSettings(), None) == [(CUDA, {})]
    assert provider_options([CUDA], ProviderSettings('fp16', 512), None) == [
        (CUDA, {'gpu_mem_limit': '536870912', 'arena_extend_strategy': 'kSameAsRequested'})]


@pytest.mark.parametrize('precision, switch', [('fp32', 'False'), ('fp16', 'True')])
def test_options_of_tensorrt(precision, switch):
    settings = ProviderSettings(precision, 1024)
    assert provider_options([TENSORRT], settings, Path('/cache/x')) == [(TENSORRT, {
        'trt_fp16_enable': switch, 'trt_max_workspace_size': '1073741824',
        'trt_engine_cache_enable': 'True', 'trt_engine_cache_path': '/cache/x',
        'trt_timing_cache_enable': 'True', 'trt_timing_cache_path': '/cache/x'})]
    assert provider_options([TENSORRT], ProviderSettings(precision), None) == [
        (TENSORRT, {'trt_fp16_enable': switch})]


def test_the_order_is_kept_and_a_name_that_comes_twice_counts_once():
    entries = provider_options([CUDA, TENSORRT, CUDA, CPU], ProviderSettings(), None)
    assert [name for name, _ in entries] == [CUDA, TENSORRT, CPU]


@pytest.mark.parametrize('values, text', [
    (('int8',), "precision: got 'int8'; expected one of fp32, fp16"),
    (('fp32', -1), r'gpu_memory_limit_mb: got -1; expected 0 \(no limit\) or more')])
def test_settings_that_cannot_be_used(values, text):
    with pytest.raises(ProviderError, match=text):
        ProviderSettings(*values)


def test_settings_without_effect_are_told():
    both = ProviderSettings('fp16', 100)
    assert unmet_settings(TENSORRT, both) == []
    assert unmet_settings(CUDA, both) == [
        'precision fp16 has no effect on CUDAExecutionProvider, which computes an fp32 model in '
        'fp32 (with TF32 where the GPU has it): put TensorrtExecutionProvider first in '
        'providers, or set precision to fp32']
    on_cpu = unmet_settings(CPU, both)
    assert len(on_cpu) == 2 and 'TF32' not in on_cpu[0]
    assert on_cpu[1] == 'gpu_memory_limit_mb has no effect on CPUExecutionProvider: set it to 0'
    assert unmet_settings(CPU, ProviderSettings()) == []


# Where engines are kept.

@pytest.mark.parametrize('setting, environment, expected', [
    ('', {'HOME': '/users/a'}, '/users/a/.cache/dr_perception/engines'),
    ('', {'HOME': '/users/a', 'XDG_CACHE_HOME': '/fast'}, '/fast/dr_perception/engines'),
    ('', {'HOME': '/users/a', 'XDG_CACHE_HOME': 'here'}, '/users/a/.cache/dr_perception/engines'),
    ('/var/engines', {}, '/var/engines')])
def test_the_cache_folder(setting, environment, expected):
    settings = ProviderSettings(engine_cache=setting)
    assert engine_cache_folder(settings, environment) == Path(expected)


def test_no_home_folder_is_told():
    with pytest.raises(ProviderError, match='no home folder .* set engine_cache to a folder'):
        engine_cache_folder(ProviderSettings(), {})


def test_whatever_changes_an_engine_changes_its_folder():
    good = {'cache': Path('/c'), 'model_sha256': 'a' * 64, 'precision': 'fp32',
            'onnxruntime_version': '1.22.0', 'tensorrt_version': '10.9.0'}
    folder = engine_folder(**good)
    assert folder == Path('/c/aaaaaaaaaaaaaaaa-tensorrt-10.9.0-onnxruntime-1.22.0-fp32')
    for name, other in [('model_sha256', 'b' * 64), ('precision', 'fp16'),
                        ('onnxruntime_version', '1.23.0'), ('tensorrt_version', '10.10.0')]:
        assert engine_folder(**{**good, name: other}) != folder


def test_an_engine_folder_that_cannot_be_made(fake_runtime, monkeypatch, tmp_path):
    fake_runtime(ALL)
    (tmp_path / 'file').touch()
    settings = ProviderSettings(engine_cache=str(tmp_path / 'file'))
    with pytest.raises(ProviderError, match=r'engine_cache: .*/file/.* cannot be made \(Not a dir'
                                            r'.*; set engine_cache to a folder that can be wr'):
        OnnxNetwork(MODEL, ALL, 1, settings)


# What becomes active.

def test_tensorrt_starts_with_a_cache_of_its_own(fake_runtime, monkeypatch, cache):
    runtime = fake_runtime(ALL)
    monkeypatch.setattr(session_module, 'tensorrt_version', lambda: '10.9.0')
    network = OnnxNetwork(MODEL, ALL, 1, ProviderSettings('fp16', 256))
    folder = cache / 'dr_perception' / 'engines' / (
        f'{network.sha256[:16]}-tensorrt-10.9.0-onnxruntime-{onnxruntime.__version__}-fp16')
    assert network.engine_folder == folder and folder.is_dir()
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    (names,) = runtime.attempts
    assert dict(names)[TENSORRT]['trt_engine_cache_path'] == str(folder)
    assert dict(names)[TENSORRT]['trt_fp16_enable'] == 'True'
    assert dict(names)[CUDA]['gpu_mem_limit'] == str(256 << 20)
    assert network.active_providers == tuple(ALL) and network.provider_problems == ()
    assert runtime.preloaded == 1


def test_the_cpu_needs_neither_cache_nor_libraries(fake_runtime, monkeypatch, cache):
    runtime = fake_runtime(ALL)
    network = OnnxNetwork(MODEL, [CPU], 1)
    assert network.engine_folder is None and not cache.exists() and runtime.preloaded == 0


def test_an_onnxruntime_without_preload_dlls(fake_runtime, monkeypatch):
    fake_runtime(ALL)
    monkeypatch.delattr(onnxruntime, 'preload_dlls')
    assert OnnxNetwork(MODEL, [CUDA], 1).active_providers == (CUDA, CPU)


def test_a_provider_that_raises_leaves_the_next_its_options(fake_runtime, monkeypatch, cache):
    runtime = fake_runtime(ALL, {TENSORRT: RuntimeError('no\nGPU today')})
    monkeypatch.setattr(libraries, '_load_error', lambda *args: '')
    network = OnnxNetwork(MODEL, [TENSORRT, CUDA], 1, ProviderSettings('fp32', 64))
    assert [[name for name, _ in entries] for entries in runtime.attempts] == [
        [TENSORRT, CUDA, CPU], [CUDA, CPU]]
    assert runtime.attempts[1][0][1]['gpu_mem_limit'] == str(64 << 20)
    assert network.active_providers == (CUDA, CPU) and network.engine_folder is None
    (problem,) = network.provider_problems
    assert problem.startswith('provider TensorrtExecutionProvider is not active, the model runs '
                              'on CUDAExecutionProvider: its libraries load, so the GPU itself ')
    assert problem.endswith('(it says: no GPU today)')


def test_a_bad_model_is_not_blamed_on_the_provider(fake_runtime, monkeypatch, tmp_path):
    runtime = fake_runtime(ALL)
    path = tmp_path / 'bad.onnx'
    path.write_bytes(b'not a model')
    with pytest.raises(ModelFileError, match='bad.onnx: ONNX Runtime cannot open it: '):
        OnnxNetwork(path, [CUDA, CPU], 1)
    assert len(runtime.attempts) == 2


@pytest.mark.parametrize('name, error_of, text', [
    (CUDA, 'libcuda.so.1', r'the NVIDIA driver is not there \(no libcuda.so.1\); install it'),
    (CUDA, 'libonnxruntime_providers_cuda.so',
     r'a library is missing \(no .*providers_cuda.so\); install CUDA and cuDNN: pip install '
     r"'onnxruntime-gpu\[cuda,cudnn\]'"),
    (TENSORRT, 'libonnxruntime_providers_tensorrt.so', 'install TensorRT: pip install tensorrt'),
    (CUDA, 'nothing', 'the GPU itself refuses: see whether nvidia-smi lists it')])
def test_why_a_provider_did_not_start(fake_runtime, monkeypatch, cache, name, error_of, text):
    fake_runtime(ALL, silent=(name,))
    monkeypatch.setattr(libraries, '_load_error', lambda library, *_: (
        f'no {library}' if library.endswith(error_of) else ''))
    network = OnnxNetwork(MODEL, [name, CPU], 1, ProviderSettings('fp16', 100))
    (problem,) = network.provider_problems
    assert problem.startswith(f'provider {name} is not active, the model runs on {CPU}: ')
    assert re.search(text, problem), problem


def test_another_provider_that_did_not_start(fake_runtime, monkeypatch):
    name = 'OpenVINOExecutionProvider'
    fake_runtime([name, CPU], {name: RuntimeError('no device NPU')})
    (problem,) = OnnxNetwork(MODEL, [name], 1).provider_problems
    assert problem.endswith('(it says: no device NPU); or put another first in providers')


def test_a_real_library_that_cannot_be_loaded(tmp_path):
    path = tmp_path / 'lib.so'
    path.write_bytes(b'no library')
    assert str(path) in libraries._load_error(str(path))
    assert libraries._load_error('libc.so.6') == ''


@pytest.mark.parametrize('name, remedy', [
    (CUDA, "pip install 'dr_perception[gpu]'"), (TENSORRT, "pip install 'dr_perception[gpu]'"),
    ('OpenVINOExecutionProvider', 'pip install onnxruntime-openvino'),
    ('cuda', 'did you mean CUDAExecutionProvider?'),
    ('TensorRTExecutionProvider', 'did you mean TensorrtExecutionProvider?'),
    ('AbacusExecutionProvider', 'CPUExecutionProvider)')])
def test_a_provider_that_is_not_built_in(fake_runtime, monkeypatch, name, remedy):
    fake_runtime([CPU])
    with pytest.raises(ProviderError) as info:
        OnnxNetwork(MODEL, [name, CPU], 1)
    assert f'{name!r} is not in this ONNX Runtime (it has CPUExecutionProvider)' in str(
        info.value)
    assert str(info.value).endswith(remedy)


@pytest.mark.parametrize('number, text', [
    (101100, '10.11.0'), (100900, '10.9.0'), (8601, '8.6.1')])
def test_the_version_of_a_tensorrt_that_pip_does_not_know(monkeypatch, number, text):
    class Library:

        def getInferLibVersion(self):  # noqa: N802
            return number

    def missing(name):
        raise libraries.metadata.PackageNotFoundError(name)
    monkeypatch.setattr(libraries.metadata, 'version', missing)
    monkeypatch.setattr(ctypes, 'CDLL', lambda name: Library())
    assert libraries.tensorrt_version() == text


def test_no_tensorrt_is_unknown(monkeypatch):
    def missing(name, *_):
        raise OSError(name)
    monkeypatch.setattr(ctypes, 'CDLL', missing)
    assert libraries.tensorrt_version() == 'unknown'
