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

"""`check` and `init` as a new user tries them: three meshes in three units, one with a picture."""

from pathlib import Path

import cv2
from dr_perception.core.transforms import (look_at, make_transform, quat_xyzw_from_rotation,
                                           rotation_angle, rotation_from_rotvec)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.cli import main
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.camera_files import read_camera
from sim_trainer.lab.camera_pose import nominal_pose, parse_pose, visible_workspace
from sim_trainer.lab.resting_chances import resting_chances
from sim_trainer.lab.units import guess_unit
from sim_trainer.objects.catalogue import build_catalogue
import trimesh

CAMERA = '615,615,319.5,239.5,640,480'


def _run(capsys, *argv):
    """Exit code, standard output and the error line of a command."""
    capsys.readouterr()
    code = main([str(word) for word in argv])
    printed = capsys.readouterr()
    errors = [line for line in printed.err.splitlines() if line.startswith('error: ')]
    return code, printed.out, errors[0] if errors else ''


def _refused(capsys, *argv):
    code, _, error = _run(capsys, *argv)
    assert code == 2 and error
    return error


@pytest.mark.parametrize('mesh, lines', [
    ('mug.stl', ['mug: 84.0 x 64.0 x 70.0 mm (x, y, z) in unit mm (likely: ',
                 'but 84 centimetres are 84 cm (--unit cm) would do as well',
                 'origin     (-10.0, 0.0, -35.0) mm from the middle of the box',
                 'triangles, watertight, normals outwards, 0 double, 0 without area; no picture',
                 'symmetry   none',
                 'YAML       - {name: mug, shape: mesh, file: mug.stl, unit: mm']),
    ('carton.obj', ['carton: 80.0 x 50.0 x 120.0 mm (x, y, z) in unit cm (likely: ',
                    'picture of 16x16 px on it',
                    'symmetry   2-fold about z; the shape alone has more (D2), its picture breaks',
                    'unit: cm, turns_about_z: 2}']),
    ('can.glb', ['can: 60.0 x 60.0 x 100.0 mm (x, y, z) in unit m (sure: glTF files are in metres',
                 'symmetry   any turn about z, and the flips', '(64 faces alike)',
                 'unit: m, up: y, round_about_z: true, flips: true}'])])
def test_check_of_a_mesh(lab, capsys, mesh, lines):
    code, printed, _ = _run(capsys, 'check', mesh, '--output', 'seen')
    assert code == 0
    for line in lines:
        assert line in printed
    assert 'warning' not in printed
    picture = cv2.imread(str(lab / 'seen' / f'{mesh[:-4]}.png'))
    assert picture.shape[1] == 1440 and picture.shape[0] in (480, 720)
    # Every row has something drawn on it, and the front view is where it belongs.
    for top in range(0, picture.shape[0], 240):
        assert picture[top + 40:top + 200, 20:220].std() > 10
    first = picture[30:230, 5:235]
    rows, columns = np.nonzero((first < 200).any(2))
    assert abs(rows.mean() - 90) < 30 and abs(columns.mean() - 115) < 30


def test_init_then_check_then_preview(lab, capsys):
    code, printed, _ = _run(capsys, 'init', '--camera', CAMERA, '--object', 'mug.stl', '--object',
                            'carton.obj', '--object', lab / 'can.glb', '--output', 'lab.yaml')
    assert code == 0 and "the camera's pose is a guess" in printed
    text = (lab / 'lab.yaml').read_text()
    assert len(text.splitlines()) <= 40 and text.count('#') >= 10
    assert str(lab) not in text         # what lies here is named from here
    config = load_config('lab.yaml')
    assert config.name == 'lab' and config.camera.camera == read_camera(CAMERA)
    assert [(o.unit, o.up) for o in config.objects] == [('mm', 'z'), ('cm', 'z'), ('m', 'y')]
    mug, carton, can = build_catalogue(config.objects)
    assert mug.extents_m == pytest.approx([0.084, 0.064, 0.07], abs=1e-4)
    assert len(carton.symmetry.transforms) == 2 and can.symmetry.continuous_about_z
    photo = np.random.default_rng(1).integers(0, 255, (480, 640, 3)).astype(np.uint8)
    cv2.imwrite('photo.png', photo)
    code, printed, _ = _run(capsys, 'check', 'lab.yaml', '--picture', 'photo.png')
    assert code == 0 and 'sees 100 % of the workspace' in printed
    for name in ('mug', 'carton', 'can', 'scene'):
        assert (lab / 'check' / f'{name}.png').is_file()
    scene = cv2.imread('check/scene.png').astype(float)
    assert scene.shape == (960, 1280, 3)
    # The right half shows the photograph but for the lines; the lower left is half of it.
    assert (np.abs(scene[480:, 640:] - photo).max(2) < 2).mean() > 0.9
    drawn = scene[:480, :640]
    half = np.abs(scene[480:, :640] - (drawn + photo) / 2).max(2) < 3
    assert half.mean() > 0.85
    code, _, _ = _run(capsys, 'preview', 'lab.yaml', '--count', 1, '--output', 'sheet.png')
    assert code == 0 and cv2.imread('sheet.png') is not None


def test_init_with_everything_said(lab, capsys):
    T = make_transform(look_at([0.9, 0.2, 0.7], [0.4, 0.1, 0.0], roll_rad=0.05)[:3, :3],
                       [0.9, 0.2, 0.7])
    pose = ','.join(f'{v:.6f}' for v in (*T[:3, 3], *quat_xyzw_from_rotation(T[:3, :3])))
    big = '1230,1230,639.5,479.5,1280,960,0.1,-0.2,0.0001,0.00005,0.0'
    code, printed, _ = _run(capsys, 'init', '--camera', big, '--object', 'mug.stl', '--unit', 'mm',
                            '--pose', pose, '--name', 'my_cell', '--output', 'sub/cell.yaml')
    assert code == 0 and 'guess' not in printed
    text = (lab / 'sub' / 'cell.yaml').read_text()
    assert 'GUESS' not in text and len(text.splitlines()) <= 40
    config = load_config('sub/cell.yaml')
    assert config.name == 'my_cell' and config.camera.distortion_model == 'plumb_bob'
    assert config.camera.distortion == (0.1, -0.2, 0.0001, 0.00005, 0.0)
    assert config.camera.T_base_camera == pytest.approx(T, abs=1e-3)
    assert config.frames.scale == 0.5
    assert 'sub/cell.yaml: is there already; --force replaces it' in _refused(
        capsys, 'init', '--camera', big, '--object', 'mug.stl', '--output', 'sub/cell.yaml')
    assert _run(capsys, 'init', '--camera', big, '--object', 'mug.stl', '--output',
                'sub/cell.yaml', '--force')[0] == 0


@pytest.mark.parametrize('pose', [None, '0.9,0.2,0.95,0.4,0.1,0.25'])
def test_init_for_a_table_beside_the_arm(lab, capsys, pose):
    given = [] if pose is None else ['--pose', pose]
    code, _, _ = _run(capsys, 'init', '--camera', CAMERA, '--object', 'mug.stl', *given,
                      '--plane-z-m', '0.25', '--output', 'lab.yaml')
    assert code == 0 and 'table top z = 0.25' in (lab / 'lab.yaml').read_text()
    config = load_config('lab.yaml')
    assert config.workspace.z_m == 0.25 and config.camera.look_at_m[2] == 0.25
    assert config.camera.position_m[2] == pytest.approx(0.9 if pose is None else 0.95)
    code, printed, _ = _run(capsys, 'check', 'lab.yaml', '--output', 'seen')
    assert code == 0 and 'sees 100 % of the workspace' in printed
    for argv, message in ((['--pose', '1,0,0.2,0.5,0,0.25'],
                           r'z is 0.2; the camera must stand above the table top (z = 0.25: --p'),
                          (['--pose', '1,0,1,0,0,0,1'], 'not down to the table (z = 0.25); give')):
        assert message in _refused(capsys, 'init', '--camera', CAMERA, '--object', 'mug.stl',
                                   *argv, '--plane-z-m', '0.25', '--output', 'b.yaml')


def _write(path, text):
    path.write_text(text)
    return path.name


def test_meshes_that_are_absurd(lab, capsys):
    assert ('no.stl: there is no such file; give the path of a mesh'
            in _refused(capsys, 'check', 'no.stl'))
    assert 'mug.step: neither a scene YAML (.yaml) nor a mesh (.obj' in _refused(
        capsys, 'check', 'mug.step')
    empty = _write(lab / 'empty.obj', '')
    error = _refused(capsys, 'check', empty)
    assert 'has no triangles' in error or 'cannot be read as OBJ' in error
    flat = _write(lab / 'flat.obj', 'v 0 0 0\nv 50 0 0\nv 0 40 0\nv 50 40 0\nf 1 2 3\nf 2 4 3\n')
    assert 'the mesh is flat (it has no volume); an object needs' in _refused(
        capsys, 'check', flat)
    broken = _write(lab / 'nan.obj',
                    'v 0 0 0\nv nan 0 0\nv 0 40 0\nv 0 0 30\nf 1 2 3\nf 1 2 4\n')
    assert 'not finite numbers; export the mesh again' in _refused(capsys, 'check', broken)
    point = _write(lab / 'point.obj', 'v 1 1 1\nv 1 1 1\nv 1 1 1\nf 1 2 3\n')
    assert 'all vertices are at one place; export the mesh again' in _refused(
        capsys, 'check', point)
    trimesh.creation.box([5e6, 1e6, 1e6]).export('huge.stl')
    error = _refused(capsys, 'check', 'huge.stl')
    assert ('huge.stl: the largest extent is 5e+06: 5e+03 m if in millimetres' in error
            and 'none is an object for an arm (1 cm ... 1 m); scale the mesh' in error)
    assert ('expected 0.004...3 m' in _refused(capsys, 'check', 'huge.stl', '--unit', 'm'))
    ball = trimesh.creation.icosphere(8, 40.0)      # 1,310,720 triangles
    ball.export('scan.ply')
    assert '1,310,720 triangles, at most 200,000 are taken; decimate the mesh first' in _refused(
        capsys, 'check', 'scan.ply')


def test_warnings_name_the_remedy(lab, capsys):
    mesh = trimesh.load('mug.stl', force='mesh')
    faces = mesh.faces[:, ::-1]
    trimesh.Trimesh(mesh.vertices, faces, process=False).export('inward.stl')
    _, printed, _ = _run(capsys, 'check', 'inward.stl')
    assert 'normals inwards' in printed
    assert 'warning:   normals point inwards, so light falls on the wrong side; turn' in printed
    open_mesh = np.vstack([mesh.faces[:-20], mesh.faces[:3]])
    trimesh.Trimesh(mesh.vertices, open_mesh, process=False).export('open.ply')
    _, printed, _ = _run(capsys, 'check', 'open.ply')
    assert 'not watertight' in printed and 'open edges: fine for drawing, but look' in printed
    assert '3 double' in printed and 'warning:   3 triangles are there twice; merge' in printed
    _, printed, _ = _run(capsys, 'check', 'mug.stl', '--unit', 'cm')
    assert 'in unit cm, but mm is likelier' in printed
    assert 'warning:   unit cm is unlikely' in printed
    _, printed, _ = _run(capsys, 'check', 'can.glb', '--up', 'z')
    assert 'warning:   round about y, not about z through the origin: write up: y' in printed
    rod = trimesh.creation.cylinder(0.01, 0.1, sections=64)
    rod.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [0, 1, 0]))
    rod.export('rod.stl')
    _, printed, _ = _run(capsys, 'check', 'rod.stl', '--up', 'z')
    assert ('warning:   round about x, not about z through the origin: write up: x and origin: '
            'centre; until' in printed)
    carton = trimesh.creation.box((0.1, 0.06, 0.04))
    carton.apply_translation((0.03, 0.018, 0.02))
    carton.export('carton.stl')
    _, printed, _ = _run(capsys, 'check', 'carton.stl', '--unit', 'm')
    assert ('warning:   poses that look the same have their origins 72 mm apart, and no picture '
            'tells which is meant: write origin: centre') in printed
    _, printed, _ = _run(capsys, 'check', 'rod.stl', '--up', 'x')
    assert 'rod: 20.0 x 20.0 x 100.0 mm' in printed and 'not about z' not in printed


def test_an_inch_that_is_given_is_believed(lab, capsys):
    trimesh.creation.box((4.7, 3.1, 2.0)).export('carton.stl')
    _, printed, _ = _run(capsys, 'check', 'carton.stl')
    assert 'in unit cm (likely: ' in printed and '(--unit in) would do as well' in printed
    _, printed, _ = _run(capsys, 'check', 'carton.stl', '--unit', 'in')
    assert '119.4 x 78.7 x 50.8 mm (x, y, z) in unit in, as it was given (cm is as' in printed
    assert 'unlikely' not in printed


def test_what_the_file_lacks_is_named(lab, capsys, caplog):
    whole = Path('mug.stl').read_bytes()
    Path('short.stl').write_bytes(whole[:len(whole) // 2])
    code, _, error = _run(capsys, 'check', 'short.stl')
    assert code == 2 and 'short.stl: cannot be read as STL: cut short (' in error
    assert 'copy or export it again' in error
    Path('meshes.stl').mkdir()
    code, _, error = _run(capsys, 'check', 'meshes.stl')
    assert code == 2 and 'meshes.stl: is a folder; give the path of a mesh in it' in error
    Path('card.mtl').write_text('newmtl paper\nmap_Kd gone.png\n')
    Path('card.obj').write_text(
        'mtllib card.mtl\nv 0 0 0\nv .05 0 0\nv 0 .06 0\nv 0 0 .03\nvt 0 0\nvt 1 0\nvt 0 1\n'
        'usemtl paper\nf 1/1 3/3 2/2\nf 1/1 2/2 4/3\nf 1/1 4/3 3/2\nf 2/1 3/2 4/3\n')
    with caplog.at_level('WARNING'):
        _run(capsys, 'check', 'card.obj')
    told = [line for line in caplog.messages if 'no picture' in line]
    assert len(told) == 1 and 'no picture (gone.png is missing), so its surface' in told[0]


def test_a_camera_behind_the_base_needs_no_equals_sign(lab, capsys):
    code, _, error = _run(capsys, 'init', '--camera', CAMERA, '--object', 'mug.stl', '--output',
                          'behind.yaml', '--pose', '-0.5,0,0.65,0.3,0,0')
    assert code == 0, error
    assert load_config('behind.yaml').camera.position_m == (-0.5, 0.0, 0.65)


def test_wrong_use(lab, capsys):
    _run(capsys, 'init', '--camera', CAMERA, '--object', 'can.glb', '--output', 'lab.yaml')
    for argv, message in (
            (['check', 'mug.stl', '--picture', 'x.png'], '--picture and --set belong to a scene'),
            (['check', 'lab.yaml', '--unit', 'mm'], '--unit and --up belong to a mesh'),
            (['check', 'lab.yaml', '--picture', 'x.png'], 'x.png: there is no such photograph'),
            (['check', 'lab.yaml', '--picture', 'lab.yaml'], 'cannot be read as a picture; save'),
            (['check', 'lab.yaml', '--set', 'camera.look_at_m=[3.0, 0.0, 0.6]'],
             'it sees nothing of the workspace; correct camera.position_m'),
            (['check', 'mug.stl', '--output', 'lab.yaml/x'], 'cannot be written'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'lab.txt'],
             'a scene YAML ends in .yaml'),
            (['init', '--camera', CAMERA, '--object', 'no.obj', '--output', 'b.yaml'],
             'no.obj: there is no such file; give the path of a mesh'),
            (['init', '--camera', 'no.yaml', '--object', 'mug.stl', '--output', 'b.yaml'],
             'no.yaml: there is no such camera file; give a CameraInfo'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--object', 'mug.stl',
              '--output', 'b.yaml'], "two meshes are named 'mug'; rename one of the files"),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '1,2'], '--pose 1,2: expected x,y,z,look_x,look_y,look_z'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '1,0,-1,0,0,0'], 'z is -1; the camera must stand above the table'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '1100,0,650,500,0,0'], 'over 20 m from the base; give metres, not millimetres'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '1,0,1,1,0,0'], 'it looks straight down, which leaves the turn of the picture open'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '1,0,1,0,0,0,1'], 'not down to the table (z = 0); give the pose of the optical'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '1,0,1,0,0,0,0'], 'has no direction; expected x, y, z, w of unit norm'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output', 'b.yaml', '--pose',
              '0.1,0,0.05,0.5,0,5'], 'sees less than 12 cm of the table'),
            (['init', '--camera', CAMERA, '--object', 'mug.stl', '--output',
              'mug.stl/b.yaml'], 'cannot be written')):
        assert message in _refused(capsys, *argv), argv
        assert not (lab / 'b.yaml').exists()
    cv2.imwrite('square.png', np.zeros((200, 200, 3), np.uint8))
    assert 'the photograph has 200x200 px, the camera 640x480 px, which is another' in _refused(
        capsys, 'check', 'lab.yaml', '--picture', 'square.png')


@pytest.mark.parametrize('largest, suffix, unit, sureness', [
    (80, '.stl', 'mm', 'likely'), (200, '.stl', 'mm', 'sure'), (0.08, '.obj', 'm', 'sure'),
    (8, '.obj', 'cm', 'likely'), (12, '.obj', 'cm', 'likely'), (35, '.stl', 'mm', 'not sure'),
    (0.5, '.glb', 'm', 'likely'), (80, '.glb', 'mm', 'likely'), (1.5, '.stl', 'cm', 'likely')])
def test_the_unit(largest, suffix, unit, sureness):
    guess = guess_unit(largest, suffix)
    assert (guess.unit, guess.sureness) == (unit, sureness)


@given(size_m=st.floats(0.02, 0.4), unit=st.sampled_from(['m', 'cm', 'mm']))
def test_the_unit_of_a_typical_object_is_among_the_named(size_m, unit):
    guess = guess_unit(size_m / {'m': 1, 'cm': 0.01, 'mm': 0.001}[unit])
    assert guess.unit == unit or f'--unit {unit}' in guess.reason


@pytest.mark.parametrize('largest', [5e6, 1e-4, 3e3])
def test_no_unit_explains_it(largest):
    with pytest.raises(ConfigurationError, match='none is an object for an arm'):
        guess_unit(largest)


@given(seed=st.integers(0, 1000))
def test_a_pose_comes_back(seed):
    rng = np.random.default_rng(seed)
    position = rng.uniform([-1, -1, 0.3], [1, 1, 1.5])
    target = np.array([*(position[:2] + rng.uniform(0.2, 0.8) * np.array([1, 0.3])), 0])
    T = look_at(position, target, roll_rad=rng.uniform(-3, 3))
    again = nominal_pose(T).T_base_camera
    assert again[:3, 3] == pytest.approx(position, abs=1e-4)
    assert rotation_angle(again[:3, :3].T @ T[:3, :3]) < 2e-3
    quaternion = ','.join(f'{v:.9f}' for v in (*position, *quat_xyzw_from_rotation(T[:3, :3])))
    assert parse_pose(quaternion).T_base_camera == pytest.approx(again, abs=1e-3)


def test_a_camera_right_above():
    T = make_transform(rotation_from_rotvec([np.pi, 0, 0]), [0.5, 0.0, 0.8])
    pose = nominal_pose(T)
    assert rotation_angle(pose.T_base_camera[:3, :3].T @ T[:3, :3]) < 5e-3
    x, y = visible_workspace(read_camera(CAMERA), pose)
    assert x[0] < 0.5 < x[1] and y[0] < 0 < y[1]
    # 0.8 m above, 480 of 615 px: 62 cm high, less the border.
    assert 0.4 < min(x[1] - x[0], y[1] - y[0]) < 0.62


def test_chances_of_resting(repository_root):
    models = {m.name: m for m in build_catalogue(
        load_config(repository_root / 'config' / 'tabletop.yaml').objects)}
    cube, = resting_chances(models['cube'])
    assert cube.chance == pytest.approx(1) and cube.face_count == 6
    box = resting_chances(models['rectangular_prism'])
    assert sum(way.chance for way in box) == pytest.approx(1)
    # Two ends of 40 x 40, seen from 40 away: 8 asin(0.2) / (4 pi) of all directions = 0.128.
    assert box[1].face_count == 2 and box[1].chance == pytest.approx(0.13, abs=0.02)
    assert [way.face_count for way in resting_chances(models['cylinder'])] == [64, 2]
