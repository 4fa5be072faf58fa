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
from pathlib import Path
import shutil

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import look_at, make_transform, rotation_from_rotvec
import numpy as np
import pytest
from sim_trainer.dataset import bop_writer
from sim_trainer.dataset.bop import BopInstance, BopPicture, BopSplit
from sim_trainer.dataset.bop_frames import BopFrames
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


# A whole data set: masks, scene_gt_info, models_info ---------------------------------------------

@pytest.fixture
def masked(tmp_path, catalogue, camera):
    """Return the root of a data set with masks: a cube seen on its left half, one hidden."""
    ids = np.zeros((48, 64), np.uint8)
    ids[19:29, 27:32] = 1
    T = make_transform(np.eye(3), [0.0, 0.0, 0.5])
    # Far to the left: half of the silhouette (0.05 m at 0.475 m) is outside the picture.
    cut = make_transform(np.eye(3), [-0.32 * 0.475, 0.0, 0.5])
    with BopWriter(tmp_path, 'train', tuple(catalogue.values())) as writer:
        writer.add(_picture(4, camera, [BopInstance('cube', T, None), BopInstance('cube', T, 0.0),
                                        BopInstance('cube', cut, None)], instance_ids=ids))
    return tmp_path


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


def test_jpeg_and_distortion_are_written_and_read(tmp_path, catalogue, camera):
    bent = PinholeCamera(100.0, 100.0, 31.5, 23.5, 64, 48, 'plumb_bob', (-0.2, 0.1, 0.0, 0.001))
    with BopWriter(tmp_path, 's', tuple(catalogue.values()), jpeg_quality=90) as writer:
        writer.add(_picture(1, bent, []))
    [picture] = BopSplit(tmp_path, 's')
    assert picture.path.name == '000001.jpg' and picture.camera == bent
    assert picture.path.read_bytes()[:2] == b'\xff\xd8'


def test_a_killed_run_leaves_a_readable_data_set(tmp_path, catalogue, camera, monkeypatch):
    writer = BopWriter(tmp_path, 's', tuple(catalogue.values()))
    for i in range(3):
        writer.add(_picture(i, camera, []))
    assert BopSplit(tmp_path, 's').ids == [0]           # the first at once, then by the clock
    monkeypatch.setattr(bop_writer, 'FLUSH_S', 0.0)
    writer._flush_took_s = 0.0
    writer.add(_picture(3, camera, []))
    assert len(list(BopSplit(tmp_path, 's'))) == 4      # never closed
    assert not list(tmp_path.rglob('*.partial'))
    with pytest.raises(DatasetError, match='holds a data set already'):
        BopWriter(tmp_path, 's', tuple(catalogue.values()))
    with pytest.raises(DatasetError, match='has other objects than the configuration'):
        BopWriter(tmp_path, 'other', tuple(catalogue.values())[:1])


def test_a_full_disk_is_said(tmp_path, catalogue, camera):
    writer = BopWriter(tmp_path, 's', tuple(catalogue.values()))
    shutil.rmtree(tmp_path / 'test/s/rgb')
    with pytest.raises(DatasetError, match='000001.png: cannot be written; is the disk full'):
        writer.add(_picture(1, camera, []))


# Data sets of others -----------------------------------------------------------------------------

@pytest.fixture
def standard(masked):
    """Return the root of BOP's own layout: two scenes, one grey, no names, ids of its own."""
    scenes = masked / 'train_pbr'
    shutil.copytree(masked / 'test/train', scenes / '000000')
    (masked / 'test/train').rename(scenes / '000002')
    shutil.rmtree(masked / 'test')
    (masked / 'models/names.json').unlink()
    (scenes / '000002/rgb').rename(scenes / '000002/gray')
    path = scenes / '000002/gray/000004.png'
    cv2.imwrite(str(path.with_suffix('.jpg')), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    path.unlink()
    shutil.rmtree(scenes / '000000/mask_visib')
    _edit(scenes / '000002/scene_gt.json', lambda d: d['4'][1].update(obj_id=17))
    return masked


def test_the_standard_layout_of_several_scenes(standard):
    split = BopSplit(standard, 'train_pbr', {1: 'cube'})
    assert split.ids == [4, 2_000_004] and split.ignored_count == 1
    assert split.counts() == {'cube': 5}
    color, grey = split
    assert [len(p.instances) for p in (color, grey)] == [3, 2]
    assert grey.path == standard / 'train_pbr/000002/gray/000004.jpg'
    assert np.ptp(grey.image_rgb.astype(int), axis=2).max() == 0
    # The mask of what was ignored is not looked for, and numbers follow the instances.
    assert np.unique(split.read(2_000_004, masks=True).instance_ids).tolist() == [0, 1]
    assert split.read(4, masks=True).instance_ids is None
    assert BopSplit(standard, 'train_pbr/000002', {1: 'cube'}).ids == [4]


def test_the_standard_layout_wants_names_from_the_caller(standard):
    with pytest.raises(DatasetError, match='names.json: cannot be read'):
        BopSplit(standard, 'train_pbr')
    with pytest.raises(DatasetError, match='no such split; this data set has train_pbr'):
        BopSplit(standard, 'train', {1: 'cube'})


def _frames(root, catalogue, window=(24, 20), split='train_pbr', names=None):
    return BopFrames(root, split, tuple(catalogue.values()), window, names or {1: 'cube'})


def test_frames_are_windows_with_their_camera(standard, catalogue):
    frames = _frames(standard, catalogue)
    assert len(frames) == 2 and frames.ignored_count == 1
    whole = BopSplit(standard, 'train_pbr', {1: 'cube'})
    corners = set()
    for i in range(40):
        frame = frames.frame(i % 2, np.random.default_rng(i))
        picture = whole.read(whole.ids[i % 2])
        left, top = (round(a - b) for a, b in ((picture.camera.cx_px, frame.camera.cx_px),
                                               (picture.camera.cy_px, frame.camera.cy_px)))
        assert frame.camera == picture.camera.cropped(left, top, 24, 20)
        assert np.array_equal(frame.image_rgb, picture.image_rgb[top:top + 20, left:left + 24])
        assert np.allclose(frame.T_base_camera, T_BASE_CAMERA)
        assert [label.object_index for label in frame.instances] == [0] * len(picture.instances)
        seen = np.zeros((48, 64), bool)
        seen[19:29, 27:32] = True
        part = seen[top:top + 20, left:left + 24].sum() / 100
        if i % 2:       # with masks, exact
            assert frame.instances[0].visible_fraction == pytest.approx(part)
        corners.add((left, top))
    assert len(corners) > 20


def test_frames_depend_on_index_and_generator_alone(standard, catalogue):
    first, second = (_frames(standard, catalogue) for _ in range(2))
    second.frame(1, np.random.default_rng(5))
    for index in (0, 1):
        a, b = (f.frame(index, np.random.default_rng(3)) for f in (first, second))
        assert np.array_equal(a.image_rgb, b.image_rgb) and a.camera == b.camera
        assert [x.visible_fraction for x in a.instances] == [
            x.visible_fraction for x in b.instances]
    a.image_rgb[:] = 0          # a frame is the caller's; the cache is not touched
    assert first.frame(1, np.random.default_rng(3)).image_rgb.any()


def test_windows_look_for_objects(standard, catalogue):
    """Four of five windows hold an object's centre; without the pull, far fewer would."""
    frames = _frames(standard, catalogue, (12, 12))
    held = 0
    for i in range(200):
        frame = frames.frame(1, np.random.default_rng(i))
        centre = frame.camera.project(frame.instances[0].T_camera_object[:3, 3])[0]
        held += bool(((centre >= 0) & (centre <= 11)).all())
    assert 0.75 < held / 200 < 0.95


def test_frames_without_masks_share_out_the_fraction(standard, catalogue):
    frames = _frames(standard, catalogue, (64, 48))
    assert [x.visible_fraction for x in frames.frame(0, np.random.default_rng(0)).instances] == [
        0.5, 0.0, 0.0]
    (standard / 'train_pbr/000000/scene_gt_info.json').unlink()
    whole, _, cut = _frames(standard, catalogue, (64, 48)).frame(
        0, np.random.default_rng(0)).instances
    assert whole.visible_fraction == 1.0 and 0.2 < cut.visible_fraction < 0.8


def test_no_base_frame_is_the_identity(standard, catalogue):
    _edit(standard / 'train_pbr/000000/scene_camera.json', lambda d: d['4'].pop('cam_R_w2c'))
    frame = _frames(standard, catalogue).frame(0, np.random.default_rng(0))
    assert np.array_equal(frame.T_base_camera, np.eye(4))


def test_frames_refuse_what_cannot_be_used(standard, catalogue):
    with pytest.raises(DatasetError, match='has 64x48 px; the window of training has 65x20 px'):
        _frames(standard, catalogue, (65, 20)).frame(0, np.random.default_rng(0))
    with pytest.raises(DatasetError, match='holds no object of the catalogue .*, but mug; give'):
        _frames(standard, catalogue, names={1: 'mug'})
    with pytest.raises(DatasetError, match='but none that has a name'):
        _frames(standard, catalogue, names={99: 'mug'})
    with pytest.raises(IndexError):
        _frames(standard, catalogue).frame(2, np.random.default_rng(0))
    for scene in ('000000', '000002'):
        (standard / f'train_pbr/{scene}/scene_gt.json').write_text('{}')
    with pytest.raises(DatasetError, match='holds no pictures'):
        _frames(standard, catalogue)
