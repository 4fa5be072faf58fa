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

"""Samples: the window fits the frame, and the targets lie where the objects are seen."""

from pathlib import Path

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.plane_scale import plane_codes
from dr_perception.core.transforms import look_at, make_transform
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.dataset.frames import Frame
from sim_trainer.dataset.labels import InstanceLabel
from sim_trainer.errors import DatasetError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training.heads.centres import CentreTargets
from sim_trainer.training.heads.surface import SurfaceTargets
from sim_trainer.training.nothing import nothing
from sim_trainer.training.samples import random_affine, sample_size, SampleMaker


@pytest.mark.parametrize('frame, sample', [((384, 288), (352, 256)), ((288, 224), (256, 192)),
                                           ((160, 128), (128, 96)), ((64, 64), (32, 32))])
def test_the_window_is_smaller_than_the_frame(frame, sample):
    assert sample_size(*frame) == sample


def test_most_of_a_sample_is_frame_and_not_its_mirror_image():
    rng = np.random.default_rng(0)
    outside = []
    for _ in range(300):
        A = random_affine(rng, 288, 224)
        width, height = sample_size(288, 224)
        corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
        source = (corners - A[:, 2]) @ np.linalg.inv(A[:, :2]).T
        outside.append(np.maximum(-source, source - [287, 223]).max())
    assert np.mean(np.array(outside) > 0) < 0.85 and np.max(outside) < 48


@pytest.fixture(scope='module')
def catalogue():
    """Return the eight objects of the reference scene."""
    config = load_config(Path(__file__).parents[2] / 'config' / 'tabletop.yaml')
    return build_catalogue(config.objects)


def test_a_marked_centre_is_where_the_heat_is(catalogue):
    """A white dot at the projection of the object's origin comes out at the hottest cell."""
    camera = PinholeCamera(300.0, 300.0, 143.5, 111.5, 288, 224)
    T_base_camera = look_at([0.9, 0.1, 0.5], [0.5, 0, 0])
    T_camera_object = np.linalg.inv(T_base_camera) @ make_transform(np.eye(3), [0.5, 0, 0.025])
    u, v = np.round(camera.project(T_camera_object[:3, 3][None])[0]).astype(int)
    image = np.zeros((224, 288, 3), np.uint8)
    image[v - 1:v + 2, u - 1:u + 2] = 255
    frame = Frame(image, camera, T_base_camera, [InstanceLabel(1, T_camera_object, 1.0)])
    maker = SampleMaker(catalogue, 3, SensorConfig(enabled=False),
                        CentreTargets(len(catalogue), 4))
    seen = 0
    for number in range(30):
        sample = maker(number, frame)
        bright = sample.image_rgb.min(-1)
        targets = sample.targets
        if bright.max() < 200 or len(targets.keypoints_px) != 1:
            continue    # painted over by an occluder
        row, column = np.unravel_index(targets.heat[1].argmax(), targets.heat[1].shape)
        weights = np.where(bright > 150, bright, 0).astype(float)
        ys, xs = np.mgrid[:bright.shape[0], :bright.shape[1]]
        if weights[max(row * 4 - 12, 0):row * 4 + 16,
                   max(column * 4 - 12, 0):column * 4 + 16].sum() < 0.95 * weights.sum():
            continue    # an occluder is white too
        seen += 1
        centre = np.array([(xs * weights).sum(), (ys * weights).sum()]) / weights.sum()
        cell = np.array([column, row]) * 4 + 1.5
        assert np.abs(centre - cell).max() < 3.2
        assert np.abs(centre - targets.keypoints_px[0][0, 0]).max() < 1.0
    assert seen > 20


def test_the_plane_of_a_sample_is_that_of_its_camera(catalogue):
    """Turned and enlarged, a sample tells of each place what the frame's camera sees there."""
    camera = PinholeCamera(300.0, 300.0, 143.5, 111.5, 288, 224)
    T_base_camera = look_at([0.9, 0.1, 0.5], [0.5, 0, 0])
    # How large the plane looks, as a grey picture: what the sample shows and what it says agree.
    v, u = np.mgrid[:224, :288]
    scale = plane_codes(np.stack([u, v], -1).reshape(-1, 2).astype(float), camera, T_base_camera,
                        0.0, 340.0).reshape(224, 288)
    frame = Frame(np.repeat(scale[..., None], 3, 2), camera, T_base_camera, [])
    maker = SampleMaker(catalogue, 3, SensorConfig(enabled=False),
                        CentreTargets(len(catalogue), 4), usual_px_per_m=340.0)
    zooms, errors, unknown = [], [], 0
    for number in range(80):
        image = maker(number, frame).image_rgb
        assert image.shape == (192, 256, 4)
        told = image[3::8, 3::8, 3].astype(float)
        if not told.any():
            unknown += 1
            continue
        shown = np.median(image[3::8, 3::8, :3], axis=2)
        zooms.append(np.median(told / np.maximum(shown, 1)))
        errors.append(np.percentile(np.abs(told / zooms[-1] - shown), 70))
    assert 2 <= unknown <= 25
    right = np.array(errors) < 2        # the others are pictures of nothing
    assert right.mean() > 0.85
    zooms = np.log(np.array(zooms)[right])
    assert 0.03 < np.std(zooms) and np.abs(zooms).max() < 0.12


def test_a_plane_that_is_told_changes_nothing_else(catalogue):
    frame = _painted_frame(catalogue)
    makers = [SampleMaker(catalogue, 3, SensorConfig(), CentreTargets(len(catalogue), 4),
                          usual_px_per_m=usual) for usual in (0.0, 340.0)]
    for number in range(5):
        plain, told = (maker(number, frame) for maker in makers)
        assert np.array_equal(plain.image_rgb, told.image_rgb[..., :3])
        assert np.array_equal(plain.targets.heat, told.targets.heat)


def _painted_frame(catalogue, ids=True, fraction=1.0):
    """Two cubes side by side; what is seen of each is painted in a colour of its own."""
    camera = PinholeCamera(300.0, 300.0, 143.5, 111.5, 288, 224)
    T_base_camera = look_at([0.9, 0.1, 0.5], [0.5, 0, 0])
    image = np.zeros((224, 288, 3), np.uint8)
    instance_ids = np.zeros((224, 288), np.uint8)
    labels = []
    for number, y in enumerate((-0.03, 0.03), 1):
        T = np.linalg.inv(T_base_camera) @ make_transform(np.eye(3), [0.5, y, 0.025])
        u, v = np.round(camera.project(T[:3, 3][None])[0]).astype(int)
        box = np.s_[v - 14:v + 15, u - 10:u + 11]
        image[box] = (255, 0, 0) if number == 1 else (0, 255, 0)
        instance_ids[box] = number
        labels.append(InstanceLabel(1, T, fraction))
    return Frame(image, camera, T_base_camera, labels, instance_ids if ids else None)


@pytest.mark.parametrize('stride', [4, 8])
def test_the_marked_surface_is_what_is_seen(catalogue, stride):
    frame = _painted_frame(catalogue)
    maker = SampleMaker(catalogue, 5, SensorConfig(enabled=False),
                        SurfaceTargets(len(catalogue), stride))
    for number in range(25):
        sample = maker(number, frame)
        targets = sample.targets
        assert targets.heat.shape[1:] == (192 // stride, 256 // stride)
        middle = sample.image_rgb[stride // 2::stride, stride // 2::stride].astype(int)
        for channel in (0, 1):
            # A cell of full colour is one of the surface, a black one is not.
            colour = (middle[..., channel] > 250) & (middle.sum(-1) < 260)
            rows, columns = np.nonzero(targets.owner >= 0)
            mine = [i for i, k in enumerate(targets.keypoints_px)
                    if abs(k[0, 0, 0] - (np.nonzero(colour)[1] * stride).mean()) < 12]
            if colour.sum() < 6 or len(targets.keypoints_px) != 2 or len(mine) != 1:
                continue
            agreed = targets.owner[colour] == mine[0]
            assert agreed.mean() > 0.8
        black = (middle.sum(-1) == 0) & ~targets.ignore[1]
        assert targets.heat[1][black].mean() < 0.02
        assert targets.heat[[0, 2, 3, 4, 5, 6, 7]].max() == 0


def test_what_is_painted_over_is_not_marked(catalogue):
    frame = _painted_frame(catalogue)
    maker = SampleMaker(catalogue, 5, SensorConfig(enabled=False),
                        SurfaceTargets(len(catalogue), 4))
    hidden = 0
    for number in range(150):
        sample = maker(number, frame)
        middle = sample.image_rgb[2::4, 2::4].astype(int)
        marked = sample.targets.heat[1] == 1
        pure = (middle.max(-1) > 250) & (np.sort(middle, -1)[..., 1] < 5)
        hidden += int((pure.sum() < 0.8 * 2 * 29 * 21 / 16))
        assert (marked & (middle.min(-1) > 40)).sum() <= 0.1 * max(marked.sum(), 1) + 2
    assert hidden > 3


def test_some_samples_hold_nothing(catalogue):
    frame = _painted_frame(catalogue)
    for targets in (SurfaceTargets(len(catalogue), 4), CentreTargets(len(catalogue), 4)):
        maker = SampleMaker(catalogue, 5, SensorConfig(enabled=False), targets)
        empty = [sample for sample in (maker(n, frame) for n in range(400))
                 if not sample.targets.keypoints_px]
        assert 4 < len(empty) < 28      # 3 % of 400
        assert all(sample.targets.heat.max() == 0 for sample in empty)


def test_upside_down_is_no_view_unless_the_camera_rolls_that_far():
    image = np.zeros((40, 60, 3), np.uint8)
    image[:20] = 200
    turned = image[::-1, ::-1]
    for allowed in (True, False):
        drawn = [nothing(np.random.default_rng(n), image, allowed) for n in range(60)]
        assert any(np.array_equal(d, turned) for d in drawn) == allowed
        assert not any(np.array_equal(d, image) for d in drawn)
        assert all(d.shape == image.shape and d.dtype == np.uint8 for d in drawn)
        assert len({d.tobytes() for d in drawn}) > 20
    assert image[:20].min() == 200 and image[20:].max() == 0       # as it was


def test_small_surfaces_count_more_a_cell_and_hardly_seen_ones_are_not_asked_for(catalogue):
    make = SurfaceTargets(len(catalogue), 4)
    maker = SampleMaker(catalogue, 5, SensorConfig(enabled=False), make)
    targets = maker(0, _painted_frame(catalogue)).targets
    assert targets.weight[targets.owner >= 0].min() > 1     # 609 px each, fewer than usual
    assert (targets.weight[targets.owner < 0] == 1).all()
    unasked = maker(0, _painted_frame(catalogue, fraction=0.05)).targets
    assert unasked.keypoints_px == [] and unasked.heat.max() == 0
    assert unasked.ignore[1][targets.owner >= 0].all() and (unasked.owner == -1).all()


def test_beyond_the_frame_nobody_is_asked(catalogue):
    maker = SampleMaker(catalogue, 5, SensorConfig(enabled=False),
                        SurfaceTargets(len(catalogue), 4))
    shares = [maker(n, _painted_frame(catalogue)).targets.ignore[0].mean() for n in range(40)]
    assert 0 < np.mean(shares) < 0.05


def test_pictures_without_masks_are_refused(catalogue):
    maker = SampleMaker(catalogue, 5, SensorConfig(enabled=False),
                        SurfaceTargets(len(catalogue), 4))
    with pytest.raises(DatasetError, match='has no mask_visib; the surface head needs masks: add '
                       'them, or set training.network.head=centres'):
        maker(0, _painted_frame(catalogue, ids=False))
