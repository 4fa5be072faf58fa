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

"""The command as a user types it."""
import json
import re

import cv2
import numpy as np
from PIL import Image
import pytest
from sim_trainer.calibration.boards import BoardSpec
from sim_trainer.cli import main
from sim_trainer.configuration.schema import CameraConfig
import yaml

NUMBERS = '615,615,319.5,239.5,640,480'


@pytest.fixture(scope='module')
def picture(tmp_path_factory, camera, view, on_table, photograph):
    """Return the path of a photograph of a chessboard."""
    path = tmp_path_factory.mktemp('pictures') / 'board.png'
    cv2.imwrite(str(path), photograph(BoardSpec('charuco', 0.05, 7, 5), camera, view(),
                                      on_table(0.5, 0.02, 90.0), np.random.default_rng(0)))
    return path


def _calibrate(*arguments):
    return main(['calibrate', *map(str, arguments)])


def test_a_chessboard(picture, tmp_path, view, capsys):
    assert _calibrate(picture, picture, '--camera', NUMBERS, '--board', 'charuco', '--size-m',
                      0.05, '--grid', '7x5', '--board-at', 0.5, 0.02, 0, 90, '--workspace', 0.3,
                      0.7, -0.28, 0.28, '--output', tmp_path / 'out') == 0
    printed = capsys.readouterr().out
    assert 'focal length: 615.0 px given' in printed and 'they agree' in printed
    assert 'warning' not in printed
    text = (tmp_path / 'out' / 'camera.yaml').read_text()
    assert text in printed
    pasted = yaml.safe_load(text)
    T = CameraConfig(**pasted['camera']).T_base_camera
    assert np.allclose(T, view(), atol=2e-3)
    assert pasted['calibration_error']['position_m'] == pytest.approx(0.001, rel=0.2)
    assert pasted['calibration_error']['rotation_deg'] == pytest.approx(0.2, rel=0.2)
    figures = json.loads((tmp_path / 'out' / 'calibration.json').read_text())
    assert figures['reprojection_rms_px'] < 0.2 and figures['warnings'] == []
    assert np.allclose(figures['T_base_camera'], T, atol=1e-3)
    assert cv2.imread(str(tmp_path / 'out' / 'overlay.png')).shape == (960, 1280, 3)


def test_what_no_picture_tells_is_said(picture, capsys):
    arguments = (picture, '--camera', NUMBERS, '--board', 'charuco', '--size-m', 0.05, '--grid',
                 '7x5', '--board-at', 0.5, 0.02, 0, 90)
    assert _calibrate(*arguments) == 0
    printed = capsys.readouterr().out
    assert 'distances are as true as --size-m 0.05' in printed and 'warning: the' not in printed
    assert _calibrate(*arguments, '--plane-z-m', 0.3) == 0
    assert ('warning: the board lies 0.300 m below the table (--board-at z 0, --plane-z-m 0.3)'
            in capsys.readouterr().out)


def test_marks_without_a_picture(tmp_path, camera, view, capsys):
    T = view()
    places = np.array([[0.3, -0.2, 0], [0.7, -0.2, 0], [0.7, 0.2, 0], [0.3, 0.2, 0], [0.5, 0, 0]])
    pixels = camera.project((places - T[:3, 3]) @ T[:3, :3])
    pixels[4] += 30
    rows = ['u_px,v_px,x_m,y_m,z_m', *(','.join(map(str, [*p, *x])) for p, x in
                                       zip(pixels, places))]
    (tmp_path / 'marks.csv').write_text('\n'.join(rows))
    assert _calibrate('--camera', NUMBERS, '--board', 'marks', '--marks',
                      tmp_path / 'marks.csv') == 0
    printed = capsys.readouterr().out
    assert 'z_m' not in printed
    assert 'warning: mark 5 was left out: it lies 42.4 px from' in printed
    assert 'position 1.1000 0.0500 0.6500 m' in printed
    assert _calibrate('--camera', NUMBERS, '--board', 'marks', '--marks', tmp_path / 'marks.csv',
                      '--plane-z-m', 0.02) == 0
    assert '# the table top of --plane-z-m: add it under workspace\n#   z_m: 0.02\n' in (
        capsys.readouterr().out)
    assert _calibrate('--camera', NUMBERS, '--board', 'marks', '--marks', tmp_path / 'marks.csv',
                      '--plane-z-m', 0.7) == 2
    assert 'comes out 0.050 m below the table' in capsys.readouterr().err
    assert _calibrate('--camera', '300,300,159.5,119.5,320,240', '--board', 'marks', '--marks',
                      tmp_path / 'marks.csv') == 2
    assert 'px lies outside of the picture of 320x240 px; give pixels of this' in (
        capsys.readouterr().err)


def test_the_print_can_be_found(tmp_path, capsys):
    assert _calibrate('--board', 'apriltag', '--size-m', 0.1, '--id', 7, '--draw',
                      tmp_path / 'tag.png') == 0
    assert 'print it 150.0 mm wide (203.2 dpi, "actual size"), measure' in capsys.readouterr().out
    image = cv2.imread(str(tmp_path / 'tag.png'))
    assert image.shape == (1200, 1200, 3)
    parameters = cv2.aruco.DetectorParameters()
    dictionary = cv2.aruco.getPredefinedDictionary(cv2.aruco.DICT_APRILTAG_36H11)
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(image)
    assert ids.tolist() == [[7]]
    assert np.ptp(corners[0][0], axis=0) == pytest.approx([799, 799], abs=2)


def test_the_print_has_its_size(tmp_path, capsys):
    for name in ('tag.png', 'tag.pdf'):
        assert _calibrate('--board', 'apriltag', '--size-m', 0.1, '--draw', tmp_path / name) == 0
    with Image.open(tmp_path / 'tag.png') as image:
        assert image.info['dpi'] == pytest.approx((203.2, 203.2), abs=0.1)
    page = (tmp_path / 'tag.pdf').read_bytes()
    box = re.search(rb'/MediaBox \[ *0 +0 +([0-9.]+) +([0-9.]+)', page)
    assert [float(side) / 72 * 25.4 for side in box.groups()] == pytest.approx([150, 150], abs=0.1)
    capsys.readouterr()
    assert _calibrate('--board', 'apriltag', '--size-m', 0.1, '--draw', tmp_path / 'tag') == 2
    assert 'tag: expected a name that ends in .pdf or .png' in capsys.readouterr().err


@pytest.mark.parametrize('arguments, message', [
    (['--board', 'aruco', '--camera', NUMBERS, '--size-m', '0.1'], 'needs PICTURES'),
    (['x.png', '--board', 'aruco', '--size-m', '0.1'], 'needs --camera CAMERA'),
    (['x.png', '--board', 'aruco', '--camera', NUMBERS], 'needs --size-m METRES'),
    (['--board', 'marks', '--camera', NUMBERS], 'needs --marks FILE'),
    (['--board', 'marks', '--marks', 'm.csv', '--draw', 'x.png'], '--draw: marks need no print'),
    (['x.png', '--board', 'aruco', '--camera', NUMBERS, '--size-m', '0.1'],
     'x.png: not a readable picture'),
    (['x.png', '--board', 'aruco', '--camera', NUMBERS, '--size-m', '0.1', '--grid', '4'],
     '--grid 4: expected COLUMNSxROWS'),
    (['x.png', '--board', 'aruco', '--camera', NUMBERS, '--size-m', '0.1', '--board-sigma-m',
      '-1'], '--board-sigma-m -1: expected a standard deviation')])
def test_what_is_missing_is_told_in_a_line(arguments, message, capsys):
    assert _calibrate(*arguments) == 2
    error = capsys.readouterr().err
    assert message in error and error.count('\n') == 1


def test_the_picture_is_named(tmp_path, capsys):
    path = tmp_path / 'grey.png'
    cv2.imwrite(str(path), np.full((480, 640, 3), 120, np.uint8))
    assert _calibrate(path, '--board', 'apriltag', '--camera', NUMBERS, '--size-m', 0.1) == 2
    assert f'error: {path}: no tag of the dictionary APRILTAG_36H11' in capsys.readouterr().err
