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

"""The real-gap report: statistics, agreement, circumstances, sentences, and the command."""
from datetime import datetime
import json
from pathlib import Path
from types import SimpleNamespace

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.contract import ModelContract
from dr_perception.core.network_spec import DecoderSpec, InputSpec
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import make_transform
import numpy as np
import pytest
from sim_trainer.cli import main
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.errors import DatasetError
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import object_from_points
from sim_trainer.real_gap.agreement import standing_things
from sim_trainer.real_gap.command import _pictures_with_truth
from sim_trainer.real_gap.examined import Examined, folder_pictures
from sim_trainer.real_gap.gap_report import figures, GapReport, html, markdown, sentences
from sim_trainer.real_gap.picture_statistics import compare, picture_statistics

ROOT = Path(__file__).parents[2]
CAMERA = PinholeCamera(100.0, 100.0, 31.5, 23.5, 64, 48)
NUMBERS = '615,615,319.5,239.5,640,480'


@pytest.fixture(scope='module')
def contract():
    """Return a contract of a cube."""
    cube = object_from_points('cube', primitives.box_points((0.05, 0.05, 0.05)))
    return ModelContract('tiny', (cube,), InputSpec(32, 100.0, 1.12, 10 ** 6),
                         DecoderSpec(4, 16.0, 0.15, 0.5, (0.0, 1.0), 1.0, 0.001, 0.01,
                                     (0.0, 1.0), 1.0))


def _examined(number, truth_m, found_m, grey=120, score=0.9, px=1.0, sigma_m=0.002):
    image = np.full((48, 64, 3), grey, np.uint8)
    truth = [] if truth_m is None else [BopInstance('cube', make_transform(np.eye(3), truth_m),
                                                    1.0)]
    found = [] if found_m is None else [Detection(
        'cube', score, make_transform(np.eye(3), found_m),
        np.diag([sigma_m ** 2] * 3 + [0.01] * 3))]
    return Examined(BopPicture(number, Path('x.png'), image, CAMERA, np.eye(4), truth), found,
                    [px] * len(found), picture_statistics(image))


def test_statistics_go_where_the_picture_goes():
    rng = np.random.default_rng(0)
    image = cv2.GaussianBlur(rng.integers(60, 180, (480, 640, 3)).astype(np.uint8), (0, 0), 1)
    plain = picture_statistics(image)
    assert picture_statistics(image // 2)['brightness'] == pytest.approx(
        plain['brightness'] / 2, rel=0.02)
    assert picture_statistics(image // 2)['contrast'] < 0.6 * plain['contrast']
    assert picture_statistics(cv2.GaussianBlur(image, (0, 0), 3))['sharpness'] < (
        plain['sharpness'] - 0.5)
    grey = np.repeat(image[..., :1], 3, 2)
    assert picture_statistics(grey)['saturation'] == 0 < plain['saturation']


def test_strange_pictures_are_counted():
    drawn = [{'brightness': b, 'contrast': 40, 'sharpness': 2, 'saturation': 50}
             for b in range(80, 180)]
    real = [{'brightness': b, 'contrast': 40, 'sharpness': 2, 'saturation': 50}
            for b in (20, 30, 100, 250)]
    light = compare(real, drawn)[0]
    assert (light.key, light.below, light.above) == ('brightness', 0.5, 0.25)
    assert compare([], drawn) == compare(real, []) == []


def test_things_that_stand_still():
    rng = np.random.default_rng(1)
    pictures = [_examined(i, None, [0.1, 0, 1] + 0.002 * rng.normal(size=3), sigma_m=0.002)
                if i != 20 else _examined(i, None, None) for i in range(60)]
    pictures.append(_examined(60, None, [0.2, 0, 1]))       # something else, once
    [thing] = standing_things(pictures)
    assert (thing.object_name, thing.seen, thing.pictures) == ('cube', 59, 60)
    assert thing.spread_m == pytest.approx(0.002 * np.sqrt(3), rel=0.15)
    assert thing.stated_m == pytest.approx(0.002 * np.sqrt(3), rel=1e-6)


def _measured():
    """Bright pictures are good to 2 mm; in the dark half is missed and the rest off by 8 mm."""
    pictures = []
    for i in range(24):
        place = np.array([0.01 * (i % 4), 0.02 * (i % 3), 0.8 + 0.001 * i])
        dark = i % 3 == 0
        off = None if dark and i % 6 == 0 else place + [0.008 if dark else 0.002, 0, 0]
        pictures.append(_examined(i, place, off, 30 if dark else 110 + 30 * (i % 3)))
    return pictures


def test_plain_sentences_with_truth(contract):
    drawn = [_examined(i, [0, 0, 1], [0, 0, 1], 90 + 10 * i, 0.99, 0.5) for i in range(10)]
    report = GapReport(contract, _measured(), drawn, True)
    lines = sentences(report)
    assert lines[0] == ('Expect 3 mm at 0.8 m: 20 of 24 objects are found within 2 cm, with a '
                        'mean error of 0.32 cm; 0 are invented in 24 pictures.')
    assert any(line.startswith('It fails at brightness dark (below ') for line in lines)
    assert any('worse: check the camera calibration' in line for line in lines)
    assert any(line.startswith('33 % of the pictures are more dark than') for line in lines)
    groups = {g.label.split()[0]: g for g in report.groups()['brightness']}
    assert (groups['dark'].found, groups['dark'].count) == (4, 8)
    assert groups['dark'].error_mean_cm == pytest.approx(0.8)
    assert groups['bright'].error_mean_cm == pytest.approx(0.2)
    text = markdown(report)
    assert lines[0] in text and '## Error by brightness' in text
    page = html(report, datetime(2026, 1, 1))
    assert page.startswith('<!DOCTYPE html>') and 'src="http' not in page
    assert page.count('<img src="data:') >= 7
    assert json.loads(json.dumps(figures(report)))['sentences'] == lines


def test_plain_sentences_without_truth(contract):
    rng = np.random.default_rng(2)
    real = [_examined(i, None, [0, 0, 1] + 0.01 * rng.normal(size=3), sigma_m=0.002)
            for i in range(30)]
    lines = sentences(GapReport(contract, real, [], False))
    assert lines[0].startswith('30 objects are found in 30 pictures; 0 pictures show none.')
    assert 'placed again within' in lines[1]
    assert lines[2].startswith('They scatter by more than twice what the model states')
    nothing = sentences(GapReport(contract, [_examined(0, [0, 0, 1], None)], [], True))
    assert nothing == ['None of 1 objects is found: check the camera, the sizes of the objects '
                       'and the light.']


def test_folders_that_cannot_be_used(tmp_path):
    camera = PinholeCamera(615, 615, 319.5, 239.5, 640, 480)
    with pytest.raises(DatasetError, match='holds no pictures'):
        next(folder_pictures(tmp_path, camera, None))
    cv2.imwrite(str(tmp_path / 'a.png'), np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(DatasetError, match='a.png: has 64x48 px, the camera 640x480 px'):
        next(folder_pictures(tmp_path, camera, None))
    (tmp_path / 'a.png').write_text('no picture')
    with pytest.raises(DatasetError, match='a.png: not a readable picture'):
        next(folder_pictures(tmp_path, camera, None))


@pytest.mark.parametrize('own', [True, False])
@pytest.mark.parametrize('options, expected_z', [
    ({}, None), ({'calibration': True}, 2.0), ({'config': True}, 3.0),
    ({'calibration': True, 'config': True}, 2.0)])
def test_where_the_camera_of_a_data_set_stood(tmp_path, monkeypatch, own, options, expected_z):
    def pose(z_m):
        return make_transform(np.eye(3), (0.0, 0.0, z_m))
    picture = BopPicture(0, Path('x.png'), np.zeros((480, 640, 3), np.uint8), CAMERA,
                         pose(1.0) if own else None, [])
    monkeypatch.setattr('sim_trainer.dataset.bop.BopSplit', lambda folder, split: [picture])
    path = tmp_path / 'calibration.json'
    path.write_text(json.dumps({'T_base_camera': pose(2.0).tolist()}))
    config = SimpleNamespace(camera=SimpleNamespace(T_base_camera=pose(3.0)))
    read, = _pictures_with_truth(
        SimpleNamespace(pictures=tmp_path, truth='train',
                        calibration=path if 'calibration' in options else None),
        config if 'config' in options else None)
    if own and 'calibration' not in options:
        expected_z = 1.0
    z_m = None if read.T_base_camera is None else read.T_base_camera[2, 3]
    assert z_m == expected_z


def test_the_command_on_a_folder(tmp_path, capsys):
    folder = tmp_path / 'pictures'
    folder.mkdir()
    for i in range(3):
        cv2.imwrite(str(folder / f'{i}.png'), np.full((480, 640, 3), 90 + i, np.uint8))
    (tmp_path / 'calibration.json').write_text(json.dumps({'T_base_camera': np.eye(4).tolist()}))
    base = ['report', '--model', str(ROOT / 'models' / 'tabletop.onnx'), '--pictures',
            str(folder), '--output', str(tmp_path / 'out')]
    assert main([*base, '--camera', NUMBERS, '--calibration',
                 str(tmp_path / 'calibration.json')]) == 0
    assert '0 objects are found in 3 pictures; 3 pictures show none' in capsys.readouterr().out
    for name in ('report.html', 'report.md', 'report.json'):
        assert (tmp_path / 'out' / name).stat().st_size > 100
    assert main(base) == 2
    assert 'needs --camera CAMERA or --config CONFIG' in capsys.readouterr().err
    (tmp_path / 'calibration.json').write_text('{"T_base_camera": [1]}')
    assert main([*base, '--camera', NUMBERS, '--calibration',
                 str(tmp_path / 'calibration.json')]) == 2
    assert 'expected the calibration.json that calibrate' in capsys.readouterr().err


def test_a_file_where_a_folder_should_be_is_one_line(tmp_path, capsys):
    (tmp_path / 'file').write_text('')
    (tmp_path / 'pictures').mkdir()
    cv2.imwrite(str(tmp_path / 'pictures' / '0.png'), np.full((480, 640, 3), 90, np.uint8))
    assert main(['report', '--model', str(ROOT / 'models' / 'tabletop.onnx'), '--pictures',
                 str(tmp_path / 'pictures'), '--camera', NUMBERS,
                 '--output', str(tmp_path / 'file')]) == 2
    assert f'error: {tmp_path / "file"}: File exists' in capsys.readouterr().err
