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

"""The surface head: heaps of votes become candidates."""
import dataclasses

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.candidates import MAX_CANDIDATES
from dr_perception.core.decoding import find_candidates
from dr_perception.core.network_spec import DecoderSpec
from dr_perception.core.pipeline import PosePipeline
from dr_perception.core.silhouette import SilhouetteArea
from dr_perception.core.transforms import make_transform, rotation_about, transform_points
import numpy as np
import pytest

C, K, H, W = 3, 2, 40, 50


def _spec(stride):
    return DecoderSpec(stride, 16.0, 0.15, 0.5, (0.0, 1.0, 0.0, 0.0), 1.0, 0.001, 0.01,
                       (0.0, 1.0, 0.0, 0.0), 1.0, 'surface')


class Scene:
    """Maps (heat, offsets, log scales) of patches that were put on them."""

    def __init__(self, stride=4, log_scale=0.0, kinds=C, keypoints=K, height=H, width=W):
        self.stride = stride
        self.maps = [np.zeros((kinds, height, width), np.float32),
                     np.zeros((2 * keypoints, height, width), np.float32),
                     np.full((keypoints, height, width), log_scale, np.float32)]

    def put(self, kind, rows, columns, pixels, p=0.9):
        """Let the cells of a block see a kind and answer the same keypoints (K, 2)."""
        block = np.s_[rows[0]:rows[1], columns[0]:columns[1]]
        ys, xs = np.mgrid[:self.maps[0].shape[1], :self.maps[0].shape[2]]
        centre = np.stack([xs, ys]) * float(self.stride) + (self.stride - 1) / 2
        self.maps[0][(kind, *block)] = p
        for k, pixel in enumerate(np.asarray(pixels, float)):
            answer = (pixel[:, None, None] - centre) / 16
            self.maps[1][(slice(2 * k, 2 * k + 2), *block)] = answer[(slice(None), *block)]
        return self

    def find(self):
        return find_candidates(*self.maps, _spec(self.stride))


def test_nothing_gives_nothing():
    found = Scene().find()
    assert len(found) == 0 and found.keypoints_px.shape == (0, K, 2)


@pytest.mark.parametrize('stride', [4, 8])
def test_a_patch_is_one_candidate_where_its_cells_say(stride):
    pixels = [[60.25, 47.5], [10.0, 90.0]]
    found = Scene(stride, np.log(2.0)).put(1, (8, 14), (10, 17), pixels).find()
    assert (len(found), found.object_index[0]) == (1, 1)
    assert np.allclose(found.keypoints_px[0], pixels, atol=1e-4)
    assert np.allclose(found.scale_px, 2.0, rtol=1e-5)
    assert found.heat[0] == pytest.approx(0.9, abs=1e-6)
    assert found.area_px[0] == pytest.approx(0.9 * 42 * stride ** 2)
    assert found.margin[0] == pytest.approx(np.log(9) - np.log(1e-4 / (1 - 1e-4)), rel=1e-5)


def test_a_hidden_centre_is_found_by_what_is_seen():
    """The centre lies where no cell sees the object, between two strips of it."""
    scene = Scene().put(0, (10, 20), (10, 12), [[70, 60], [0, 0]]).put(
        0, (10, 20), (22, 24), [[70, 60], [0, 0]])
    found = scene.find()
    assert len(found) == 1 and np.allclose(found.keypoints_px[0, 0], [70, 60], atol=1e-4)


def test_two_of_a_kind_that_touch_are_two():
    scene = Scene().put(2, (10, 16), (10, 16), [[50, 52], [0, 0]]).put(
        2, (10, 16), (16, 22), [[74, 52], [0, 0]])
    found = scene.find()
    assert found.object_index.tolist() == [2, 2]
    assert sorted(found.keypoints_px[:, 0, 0].round(2)) == [50, 74]


def test_stray_cells_are_not_an_object():
    assert len(Scene().put(0, (5, 6), (5, 7), [[22, 22], [0, 0]]).find()) == 0
    assert len(Scene().put(0, (5, 7), (5, 7), [[22, 22], [0, 0]]).find()) == 1


def test_cells_that_do_not_know_where_find_nothing():
    assert len(Scene(log_scale=4.0).put(0, (5, 8), (5, 8), [[26, 26], [0, 0]]).find()) == 0


def test_sure_cells_count_more_and_far_ones_hardly():
    scene = Scene().put(0, (10, 20), (10, 20), [[60, 60], [30, 30]])
    scene.put(0, (10, 12), (10, 20), [[62, 60], [300, 300]])    # a fifth of the cells err
    found = scene.find()
    assert len(found) == 1
    assert abs(found.keypoints_px[0, 0, 0] - 60.4) < 0.3
    # 381 px off; the plain mean would be 76 px off.
    assert np.linalg.norm(found.keypoints_px[0, 1] - 30) < 0.1


def test_the_kind_that_is_surer_in_a_cell_has_it():
    scene = Scene().put(0, (10, 16), (10, 16), [[50, 52], [0, 0]], 0.8).put(
        1, (10, 16), (10, 16), [[50, 52], [0, 0]], 0.6)
    found = scene.find()
    assert found.object_index.tolist() == [0]
    assert found.margin[0] == pytest.approx(np.log(4) - np.log(1.5), rel=1e-5)


def test_a_picture_full_of_nonsense_is_bounded():
    rng = np.random.default_rng(0)
    scene = Scene(kinds=8, keypoints=9, height=120, width=160)
    scene.maps[0][:] = rng.random(scene.maps[0].shape)
    scene.maps[1][:] = rng.normal(size=scene.maps[1].shape) * 3
    scene.maps[2][:] = rng.normal(size=scene.maps[2].shape)
    found = scene.find()
    assert len(found) <= MAX_CANDIDATES and np.isfinite(found.keypoints_px).all()
    assert np.isfinite(found.scale_px).all() and np.isfinite(found.margin).all()


@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('which', [0, 1, 2])
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_maps_that_are_not_finite_never_raise(which, value):
    for where in (np.s_[:], np.s_[..., 12, 12]):
        scene = Scene().put(1, (8, 14), (10, 17), [[60, 47], [10, 90]])
        scene.maps[which][where] = value
        found = scene.find()
        assert np.isfinite(found.keypoints_px).all() and np.isfinite(found.scale_px).all()


class _Maps:

    def __init__(self, maps):
        self._maps = dict(zip(('heat', 'keypoints', 'log_scales'), (m[None] for m in maps)))

    def run(self, image_rgb):
        return self._maps


def test_a_known_pose_by_votes_is_the_known_pose(contract, camera, T_base_camera, catalogue,
                                                 resting_pose):
    """A cube of which the left half is seen; the whole way from maps to a pose."""
    contract = dataclasses.replace(contract, decoder=dataclasses.replace(
        contract.decoder, head='surface'))
    model, T = catalogue['cube'], resting_pose(catalogue['cube'])
    pixels = camera.project(transform_points(T, model.keypoints_m))
    column, row = (pixels[0] // 4).astype(int)
    scene = Scene(log_scale=-1.5, kinds=8, keypoints=9, height=120, width=160)
    kind = [m.name for m in contract.objects].index('cube')
    scene.put(kind, (row - 5, row + 6), (column - 5, column + 1), pixels)
    pipeline = PosePipeline(contract, _Maps(scene.maps))
    image = np.zeros((480, 640, 3), np.uint8)
    [found] = pipeline.estimate(image, camera, T_base_camera)
    assert found.object_name == 'cube'
    assert np.allclose(found.T_camera_object[:3, 3], T[:3, 3], atol=1e-4)
    [features] = pipeline.detect(image, camera, T_base_camera).features
    share = scene.maps[0].sum() * 16 / SilhouetteArea(model.vertices_m).pixels(T, camera)
    assert 0.3 < share < 0.8 and features[5] == pytest.approx(np.log(share), abs=0.01)


def test_the_area_of_a_cube_seen_from_the_front():
    camera = PinholeCamera(500.0, 500.0, 0.0, 0.0, 640, 480)
    cube = np.array(np.meshgrid(*[[-0.05, 0.05]] * 3)).reshape(3, -1).T
    for turn in range(4):
        T = make_transform(rotation_about('z', turn * np.pi / 2), [0.3, 0.2, 1.0])
        near = 100 * 0.5 / 0.95 / 0.5 * 0.5     # the front face at 0.95 m
        assert SilhouetteArea(cube).pixels(T, camera) >= near ** 2
    T = make_transform(np.eye(3), [0.0, 0.0, 1.0])
    assert SilhouetteArea(cube).pixels(T, camera) == pytest.approx((50 / 0.95) ** 2, rel=1e-4)
    behind = make_transform(np.eye(3), [0.0, 0.0, -1.0])
    assert SilhouetteArea(cube).pixels(behind, camera) == 0.0


def test_the_area_of_a_fine_mesh_is_nearly_that_of_all_its_vertices():
    rng = np.random.default_rng(1)
    points = rng.normal(size=(5000, 3))
    points = points / np.linalg.norm(points, axis=1)[:, None] * 0.04
    camera = PinholeCamera(600.0, 600.0, 320.0, 240.0, 640, 480)
    T = make_transform(np.eye(3), [0.05, 0.0, 0.9])
    whole = np.pi * (600 * 0.04 / 0.9) ** 2
    assert SilhouetteArea(points).pixels(T, camera) == pytest.approx(whole, rel=0.06)
