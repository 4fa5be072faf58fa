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

"""Training in processes of its own: killed and resumed, and several together by torchrun."""

import json
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.training.checkpoint import load_snapshots
from sim_trainer.training.distributed import ProcessGroup, RANK_SEED
from sim_trainer.training.log import TrainingLog
import torch

ROOT = Path(__file__).parents[2]
SMALL = ['frames.count=8', 'frames.workers=1', 'training.steps=12', 'training.batch_size=4',
         'training.compile=false', 'training.mixed_precision=false', 'arm_urdf=null',
         'frames.window_width_px=160', 'frames.window_height_px=128', 'training.checkpoint_s=0',
         'training.snapshots=2', 'randomization.objects.count=2',
         'randomization.distractors.count=0']
#: Trains only: no calibration, which an untrained network does not pass.
TRAIN = """
import sys
from pathlib import Path
from sim_trainer.configuration.schema import load_config
from sim_trainer.training import run
run.finish_keypoints = lambda *_: sys.exit(0)
run.run_training(load_config(sys.argv[1], sys.argv[3:]), Path(sys.argv[2]), resume=True)
"""


def _command(folder, overrides=SMALL):
    return ['-c', TRAIN, str(ROOT / 'config' / 'tabletop.yaml'), str(folder), *overrides]


def _environment():
    return {**os.environ, 'LP_NUM_THREADS': '0', 'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'}


def _weights(folder):
    state = torch.load(folder / 'checkpoint.pt', weights_only=True)
    return state['step'], torch.cat([v.float().flatten() for v in state['averaged'].values()])


def test_killed_at_any_moment_and_resumed_the_weights_are_the_same(tmp_path):
    whole, killed = tmp_path / 'whole', tmp_path / 'killed'
    subprocess.run([sys.executable, *_command(whole)], check=True, env=_environment(),
                   timeout=300)
    kills = 0
    for _ in range(6):
        process = subprocess.Popen([sys.executable, *_command(killed)], env=_environment(),
                                   stderr=subprocess.DEVNULL)
        # Some 15 % of the run's steps after it has begun to write checkpoints.
        before = _step(killed)
        deadline = time.monotonic() + 240
        while process.poll() is None and _step(killed) < before + 2:
            assert time.monotonic() < deadline
            time.sleep(0.002)
        if process.poll() is not None:
            break
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        kills += 1
        if kills == 2:
            subprocess.run([sys.executable, *_command(killed)], check=True, env=_environment(),
                           timeout=300)
            break
    assert kills == 2
    (steps, expected), (resumed_steps, resumed) = _weights(whole), _weights(killed)
    assert steps == resumed_steps == 12
    assert torch.equal(expected, resumed)
    for step, weights in load_snapshots(whole).items():
        again = load_snapshots(killed)[step]
        assert all(torch.equal(weights[key], again[key]) for key in weights)


def _step(folder):
    """Return the checkpoint's step, 0 where there is none yet."""
    try:
        return torch.load(folder / 'checkpoint.pt', weights_only=True)['step']
    except FileNotFoundError:
        return 0


def test_two_processes_train_one_network(tmp_path):
    script = tmp_path / 'train.py'
    script.write_text(TRAIN.replace('run.run_training', """
import torch
from sim_trainer.training import loop
average = loop._average
def watched(averaged, network, decay):
    average(averaged, network, decay)
    from torch import distributed
    w = torch.cat([p.detach().flatten() for p in network.parameters()])
    both = [torch.zeros_like(w) for _ in range(2)]
    distributed.all_gather(both, w)
    assert torch.equal(*both), 'the processes have different weights'
loop._average = watched
if __name__ == '__main__':      # drawing workers import this file
    run.run_training"""))
    arguments = [str(ROOT / 'config' / 'tabletop.yaml'), str(tmp_path / 'run'), *SMALL]
    result = subprocess.run(
        [sys.executable, '-m', 'torch.distributed.run', '--standalone', '--nproc-per-node', '2',
         str(script), *arguments], env=_environment(), timeout=300, capture_output=True,
        text=True)
    assert result.returncode == 0, result.stderr[-3000:]
    step, weights = _weights(tmp_path / 'run')
    assert step == 12 and torch.isfinite(weights).all()
    lines = (tmp_path / 'run' / 'log.jsonl').read_text().splitlines()
    assert [json.loads(line)['step'] for line in lines] == [12]     # one process writes


def test_each_process_has_its_share(monkeypatch):
    config = load_config(ROOT / 'config' / 'tabletop.yaml', SMALL)
    assert ProcessGroup().part_of(config) is config
    monkeypatch.setenv('RANK', '1')
    monkeypatch.setenv('WORLD_SIZE', '2')
    group = ProcessGroup()
    assert (group.rank, group.size, group.first) == (1, 2, False)
    part = group.part_of(config)
    assert (part.training.batch_size, part.frames.count) == (2, 4)
    assert part.seed == config.seed + RANK_SEED
    monkeypatch.setenv('WORLD_SIZE', '3')
    with pytest.raises(ConfigurationError, match='training.batch_size: 4 does not divide among 3 '
                       'processes'):
        ProcessGroup().part_of(config)


def test_the_log_is_cut_where_a_resumed_run_goes_on(tmp_path):
    with TrainingLog(tmp_path, 0, tensorboard=False) as log:
        for step in range(1, 201):
            log.add(step, {'loss': float(step)}, last=False)
    with TrainingLog(tmp_path, 100, tensorboard=False) as log:
        assert log.add(101, {'loss': 1.0}, last=True) == {'loss': 1.0}
    lines = [json.loads(line) for line in (tmp_path / 'log.jsonl').read_text().splitlines()]
    assert [line['step'] for line in lines] == [50, 100, 101]
    assert lines[1]['loss'] == 75.5


def test_tensorboard_on_request(tmp_path):
    from tensorboard.backend.event_processing import event_accumulator as board
    with TrainingLog(tmp_path, 0, tensorboard=True) as log:
        log.add(50, {'loss': 2.5}, last=False)
    events = board.EventAccumulator(str(tmp_path / 'tensorboard')).Reload()
    assert [(e.step, e.value) for e in events.Scalars('training/loss')] == [(50, 2.5)]


def test_tensorboard_that_is_not_installed_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'torch.utils.tensorboard', None)
    with pytest.raises(ConfigurationError, match='training.tensorboard: TensorBoard is not '
                       'installed: pip install tensorboard, or leave the key out'):
        TrainingLog(tmp_path, 0, tensorboard=True)


@pytest.mark.parametrize('workers', [1, 2])
def test_sigterm_to_the_whole_group_ends_it_quietly(tmp_path, workers):
    settings = [*SMALL, 'training.steps=100000', f'training.workers={workers}']
    process = subprocess.Popen(
        [sys.executable, '-m', 'sim_trainer', 'train', str(ROOT / 'config' / 'tabletop.yaml'),
         '--output', str(tmp_path), *(part for s in settings for part in ('--set', s))],
        env=_environment(), stderr=subprocess.PIPE, text=True, start_new_session=True)
    deadline = time.monotonic() + 120
    while _step(tmp_path) < 3 and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(process.pid, signal.SIGTERM)
    said = process.communicate(timeout=60)[1]
    assert re.search(r'stopped at step \d+; --resume goes on from there', said)
    assert 'Traceback' not in said and 'terminate' not in said and 'Aborted' not in said
    deadline = time.monotonic() + 30
    while _group_lives(process.pid):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def _group_lives(number):
    try:
        os.killpg(number, 0)
    except ProcessLookupError:
        return False
    return True
