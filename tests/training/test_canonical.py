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

"""Equal looks have equal keypoints: on each of the eight groups, the continuous included."""
from pathlib import Path

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_about, transform_points)
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training.canonical import CanonicalKeypoints

CATALOGUE = {model.name: model for model in build_catalogue(
    load_config(Path(__file__).parents[2] / 'config' / 'tabletop.yaml').objects)}
CAMERA = PinholeCamera(600.0, 600.0, 320.0, 240.0, 640, 480)
ROUND = ('cone', 'cylinder')
ORDERS = {'cone': 1, 'cube': 24, 'cylinder': 2, 'hexagonal_prism': 12, 'pyramid': 4,
          'rectangular_prism': 8, 'tetrahedron': 12, 'triangular_prism': 6}


def _pose(seed):
    rng = np.random.default_rng(seed)
    T_camera_base = invert_transform(look_at([1.1, rng.uniform(-0.2, 0.2), 0.6], [0.5, 0, 0]))
    R = rotation_about('z', rng.uniform(0, 6.3)) @ rotation_about('x', rng.choice([0, np.pi / 2]))
    return T_camera_base @ make_transform(R, [rng.uniform(0.3, 0.7), rng.uniform(-0.2, 0.2), 0.03])


def _pixels(name, T):
    points = CanonicalKeypoints(CATALOGUE[name]).seen_from(T)
    return CAMERA.project(transform_points(T, points.reshape(-1, 3))).reshape(*points.shape[:2], 2)


@pytest.mark.parametrize('name', CATALOGUE)
def test_as_many_ways_as_the_group_has_elements(name):
    assert len(_pixels(name, _pose(0))) == ORDERS[name]


@pytest.mark.parametrize('name', CATALOGUE)
@pytest.mark.parametrize('seed', range(4))
def test_poses_that_look_the_same_have_the_same_set_of_keypoints(name, seed):
    T = _pose(seed)
    model = CATALOGUE[name]
    here = _pixels(name, T)
    transforms = model.symmetry.transforms
    if name in ROUND:       # between the samples of the group, too
        transforms = [S @ make_transform(rotation_about('z', 0.0371), np.zeros(3))
                      for S in transforms[::7]]
    for S in transforms:
        there = _pixels(name, T @ S)
        apart = np.abs(here[:, None] - there[None]).max((2, 3))
        # Every way of the one is a way of the other.
        assert apart.min(1).max() < 1e-6 and apart.min(0).max() < 1e-6


@pytest.mark.parametrize('name', CATALOGUE)
def test_each_way_is_a_pose_of_the_object(name):
    """The keypoints of a way are the object's own, moved by one of its symmetries."""
    T = _pose(7)
    model = CATALOGUE[name]
    for points in CanonicalKeypoints(model).seen_from(T):
        a, b = points - points.mean(0), model.keypoints_m - model.keypoints_m.mean(0)
        U, _, Vt = np.linalg.svd(b.T @ a)
        R = (U @ Vt).T
        assert np.linalg.det(R) == pytest.approx(1) and np.allclose(b @ R.T, a, atol=1e-9)
        S = make_transform(R, points.mean(0) - R @ model.keypoints_m.mean(0))
        assert model.symmetry.rotation_error_rad(R, np.eye(3)) < 1e-6
        assert model.symmetry.position_error_m(S, np.eye(4)) < 1e-9


@pytest.mark.parametrize('name', ROUND)
def test_a_round_object_is_turned_to_the_camera_without_jumps(name):
    """Small moves of camera and object move the keypoints by little, in all usual views."""
    rng = np.random.default_rng(3)
    for elevation in np.radians([15, 30, 45, 60, 75, 90]):
        eye = np.array([np.cos(elevation), 0.001, np.sin(elevation)])
        T = invert_transform(look_at(eye, [0, 0, 0])) @ make_transform(
            rotation_about('z', rng.uniform(0, 6.3)), [0.0, 0.0, 0.03])
        moved = T @ make_transform(rotation_about('z', 1.0) @ rotation_about('x', 0.01),
                                   [0.002, -0.001, 0.001])
        assert np.abs(_pixels(name, T)[0] - _pixels(name, moved)[0]).max() < 4
