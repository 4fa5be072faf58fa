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

"""BOP data sets of others: the standard layout, and frames of them to train on."""
import numpy as np
import pytest
from sim_trainer.dataset.bop import BopSplit
from sim_trainer.dataset.bop_frames import BopFrames
from sim_trainer.errors import DatasetError


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
    with pytest.raises(DatasetError, match='names.json: there is no such file; BOP'):
        BopSplit(standard, 'train_pbr')
    with pytest.raises(DatasetError, match='no such split; this data set has train_pbr'):
        BopSplit(standard, 'train', {1: 'cube'})


def _frames(root, catalogue, window=(24, 20), split='train_pbr', names=None):
    return BopFrames(root, split, tuple(catalogue.values()), window, names or {1: 'cube'})


def test_frames_are_windows_with_their_camera(standard, catalogue, T_base_camera):
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
        assert np.allclose(frame.T_base_camera, T_base_camera)
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


def test_no_base_frame_is_the_identity(standard, catalogue, edit_json):
    edit_json(standard / 'train_pbr/000000/scene_camera.json', lambda d: d['4'].pop('cam_R_w2c'))
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
