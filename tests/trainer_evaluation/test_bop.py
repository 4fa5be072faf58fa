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

"""BOP data sets: written and read again, and bad ones with their texts."""
import json
import shutil

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import make_transform, rotation_from_rotvec
import numpy as np
import pytest
from sim_trainer.dataset import bop_writer
from sim_trainer.dataset.bop import BopInstance, BopSplit
from sim_trainer.dataset.bop_writer import BopWriter
from sim_trainer.errors import DatasetError


@pytest.fixture(scope='module')
def written(tmp_path_factory, catalogue, camera, bop_picture):
    """Return the root of a written data set of two pictures."""
    root = tmp_path_factory.mktemp('bop')
    with BopWriter(root, 'clean', tuple(catalogue.values())) as writer:
        T = make_transform(rotation_from_rotvec([0.1, -0.7, 1.2]), [0.012, -0.034, 0.876])
        writer.add(bop_picture(3, camera, [
            BopInstance('tetrahedron', T, 0.75), BopInstance('cube', np.linalg.inv(T), None)]))
        writer.add(bop_picture(12, camera, []))
    return root


@pytest.fixture
def copied(written, tmp_path):
    """Return the root of a copy that may be broken."""
    shutil.copytree(written, tmp_path / 'bop')
    return tmp_path / 'bop'


def _refused(root, split='clean'):
    with pytest.raises(DatasetError) as info:
        list(BopSplit(root, split))
    assert '\n' not in str(info.value)
    return str(info.value)


def test_round_trip(written, camera, T_base_camera, bop_picture):
    split = BopSplit(written, 'clean')
    assert len(split) == 2
    first, second = split
    assert (first.picture_id, second.picture_id) == (3, 12)
    assert first.path.name == '000003.png'
    assert np.array_equal(first.image_rgb, bop_picture(3, camera, []).image_rgb)
    assert first.camera == camera
    assert np.allclose(first.T_base_camera, T_base_camera, atol=1e-12)
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


def test_jpeg_and_no_base_and_no_info(copied, edit_json):
    folder = copied / 'test/clean'
    (folder / 'rgb/000012.png').unlink()
    cv2.imwrite(str(folder / 'rgb/000012.jpg'), np.zeros((48, 64, 3), np.uint8))
    (folder / 'scene_gt_info.json').unlink()
    edit_json(folder / 'scene_camera.json', lambda d: d['12'].pop('cam_R_w2c'))
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
    assert _refused(copied) == f'{copied / name}: ' + (
        'there is no such file; BOP numbers objects, and the catalogue names them: write '
        '{"1": "cube", ...}' if name.startswith('models') else
        'cannot be read (No such file or directory)')


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
    ('scene_gt', lambda d: d['3'][0].update(obj_id=9),
     'picture 3: ValueError: object 9 has no name in models/names.json; write one'),
    ('scene_gt', lambda d: d['3'][0].update(obj_id='x'), 'picture 3: ValueError: invalid literal'),
    ('scene_gt', lambda d: d['3'][0].pop('cam_t_m2c'), "picture 3: KeyError: 'cam_t_m2c'"),
    ('scene_gt', lambda d: d['3'][0].update(cam_R_m2c=[1, 0, 0]), 'picture 3: ValueError'),
    ('scene_gt', lambda d: d.update({'3': 5}), 'picture 3: TypeError')])
def test_a_bad_entry_is_named_with_its_picture(copied, edit_json, name, change, message):
    edit_json(copied / f'test/clean/{name}.json', change)
    text = _refused(copied)
    assert text.startswith(f'{copied}/test/clean: ')
    assert message in text


@pytest.mark.parametrize('name, change', [
    ('models/names', lambda d: d.update(cube='1')),
    ('test/clean/scene_gt', lambda d: d.update(first=[])),
    ('test/clean/scene_gt_info', lambda d: d['3'].__setitem__(0, 0.5)),
    ('test/clean/scene_gt_info', lambda d: d['3'].pop())])
def test_more_bad_entries_are_refused(copied, edit_json, name, change):
    edit_json(copied / f'{name}.json', change)
    _refused(copied)


# A whole data set: masks, scene_gt_info, models_info ---------------------------------------------

def test_masks_and_scene_gt_info_by_hand(masked):
    folder = masked / 'test/train'
    # The near face, 0.475 m away: u 31.5 +- 5.26, v 23.5 +- 5.26, so columns 27...36.
    whole = np.zeros((48, 64), np.uint8)
    whole[19:29, 27:37] = 255
    seen = np.zeros((48, 64), np.uint8)
    seen[19:29, 27:32] = 255
    for name, mask in (('mask/000004_000000', whole), ('mask_visib/000004_000000', seen),
                       ('mask/000004_000001', whole), ('mask_visib/000004_000001', 0 * seen)):
        assert np.array_equal(cv2.imread(str(folder / f'{name}.png'), cv2.IMREAD_UNCHANGED), mask)
    half, hidden, cut = json.loads((folder / 'scene_gt_info.json').read_text())['4']
    assert half == {'bbox_obj': [27, 19, 9, 9], 'bbox_visib': [27, 19, 4, 9],
                    'px_count_all': 100, 'px_count_valid': 100, 'px_count_visib': 50,
                    'visib_fract': 0.5}
    assert hidden == {'bbox_obj': [-1] * 4, 'bbox_visib': [-1] * 4, 'px_count_all': 100,
                      'px_count_valid': 100, 'px_count_visib': 0, 'visib_fract': 0.0}
    inside = np.count_nonzero(cv2.imread(str(folder / 'mask/000004_000002.png'), 0))
    assert 0 < inside == cut['px_count_valid'] < cut['px_count_all']


def test_masks_are_read_back(masked):
    split = BopSplit(masked, 'train')
    assert split.read(4).instance_ids is None
    ids = split.read(4, masks=True).instance_ids
    assert ids.dtype == np.uint8 and np.unique(ids).tolist() == [0, 1]
    assert np.array_equal(np.argwhere(ids)[[0, -1]], [[19, 27], [28, 31]])
    path = masked / 'test/train/mask_visib/000004_000001.png'
    cv2.imwrite(str(path), np.zeros((2, 3), np.uint8))
    with pytest.raises(DatasetError, match='has 3x2 px, its picture 64x48 px'):
        split.read(4, masks=True)
    path.unlink()
    with pytest.raises(DatasetError, match='000004_000001.png: not a readable picture'):
        split.read(4, masks=True)


def test_a_data_set_without_masks_has_none(written):
    assert BopSplit(written, 'clean').read(3, masks=True).instance_ids is None


def test_models_info_and_camera(masked, catalogue):
    info = json.loads((masked / 'models/models_info.json').read_text())
    assert info['1']['diameter'] == pytest.approx(50 * 3 ** 0.5)
    assert [info['1'][f'{a}_{x}'] for a in ('min', 'size') for x in 'xyz'] == pytest.approx(
        [-25] * 3 + [50] * 3)
    assert len(info['1']['symmetries_discrete']) == 23
    assert 'symmetries_continuous' not in info['1']
    # As BOP's tools do: each maps the model onto itself, millimetres, row by row.
    vertices = catalogue['tetrahedron'].vertices_m * 1000
    assert len(info['2']['symmetries_discrete']) == 11
    for row in info['2']['symmetries_discrete']:
        T = np.reshape(row, (4, 4))
        moved = vertices @ T[:3, :3].T + T[:3, 3]
        assert np.linalg.norm(moved[:, None] - vertices[None], axis=-1).min(1).max() < 1e-5
    assert info['3']['symmetries_continuous'] == [{'axis': [0, 0, 1], 'offset': [0, 0, 0]}]
    [flip] = info['3']['symmetries_discrete']
    assert np.allclose(np.reshape(flip, (4, 4)), np.diag([1, -1, -1, 1]))
    assert json.loads((masked / 'camera.json').read_text()) == {
        'cx': 31.5, 'cy': 23.5, 'depth_scale': 1.0, 'fx': 100.0, 'fy': 100.0, 'height': 48,
        'width': 64}


def test_jpeg_and_distortion_are_written_and_read(tmp_path, catalogue, camera, bop_picture):
    bent = PinholeCamera(100.0, 100.0, 31.5, 23.5, 64, 48, 'plumb_bob', (-0.2, 0.1, 0.0, 0.001))
    with BopWriter(tmp_path, 's', tuple(catalogue.values()), jpeg_quality=90) as writer:
        writer.add(bop_picture(1, bent, []))
    [picture] = BopSplit(tmp_path, 's')
    assert picture.path.name == '000001.jpg' and picture.camera == bent
    assert picture.path.read_bytes()[:2] == b'\xff\xd8'


def test_a_killed_run_leaves_a_readable_data_set(
        tmp_path, catalogue, camera, bop_picture, monkeypatch):
    writer = BopWriter(tmp_path, 's', tuple(catalogue.values()))
    for i in range(3):
        writer.add(bop_picture(i, camera, []))
    assert BopSplit(tmp_path, 's').ids == [0]           # the first at once, then by the clock
    monkeypatch.setattr(bop_writer, 'FLUSH_S', 0.0)
    writer._flush_took_s = 0.0
    writer.add(bop_picture(3, camera, []))
    assert len(list(BopSplit(tmp_path, 's'))) == 4      # never closed
    assert not list(tmp_path.rglob('*.partial'))
    with pytest.raises(DatasetError, match='holds a data set already'):
        BopWriter(tmp_path, 's', tuple(catalogue.values()))
    with pytest.raises(DatasetError, match='has other objects than the configuration'):
        BopWriter(tmp_path, 'other', tuple(catalogue.values())[:1])


def test_a_full_disk_is_said(tmp_path, catalogue, camera, bop_picture):
    writer = BopWriter(tmp_path, 's', tuple(catalogue.values()))
    shutil.rmtree(tmp_path / 'test/s/rgb')
    with pytest.raises(DatasetError, match='000001.png: cannot be written; is the disk full'):
        writer.add(bop_picture(1, camera, []))
