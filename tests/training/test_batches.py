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

from hypothesis import given
from hypothesis import strategies as st
import pytest
from sim_trainer.configuration.training import REUSED_BATCHES, TrainingConfig
from sim_trainer.errors import ConfigurationError, TrainingError

pytest.importorskip('torch')

from sim_trainer.training.batches import prefetched_batches  # noqa: E402
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
    assert not multiprocessing.active_children()[1:]        # but the drawing worker


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


def test_a_batch_is_used_again_and_resumed_alike(tiny_config, new_task):
    often = dataclasses.replace(tiny_config, training=dataclasses.replace(
        tiny_config.training, steps=60, reuse=2))
    heats = [batch.image.sum() for batch in prefetched_batches(new_task(often), 0)]
    assert len(heats) == 60 and often.training.sample_count == 2 * (24 + 12)
    assert heats[:24] == heats[24:48] and heats[48:] != heats[:12]
    assert len(set(map(int, heats))) > 30
    settings = often.training
    for first in (30, 50):
        task = new_task(often, settings.first_batch(first) * settings.batch_size)
        assert [batch.image.sum() for batch in prefetched_batches(task, first)] == heats[first:]


@given(steps=st.integers(1, 300), reuse=st.integers(1, 4))
def test_the_law_of_reuse(steps, reuse):
    settings = TrainingConfig(steps=steps, reuse=reuse, batch_size=3)
    used = [settings.batch_of(step) for step in range(steps)]
    seen = {}
    for step, (number, times) in enumerate(used):
        before = seen.setdefault(number, [])
        assert times == len(before)
        assert not before or step - before[-1] == REUSED_BATCHES
        before.append(step)
    assert sorted(seen) == list(range(settings.sample_count // 3))
    assert max(map(len, seen.values())) <= reuse
    for step in range(steps):
        first = settings.first_batch(step)
        assert first == (step if reuse == 1 else first // REUSED_BATCHES * REUSED_BATCHES)
        assert first <= min(number for number, _ in used[step:])
    assert settings.first_batch(steps) == settings.sample_count // 3
