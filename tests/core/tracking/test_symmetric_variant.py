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

"""The nearest of the poses that look the same, and covariances at another point."""
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.tracking.pose_filter import moved
from dr_perception.core.tracking.symmetric_variant import covariance_at, nearest_variant
from dr_perception.core.transforms import (make_transform, rotation_about, rotation_angle,
                                           rotation_from_rotvec)
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest

NAMES = ['cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
         'tetrahedron', 'triangular_prism']


def random_pose(rng):
    """Return any pose within half a metre."""
    return make_transform(rotation_from_rotvec(rng.normal(size=3) * 2), rng.uniform(-.5, .5, 3))


@pytest.mark.parametrize('name', NAMES)
@given(seed=st.integers(0, 2**32))
def test_no_equivalent_is_nearer(catalogue, name, seed):
    rng, symmetry = np.random.default_rng(seed), catalogue[name].symmetry
    T_track, T_found = random_pose(rng), random_pose(rng)
    T, _ = nearest_variant(symmetry, T_track, T_found, np.eye(6))
    # It looks the same ...
    assert symmetry.position_error_m(T, T_found) < 1e-6
    assert symmetry.rotation_error_rad(T[:3, :3], T_found[:3, :3]) < 1e-6
    # ... and no other is nearer.
    equivalents = T_found @ symmetry.transforms
    angles = rotation_angle(np.swapaxes(equivalents[:, :3, :3], 1, 2) @ T_track[:3, :3])
    assert rotation_angle(T[:3, :3].T @ T_track[:3, :3]) <= angles.min() + 1e-9


@pytest.mark.parametrize('name', ['cone', 'cylinder'])
@given(turn_rad=st.floats(-7, 7))
def test_any_turn_about_the_axis_is_taken_back_exactly(catalogue, name, turn_rad):
    T_track = random_pose(np.random.default_rng(3))
    T_found = T_track @ make_transform(rotation_about('z', turn_rad), np.zeros(3))
    T, _ = nearest_variant(catalogue[name].symmetry, T_track, T_found, np.eye(6))
    assert np.abs(T - T_track).max() < 1e-9


def test_without_a_symmetry_it_stays():
    rng = np.random.default_rng(5)
    T_found, covariance = random_pose(rng), np.diag(np.arange(1.0, 7.0))
    T, moved_covariance = nearest_variant(Symmetry.none(), random_pose(rng), T_found, covariance)
    assert np.array_equal(T, T_found) and np.array_equal(moved_covariance, covariance)


def test_the_covariance_goes_along_where_the_origin_moves(catalogue):
    """Against the spread of poses that are drawn, then replaced by their equivalents."""
    rng, symmetry = np.random.default_rng(7), catalogue['tetrahedron'].symmetry
    shifts_m = np.linalg.norm(symmetry.transforms[:, :3, 3], axis=1)
    S = symmetry.transforms[int(shifts_m.argmax())]
    T_found = random_pose(rng)
    T_track = T_found @ S
    covariance = np.diag([1e-4, 2e-4, 3e-4, 0.02, 0.03, 0.04]) ** 2
    T, found_covariance = nearest_variant(symmetry, T_track, T_found, covariance)
    assert np.allclose(T, T_track, atol=1e-7)
    drawn = [(moved(T_found, e) @ S)[:3, 3]
             for e in rng.multivariate_normal(np.zeros(6), covariance, 20_000)]
    spread = np.cov(np.transpose(drawn))
    assert np.allclose(found_covariance[:3, :3], spread, atol=0.05 * np.abs(spread).max())
    assert np.abs(found_covariance[:3, 3:]).max() > 1e-6


def test_a_covariance_at_another_point_by_hand():
    # 0.1 rad about z of a point 2 m along x: 0.2 m along y.
    covariance = covariance_at(np.diag([0, 0, 0, 0, 0, 0.01]), [2.0, 0, 0])
    assert covariance[1, 1] == pytest.approx(0.04)
    assert covariance[1, 5] == pytest.approx(0.02)
