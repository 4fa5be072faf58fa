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

"""How the objects rest on a table."""
import copy
import dataclasses
import pickle

from dr_perception.core.resting import RestingPoses, rotation_to_down, YAW_STEPS
from dr_perception.core.transforms import transform_points
import numpy as np
import pytest

NAMES = ['cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
         'tetrahedron', 'triangular_prism']
#: Number of stable faces, and heights of the origin on them, from the sizes of product.md.
FACES = [('cone', 65, {0.035, 0.035 * 3 / np.sqrt(58)}), ('cube', 6, {0.025}),
         ('cylinder', 66, {0.030, 0.025}),
         ('hexagonal_prism', 8, {0.025, 0.030 * np.sqrt(3) / 2}),
         ('pyramid', 5, {0.030, 0.030 / np.sqrt(5)}),
         ('rectangular_prism', 6, {0.040, 0.020}),
         ('tetrahedron', 4, {0.070 * np.sqrt(2 / 3) / 2, 0.070 * np.sqrt(2 / 3) / 6}),
         ('triangular_prism', 5, {0.035, 0.060 / np.sqrt(12)})]


@pytest.mark.parametrize('name, count, heights_m', FACES)
def test_stable_faces_and_heights(catalogue, name, count, heights_m):
    rest = RestingPoses.of(catalogue[name])
    assert len(rest.downs) == len(rest.heights_m) == count
    assert np.allclose(rest.downs[0], [0, 0, -1], atol=1e-6)
    for height in heights_m:
        assert np.abs(rest.heights_m - height).min() < 5e-5
    for height in rest.heights_m:
        assert min(abs(height - known) for known in heights_m) < 5e-5


@pytest.mark.parametrize('name', NAMES)
def test_an_object_at_rest_touches_the_table_and_no_more(catalogue, name):
    model = catalogue[name]
    rest = RestingPoses.of(model)
    for down, height in zip(rest.downs, rest.heights_m):
        T_base_object = np.eye(4)
        T_base_object[:3, :3] = rotation_to_down(down)
        T_base_object[2, 3] = height
        z = transform_points(T_base_object, model.vertices_m)[:, 2]
        assert z.min() == pytest.approx(0, abs=2e-6)
        assert (z < 1e-4).sum() >= 3


@pytest.mark.parametrize('name', NAMES)
def test_starts_stand_on_their_face(catalogue, name):
    rest = RestingPoses.of(catalogue[name])
    pointing = np.einsum('sij,sj->si', rest.start_rotations, rest.downs[rest.start_rest])
    assert np.allclose(pointing, [0, 0, -1], atol=1e-6)
    assert np.array_equal(rest.start_heights_m, rest.heights_m[rest.start_rest])
    assert len(rest.start_rotations) == len(rest.start_rest) <= 20 * YAW_STEPS


def test_the_sides_of_a_round_object_are_one_hypothesis(catalogue):
    for name, groups in (('cone', 2), ('cylinder', 3), ('cube', 6)):
        rest = RestingPoses.of(catalogue[name])
        assert len(rest.group_begin) == groups
        assert rest.round_side.any() == (name != 'cube')
        assert not rest.round_side[0]


def test_an_object_of_unknown_faces_stands_upright_on_its_lowest_vertex(catalogue):
    model = dataclasses.replace(catalogue['cone'], resting_downs=np.zeros((0, 3)),
                                resting_heights_m=np.zeros(0))
    rest = RestingPoses.of(model)
    assert np.array_equal(rest.downs, [[0, 0, -1]])
    assert rest.heights_m == pytest.approx([0.035])
    assert not rest.round_side.any()


@pytest.mark.parametrize('down', [[0, 0, -1], [0, 0, 1], [1, 0, 0], [0, -1, 0], [0.6, 0, 0.8]])
def test_rotation_to_down(down):
    R = rotation_to_down(np.array(down, float))
    assert np.allclose(R @ down, [0, 0, -1], atol=1e-12)
    assert np.linalg.det(R) == pytest.approx(1)


def test_copies_have_memory_of_their_own(catalogue):
    rest = RestingPoses.of(catalogue['cube'])
    assert rest.memory is rest.memory
    for other in (copy.deepcopy(rest), pickle.loads(pickle.dumps(rest))):
        assert 'memory' not in vars(other)
        assert np.array_equal(other.memory.row[:2], rest.memory.row[:2])
        assert not set(other.memory.row[2:]) & set(rest.memory.row[2:])
