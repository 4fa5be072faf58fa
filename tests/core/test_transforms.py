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

"""Rotations and transforms: round trips, and signs computed by hand."""
from dr_perception.core.transforms import (check_transform, invert_transform, look_at,
                                           make_transform, quat_xyzw_from_rotation,
                                           rotate_covariance, rotation_about, rotation_angle,
                                           rotation_from_quat_xyzw, rotation_from_rotvec,
                                           rotvec_from_rotation, skew, transform_points)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

coordinates = st.floats(-1.0, 1.0)
vectors = st.tuples(coordinates, coordinates, coordinates).map(np.array)
directions = vectors.filter(lambda v: np.linalg.norm(v) > 0.1).map(lambda v: v / np.linalg.norm(v))
quaternions = st.tuples(*[coordinates] * 4).map(np.array).filter(
    lambda q: np.linalg.norm(q) > 0.1)
fast = settings(max_examples=60, deadline=None, derandomize=True)


@fast
@given(quaternions)
def test_quaternion_round_trip(quat_xyzw):
    R = rotation_from_quat_xyzw(quat_xyzw)
    assert np.allclose(R @ R.T, np.eye(3), atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1.0)
    back = quat_xyzw_from_rotation(R)
    assert back[3] >= 0
    unit = quat_xyzw / np.linalg.norm(quat_xyzw)
    assert min(np.abs(back - unit).max(), np.abs(back + unit).max()) < 1e-9


@fast
@given(directions, st.floats(0.0, np.pi - 1e-6))
def test_rotation_vector_round_trip(direction, angle_rad):
    rotvec = direction * angle_rad
    R = rotation_from_rotvec(rotvec)
    assert rotation_angle(R) == pytest.approx(angle_rad, abs=1e-9)
    assert np.allclose(rotvec_from_rotation(R), rotvec, atol=1e-7)


@fast
@given(directions)
def test_half_turns_keep_their_axis(direction):
    rotvec = rotvec_from_rotation(rotation_from_rotvec(direction * np.pi))
    assert np.linalg.norm(rotvec) == pytest.approx(np.pi, abs=1e-6)
    assert abs(rotvec @ direction) == pytest.approx(np.pi, abs=1e-6)


@pytest.mark.parametrize('quat_xyzw, axis, angle_deg', [
    ([0, 0, 0, 1], 'z', 0), ([1, 0, 0, 0], 'x', 180), ([0, 1, 0, 0], 'y', 180),
    ([0, 0, 1, 0], 'z', 180), ([0, 0, np.sqrt(0.5), np.sqrt(0.5)], 'z', 90),
    ([-np.sqrt(0.5), 0, 0, np.sqrt(0.5)], 'x', -90)])
def test_known_quaternions(quat_xyzw, axis, angle_deg):
    R = rotation_about(axis, np.radians(angle_deg))
    assert np.allclose(rotation_from_quat_xyzw(quat_xyzw), R, atol=1e-12)
    assert np.allclose(rotation_from_quat_xyzw(quat_xyzw_from_rotation(R)), R, atol=1e-12)


def test_a_quarter_turn_about_z_carries_x_to_y():
    assert np.allclose(rotation_about('z', np.pi / 2) @ [1, 0, 0], [0, 1, 0])
    assert np.allclose(rotation_about('x', np.pi / 2) @ [0, 1, 0], [0, 0, 1])
    assert np.allclose(rotation_about('y', np.pi / 2) @ [0, 0, 1], [1, 0, 0])


def test_small_angles_keep_their_digits():
    assert rotation_angle(rotation_about('y', 1e-9)) == pytest.approx(1e-9, rel=1e-6)
    assert np.allclose(rotvec_from_rotation(rotation_about('y', 1e-9)), [0, 1e-9, 0], atol=1e-15)
    assert np.array_equal(rotvec_from_rotation(np.eye(3)), np.zeros(3))


def test_rotation_angles_of_a_stack():
    stack = np.stack([rotation_about('x', a) for a in (0.0, 0.5, np.pi)])
    assert np.allclose(rotation_angle(stack), [0.0, 0.5, np.pi])


@fast
@given(vectors, vectors)
def test_skew_is_the_cross_product(a, b):
    assert np.allclose(skew(a) @ b, np.cross(a, b))


@fast
@given(vectors, st.integers(0, 99))
def test_a_turned_covariance_is_symmetric_to_the_last_bit(rotvec, seed):
    turned = rotate_covariance(rotation_about('z', np.pi / 2), np.diag([1.0, 2, 3, 4, 5, 6]))
    assert np.diag(turned) == pytest.approx([2, 1, 3, 5, 4, 6])
    A = np.random.default_rng(seed).normal(size=(6, 6))
    turned = rotate_covariance(rotation_from_rotvec(rotvec), A @ A.T)
    assert np.array_equal(turned, turned.T)


@fast
@given(vectors, vectors, vectors)
def test_a_transform_and_its_inverse_cancel(rotvec, t, point):
    T_a_b = make_transform(rotation_from_rotvec(rotvec), t)
    assert np.allclose(invert_transform(T_a_b) @ T_a_b, np.eye(4), atol=1e-12)
    moved = transform_points(T_a_b, point[None])
    assert np.allclose(moved[0], (T_a_b @ np.append(point, 1))[:3])
    assert np.allclose(transform_points(invert_transform(T_a_b), moved)[0], point, atol=1e-12)


def test_look_at_makes_an_optical_frame():
    # Looking along +x with z up: right is -y, down is -z.
    T = look_at((0, 0, 1), (1, 0, 1))
    assert np.allclose(T[:3, :3], np.array([[0, 0, 1], [-1, 0, 0], [0, -1, 0]]))
    assert np.allclose(T[:3, 3], [0, 0, 1])


def test_look_at_of_the_reference_camera():
    T = look_at((1.10, 0.0, 0.65), (0.5, 0.0, 0.0))
    length = np.hypot(0.6, 0.65)
    # It looks back at the arm: the image's right is +y; image down is down and towards itself.
    assert np.allclose(T[:3, 0], [0, 1, 0])
    assert np.allclose(T[:3, 1], np.array([0.65, 0, -0.6]) / length)
    assert np.allclose(T[:3, 2], np.array([-0.6, 0, -0.65]) / length)
    assert np.allclose(invert_transform(T) @ [0.5, 0, 0, 1], [0, 0, length, 1])


def test_roll_turns_the_picture_about_the_view_direction():
    T = look_at((0, 0, 1), (1, 0, 1), roll_rad=np.pi / 2)
    assert np.allclose(T[:3, 0], [0, 0, -1])
    assert np.allclose(T[:3, 2], [1, 0, 0])


@pytest.mark.parametrize('target', [(0, 0, 0), (0, 0, 1)])
def test_look_at_without_a_horizon_is_refused(target):
    with pytest.raises(ValueError, match='has no defined horizon; move one of the two'):
        look_at((0, 0, 1), target)


@pytest.mark.parametrize('quat', [[0, 0, 0, 0], [np.nan, 0, 0, 1], [np.inf, 0, 0, 1]])
def test_a_quaternion_without_direction_is_refused(quat):
    with pytest.raises(ValueError, match='has no direction; expected x, y, z, w of unit norm'):
        rotation_from_quat_xyzw(quat)


def test_a_good_transform_is_returned():
    assert check_transform(np.eye(4).tolist(), 'T').dtype == np.float64


@pytest.mark.parametrize('matrix, message', [
    (np.eye(3), r'T_x has shape \(3, 3\); expected a 4x4 transform'),
    (np.full((4, 4), np.nan), 'T_x holds NaN or infinity; expected a finite 4x4 transform'),
    (np.diag([2.0, 1, 1, 1]), r'T_x: its 3x3 part is not a rotation \(\|R R\^T - 1\| = 3, '
     r'determinant 2\); give an orthonormal right-handed matrix'),
    (np.diag([-1.0, 1, 1, 1]), 'T_x: its 3x3 part is not a rotation .* determinant -1'),
    (np.eye(4) + np.eye(4)[:, [3, 1, 2, 0]] * 0.1 * (np.arange(4) == 3)[:, None],
     r'T_x: its last row is \[.*\]; expected 0 0 0 1')])
def test_what_is_no_transform_is_refused(matrix, message):
    with pytest.raises(ValueError, match=message):
        check_transform(matrix, 'T_x')
