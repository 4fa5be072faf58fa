"""BOP data sets: written and read again, and bad ones with their texts."""
import json
from pathlib import Path
import shutil

import cv2
import numpy as np
import pytest

from dr_perception.core.transforms import look_at, make_transform, rotation_from_rotvec
from sim_trainer.dataset.bop import BopInstance, BopPicture, BopSplit
from sim_trainer.dataset.bop_writer import BopWriter
from sim_trainer.errors import DatasetError

T_BASE_CAMERA = look_at((1.1, 0.1, 0.65), (0.5, 0.0, 0.0))


def _image():
    return np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def _picture(picture_id, camera, instances, **more):
    return BopPicture(picture_id, Path('x.png'), _image(), camera, T_BASE_CAMERA, instances,
                      **more)


@pytest.fixture(scope='module')
def written(tmp_path_factory, catalogue, camera):
    """Return the root of a written data set of two pictures."""
    root = tmp_path_factory.mktemp('bop')
    with BopWriter(root, 'clean', tuple(catalogue.values())) as writer:
        T = make_transform(rotation_from_rotvec([0.1, -0.7, 1.2]), [0.012, -0.034, 0.876])
        writer.add(_picture(3, camera, [
            BopInstance('tetrahedron', T, 0.75), BopInstance('cube', np.linalg.inv(T), None)]))
        writer.add(_picture(12, camera, []))
    return root


@pytest.fixture
def copied(written, tmp_path):
    """Return the root of a copy that may be broken."""
    shutil.copytree(written, tmp_path / 'bop')
    return tmp_path / 'bop'


def _edit(path, change):
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def _refused(root, split='clean'):
    with pytest.raises(DatasetError) as info:
        list(BopSplit(root, split))
    assert '\n' not in str(info.value)
    return str(info.value)


def test_round_trip(written, camera):
    split = BopSplit(written, 'clean')
    assert len(split) == 2
    first, second = split
    assert (first.picture_id, second.picture_id) == (3, 12)
    assert first.path.name == '000003.png'
    assert np.array_equal(first.image_rgb, _image())
    assert first.camera == camera
    assert np.allclose(first.T_base_camera, T_BASE_CAMERA, atol=1e-12)
    tetrahedron, cube = first.instances
    T = make_transform(rotation_from_rotvec([0.1, -0.7, 1.2]), [0.012, -0.034, 0.876])
    assert tetrahedron.object_name == 'tetrahedron'
    assert np.allclose(tetrahedron.T_camera_object, T, atol=1e-12)
    assert (tetrahedron.visible_fraction, cube.visible_fraction) == (0.75, None)
    assert np.allclose(cube.T_camera_object, np.linalg.inv(T), atol=1e-12)
    assert second.instances == []


def test_the_files_hold_millimetres_and_world_to_camera(written):
    truth = json.loads((written / 'test/clean/scene_gt.json').read_text())['3'][0]
    assert truth['cam_t_m2c'] == pytest.approx([12, -34, 876])
    entry = json.loads((written / 'test/clean/scene_camera.json').read_text())['3']
    assert entry['cam_K'] == [100, 0, 31.5, 0, 100, 23.5, 0, 0, 1]
    # A point of the base frame, in millimetres, into the camera's frame.
    R, t = np.reshape(entry['cam_R_w2c'], (3, 3)), np.array(entry['cam_t_w2c'])
    distance_mm = np.linalg.norm([600, 100, 650])
    assert np.allclose(R @ [500, 0, 0] + t, [0, 0, distance_mm])
    names = json.loads((written / 'models/names.json').read_text())
    assert names == {'1': 'cube', '2': 'tetrahedron', '3': 'cylinder'}


def test_meshes_are_in_millimetres(written):
    lines = (written / 'models/obj_000001.ply').read_text().splitlines()
    start = lines.index('end_header') + 1
    vertices = np.array([line.split() for line in lines[start:start + 8]], float)
    assert set(np.abs(vertices).ravel()) == {25.0}
    assert all(line.startswith('3 ') for line in lines[start + 8:])
    assert len(lines) - start - 8 == 12


def test_jpeg_and_no_base_and_no_info(copied):
    folder = copied / 'test/clean'
    (folder / 'rgb/000012.png').unlink()
    cv2.imwrite(str(folder / 'rgb/000012.jpg'), np.zeros((48, 64, 3), np.uint8))
    (folder / 'scene_gt_info.json').unlink()
    _edit(folder / 'scene_camera.json', lambda d: d['12'].pop('cam_R_w2c'))
    first, second = BopSplit(copied, 'clean')
    assert first.instances[0].visible_fraction is None
    assert second.path.suffix == '.jpg'
    assert second.T_base_camera is None


def test_no_such_split_names_those_that_are_there(written, tmp_path):
    assert _refused(written, 'dirty') == (
        f'{written}/test/dirty: there is no such split; this data set has clean')
    assert _refused(tmp_path).endswith(
        'there is no such split; give the folder that holds test/ and models/')


@pytest.mark.parametrize('name', ['models/names.json', 'test/clean/scene_camera.json',
                                  'test/clean/scene_gt.json'])
def test_a_missing_or_broken_file_is_named(copied, name):
    (copied / name).write_text('[]')
    assert _refused(copied) == f'{copied / name}: expected a JSON object'
    (copied / name).write_text('{"1": ')
    assert _refused(copied).startswith(f'{copied / name}: not valid JSON (')
    (copied / name).unlink()
    assert _refused(copied) == f'{copied / name}: cannot be read (No such file or directory)'


def test_a_missing_or_broken_picture_is_named(copied):
    path = copied / 'test/clean/rgb/000003.png'
    path.write_bytes(b'no picture')
    assert _refused(copied) == f'{path}: not a readable picture'
    path.unlink()
    assert _refused(copied) == (
        f'{copied}/test/clean/rgb/000003.jpg|png: there is no such picture')


@pytest.mark.parametrize('name, change, message', [
    ('scene_camera', lambda d: d.pop('3'), "picture 3: KeyError: '3'"),
    ('scene_camera', lambda d: d['3'].pop('cam_K'), "picture 3: KeyError: 'cam_K'"),
    ('scene_camera', lambda d: d['3'].update(cam_K=[1, 2]),
     'picture 3: ValueError: cannot reshape array of size 2'),
    ('scene_camera', lambda d: d['3'].update(cam_K=[0] * 9),
     'picture 3: CameraError: focal lengths are 0, 0 px'),
    ('scene_camera', lambda d: d['3'].update(cam_t_w2c='x'), 'picture 3: '),
    ('scene_gt', lambda d: d['3'][0].update(obj_id=9), 'picture 3: KeyError: 9'),
    ('scene_gt', lambda d: d['3'][0].update(obj_id='x'), 'picture 3: ValueError: invalid literal'),
    ('scene_gt', lambda d: d['3'][0].pop('cam_t_m2c'), "picture 3: KeyError: 'cam_t_m2c'"),
    ('scene_gt', lambda d: d['3'][0].update(cam_R_m2c=[1, 0, 0]), 'picture 3: ValueError'),
    ('scene_gt', lambda d: d.update({'3': 5}), 'picture 3: TypeError')])
def test_a_bad_entry_is_named_with_its_picture(copied, name, change, message):
    _edit(copied / f'test/clean/{name}.json', change)
    text = _refused(copied)
    assert text.startswith(f'{copied}/test/clean: ')
    assert message in text


@pytest.mark.parametrize('name, change', [
    ('models/names', lambda d: d.update(cube='1')),
    ('test/clean/scene_gt', lambda d: d.update(first=[])),
    ('test/clean/scene_gt_info', lambda d: d['3'].__setitem__(0, 0.5)),
    ('test/clean/scene_gt_info', lambda d: d['3'].pop())])
def test_more_bad_entries_are_refused(copied, name, change):
    _edit(copied / f'{name}.json', change)
    _refused(copied)
