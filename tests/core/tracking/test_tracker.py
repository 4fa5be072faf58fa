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

"""Who is whom, who is new, who is gone: the tracker on sequences of pictures."""
import math

from dr_perception.core.pipeline import Detection
from dr_perception.core.tracking.motion import ProcessNoise
from dr_perception.core.tracking.pose_filter import pose_difference
from dr_perception.core.tracking.rules import TrackerRules
from dr_perception.core.transforms import (look_at, make_transform, rotation_about, rotation_angle,
                                           rotation_from_rotvec)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

NAMES = ['cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
         'tetrahedron', 'triangular_prism']
SMALL = np.diag([0.002, 0.002, 0.002, 0.03, 0.03, 0.03]) ** 2


def at(x_m, y_m=0.0, yaw_rad=0.0, z_m=0.025):
    """Return a pose on the table."""
    return make_transform(rotation_about('z', yaw_rad), [x_m, y_m, z_m])


@pytest.mark.parametrize('motion', ['constant_pose', 'constant_velocity'])
@pytest.mark.parametrize('name', NAMES)
@given(seed=st.integers(0, 2**32))
@settings(max_examples=8, derandomize=True)  # the noise has tails: any seed may be unlucky
def test_equivalent_poses_never_flip(
        catalogue, make_tracker, make_camera, sequence, name, motion, seed):
    """The estimator says any of the equivalents from picture to picture; the track stays."""
    camera, symmetry = make_camera(seed, covariance=SMALL), catalogue[name].symmetry
    R = rotation_from_rotvec(camera.rng.normal(size=3) * 2)
    T_true = make_transform(R, [0.5, 0.1, 0.05])
    pictures, last = sequence(make_tracker(motion=motion, confirm_hits=1)), None
    for _ in range(12):
        shown = pictures.show(camera.see(name, T_true, symmetry=symmetry))
        assert list(shown) == [f'{name}_0']
        T = shown[f'{name}_0'].T_frame_object
        if last is not None:
            assert rotation_angle(T[:3, :3].T @ last[:3, :3]) < np.deg2rad(20)
            assert np.linalg.norm(T[:3, 3] - last[:3, 3]) < 0.02
        last = T
    assert symmetry.rotation_error_rad(last[:3, :3], T_true[:3, :3]) < np.deg2rad(10)
    assert symmetry.position_error_m(last, T_true) < 0.01


def test_resting_objects_become_steadier(make_tracker, make_camera, sequence):
    errors_m, raw_m, values = [], [], []
    for seed in range(60):
        camera = make_camera(seed)
        pictures = sequence(make_tracker(confirm_hits=1, noise=ProcessNoise(1e-6, 1e-5)))
        for _ in range(30):
            seen = camera.see('cube', at(0.5))
            cube = pictures.show(seen)['cube_0']
        difference = pose_difference(at(0.5), cube.T_frame_object)
        errors_m.append(np.linalg.norm(difference[:3]))
        raw_m.append(np.linalg.norm(seen.T_camera_object[:3, 3] - at(0.5)[:3, 3]))
        values.append(difference @ np.linalg.solve(cube.covariance, difference))
    assert np.mean(errors_m) < 0.3 * np.mean(raw_m)
    assert abs(np.mean(values) - 6) < 4 * math.sqrt(12 / 60)


@pytest.mark.parametrize('motion', ['constant_pose', 'constant_velocity'])
def test_what_every_picture_repeats_is_never_averaged_away(
        make_tracker, make_camera, sequence, motion):
    """Errors of which a part is the same in every picture: the covariance knows it (NEES)."""
    part, values = 0.8, []
    for seed in range(80):
        camera = make_camera(seed, covariance=SMALL)
        bias = camera.rng.multivariate_normal(np.zeros(6), part * SMALL)
        pictures = sequence(make_tracker(motion=motion, confirm_hits=1, systematic_part=part,
                                         noise=ProcessNoise(1e-6, 1e-5)))
        for _ in range(20):
            fresh = camera.rng.multivariate_normal(np.zeros(6), (1 - part) * SMALL)
            T = make_transform(rotation_from_rotvec((bias + fresh)[3:]) @ at(0.5)[:3, :3],
                               at(0.5)[:3, 3] + (bias + fresh)[:3])
            cube = pictures.show(Detection('cube', 0.9, T, SMALL))['cube_0']
        difference = pose_difference(at(0.5), cube.T_frame_object)
        values.append(difference @ np.linalg.solve(cube.covariance, difference))
        assert np.trace(cube.covariance) > part * np.trace(SMALL)
    assert abs(np.mean(values) - 6) < 4 * math.sqrt(12 / 80)


def test_confirmation(make_tracker, make_camera, sequence):
    camera, pictures = make_camera(), sequence(make_tracker(confirm_hits=3))
    cube = [camera.see('cube', at(0.5), is_noisy=False)]
    # Seen, seen, missed (takes one away), seen: two; seen: three.
    shown = [list(pictures.show(*seen)) for seen in (cube, cube, [], cube, cube)]
    assert shown == [[], [], [], [], ['cube_0']]
    # A false one that appears once in a while is never reported, nor does it take a number.
    for _ in range(4):
        assert list(pictures.show(*cube, camera.see('cube', at(0.6), is_noisy=False))) == [
            'cube_0']
        for _ in range(2):
            assert list(pictures.show(*cube)) == ['cube_0']
    cube.append(camera.see('cube', at(0.4), is_noisy=False))
    assert [list(pictures.show(*cube)) for _ in range(3)][-1] == ['cube_0', 'cube_1']


def test_expiry_and_the_score_until_then(make_tracker, make_camera, sequence):
    camera = make_camera()
    pictures = sequence(make_tracker(confirm_hits=1, expiry_s=1.0), period_ns=250_000_000)
    for score in (0.9, 0.7):
        shown = pictures.show(camera.see('cube', at(0.5), score, is_noisy=False))
    assert shown['cube_0'].score == pytest.approx(0.8) and shown['cube_0'].is_found
    covariance = shown['cube_0'].covariance
    for fading in (0.75, 0.5, 0.25):
        cube = pictures.show()['cube_0']
        assert cube.score == pytest.approx(0.8 * fading) and not cube.is_found
        assert np.trace(cube.covariance) > np.trace(covariance)
        covariance = cube.covariance
    assert pictures.show() == {}
    # Another one gets the number that became free.
    assert list(pictures.show(camera.see('cube', at(0.3)))) == ['cube_0']


def test_found_again_in_time_it_is_the_same_and_trusted_as_before(
        make_tracker, make_camera, sequence):
    camera = make_camera()
    pictures = sequence(make_tracker(confirm_hits=1), period_ns=250_000_000)
    seen = [camera.see('cube', at(0.5), 0.8), camera.see('cube', at(0.3), 0.9)]
    first = pictures.show(*seen)
    pictures.show(seen[1])
    again = pictures.show(*seen)
    assert set(first) == set(again) == {'cube_0', 'cube_1'}
    assert again['cube_1'].score == pytest.approx(0.8)
    assert again['cube_1'].T_frame_object[0, 3] == pytest.approx(0.5, abs=0.02)


def test_without_an_expiry_only_what_is_found_is_reported(make_tracker, make_camera, sequence):
    camera, tracker = make_camera(), make_tracker(confirm_hits=1, expiry_s=0.0)
    pictures = sequence(tracker)
    assert list(pictures.show(camera.see('cube', at(0.5)))) == ['cube_0']
    assert pictures.show() == {}


def test_a_slow_camera_does_not_lose_what_it_sees_in_every_picture(
        make_tracker, make_camera, sequence):
    camera = make_camera()
    pictures = sequence(make_tracker(expiry_s=1.0), period_ns=3_000_000_000)
    for _ in range(5):
        shown = pictures.show(camera.see('cube', at(0.5)))
    assert list(shown) == ['cube_0']


@pytest.mark.parametrize('motion', ['constant_pose', 'constant_velocity'])
def test_two_equal_objects_that_pass_each_other_keep_their_names(
        make_tracker, make_camera, sequence, motion):
    """Past each other at 6 cm, 0.2 m/s each; detections in any order."""
    for seed in range(6):
        camera = make_camera(seed, covariance=SMALL)
        pictures = sequence(make_tracker(motion=motion, noise=ProcessNoise(0.02, 0.1)))
        names = {}
        for x_m in np.arange(-0.15, 0.15, 0.2 * 0.033):
            seen = [camera.see('cube', at(0.5 + x_m, -0.03)),
                    camera.see('cube', at(0.5 - x_m, 0.03))]
            camera.rng.shuffle(seen)
            for name, cube in pictures.show(*seen).items():
                lane = cube.T_frame_object[1, 3] > 0
                assert names.setdefault(name, lane) == lane
        assert set(names) == {'cube_0', 'cube_1'}


def test_crossing_paths_need_a_velocity(make_tracker, make_camera, sequence):
    """In one lane, the camera blind while they meet: only a velocity tells them apart."""
    def ends(motion):
        camera = make_camera(3, covariance=SMALL)
        pictures = sequence(make_tracker(motion=motion, noise=ProcessNoise(0.01, 0.1)))
        begin, end = {}, {}
        for step, x_m in enumerate(np.arange(-0.15, 0.15, 0.2 * 0.033)):
            seen = [camera.see('cube', at(0.5 + x_m, 0.2 * x_m)),
                    camera.see('cube', at(0.5 - x_m, -0.2 * x_m))]
            shown = pictures.show(*(seen if abs(x_m) > 0.03 else []))
            if step == 8:
                begin = shown
            end = shown
        return {name: np.sign(end[name].T_frame_object[0, 3] - 0.5)
                != np.sign(begin[name].T_frame_object[0, 3] - 0.5) for name in begin}
    assert ends('constant_velocity') == {'cube_0': True, 'cube_1': True}
    assert not all(ends('constant_pose').values())


def test_a_moving_camera_does_not_move_the_objects(make_tracker, make_camera, sequence):
    """Eye in hand: the camera circles, two cubes rest; names, poses, covariance of the base."""
    camera = make_camera(1, covariance=np.diag([0.001, 0.001, 0.004, 0.02, 0.02, 0.02]) ** 2)
    pictures = sequence(make_tracker(confirm_hits=1))
    truth = {'cube_0': at(0.45, -0.1), 'cube_1': at(0.55, 0.1)}
    for angle_rad in np.linspace(0, np.pi / 2, 40):
        camera.T_frame_camera = look_at(
            [0.5 + 0.6 * np.cos(angle_rad), 0.6 * np.sin(angle_rad), 0.6], [0.5, 0, 0])
        seen = [camera.see('cube', T, score)
                for T, score in zip(truth.values(), (0.9, 0.8))]
        shown = pictures.show(*seen, T_frame_camera=camera.T_frame_camera)
        assert set(shown) == set(truth)
    for name, cube in shown.items():
        assert np.linalg.norm(cube.T_frame_object[:3, 3] - truth[name][:3, 3]) < 0.003
        back = cube.as_detection(camera.T_frame_camera)
        assert np.allclose(camera.T_frame_camera @ back.T_camera_object, cube.T_frame_object)
        R = camera.T_frame_camera[:3, :3]
        assert np.allclose(R @ back.covariance[:3, :3] @ R.T, cube.covariance[:3, :3])


def test_the_covariance_turns_with_the_camera(make_tracker, make_camera, sequence):
    """Seen along -x of the base frame: what the camera does not know is x there."""
    camera = make_camera(covariance=np.diag([0.001, 0.001, 0.01, 0.02, 0.02, 0.03]) ** 2)
    camera.T_frame_camera = look_at([1.1, 0, 0.025], [0.5, 0, 0.025])
    seen = camera.see('cube', at(0.5))
    cube = sequence(make_tracker(confirm_hits=1)).show(
        seen, T_frame_camera=camera.T_frame_camera)['cube_0']
    assert np.sqrt(np.diag(cube.covariance)) == pytest.approx(
        [0.01, 0.001, 0.001, 0.03, 0.02, 0.02])


def test_what_is_known_vaguely_does_not_attract_everything(make_tracker, make_camera, sequence):
    """One cube is not found for long; a poor picture of the other one stays the other's."""
    camera = make_camera(covariance=SMALL)
    pictures = sequence(make_tracker(confirm_hits=1, noise=ProcessNoise(0.05, 0.05)))
    pictures.show(camera.see('cube', at(0.5), is_noisy=False),
                  camera.see('cube', at(0.6), 0.8, is_noisy=False))
    for _ in range(25):
        shown = pictures.show(camera.see('cube', at(0.5), is_noisy=False))
        assert (shown['cube_0'].is_found, shown['cube_1'].is_found) == (True, False)
    # 2.1 deviations from the one, 1.7 from the other, which may be anywhere.
    assert np.sqrt(shown['cube_1'].covariance[0, 0]) > 0.04
    shown = pictures.show(camera.see('cube', at(0.52), is_noisy=False))
    assert (shown['cube_0'].is_found, shown['cube_1'].is_found) == (True, False)


def test_what_is_known_comes_before_what_may_be_false(make_tracker, make_camera, sequence):
    camera = make_camera(covariance=SMALL * 25)
    pictures = sequence(make_tracker(confirm_hits=5))
    for _ in range(5):
        pictures.show(camera.see('cube', at(0.5), is_noisy=False))
    pictures.show(camera.see('cube', at(0.5), is_noisy=False),
                  camera.see('cube', at(0.53), is_noisy=False))
    assert pictures.show(camera.see('cube', at(0.526), is_noisy=False))['cube_0'].is_found


def test_duplicates_are_one(make_tracker, make_camera, sequence):
    camera, pictures = make_camera(), sequence(make_tracker(confirm_hits=2))
    for _ in range(6):
        shown = pictures.show(
            camera.see('cube', at(0.5), 0.6, is_noisy=False),
            camera.see('cube', at(0.512), 0.9, is_noisy=False),   # inside the other
            camera.see('cube', at(0.56), 0.8, is_noisy=False),    # beside it
            camera.see('cone', at(0.5), 0.5, is_noisy=False))     # of another kind
    assert {name: round(t.T_frame_object[0, 3], 2) for name, t in shown.items()} == {
        'cube_0': 0.51, 'cube_1': 0.56, 'cone_0': 0.5}


def test_an_object_that_was_turned_over_keeps_its_name(make_tracker, make_camera, sequence):
    camera = make_camera(covariance=SMALL)
    pictures = sequence(make_tracker(confirm_hits=3))
    for _ in range(5):
        pictures.show(camera.see('cone', at(0.5)))
    upside_down = make_transform(rotation_about('x', np.pi), [0.5, 0, 0.03])
    # One such picture is taken for an error ...
    shown = pictures.show(camera.see('cone', upside_down))
    assert shown['cone_0'].T_frame_object[2, 2] > 0.9
    shown = pictures.show(camera.see('cone', at(0.5)))
    assert list(shown) == ['cone_0'] and shown['cone_0'].T_frame_object[2, 2] > 0.9
    # ... several are the truth; never are there two.
    for _ in range(5):
        shown = pictures.show(camera.see('cone', upside_down))
        assert list(shown) == ['cone_0']
    assert shown['cone_0'].T_frame_object[2, 2] < -0.9


def test_what_is_taken_for_turned_over_does_not_flip_either(
        catalogue, make_tracker, make_camera, sequence):
    """It moved too far for the gate, and is seen as another of its equivalents."""
    camera, pictures = make_camera(covariance=SMALL), sequence(make_tracker(confirm_hits=2))
    R_rolled = rotation_about('y', 0.5)
    for number, S in enumerate(catalogue['cube'].symmetry.transforms):
        for _ in range(3):
            pictures.show(camera.see('cube', at(0.5), is_noisy=False))
        rolled = make_transform(R_rolled, at(0.5)[:3, 3]) @ S
        for _ in range(4):
            shown = pictures.show(camera.see('cube', rolled, is_noisy=False))
        R = shown['cube_0'].T_frame_object[:3, :3]
        assert rotation_angle(R.T @ R_rolled) < 0.01, number
        for _ in range(4):
            pictures.show(camera.see('cube', at(0.5), is_noisy=False))


def test_most_pictures_wrong_is_not_believed(make_tracker, make_camera, sequence):
    camera = make_camera(covariance=SMALL)
    pictures = sequence(make_tracker(confirm_hits=3))
    upside_down = make_transform(rotation_about('x', np.pi), [0.5, 0, 0.03])
    for _ in range(3):
        pictures.show(camera.see('cone', at(0.5)))
    for _ in range(10):
        for T in (upside_down, upside_down, at(0.5)):  # often, but never three on end
            shown = pictures.show(camera.see('cone', T))
            assert list(shown) == ['cone_0'] and shown['cone_0'].T_frame_object[2, 2] > 0.9


def test_repeated_and_overtaken_pictures_teach_nothing(make_tracker, make_camera, sequence):
    camera = make_camera()
    pictures = sequence(make_tracker(motion='constant_velocity', confirm_hits=2))
    for x_m in np.arange(0.4, 0.5, 0.005):
        shown = pictures.show(camera.see('cube', at(x_m), is_noisy=False))
    newest = shown['cube_0']
    assert newest.twist[0] == pytest.approx(0.005 / 0.033, abs=0.02)
    again = pictures.show(camera.see('cube', at(0.6)), after_ns=0)['cube_0']
    assert np.array_equal(again.T_frame_object, newest.T_frame_object)
    assert np.array_equal(again.covariance, newest.covariance)
    # Where it was 0.1 s before.
    before = pictures.show(after_ns=-100_000_000)['cube_0']
    assert before.T_frame_object[0, 3] == pytest.approx(
        newest.T_frame_object[0, 3] - 0.1 * newest.twist[0])
    pictures.stamp_ns += 100_000_000
    # An unconfirmed object does not become one by one picture shown twice.
    cone = camera.see('cone', at(0.2))
    pictures.show(cone)
    assert 'cone_0' not in pictures.show(cone, after_ns=0)
    assert 'cone_0' in pictures.show(cone)


def test_a_jump_back_in_time_begins_anew(make_tracker, make_camera, sequence):
    camera = make_camera()
    pictures = sequence(make_tracker(confirm_hits=2, reorder_s=1.0))
    cube = camera.see('cube', at(0.5), is_noisy=False)
    for _ in range(3):
        assert list(pictures.show(cube)) in ([], ['cube_0'])
    assert pictures.show(cube, after_ns=-5_000_000_000) == {}
    assert list(pictures.show(cube)) == ['cube_0']
    # And forth: a picture of the far future, then the present again.
    pictures.show(cube, after_ns=10**18)
    pictures.show(cube, after_ns=-10**18)
    assert list(pictures.show(cube)) == ['cube_0']


@pytest.mark.parametrize('motion', ['constant_pose', 'constant_velocity'])
def test_a_gap_is_no_flight(make_tracker, make_camera, sequence, motion):
    """After a minute without pictures what moved is not looked for kilometres away."""
    camera = make_camera(covariance=SMALL)
    pictures = sequence(make_tracker(motion=motion, noise=ProcessNoise(0.02, 0.1)))
    for x_m in np.arange(0.4, 0.5, 0.005):
        shown = pictures.show(camera.see('cube', at(x_m)))
    assert list(shown) == ['cube_0']
    shown = pictures.show(camera.see('cube', at(0.5)), after_ns=60_000_000_000)
    assert list(shown) == ['cube_0']
    assert np.linalg.norm(shown['cube_0'].twist[:3]) < 0.05
    assert shown['cube_0'].T_frame_object[0, 3] == pytest.approx(0.5, abs=0.01)
    # Nor is another one, far away, the same.
    assert pictures.show(camera.see('cube', at(2.5)), after_ns=60_000_000_000) == {}


@given(data=st.data())
@settings(max_examples=60)
def test_nothing_that_comes_breaks_it(make_tracker, make_camera, sequence, data):
    """Any detections at any stamps: names are unique, numbers finite, covariances positive."""
    camera = make_camera(data.draw(st.integers(0, 2**32)))
    pictures = sequence(make_tracker(
        motion=data.draw(st.sampled_from(['constant_pose', 'constant_velocity'])),
        confirm_hits=data.draw(st.integers(1, 3)), expiry_s=data.draw(st.sampled_from([0.0, 1.0])),
        systematic_part=data.draw(st.sampled_from([0.0, 0.9]))))
    for _ in range(data.draw(st.integers(1, 12))):
        seen = []
        for _ in range(data.draw(st.integers(0, 4))):
            covariance = np.diag(10.0 ** camera.rng.uniform(-8, 0, 6))
            T = make_transform(rotation_from_rotvec(camera.rng.normal(size=3) * 2),
                               camera.rng.uniform(-0.1, 0.1, 3))
            if data.draw(st.integers(0, 9)) == 0:
                T[0, 3] = data.draw(st.sampled_from([np.nan, np.inf]))
            seen.append(Detection(data.draw(st.sampled_from(NAMES)), 0.5, T, covariance))
        step_ns = data.draw(st.sampled_from(
            [33_000_000, 1, 0, -1, -10**8, 2 * 10**9, -2 * 10**9, 10**18, -10**18]))
        for tracked in pictures.show(*seen, after_ns=step_ns).values():
            assert np.isfinite(tracked.T_frame_object).all()
            R = tracked.T_frame_object[:3, :3]
            assert np.abs(R @ R.T - np.eye(3)).max() < 1e-9
            assert np.linalg.eigvalsh(tracked.covariance).min() > 0
            assert 0 <= tracked.score <= 1


def test_another_motion_model_begins_anew_other_rules_do_not(
        make_tracker, make_camera, sequence):
    camera, tracker = make_camera(), make_tracker(confirm_hits=1)
    pictures, cube = sequence(tracker), camera.see('cube', at(0.5))
    pictures.show(cube)
    tracker.rules = TrackerRules(confirm_hits=2)
    assert list(pictures.show(cube)) == ['cube_0']
    tracker.rules = TrackerRules(motion='constant_velocity', confirm_hits=2)
    assert pictures.show(cube) == {}


@pytest.mark.parametrize('values, text', [
    ({'motion': 'brownian'}, "motion is 'brownian'; expected one of constant_pose, "),
    ({'confirm_hits': 0}, 'confirm_hits is 0; expected 1 or more'),
    ({'expiry_s': -1.0}, 'expiry_s is -1.0; expected 0 or more seconds'),
    ({'gap_s': math.nan}, 'gap_s is nan; expected 0 or more seconds'),
    ({'reorder_s': -1.0}, 'reorder_s is -1.0; expected 0 or more seconds'),
    ({'gate_probability': 1.0}, r'gate_probability is 1.0; expected 0 \.\.\. below 1'),
    ({'systematic_part': 1.0}, r'systematic_part is 1.0; expected 0 \.\.\. below 1'),
    ({'noise': ProcessNoise(0.0, 0.1)}, 'expected positive numbers')])
def test_rules_that_cannot_be(values, text):
    with pytest.raises(ValueError, match=text):
        TrackerRules(**values)
