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

"""The chain on a tiny run: draw, train, export, calibrate, infer; and resuming it exactly."""

import dataclasses
import json
from pathlib import Path
import re

from dr_perception import PinholeCamera, PoseEstimator
import numpy as np
import pytest
from sim_trainer import cli
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError, TrainingError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training import loop, run
from sim_trainer.training.contract import make_contract
from sim_trainer.training.loop import train
from sim_trainer.training.resume import config_key
from sim_trainer.validation import choice
from sim_trainer.validation.stress import stress_configs

ROOT = Path(__file__).parents[2]


def test_the_time_that_is_left_is_told(tiny_config, new_task, tmp_path, caplog, monkeypatch):
    config = tiny_config
    monkeypatch.setattr(loop, 'PACE_STEPS', (1, 3))
    with caplog.at_level('INFO'):
        train(new_task(config), config, tmp_path)
    assert re.search(r' s a step: about 1 minutes for the remaining 2 steps', caplog.text)
    assert loop.pace(2.0, 2900) == (
        '2.00 s a step: about 97 minutes for the remaining 2900 steps')
    assert loop.pace(2.0, 2900, 3500.0) == (
        '2.00 s a step: about 1750 more steps until training.minutes are over')


def test_loss_that_is_not_finite_is_one_line_and_keeps_the_checkpoint(
        tiny_config, new_task, tmp_path):
    config = tiny_config
    task = new_task(config)
    loss = task.loss
    task.loss = lambda outputs, batch: (loss(outputs, batch)[0] * float('nan'), {})
    with pytest.raises(TrainingError, match=r'the loss is nan at step 0; lower '
                                            r'training.learning_rate'):
        train(task, config, tmp_path)


@pytest.mark.parametrize('head, backbone, stride, stress', [('centres', 'residual', 4, 0),
                                                            ('surface', 'csp', 8, 2)])
def test_whole_command(tiny, head, backbone, stride, stress, tmp_path, monkeypatch, capsys):
    """``train`` writes a model that the runtime opens; a second run is refused, not redone."""
    chosen = [f'training.{key}={value}' for key, value in (
        ('network.head', head), ('network.backbone', backbone), ('network.stride', stride),
        ('network.sees_plane', str(backbone == 'residual').lower()),
        ('stress_pictures', stress))]
    # An untrained network finds nothing, which calibration refuses: tested below, not here.
    monkeypatch.setattr(choice, 'calibrate', lambda contract, network, pictures: contract)
    overrides = [part for item in [*tiny, *chosen] for part in ('--set', item)]
    command = ['train', str(ROOT / 'config' / 'tabletop.yaml'), '--output',
               str(tmp_path / 'run'), *overrides]
    assert cli.main(command) == 0
    folder = tmp_path / 'run'
    assert capsys.readouterr().out.strip() == str(folder / 'model.onnx')
    assert {'config.yaml', 'log.jsonl', 'metrics.json', 'curves.png', 'predictions.png',
            'checkpoint.pt', 'model.onnx', 'report.html'} <= {p.name for p in folder.iterdir()}
    resolved = load_config(folder / 'config.yaml')
    assert resolved == load_config(ROOT / 'config' / 'tabletop.yaml', [*tiny, *chosen])
    assert 'overall' in json.loads((folder / 'metrics.json').read_text())['held_out']

    estimator = PoseEstimator.from_file(folder / 'model.onnx')
    assert estimator.contract.provenance['steps'] == 5
    decoder = estimator.contract.decoder
    assert (decoder.head, decoder.stride_px) == (head, stride)
    assert {'object_distance_m', 'view_elevation_deg'} <= set(estimator.contract.trained_range)
    metrics = json.loads((folder / 'metrics.json').read_text())
    assert set(metrics['snapshots']) == ({'4', '5'} if stress else {'5'})
    assert len(metrics['sets']) == (1 if not stress else 1 + len(stress_configs(resolved)))
    assert not list(folder.glob('snapshots/*.onnx'))
    camera = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)
    assert isinstance(estimator.estimate(np.zeros((480, 640, 3), np.uint8), camera), list)

    assert cli.main(command) == 2
    assert 'holds a training already; go on with it by --resume' in capsys.readouterr().err
    assert cli.main([*command, '--resume', '--set', 'training.steps=9']) == 2
    assert 'those of 9 steps, cosine have other learning rates' in capsys.readouterr().err
    assert cli.main([*command, '--resume', '--set', 'training.batch_size=4']) == 2
    assert 'belongs to another configuration' in capsys.readouterr().err


def test_nothing_found_is_one_line(tiny_config, tmp_path):
    config = tiny_config
    from sim_trainer.evaluation.calibration import calibrate
    contract = make_contract(config, build_catalogue(config.objects))

    class Blind:

        def run(self, image_rgb):
            n, h, w = image_rgb.shape[0], image_rgb.shape[1] // 4, image_rgb.shape[2] // 4
            return {name: np.zeros((n, channels, h, w), np.float32)
                    for name, channels in contract.output_channels().items()}

    from sim_trainer.evaluation.heldout import held_out_pictures
    with pytest.raises(TrainingError, match='too few to calibrate a score; train longer'):
        calibrate(contract, Blind(), held_out_pictures(config, 1))


def test_output_that_is_a_file(tiny_config, tmp_path):
    (tmp_path / 'file').write_text('')
    with pytest.raises(ConfigurationError, match='is a file; give a folder'):
        run.run_training(tiny_config, tmp_path / 'file', resume=False)


@pytest.mark.parametrize('name', ['cube', 'cylinder'])
def test_tobin2017_trains_and_is_measured_by_the_same_command(name, tmp_path, capsys):
    command = ['train', str(ROOT / 'config' / 'tobin2017.yaml'), '--output',
               str(tmp_path / 'run')]
    for item in ('frames.count=4', 'frames.workers=1', 'training.steps=1', 'arm_urdf=null',
                 'training.batch_size=1', 'training.compile=false',
                 'randomization.objects.count=8', f'training.object_name={name}'):
        command += ['--set', item]
    if name == 'cylinder':      # one is enough to train; the other proves the error
        command += ['--set', 'training.object_name=can']
        assert cli.main(command) == 2
        assert "'can'; tobin2017 localizes one object, one of cone" in capsys.readouterr().err
        return
    assert cli.main(command) == 0
    assert cli.main(['render', str(ROOT / 'config' / 'tabletop.yaml'), '--count', '2',
                     '--output', str(tmp_path / 'bop'), '--split', 'two',
                     '--set', 'randomization.objects.count=8', '--set', 'arm_urdf=null']) == 0
    assert cli.main(['evaluate', '--model', str(tmp_path / 'run' / 'model.onnx'), '--bop',
                     str(tmp_path / 'bop'), '--split', 'two', '--json',
                     str(tmp_path / 'figures.json')]) == 0
    figures = json.loads((tmp_path / 'figures.json').read_text())
    assert list(figures['objects']) == ['cube'] and figures['pictures'] == 2


@pytest.mark.parametrize('key, value, message', [
    ('network.head', 'pixels', "training.network.head: 'pixels'; expected centres or surface"),
    ('network.backbone', 'vgg', "training.network.backbone: 'vgg'; expected residual or csp"),
    ('network.stride', '16', 'training.network.stride: 16; expected 4 or 8'),
    ('network.blocks', '[1,2,30]', r'training.network.blocks: \[1, 2, 30\]; expected three'),
    ('network', '{backbone: csp, blocks: [1, 1, 1]}', 'network.blocks: only the backbone res'),
    ('network', '{backbone: csp, sees_plane: true}', 'network.sees_plane: only the backbone resi'),
    ('network.width', '9', 'training.network.width: 9; expected 0.25...4'),
    ('optimizer', 'sgd', "training.optimizer: 'sgd'; expected muon or adamw"),
    ('muon_learning_rate', '2', 'training.muon_learning_rate: 2; expected a number between 0 '
     'and 1'),
    ('schedule', 'step', "training.schedule: 'step'; expected cosine or constant"),
    ('cooldown', '0', 'training.cooldown: 0; expected a number above 0, at most 1'),
    ('threshold_beta', '0', 'training.threshold_beta: 0; expected a number above 0, at most 10'),
    ('snapshots', '0', 'training.snapshots: 0; expected 1...50')])
def test_wrong_training_keys_are_one_line(key, value, message):
    with pytest.raises(ConfigurationError, match=message):
        load_config(ROOT / 'config' / 'tabletop.yaml', [f'training.{key}={value}'])


def test_every_training_key_decides_the_checkpoint():
    config = load_config(ROOT / 'config' / 'tabletop.yaml')
    other = dataclasses.replace(config, seed=config.seed + 1)
    assert config_key(config) != config_key(other)
