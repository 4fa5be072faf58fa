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

"""Checkpoints and weights of other runs: whole, damaged, of something else."""

import dataclasses
from pathlib import Path

import pytest
from sim_trainer.errors import CheckpointError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training.checkpoint import load_checkpoint, save_checkpoint
from sim_trainer.training.loop import train
from sim_trainer.training.start import start_from
from sim_trainer.training.tasks import make_task
import torch


def no_pictures():
    """Pictures that nobody may ask for."""
    raise AssertionError('asked for pictures')


def test_checkpoint_errors(tmp_path):
    path = tmp_path / 'checkpoint.pt'
    with pytest.raises(CheckpointError, match='there is no checkpoint to resume'):
        load_checkpoint(path, 'key')
    save_checkpoint(path, {'config_key': 'key', 'step': 1})
    with pytest.raises(CheckpointError, match='belongs to another configuration'):
        load_checkpoint(path, 'other')
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(CheckpointError, match='damaged|not a checkpoint'):
        load_checkpoint(path, 'key')


@pytest.mark.parametrize('kind', ['folder', 'snapshot'])
def test_start_from_takes_what_fits(kind, tiny_config, new_task, tmp_path, caplog, flat_weights):
    config = tiny_config
    task = new_task(config)
    trained = train(task, config, tmp_path).network
    path = tmp_path if kind == 'folder' else tmp_path / 'snapshots' / 'step_0000005.pt'
    torch.manual_seed(99)
    same = new_task(dataclasses.replace(config, seed=99)).network
    assert not torch.equal(flat_weights(same), flat_weights(trained))
    start_from(same, [path], no_pictures)
    assert torch.equal(flat_weights(same), flat_weights(trained))
    fewer = dataclasses.replace(config, objects=config.objects[:2], seed=99)
    fewer = make_task(fewer, task.stream, build_catalogue(fewer.objects)).network
    before = {name: value.clone() for name, value in fewer.state_dict().items()}
    with caplog.at_level('INFO'):
        start_from(fewer, [path], no_pictures)
    assert 'anew: ' in caplog.text
    kept = {name for name, value in fewer.state_dict().items()
            if value.dtype.is_floating_point and torch.equal(value, before[name])}
    assert 0 < len(kept) < len(before) / 4
    for name in fewer.state_dict().keys() - kept:
        assert torch.equal(fewer.state_dict()[name], trained.state_dict()[name])


def test_start_from_says_what_is_wrong(tmp_path):
    network = torch.nn.Linear(3, 3)
    with pytest.raises(CheckpointError, match='no such file; give the folder of a run of train'):
        start_from(network, [tmp_path], no_pictures)
    file = tmp_path / 'checkpoint.pt'
    torch.save(torch.nn.Linear(4, 4).state_dict(), file)
    with pytest.raises(CheckpointError, match='0 of 12 weights fit this network'):
        start_from(network, [file], no_pictures)
    torch.save({'weight': 'text'}, file)
    with pytest.raises(CheckpointError, match='not a checkpoint or snapshot'):
        start_from(network, [file], no_pictures)
    file.write_bytes(b'no zip')
    with pytest.raises(CheckpointError, match='damaged|not a checkpoint'):
        start_from(network, [file], no_pictures)


class _Evil:
    """Would write a file if its pickle were run."""

    def __init__(self, path):
        self._path = path

    def __reduce__(self):
        return Path.write_text, (self._path, 'ran')


def test_checkpoint_runs_no_code(tmp_path):
    path, proof = tmp_path / 'checkpoint.pt', tmp_path / 'proof'
    torch.save({'config_key': 'key', 'evil': _Evil(proof)}, path)
    with pytest.raises(CheckpointError, match='nothing of it was run'):
        load_checkpoint(path, 'key')
    assert not proof.exists()


def test_full_disk_keeps_the_former_checkpoint(tmp_path, monkeypatch):
    path = tmp_path / 'checkpoint.pt'
    save_checkpoint(path, {'config_key': 'key', 'step': 1})
    monkeypatch.setattr(torch, 'save', lambda *_: (_ for _ in ()).throw(
        OSError(28, 'No space left on device')))
    with pytest.raises(CheckpointError, match='cannot be written .*former checkpoint is kept'):
        save_checkpoint(path, {'config_key': 'key', 'step': 2})
    assert load_checkpoint(path, 'key')['step'] == 1
    assert not path.with_suffix('.tmp').exists()
