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

"""The filter: derivatives, convergence, and a covariance that tells the truth (NEES)."""
from dr_perception.core.tracking.motion import (left_jacobian, MOTION_MODELS, PoseState,
                                                ProcessNoise)
from dr_perception.core.tracking.pose_filter import moved, pose_difference, updated
from dr_perception.core.transforms import make_transform, rotation_from_rotvec
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

COVARIANCE = np.diag([0.002, 0.002, 0.006, 0.03, 0.03, 0.04]) ** 2
PERIOD_S = 0.033
vectors = st.lists(st.floats(-1, 1), min_size=3, max_size=3).map(np.array)


def random_pose(rng):
    """Return any pose within half a metre."""
    return make_transform(rotation_from_rotvec(rng.normal(size=3) * 2), rng.uniform(-.5, .5, 3))


def squared_error(state, T_true):
    """Return the normalized estimation error squared of the pose."""
    error = pose_difference(T_true, state.T_frame_object)
    return error @ np.linalg.solve(state.covariance[:6, :6], error)


def mean_within(values, degrees=6, deviations=4.0):
    """Whether the mean of chi-square values is what it should be."""
    return abs(np.mean(values) - degrees) < deviations * np.sqrt(2 * degrees / len(values))


@given(vectors, vectors)
def test_left_jacobian_against_finite_differences(v, d):
    step = 1e-6
    exact = rotation_from_rotvec(v + step * d)
    linear = rotation_from_rotvec(left_jacobian(v) @ d * step) @ rotation_from_rotvec(v)
    assert np.abs(exact - linear).max() < 1e-10


@given(st.integers(0, 2**32))
def test_difference_and_move_are_inverse(seed):
    rng = np.random.default_rng(seed)
    T_from, T_to = random_pose(rng), random_pose(rng)
    assert np.allclose(moved(T_from, pose_difference(T_to, T_from)), T_to, atol=1e-9)


@pytest.mark.parametrize('dt_s', [0.4, -0.4])
def test_prediction_carries_errors_as_finite_differences_do(dt_s):
    """The covariance after a prediction is that of states drawn before and moved one by one."""
    rng, model = np.random.default_rng(1), MOTION_MODELS['constant_velocity']
    P = np.diag(np.repeat([0.01, 0.02, 0.03, 0.05], 3)) ** 2
    P[0, 6] = P[6, 0] = 0.5 * 0.01 * 0.03
    state = PoseState(random_pose(rng), np.array([0.3, -0.2, 0.1, 1.0, -0.8, 0.5]), P)
    quiet = ProcessNoise(1e-9, 1e-9)
    predicted = model.predict(state, dt_s, quiet)
    drawn = []
    for e in rng.multivariate_normal(np.zeros(12), P, 10_000):
        other = model.predict(PoseState(
            moved(state.T_frame_object, e[:6]), state.twist + e[6:], P), dt_s, quiet)
        drawn.append([*pose_difference(other.T_frame_object, predicted.T_frame_object),
                      *(other.twist - predicted.twist)])
    deviations = np.sqrt(np.diag(predicted.covariance))
    scale = np.outer(deviations, deviations)
    assert np.abs((np.cov(np.transpose(drawn)) - predicted.covariance) / scale).max() < 0.06


@pytest.mark.parametrize('motion', list(MOTION_MODELS))
@pytest.mark.parametrize('dt_s', [0.8, -0.8])
def test_one_long_step_is_many_short_ones(motion, dt_s):
    """So that the covariance does not depend on the rate of the camera."""
    rng, model, noise = np.random.default_rng(3), MOTION_MODELS[motion], ProcessNoise(0.3, 0.5)
    start = model.start(random_pose(rng), COVARIANCE)
    state, long = start, model.predict(start, dt_s, noise)
    for _ in range(4):
        state = model.predict(state, dt_s / 4, noise)
    assert np.allclose(state.T_frame_object, long.T_frame_object, atol=1e-12)
    assert np.allclose(state.covariance, long.covariance, rtol=1e-9, atol=1e-15)
    assert np.trace(long.covariance[:3, :3]) > np.trace(COVARIANCE[:3, :3]) + 0.05


@pytest.mark.parametrize('share', [1e-9, 1e9])
def test_after_a_large_correction_the_covariance_is_that_of_what_was_believed(share):
    """A sure measurement brings its own covariance, about the axes of the frame; or nothing."""
    rng, sure = np.random.default_rng(4), np.diag([1, 2, 3, 4, 5, 6]) * 1e-6
    state = MOTION_MODELS['constant_pose'].start(random_pose(rng), sure)
    T_found = moved(state.T_frame_object, np.array([0.1, 0, 0, 0.0, 0.8, 0.3]))
    after = updated(state, T_found, sure * share)
    assert np.allclose(after.covariance, sure * min(share, 1.0), rtol=1e-6, atol=1e-20)
    believed = T_found if share < 1 else state.T_frame_object
    assert np.allclose(after.T_frame_object, believed, atol=1e-8)


def test_back_and_forth_without_noise_is_where_it_was():
    model, quiet = MOTION_MODELS['constant_velocity'], ProcessNoise(1e-9, 1e-9)
    rng = np.random.default_rng(2)
    state = PoseState(random_pose(rng), rng.normal(size=6), np.eye(12) * 1e-4)
    there = model.predict(state, 0.7, quiet)
    back = model.predict(there, -0.7, quiet)
    assert np.allclose(back.T_frame_object, state.T_frame_object, atol=1e-12)
    assert np.allclose(back.covariance, state.covariance, atol=1e-9)
    assert not np.allclose(there.T_frame_object, state.T_frame_object, atol=0.1)


@pytest.mark.parametrize('motion', list(MOTION_MODELS))
@given(seed=st.integers(0, 2**32))
@settings(max_examples=3, derandomize=True)  # a statistic: any seed may be unlucky
def test_resting_objects_converge_and_the_covariance_is_consistent(motion, seed):
    """Many objects at rest: better than one picture, and as good as the filter says."""
    rng, model = np.random.default_rng(seed), MOTION_MODELS[motion]
    values, ratios = [], []
    for _ in range(60):
        T_true = random_pose(rng)
        draws = rng.multivariate_normal(np.zeros(6), COVARIANCE, 40)
        state = model.start(moved(T_true, draws[0]), COVARIANCE)
        if motion == 'constant_velocity':  # it rests, and the filter is told so
            state = PoseState(state.T_frame_object, state.twist, np.block([
                [COVARIANCE, np.zeros((6, 6))], [np.zeros((6, 6)), np.eye(6) * 1e-8]]))
        for draw in draws[1:]:
            state = model.predict(state, PERIOD_S, ProcessNoise(1e-7, 1e-6))
            state = updated(state, moved(T_true, draw), COVARIANCE)
        values.append(squared_error(state, T_true))
        error = pose_difference(T_true, state.T_frame_object)
        ratios.append(error[:3] @ error[:3] / np.trace(COVARIANCE[:3, :3]))
    assert mean_within(values), np.mean(values)
    assert np.mean(ratios) < 2.0 / 40


@pytest.mark.parametrize('motion', list(MOTION_MODELS))
def test_moving_objects_as_the_model_has_them_are_consistent(motion):
    """NEES where the truth moves by the very law that the filter assumes."""
    rng, model, noise = np.random.default_rng(11), MOTION_MODELS[motion], ProcessNoise(0.03, 0.3)
    values = []
    for _ in range(150):
        T_true, twist = random_pose(rng), np.zeros(6)
        if motion == 'constant_velocity':
            twist = rng.normal(size=6) * np.repeat([0.3, 1.0], 3)
        state = model.start(
            moved(T_true, rng.multivariate_normal(np.zeros(6), COVARIANCE)), COVARIANCE)
        for _ in range(20):
            truth = PoseState(T_true, twist, np.zeros((len(state.covariance),) * 2))
            ahead = model.predict(truth, PERIOD_S, noise)
            draw = rng.multivariate_normal(np.zeros(len(ahead.covariance)), ahead.covariance)
            T_true = moved(ahead.T_frame_object, draw[:6])
            twist = twist + draw[6:] if len(draw) > 6 else twist
            state = model.predict(state, PERIOD_S, noise)
            state = updated(
                state, moved(T_true, rng.multivariate_normal(np.zeros(6), COVARIANCE)), COVARIANCE)
        values.append(squared_error(state, T_true))
    assert mean_within(values), np.mean(values)


def test_the_velocity_of_a_conveyor_is_found():
    rng, model = np.random.default_rng(13), MOTION_MODELS['constant_velocity']
    twist = np.array([0.2, -0.1, 0.0, 0.0, 0.0, 0.5])
    T_true, noise = random_pose(rng), ProcessNoise(0.005, 0.05)
    state = model.start(T_true, COVARIANCE)
    for _ in range(60):
        T_true = model.predict(
            PoseState(T_true, twist, np.zeros((12, 12))), PERIOD_S, noise).T_frame_object
        state = model.predict(state, PERIOD_S, noise)
        state = updated(
            state, moved(T_true, rng.multivariate_normal(np.zeros(6), COVARIANCE)), COVARIANCE)
    assert state.twist[:3] == pytest.approx(twist[:3], abs=0.02)
    assert state.twist[3:] == pytest.approx(twist[3:], abs=0.15)
