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

"""Runs of the network: with binding and without, out of memory, broken, freed.

No GPU here: a CPU session says that it is another provider.
"""
import gc
from pathlib import Path
import weakref

from dr_perception import PoseEstimator
from dr_perception.core.errors import InferenceError, ModelFileError
from dr_perception.inference.io_binding import BoundSession, MAX_SIZES
from dr_perception.inference.providers import CPU, CUDA, TENSORRT
from dr_perception.inference.session import OnnxNetwork
import numpy as np
from onnxruntime.capi import onnxruntime_pybind11_state as native
import pytest

MODEL = Path(__file__).resolve().parents[2] / 'models' / 'tabletop.onnx'
ALL = [TENSORRT, CUDA, CPU]
#: What the graph takes: RGB and the channel of the support plane.
PICTURE = np.full((1, 64, 96, 4), 90, np.uint8)


def test_binding_gives_what_a_plain_run_gives():
    network = OnnxNetwork(MODEL, [CPU], 1)
    bound = BoundSession(network._session, 'cpu')
    rng = np.random.default_rng(0)
    sizes = [(1, 64, 96, 4), (2, 64, 96, 4), (1, 96, 64, 4), (1, 32, 32, 4), (1, 64, 64, 4),
             (1, 64, 96, 4), (1, 64, 96, 4)]
    answers = []
    for size in sizes:
        image_rgb = rng.integers(0, 256, size, np.uint8)[..., ::-1]     # not contiguous
        answers.append((network.run(np.ascontiguousarray(image_rgb)), bound.run(image_rgb)))
        assert len(bound._buffers) <= MAX_SIZES
    for plain, ours in answers:     # after all runs: a later one does not write into an earlier
        assert list(ours) == list(plain)
        for name in plain:
            assert np.array_equal(plain[name], ours[name])


def test_a_gpu_provider_is_run_with_binding(fake_runtime, monkeypatch):
    fake_runtime(ALL)
    plain, bound = OnnxNetwork(MODEL, [CPU], 1), OnnxNetwork(MODEL, [CUDA], 1)

    def forbidden(*args):
        raise AssertionError('a plain run')
    monkeypatch.setattr(bound._session, 'run', forbidden)
    for name, output in bound.run(PICTURE).items():
        assert np.array_equal(output, plain.run(PICTURE)[name])


@pytest.mark.parametrize('error', [
    native.RuntimeException('BFCArena: Available memory of 0 is smaller than requested'),
    native.EPFail('CUDA failure 2: out of memory'), MemoryError(),
    native.Fail('Failed to allocate memory for requested buffer of size 42')])
def test_no_memory_left_is_an_error_with_a_remedy(monkeypatch, error):
    network = OnnxNetwork(MODEL, [CPU], 1)

    def fail(*args):
        raise error
    monkeypatch.setattr(network._session, 'run', fail)
    with pytest.raises(InferenceError) as info:
        network.run(np.zeros((2, 64, 96, 4), np.uint8))
    assert str(info.value).startswith(
        'out of memory on CPUExecutionProvider with 2 pictures of 96x64 px: raise '
        'gpu_memory_limit_mb, end what else uses the memory, or send smaller images (')
    monkeypatch.undo()
    assert network.run(PICTURE)


def test_a_network_is_freed_at_once(fake_runtime, monkeypatch):
    fake_runtime(ALL)
    for provider in (CPU, CUDA):
        network = OnnxNetwork(MODEL, [provider], 1)
        network.run(PICTURE)
        reference = weakref.ref(network)
        gc.disable()    # a cycle would keep its memory until the collector happens to run
        try:
            del network
            assert reference() is None
        finally:
            gc.enable()


def test_a_provider_that_fails_is_an_error_with_a_remedy(monkeypatch):
    network = OnnxNetwork(MODEL, [CPU], 1)

    def fail(*args):
        raise native.EPFail('could not deserialize engine from cache')
    monkeypatch.setattr(network._session, 'run', fail)
    with pytest.raises(InferenceError, match='failed on CPU.* 1 picture of 96x64 px: configure'):
        network.run(PICTURE)
    network.engine_folder = Path('/c/x')
    with pytest.raises(InferenceError, match='delete /c/x and configure again'):
        network.run(PICTURE)


def test_onnxruntime_does_not_go_on_with_another_provider_by_itself():
    network = OnnxNetwork(MODEL, [CPU], 1)
    working = network._session._sess

    class Broken:

        def run(self, *args):
            raise native.EPFail('the GPU is gone')

        def __getattr__(self, name):
            return getattr(working, name)
    network._session._sess = Broken()
    for _ in range(2):
        with pytest.raises(InferenceError, match='the GPU is gone'):
            network.run(PICTURE)


def test_a_picture_of_another_type_is_a_bug_and_no_failure_of_the_provider():
    network = OnnxNetwork(MODEL, [CPU], 1)
    with pytest.raises(native.InvalidArgument):
        network.run(np.zeros((1, 64, 96, 4), np.float32))


def test_a_model_that_answers_with_nan_is_refused(monkeypatch):
    estimator = PoseEstimator.from_file(MODEL, [CPU], 1)
    run = estimator._network.run

    def broken(image_rgb):
        outputs = run(image_rgb)
        outputs['heat'][0, 0, 0, 0] = np.nan
        return outputs
    estimator.warm_up(64, 64)
    monkeypatch.setattr(estimator._network, 'run', broken)
    with pytest.raises(ModelFileError, match="tabletop.onnx: 'heat' of a black picture is NaN or"):
        estimator.warm_up(64, 64)
