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

"""Out of range: distance, view angle, image border."""
import dataclasses

from dr_perception.core.trained_range import TrainedRange, view_elevation_deg
from dr_perception.core.transforms import look_at, make_transform
import numpy as np
import pytest

RANGE = {'object_distance_m': [0.5, 1.2], 'view_elevation_deg': [20, 70]}
IMAGE = np.zeros((480, 640, 3), np.uint8)


def _reasons(camera, T_camera_object, T_base_camera=None, trained=RANGE):
    corners = np.array(np.meshgrid(*[[-0.02, 0.02]] * 3)).reshape(3, -1).T
    [reasons] = TrainedRange(trained).reasons(T_camera_object[None], [corners], camera,
                                              T_base_camera)
    return reasons


def _at(x, y, z):
    return make_transform(np.eye(3), [x, y, z])


def test_inside_there_is_no_reason(camera):
    assert _reasons(camera, _at(0, 0, 1.0)) == ()


@pytest.mark.parametrize('z', [0.4, 1.3])
def test_the_distance(camera, z):
    assert _reasons(camera, _at(0, 0, z)) == ('distance',)


def test_the_view_angle_needs_the_base(camera):
    steep = look_at([0.5, 0.0, 1.0], [0.5001, 0.0, 0.0])
    assert _reasons(camera, _at(0, 0, 1.0), steep) == ('view angle',)
    flat = look_at([1.5, 0.0, 0.1], [0.5, 0.0, 0.0])
    assert _reasons(camera, _at(0, 0, 1.0), flat) == ('view angle',)
    assert _reasons(camera, _at(0, 0, 1.0)) == ()


def test_elevation_by_hand():
    T_base_camera = look_at([1.0, 0.0, 1.0], [0.0, 0.0, 0.0])
    assert view_elevation_deg(_at(0, 0, np.sqrt(2)), T_base_camera) == pytest.approx(45)


def test_the_image_border(camera):
    at_the_edge = _at((0 - camera.cx_px) / camera.fx_px, 0, 1.0)
    assert _reasons(camera, at_the_edge) == ('image border',)
    assert _reasons(camera, _at(0, 0, -1.0), trained={}) == ('image border',)


def test_each_of_several_is_judged_by_its_own_outline(camera):
    large = np.array(np.meshgrid(*[[-0.6, 0.6]] * 3)).reshape(3, -1).T
    small = np.array([[0.0, 0.0, 0.0], [0.01, 0.0, 0.0], [0.0, 0.01, 0.0]])
    poses = np.stack([_at(0, 0, 1.0), _at(0, 0, 1.0), _at(0, 0, 1.3)])
    assert TrainedRange(RANGE).reasons(poses, [large, small, small], camera, None) == [
        ('image border',), (), ('distance',)]
    assert TrainedRange(RANGE).reasons(np.zeros((0, 4, 4)), [], camera, None) == []


@pytest.mark.parametrize('odd', [{}, {'object_distance_m': None}, {'object_distance_m': [1]},
                                 {'object_distance_m': ['a', 'b']},
                                 {'object_distance_m': [2, 1]}, {'view_elevation_deg': 'abc'}])
def test_what_a_model_does_not_tell_is_not_judged(camera, odd):
    assert _reasons(camera, _at(0, 0, 9.0), look_at([0, 0, 9], [0.001, 0, 0]), odd) == ()


def test_a_detection_carries_its_reasons(contract, camera, T_base_camera, catalogue, resting_pose,
                                         perfect_network):
    from dr_perception.core.pipeline import PosePipeline
    T = resting_pose(catalogue['cube'])
    for trained, reasons in (({'object_distance_m': [0.1, 0.2]}, ('distance',)),
                             ({'object_distance_m': [0.1, 2.0]}, ())):
        model = dataclasses.replace(contract, trained_range=trained)
        pipeline = PosePipeline(model, perfect_network(model, camera, [('cube', T, 0.9)]))
        [found] = pipeline.estimate(IMAGE, camera, T_base_camera)
        assert found.out_of_range == reasons
