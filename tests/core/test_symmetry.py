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

"""Symmetries of the eight objects of the reference scene, and errors modulo them."""
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import make_transform, rotation_about, transform_points
import numpy as np
import pytest

#: Name, order of the rotation group (product.md), any turn about z is a symmetry.
GROUPS = [('cone', 64, True), ('cube', 24, False), ('cylinder', 128, True),
          ('hexagonal_prism', 12, False), ('pyramid', 4, False), ('rectangular_prism', 8, False),
          ('tetrahedron', 12, False), ('triangular_prism', 6, False)]
NAMES = [name for name, _, _ in GROUPS]


@pytest.mark.parametrize('name, order, continuous', GROUPS)
def test_the_order_of_the_group(catalogue, name, order, continuous):
    symmetry = catalogue[name].symmetry
    assert len(symmetry.transforms) == order
    assert symmetry.continuous_about_z == continuous
    assert np.allclose(symmetry.transforms[0], np.eye(4))


@pytest.mark.parametrize('name', NAMES)
def test_members_are_proper_rotations_and_differ(catalogue, name):
    transforms = catalogue[name].symmetry.transforms
    R = transforms[:, :3, :3]
    assert np.allclose(R @ np.swapaxes(R, 1, 2), np.eye(3), atol=1e-6)
    assert np.allclose(np.linalg.det(R), 1.0)
    flat = transforms.reshape(len(transforms), -1)
    differences = np.abs(flat[:, None] - flat[None]).max(-1) + np.eye(len(flat))
    assert differences.min() > 0.05


@pytest.mark.parametrize('name', NAMES)
def test_the_group_is_closed(catalogue, name):
    transforms = catalogue[name].symmetry.transforms
    flat = transforms.reshape(len(transforms), -1)
    for first in transforms[:: max(1, len(transforms) // 16)]:
        products = (first @ transforms).reshape(len(transforms), -1)
        nearest = np.abs(products[:, None] - flat[None]).max(-1).min(1)
        assert nearest.max() < 1e-5


@pytest.mark.parametrize('name', NAMES)
def test_every_member_maps_the_vertices_onto_themselves(catalogue, name):
    model = catalogue[name]
    for S in model.symmetry.transforms:
        moved = transform_points(S, model.vertices_m)
        distances = np.linalg.norm(moved[:, None] - model.vertices_m[None], axis=-1)
        assert distances.min(1).max() < 1e-6
        assert len(set(distances.argmin(1))) == len(model.vertices_m)


def test_only_the_tetrahedron_moves_its_origin(catalogue):
    moved = {name: np.abs(catalogue[name].symmetry.transforms[:, :3, 3]).max() > 1e-6
             for name in NAMES}
    assert [name for name in NAMES if moved[name]] == ['tetrahedron']
    tetrahedron = catalogue['tetrahedron']
    centroid = tetrahedron.vertices_m.mean(0)
    # The centroid is at a quarter of the height, the origin at half of it.
    assert np.allclose(centroid, [0, 0, -0.070 * np.sqrt(2 / 3) / 4], atol=1e-9)
    for S in tetrahedron.symmetry.transforms:
        assert np.allclose(transform_points(S, centroid[None])[0], centroid, atol=1e-9)


def test_the_tetrahedrons_position_error_is_modulo_its_symmetry(catalogue):
    model = catalogue['tetrahedron']
    T_truth = make_transform(rotation_about('x', 0.4), [0.1, 0.2, 0.8])
    S = model.symmetry.transforms[5]
    assert np.linalg.norm(S[:3, 3]) > 0.005
    assert model.symmetry.position_error_m(T_truth @ S, T_truth) == pytest.approx(0, abs=1e-9)
    assert Symmetry.none().position_error_m(T_truth @ S, T_truth) == pytest.approx(
        np.linalg.norm(S[:3, 3]))


@pytest.mark.parametrize('name', NAMES)
def test_equivalent_poses_have_no_error(catalogue, name):
    symmetry = catalogue[name].symmetry
    T_truth = make_transform(rotation_about('y', 0.7) @ rotation_about('z', 0.2), [0, 0.1, 0.9])
    for S in symmetry.transforms[::5]:
        T = T_truth @ S
        assert symmetry.position_error_m(T, T_truth) < 1e-7
        assert symmetry.rotation_error_rad(T[:3, :3], T_truth[:3, :3]) < 1e-5
        assert np.allclose(symmetry.nearest(T, T_truth), T, atol=1e-5)


def _error_deg(symmetry, R):
    return np.degrees(symmetry.rotation_error_rad(R, np.eye(3)))


def test_rotation_errors_by_hand(catalogue):
    turn = rotation_about('z', np.radians(50))
    assert _error_deg(catalogue['cube'].symmetry, turn) == pytest.approx(40)
    assert _error_deg(catalogue['hexagonal_prism'].symmetry, turn) == pytest.approx(10)
    assert _error_deg(catalogue['triangular_prism'].symmetry, turn) == pytest.approx(50)
    assert _error_deg(catalogue['rectangular_prism'].symmetry, turn) == pytest.approx(50)
    flip = rotation_about('x', np.radians(170))
    assert _error_deg(catalogue['pyramid'].symmetry, flip) == pytest.approx(170)
    assert _error_deg(catalogue['cube'].symmetry, flip) == pytest.approx(10)
    assert _error_deg(Symmetry.none(), turn) == pytest.approx(50)


@pytest.mark.parametrize('turn_rad', [0.0, 0.013, 1.0, 3.0])
def test_a_turn_about_the_axis_of_a_round_object_is_no_error(catalogue, turn_rad):
    turn = rotation_about('z', turn_rad)
    tilt = rotation_about('x', np.radians(20))
    for name in ('cone', 'cylinder'):
        assert _error_deg(catalogue[name].symmetry, turn) == pytest.approx(0, abs=1e-6)
        assert _error_deg(catalogue[name].symmetry, tilt @ turn) == pytest.approx(20)
    upside_down = rotation_about('y', np.pi) @ turn
    assert _error_deg(catalogue['cylinder'].symmetry, upside_down) == pytest.approx(0, abs=1e-6)
    assert _error_deg(catalogue['cone'].symmetry, upside_down) == pytest.approx(180)


@pytest.mark.parametrize('transforms, message', [
    (np.eye(4), r'symmetry transforms have shape \(4, 4\); expected \(G, 4, 4\) with G >= 1'),
    (np.zeros((0, 4, 4)), r'symmetry transforms have shape \(0, 4, 4\)'),
    (np.eye(4)[None] * 2, 'the first symmetry transform is not the identity')])
def test_what_is_no_group_is_refused(transforms, message):
    with pytest.raises(ValueError, match=message):
        Symmetry(transforms)
