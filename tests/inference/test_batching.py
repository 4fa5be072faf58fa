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

"""Several threads share one network; everyone gets the answer to its own pictures."""

import gc
from pathlib import Path
import shutil
import threading
import time
from types import SimpleNamespace
import weakref

from dr_perception.core.errors import InferenceError, ModelFileError
from dr_perception.inference.batching import BatchingNetwork, NetworkShare
import numpy as np
import pytest

SHIPPED = Path(__file__).resolve().parents[2] / 'models' / 'tabletop.onnx'


class _Network:
    """Answers with each picture's mean; slow, so that others collect."""

    def __init__(self, provider='CUDAExecutionProvider', seconds=0.05):
        self.contract, self.path, self.sha256 = SimpleNamespace(), 'x.onnx', 'abc'
        self.provider_problems, self.engine_folder = (), None
        self.active_providers = self.requested_providers = (provider,)
        self.provider_problems, self.engine_folder = (), None
        self.seconds, self.sizes, self.running = seconds, [], 0

    def run(self, images_rgb):
        self.running += 1
        assert self.running == 1
        self.sizes.append(len(images_rgb))
        time.sleep(self.seconds)
        self.running -= 1
        if (images_rgb == 255).any():
            raise MemoryError('out of memory')
        return {'mean': images_rgb.reshape(len(images_rgb), -1).mean(1), 'same': images_rgb}


def _ask(network, images):
    """Ask for all pictures at once, each on a thread; answers or errors in their order."""
    answers = [None] * len(images)

    def ask(index):
        try:
            answers[index] = network.run(images[index])
        except MemoryError as error:
            answers[index] = error
    threads = [threading.Thread(target=ask, args=(i,)) for i in range(len(images))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
        assert not thread.is_alive()
    return answers


def _images(count, size=(4, 4)):
    return [np.full((1, *size, 3), number, np.uint8) for number in range(count)]


@pytest.mark.parametrize('max_batch', [1, 3, 8])
def test_everyone_gets_its_own_answer(max_batch):
    inner = _Network()
    network = BatchingNetwork(inner, max_batch)
    images = _images(12)
    for image, answer in zip(images, _ask(network, images)):
        assert answer['mean'].tolist() == [image.flat[0]]
        assert np.array_equal(answer['same'], image)
    assert sum(inner.sizes) == 12
    assert max(inner.sizes) <= max_batch
    if max_batch > 1:
        assert max(inner.sizes) > 1


def test_pictures_of_other_sizes_run_apart():
    inner = _Network()
    images = _images(4) + _images(4, (8, 4))
    answers = _ask(BatchingNetwork(inner), images)
    assert [a['same'].shape for a in answers] == [i.shape for i in images]


@pytest.mark.parametrize('provider', ['CPUExecutionProvider', 'TensorrtExecutionProvider'])
def test_others_take_one_after_the_other(provider):
    inner = _Network(provider, 0.01)
    _ask(BatchingNetwork(inner), _images(6))
    assert inner.sizes == [1] * 6


def test_a_failed_run_is_an_error_for_those_who_took_part_and_for_nobody_else():
    inner = _Network()
    network = BatchingNetwork(inner)
    images = _images(3)
    images[1][:] = 255
    answers = _ask(network, images)
    assert isinstance(answers[1], MemoryError)
    assert network.run(images[0])['mean'].tolist() == [0]


def test_a_lone_picture_does_not_wait():
    inner = _Network(seconds=0.0)
    start_s = time.monotonic()
    BatchingNetwork(inner).run(_images(1)[0])
    assert time.monotonic() - start_s < 0.04


def test_a_share_opens_a_file_once_and_lets_go_of_it(tmp_path):
    path = tmp_path / 'model.onnx'
    shutil.copy(SHIPPED, path)
    share = NetworkShare()
    first, second = share.network(path), share.network(str(path))
    assert first is second
    assert share.network(path, threads=1) is not first
    content = path.read_bytes()
    assert content.count(b'"name": "tabletop"') == 1
    path.write_bytes(content.replace(b'"name": "tabletop"', b'"name": "tabletip"'))
    assert share.network(path).contract.name == 'tabletip'     # another model now
    kept = weakref.ref(first)
    del first, second
    gc.collect()
    assert kept() is None


def test_a_share_opens_a_file_anew_when_its_network_fails(tmp_path):
    share = NetworkShare()
    broken = share.network(SHIPPED)
    run = broken._network._session.run
    image = np.zeros((1, 32, 32, broken.contract.input.channels), np.uint8)

    def fail(*arguments):
        raise MemoryError
    broken._network._session.run = fail
    with pytest.raises(InferenceError):
        broken.run(image)
    fresh = share.network(SHIPPED)
    assert fresh is not broken and fresh.run(image)
    assert share.network(SHIPPED) is fresh
    fresh._network._session.run = fail
    with pytest.raises(InferenceError):
        fresh.run(image)
    fresh._network._session.run = run       # it was for a moment only
    assert fresh.run(image) and share.network(SHIPPED) is fresh


def test_a_share_says_what_is_wrong_with_a_file(tmp_path):
    with pytest.raises(ModelFileError, match='there is no such model file'):
        NetworkShare().network(tmp_path / 'none.onnx')
