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

"""Interrupted trainings and longer ones go on to the weights of one that ran through."""

import dataclasses
import signal

import pytest
from sim_trainer.errors import CheckpointError
from sim_trainer.training import resume
from sim_trainer.training.checkpoint import load_checkpoint
from sim_trainer.training.loop import Interrupted, train
from sim_trainer.training.resume import config_key, resumable_key, state_to_resume
from sim_trainer.training.schedule import Clock, Schedule
import torch


def _changed(config, **training):
    return dataclasses.replace(config, training=dataclasses.replace(config.training, **training))


@pytest.mark.parametrize('optimizer, reuse', [('muon', 1), ('adamw', 1), ('muon', 2)])
def test_resume_gives_the_same_weights(optimizer, reuse, tiny_config, new_task, tmp_path,
                                       flat_weights):
    config = _changed(tiny_config, optimizer=optimizer, reuse=reuse, steps=5 * reuse)
    (tmp_path / 'whole').mkdir()
    (tmp_path / 'broken').mkdir()
    whole = train(new_task(config), config, tmp_path / 'whole').network

    broken = new_task(config)
    collate = broken.collate

    def power_cut(samples, calls=[0]):
        calls[0] += 1
        if calls[0] == 4:
            raise KeyError('power cut')
        return collate(samples)

    broken.collate = power_cut
    with pytest.raises(KeyError, match='power cut'):
        train(broken, config, tmp_path / 'broken')
    state = load_checkpoint(tmp_path / 'broken' / 'checkpoint.pt', resumable_key(config))
    assert state['step'] == 3 * reuse
    first_sample = config.training.first_batch(3 * reuse) * 2
    resumed = train(new_task(config, first_sample), config, tmp_path / 'broken', state)
    assert torch.equal(flat_weights(resumed.network), flat_weights(whole))
    assert resumed.seconds > state['elapsed_s'] > 0


def _pressed_at(collate, number):
    """Return ``collate`` with Ctrl-C pressed at its n-th call."""
    calls = [0]

    def pressed(samples):
        calls[0] += 1
        if calls[0] == number:
            signal.raise_signal(signal.SIGINT)
        return collate(samples)
    return pressed


def test_ctrl_c_saves(tiny_config, new_task, tmp_path):
    config = _changed(tiny_config, checkpoint_s=1e9)
    task = new_task(config)
    task.collate = _pressed_at(task.collate, 1)
    with pytest.raises(Interrupted, match='stopped at step 1; --resume goes on from there'):
        train(task, config, tmp_path)
    assert load_checkpoint(tmp_path / 'checkpoint.pt', resumable_key(config))['step'] == 1


@pytest.fixture
def run(new_task, flat_weights):
    """Return a function: train, or go on; the averaged weights and the step where it began."""
    def train_in(config, folder):
        folder.mkdir(exist_ok=True)
        state = state_to_resume(folder, config)
        begin = state['step'] if state else 0
        task = new_task(config, begin * config.training.batch_size)
        network = train(task, config, folder, state).network
        return flat_weights(network), begin
    return train_in


def test_a_longer_training_goes_on_before_the_cooldown(tiny_config, run, tmp_path):
    short = _changed(tiny_config, schedule='constant', cooldown=0.4)
    long = _changed(short, steps=8, snapshots=1)
    expected, _ = run(long, tmp_path / 'whole')
    cooled, _ = run(short, tmp_path / 'grown')
    grown, begin = run(long, tmp_path / 'grown')
    assert begin == 3                                   # of 5, two of them the cooldown's
    assert torch.equal(grown, expected)
    assert not torch.equal(cooled, expected)
    again, begin = run(long, tmp_path / 'grown')
    assert begin == 8 and torch.equal(again, expected)  # at its end, nothing is left to do


def test_more_steps_with_as_many_more_pictures_are_the_same_training(tiny_config, run, tmp_path):
    def drawn_on_the_way(count, steps):
        config = _changed(tiny_config, schedule='constant', cooldown=0.4, steps=steps)
        return dataclasses.replace(config, frames=dataclasses.replace(
            config.frames, count=count, pool_count=4))

    short, long = drawn_on_the_way(6, 5), drawn_on_the_way(8, 10)
    expected, _ = run(long, tmp_path / 'whole')
    run(short, tmp_path / 'grown')
    grown, begin = run(long, tmp_path / 'grown')
    assert begin == 3 and torch.equal(grown, expected)
    with pytest.raises(CheckpointError, match='belongs to another configuration'):
        state_to_resume(tmp_path / 'grown', dataclasses.replace(
            long, frames=dataclasses.replace(long.frames, count=4)))


def _ended_by_the_clock(config, patch, step):
    """Return the configuration of a training whose clock says after ``step`` that it is time."""
    patch.setattr(Clock, 'is_time', lambda self, now: now >= step)
    return _changed(config, minutes=60.0, cooldown=0.4)


def test_ended_by_the_clock_it_is_the_training_of_so_many_steps(tiny_config, run, tmp_path,
                                                                monkeypatch):
    config = _ended_by_the_clock(_changed(tiny_config, steps=9), monkeypatch, 3)
    ended, _ = run(config, tmp_path / 'clock')
    schedule = Schedule(**load_checkpoint(tmp_path / 'clock' / 'checkpoint.pt',
                                          resumable_key(config))['schedule'])
    assert schedule == Schedule(5, 'constant', 0.4)
    planned, _ = run(_changed(config, minutes=None, schedule='constant', steps=5),
                     tmp_path / 'planned')
    assert torch.equal(ended, planned)
    names = {path.name for path in (tmp_path / 'clock' / 'snapshots').iterdir()}
    assert names == {path.name for path in (tmp_path / 'planned' / 'snapshots').iterdir()}
    again, begin = run(config, tmp_path / 'clock')      # nothing is left to do
    assert begin == 5 and torch.equal(again, ended)


@pytest.mark.parametrize('change', [{'minutes': 90.0}, {'steps': 12}])
def test_more_time_or_steps_go_on_before_the_cooldown_of_the_clock(change, tiny_config, run,
                                                                   tmp_path, monkeypatch):
    config = _ended_by_the_clock(_changed(tiny_config, steps=9), monkeypatch, 3)
    run(config, tmp_path)
    grown, begin = run(_changed(_ended_by_the_clock(config, monkeypatch, 6), **change), tmp_path)
    assert begin == 3
    whole = _changed(config, minutes=None, schedule='constant', steps=10)
    # 9 steps are too few to begin their cooldown at step 6: all of them are taken.
    whole = _changed(whole, steps=10 if 'steps' in change else 9)
    expected, _ = run(whole, tmp_path / 'whole')
    assert torch.equal(grown, expected)
    kept = {int(path.stem[5:]) for path in (tmp_path / 'snapshots').iterdir()}
    assert kept == Schedule.of(whole.training).snapshots(2)


def test_fewer_steps_than_the_clock_had_planned_cool_down(tiny_config, run, new_task,
                                                          tmp_path, monkeypatch):
    config = _ended_by_the_clock(_changed(tiny_config, steps=9), monkeypatch, 99)
    stopped = new_task(config)
    stopped.collate = _pressed_at(stopped.collate, 2)
    with pytest.raises(Interrupted):
        train(stopped, config, tmp_path)
    fewer = _changed(config, steps=5)
    ended, begin = run(fewer, tmp_path)
    assert 1 <= begin <= 3
    expected, _ = run(_changed(fewer, minutes=None, schedule='constant'), tmp_path / 'planned')
    assert torch.equal(ended, expected)


def test_a_key_that_older_checkpoints_do_not_have(tiny_config):
    assert 'minutes' not in resume.keyed(tiny_config)['training']
    assert resumable_key(tiny_config) == resumable_key(_changed(tiny_config, minutes=3.0))
    assert config_key(tiny_config) != config_key(_changed(tiny_config, minutes=3.0))


def test_killed_while_it_cools_down_by_the_clock(tiny_config, new_task, run, tmp_path,
                                                 monkeypatch):
    config = _ended_by_the_clock(_changed(tiny_config, steps=9), monkeypatch, 3)
    expected, _ = run(config, tmp_path / 'whole')
    broken = new_task(config)
    image = broken.image

    def power_cut(batch, calls=[0]):
        calls[0] += 1
        if calls[0] == 5:
            raise KeyError('power cut')
        return image(batch)

    broken.image = power_cut
    (tmp_path / 'broken').mkdir()
    with pytest.raises(KeyError, match='power cut'):
        train(broken, config, tmp_path / 'broken')
    resumed, begin = run(config, tmp_path / 'broken')
    assert begin == 4 and torch.equal(resumed, expected)


def test_a_cosine_keeps_its_length(tiny_config, run, tmp_path):
    run(tiny_config, tmp_path)
    with pytest.raises(CheckpointError, match='its 5 steps are the first of 5 steps, cosine; '
                       'those of 8 steps, cosine have other learning rates. Give training.steps'):
        state_to_resume(tmp_path, _changed(tiny_config, steps=8))
    with pytest.raises(CheckpointError, match='those of 4 steps, cosine have other'):
        state_to_resume(tmp_path, _changed(tiny_config, steps=4))
    with pytest.raises(CheckpointError, match='belongs to another configuration'):
        state_to_resume(tmp_path, _changed(tiny_config, batch_size=1))
    assert state_to_resume(tmp_path, tiny_config)['step'] == 5
