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

"""Batches made by processes are those that a thread makes, and their ends are told."""

import dataclasses
import multiprocessing
import os
import signal
import time

from hypothesis import given
from hypothesis import strategies as st
import pytest
from sim_trainer.configuration.training import REUSED_BATCHES, TrainingConfig
from sim_trainer.errors import ConfigurationError, TrainingError

pytest.importorskip('torch')

from sim_trainer.training import batches as batches_module  # noqa: E402
from sim_trainer.training.batches import prefetched_batches  # noqa: E402
from sim_trainer.training.tobin2017 import PlacedPictures  # noqa: E402
import torch  # noqa: E402


def _with_workers(config, workers):
    return dataclasses.replace(config, training=dataclasses.replace(config.training,
                                                                    workers=workers))


def _tensors(batch):
    return {name: value for name, value in vars(batch).items() if torch.is_tensor(value)}


@pytest.mark.timeout(120)
def test_processes_make_the_batches_of_a_thread(tiny_config, new_task):
    by_thread = list(prefetched_batches(new_task(tiny_config), 0))
    by_processes = list(prefetched_batches(new_task(_with_workers(tiny_config, 2)), 0))
    assert len(by_thread) == len(by_processes) == tiny_config.training.steps
    for one, other in zip(map(_tensors, by_thread), map(_tensors, by_processes)):
        assert one.keys() == other.keys()
        assert all(torch.equal(one[name], other[name]) for name in one)
    assert not multiprocessing.active_children()        # all is made: drawing has ended, too


@pytest.mark.timeout(120)
def test_a_killed_process_ends_the_training_with_one_line(tiny_config, new_task):
    longer = dataclasses.replace(tiny_config, training=dataclasses.replace(
        tiny_config.training, steps=5000))
    task = new_task(_with_workers(longer, 2))
    batches = prefetched_batches(task, 0)
    next(batches)
    makers = {child.pid for child in multiprocessing.active_children()}
    makers -= set(task.stream.worker_pids)
    os.kill(makers.pop(), signal.SIGKILL)
    with pytest.raises(TrainingError, match=r'making samples: .*exited unexpectedly; .*lower '
                       r'training\.workers; --resume goes on from the last checkpoint'):
        for _ in batches:
            pass


@pytest.mark.timeout(120)
def test_what_drawing_meets_is_what_the_training_is_told(tiny_config, new_task):
    broken = dataclasses.replace(_with_workers(tiny_config, 2), arm_urdf='no/arm.urdf')
    with pytest.raises(ConfigurationError, match='arm_urdf: no/arm.urdf: there is no such'):
        list(prefetched_batches(new_task(broken), 0))


@pytest.mark.timeout(120)
def test_a_training_that_stops_early_leaves_no_process(tiny_config, new_task):
    task = new_task(_with_workers(tiny_config, 2))
    batches = prefetched_batches(task, 0)
    next(batches)
    batches.close()
    del batches
    task.stream.close()
    assert not multiprocessing.active_children()


@pytest.mark.timeout(400)
def test_processes_that_wait_for_pictures_end_at_once(tiny_config, new_task, monkeypatch):
    """Pictures that later batches need are not drawn before earlier ones are finished."""
    # What torch waits for one that does not end; 5 s are less than a loaded machine may need.
    monkeypatch.setattr(torch.utils.data._utils, 'MP_STATUS_CHECK_INTERVAL', 100.0)
    sliding = dataclasses.replace(
        _with_workers(tiny_config, 3),
        frames=dataclasses.replace(tiny_config.frames, count=40, pool_count=6))
    sliding = dataclasses.replace(sliding, training=dataclasses.replace(
        sliding.training, steps=40))
    batches = prefetched_batches(new_task(sliding), 0)
    next(batches)
    time.sleep(2.0)     # all three have come to a picture that is not there
    begin = time.monotonic()
    batches.close()
    assert time.monotonic() - begin < 50.0
    assert not multiprocessing.active_children()


def test_no_room_in_shared_memory_is_told(monkeypatch):
    def full(tensor):
        raise RuntimeError('unable to allocate shared memory(shm) for file </torch_1>')
    monkeypatch.setattr(torch.Tensor, 'share_memory_', full)
    with pytest.raises(TrainingError, match=r'no room for a batch in /dev/shm \(unable to .*lower '
                       r'training\.workers'):
        batches_module._shared(PlacedPictures(torch.zeros(2), torch.zeros(3)))


@pytest.mark.timeout(120)
@pytest.mark.parametrize('workers', [1, 2])
def test_a_batch_is_used_again_and_resumed_alike(tiny_config, new_task, workers):
    often = dataclasses.replace(tiny_config, training=dataclasses.replace(
        tiny_config.training, steps=60, reuse=2, workers=workers))
    settings = often.training
    sums = [int(batch.image.sum()) for batch in prefetched_batches(new_task(often), 0)]
    assert len(sums) == 60 and settings.batch_count == 30
    new, old = sums[::2], sums[1::2]
    assert old == new[:24] + new[:6] and len(set(new)) == 30
    for first in (31, 50, 57) if workers == 1 else (57,):
        task = new_task(often, settings.first_batch(first) * settings.batch_size)
        assert [int(b.image.sum()) for b in prefetched_batches(task, first)] == sums[first:]


@given(steps=st.integers(1, 300), reuse=st.integers(1, 4))
def test_the_law_of_reuse(steps, reuse):
    settings = TrainingConfig(steps=steps, reuse=reuse)
    used = [settings.batch_of(step) for step in range(steps)]
    assert [number for number, is_new in used if is_new] == list(range(settings.batch_count))
    kept = (reuse - 1) * REUSED_BATCHES
    for step, (number, is_new) in enumerate(used):
        newest = step // reuse
        assert is_new == (step % reuse == 0)
        assert number == newest or (newest - number) % REUSED_BATCHES == 0
        assert 0 <= newest - number <= kept
        first = settings.first_batch(step)
        assert max(0, newest - kept) == first <= min(n for n, _ in used[step:])
    in_the_middle = [n for n, _ in used].count(kept)
    assert in_the_middle <= reuse
    assert settings.first_batch(steps) == settings.batch_count
