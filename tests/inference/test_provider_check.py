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

"""Which provider really runs a model, and the reason where it does not."""
from pathlib import Path
import subprocess
import sys

from dr_perception.core.errors import ProviderError
from dr_perception.inference import provider_check
from dr_perception.inference.provider_check import (check_provider, installed_providers,
                                                    ProviderCheck, require_provider,
                                                    running_providers)
from dr_perception.inference.providers import CPU, CUDA
import pytest

#: What onnxruntime-gpu 1.31 writes on a machine without GPU libraries.
NO_LIBRARIES = """Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object \
file: No such file or directory
Failed to load libcublas.so.13: libcublas.so.13: cannot open shared object file: No such file or \
directory
[W:onnxruntime:Default, onnxruntime_pybind_state.cc:1295 CreateExecutionProviderFactoryInstance] \
Failed to create CUDAExecutionProvider. Require cuDNN 9.* and CUDA 13.*. Please install all \
dependencies as mentioned in the GPU requirements page
"""
NO_TENSORRT = """*************** EP Error ***************
EP Error /onnxruntime_src/onnxruntime/python/onnxruntime_pybind_state.cc:729 Please install \
TensorRT libraries as mentioned in the GPU requirements page
 when using ['TensorrtExecutionProvider']
Falling back to ['CPUExecutionProvider'] and retrying.
"""


@pytest.fixture(scope='module')
def model():
    """Return the path of the shipped model."""
    return Path(__file__).resolve().parents[2] / 'models' / 'tabletop.onnx'


def test_the_cpu_runs_every_node(model):
    check = check_provider(model, CPU, 32)
    assert check.is_installed and check.is_active and check.runs_model
    assert set(check.nodes) == {CPU} and check.nodes[CPU] > 10
    assert (check.reason, check.remedy) == ('', '')
    assert check.load_s > 0


def test_only_providers_that_run_something_are_taken(model):
    running = running_providers(model, 32)
    assert CPU in running and set(running) <= set(installed_providers())
    for name in set(installed_providers()) - set(running):
        assert 'run' in check_provider(model, name, 32).reason


def test_active_is_not_enough(model):
    # Azure's provider is in every wheel: always active, and it runs nothing of a local model.
    assert not ProviderCheck('A', True, is_active=True, nodes={CPU: 45}).runs_model
    assert ProviderCheck('A', True, is_active=True, nodes={CPU: 3, 'A': 1}).runs_model
    azure = check_provider(model, 'AzureExecutionProvider', 32)
    if azure.is_installed:
        assert azure.is_active and 'active but runs no node' in azure.reason
        assert 'leave AzureExecutionProvider out' in azure.remedy


def test_a_provider_that_is_not_built_in(model):
    check = check_provider(model, 'MarsExecutionProvider', 32)
    assert not check.is_installed and not check.runs_model
    assert CPU in check.reason and 'install an onnxruntime' in check.remedy
    with pytest.raises(ProviderError, match='MarsExecutionProvider does not run the model: this '
                                            'ONNX Runtime was built without it'):
        require_provider(model, 'MarsExecutionProvider', 32)


@pytest.mark.skipif(CUDA in installed_providers(), reason='needs an ONNX Runtime without CUDA')
def test_a_silent_fall_back_to_the_cpu_is_seen(model, monkeypatch, capfd):
    # As if it were built in: ONNX Runtime then falls back as on a machine without GPU.
    monkeypatch.setattr(provider_check, 'installed_providers', lambda: [CUDA, CPU])
    check = check_provider(model, CUDA, 32)
    assert check.is_installed and not check.is_active and not check.runs_model
    assert set(check.nodes) == {CPU}
    assert check.reason.endswith('(the model runs on CPUExecutionProvider instead)')
    assert 'nvidia-smi' in check.remedy
    assert capfd.readouterr() == ('', '')  # nothing that would spoil the JSON of the doctor


def test_a_file_that_does_not_open_is_a_reason(tmp_path):
    path = tmp_path / 'garbage.onnx'
    path.write_bytes(b'garbage')
    check = check_provider(path, CPU, 32)
    assert not check.runs_model and 'onnx' in check.reason.lower()


@pytest.mark.parametrize('output, expected', [
    (NO_LIBRARIES, 'libcublas.so.13, libcublasLt.so.13 cannot be found; it needs cuDNN 9.* and '
                   'CUDA 13.*'),
    (NO_TENSORRT, 'Please install TensorRT libraries as mentioned in the GPU requirements page'),
    ('', 'ONNX Runtime does not say why')])
def test_the_reason_in_what_onnx_runtime_writes(output, expected):
    reason = provider_check._reason(output, [CPU])
    assert expected in reason
    assert reason.endswith(f'(the model runs on {CPU} instead)') and '\n' not in reason


def test_output_is_caught_and_given_back(repository_root):
    script = ('import os, sys; from dr_perception.inference import provider_check\n'
              'with provider_check._caught_output() as caught:\n'
              '    print("of Python"); os.write(2, b"of C++")\n'
              'print("after", sorted(["of Python" in caught[0], "of C++" in caught[0]]))')
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          cwd=repository_root, timeout=60)
    assert (done.stdout, done.stderr) == ('after [True, True]\n', '')
