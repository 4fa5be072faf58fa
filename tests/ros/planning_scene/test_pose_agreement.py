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

"""Poses modulo symmetry, their mean, and when samples agree: without ROS."""
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import (make_transform, rotation_about, rotation_angle,
                                           rotation_from_rotvec)
from dr_perception.ros.planning_scene.pose_agreement import (mean_pose, pose_difference, seen_as,
                                                             spread)
from dr_perception.ros.planning_scene.pose_sampler import (PoseSampler, Refusal, Sample,
                                                           SamplingRules)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

numbers = st.floats(-3, 3)
rotations = st.tuples(numbers, numbers, numbers).map(
    lambda v: rotation_from_rotvec(np.array(v)))
poses = st.tuples(rotations, st.tuples(numbers, numbers, numbers)).map(
    lambda parts: make_transform(*parts))
RULES = SamplingRules(samples=3, max_spread_m=0.003, max_spread_rad=0.1, max_std_m=0.01,
                      min_score=0.5)


@given(poses, poses, st.sampled_from(['cube', 'cylinder', 'cone', 'tetrahedron']))
def test_the_nearest_look_is_a_look_and_none_is_nearer(catalogue, T_reference, T_object, name):
    symmetry = catalogue[name].symmetry
    T = seen_as(symmetry, T_reference, T_object)
    assert symmetry.rotation_error_rad(T[:3, :3], T_object[:3, :3]) < 1e-6
    assert symmetry.position_error_m(T, T_object) < 1e-9
    angle = pose_difference(T_reference, T)[1]
    others = T_object @ symmetry.transforms
    others_rad = rotation_angle(np.swapaxes(others[:, :3, :3], 1, 2) @ T_reference[:3, :3])
    assert angle <= others_rad.min() + 1e-6
    assert np.allclose(seen_as(symmetry, T, T_object), T, atol=1e-6)


@given(poses, st.floats(-3, 3))
def test_a_turn_of_a_round_object_is_none(catalogue, T, turn_rad):
    turned = T @ make_transform(rotation_about('z', turn_rad), np.zeros(3))
    assert np.allclose(seen_as(catalogue['cone'].symmetry, T, turned), T, atol=1e-7)


def test_without_a_symmetry_a_pose_is_itself():
    T = make_transform(rotation_about('x', 2.0), (1, 2, 3))
    assert seen_as(None, np.eye(4), T) is T


@given(poses, st.lists(st.tuples(*[st.floats(-0.1, 0.1)] * 6), min_size=1, max_size=6))
def test_the_mean_of_poses_and_their_mirror_images_is_the_middle(T, steps):
    around = []
    for step in np.array(steps):
        for sign in (1, -1):
            around.append(T @ make_transform(
                rotation_from_rotvec(sign * step[:3]), np.zeros(3)))
            around[-1][:3, 3] += sign * step[3:]
    mean = mean_pose(around)
    assert np.allclose(mean[:3, 3], T[:3, 3], atol=1e-9)
    assert pose_difference(mean, T)[1] < 2e-3     # of third order in the steps
    spread_m, spread_rad = spread(around, T)
    assert spread_m == pytest.approx(np.linalg.norm(np.array(steps)[:, 3:], axis=1).max())
    assert spread_rad == pytest.approx(
        np.linalg.norm(np.array(steps)[:, :3], axis=1).max(), abs=1e-7)


def sample(x=0.5, yaw_rad=0.0, name='cube_0', std_m=0.001, score=0.9):
    """Return a sample of an upright cube."""
    T = make_transform(rotation_about('z', yaw_rad), (x, 0.0, 0.0))
    return Sample(name, name.rpartition('_')[0], T, std_m, score)


class Asked:
    """A sampler that is shown pictures."""

    def __init__(self, wanted='cube', rules=RULES, **options):
        """Ask for something."""
        symmetry = Symmetry(np.stack([
            make_transform(rotation_about('z', i * np.pi / 2), np.zeros(3)) for i in range(4)]))
        self.sampler = PoseSampler(wanted, {'cube': symmetry}, rules, **options)
        self.stamp_ns = 0

    def show(self, *pictures):
        """Show pictures; return the last answer."""
        for picture in pictures:
            self.stamp_ns += 10
            answer = self.sampler.add_picture(picture, self.stamp_ns)
        return answer

    def refusal(self):
        """Return the kind and the text."""
        return self.sampler.refusal(2.0, '/detections')


def test_the_answer_is_the_mean_of_samples_in_a_row():
    asked = Asked()
    assert asked.show([sample(0.500)], [sample(0.501)]) is None
    answer = asked.show([sample(0.502, yaw_rad=np.pi / 2)])
    assert answer.instance_name == 'cube_0'
    assert answer.stamp_ns == 30
    assert answer.T_plan_object[0, 3] == pytest.approx(0.501)
    assert np.allclose(answer.T_plan_object[:3, :3], np.eye(3))
    assert answer.spread_m == pytest.approx(0.001)


def test_a_still_object_after_motion_is_answered():
    asked = Asked()
    moving = [[sample(0.5 + 0.01 * i)] for i in range(5)]
    assert asked.show(*moving) is None
    kind, text = asked.refusal()
    assert kind is Refusal.MOVING
    assert text.startswith('moving: cube within 2 s: 3 samples lie up to 10.0 mm and 0.0 deg')
    assert 'at most 3 mm (get_pose_max_spread_m)' in text
    assert asked.show(*[[sample(0.54)]] * 3) is not None


def test_a_turning_object_moves():
    asked = Asked()
    assert asked.show(*[[sample(yaw_rad=0.2 * i)] for i in range(3)]) is None
    assert asked.refusal()[0] is Refusal.MOVING


def test_the_wanted_instance_alone():
    asked = Asked('cube_1')
    assert asked.show(*[[sample()]] * 3) is None
    assert asked.refusal() == (
        Refusal.NOT_SEEN, 'not seen: cube_1 within 2 s: not in 3 pictures, which show cube_0')
    assert asked.show(*[[sample(), sample(0.9, name='cube_1')]] * 3).instance_name == 'cube_1'


def test_of_several_instances_the_best_answers():
    pictures = [[sample(score=0.6), sample(0.9, name='cube_1', score=0.8)]] * 3
    assert Asked().show(*pictures).instance_name == 'cube_1'


def test_a_gap_begins_anew():
    asked = Asked()
    assert asked.show([sample()], [sample()], [], [sample()], [sample()]) is None
    assert asked.refusal() == (Refusal.NOT_SEEN, 'not seen: cube within 2 s: in 4 of 5 pictures, '
                                                 'never in 3 in a row')


@pytest.mark.parametrize('bad, text', [
    ({'std_m': 0.02}, 'standard deviation 20.0 mm, at most 10 mm'),
    ({'std_m': float('nan')}, 'standard deviation nan mm'),
    ({'score': 0.4}, 'score 0.40, at least 0.5')])
def test_uncertain_samples_do_not_count(bad, text):
    asked = Asked()
    assert asked.show([sample()], [sample()], [sample(**bad)], [sample()], [sample()]) is None
    kind, line = asked.refusal()
    assert kind is Refusal.UNCERTAIN
    assert text in line
    assert asked.show([sample()]) is not None


def test_nothing_heard_is_stale():
    assert Asked().refusal() == (
        Refusal.STALE, 'stale: cube within 2 s: no detections on /detections; is pose_estimator '
                       'active, and does the camera publish?')


def test_older_pictures_do_not_count():
    asked = Asked(not_before_ns=35)
    assert asked.show(*[[sample()]] * 3) is None
    assert 'all 3 detections on /detections are of pictures older' in asked.refusal()[1]
    assert asked.show(*[[sample()]] * 3) is not None
