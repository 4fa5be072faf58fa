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
"""Edges of meshes, counted by hand."""
import dataclasses

from dr_perception.core.edges.edge_points import POINTS, visible_edge_points
from dr_perception.core.edges.mesh_edges import MAX_EDGES, MeshEdges
from dr_perception.core.transforms import make_transform
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('both_loops')


def edges_of(*models):
    """Return their edges."""
    return MeshEdges(models)


@pytest.mark.parametrize('name, count', [
    ('cube', 12), ('rectangular_prism', 12), ('tetrahedron', 6), ('pyramid', 8),
    ('triangular_prism', 9), ('hexagonal_prism', 18)])
def test_edges_of_polyhedra(catalogue, name, count):
    """Diagonals of faces are flat and none."""
    edges = edges_of(catalogue[name])
    assert edges.is_edge.sum() == count
    assert edges.is_crease.sum() == count


def test_a_cylinder_is_creased_at_its_rims_alone(catalogue):
    edges = edges_of(catalogue['cylinder'])
    ends = edges.start_m[0], edges.start_m[0] + edges.vector_m[0]
    is_side = np.abs(ends[0][:, 2] - ends[1][:, 2]) > 0.05
    assert is_side.sum() == edges.is_edge.sum() / 3
    assert np.array_equal(edges.is_crease[0], ~is_side)


def test_normals_point_outward(catalogue):
    for name in ('cube', 'cone', 'tetrahedron'):
        edges = edges_of(catalogue[name])
        inside = catalogue[name].vertices_m.mean(0)
        outward = (edges.normals * (edges.start_m - inside)).sum(-1)
        assert (outward > 0).all()


def test_models_of_different_sizes_are_padded(catalogue):
    edges = edges_of(catalogue['cube'], catalogue['cylinder'])
    assert edges.is_edge.sum(1).tolist()[0] == 12
    assert edges.is_edge.shape[1] == edges.is_edge[1].sum()
    assert not edges.is_crease[0, 12:].any()


def test_repeated_vertices_are_one(catalogue):
    cube = catalogue['cube']
    soup = dataclasses.replace(cube, vertices_m=cube.vertices_m[cube.faces.reshape(-1)],
                               faces=np.arange(cube.faces.size).reshape(-1, 3))
    assert edges_of(soup).is_edge.sum() == 12


def test_the_rim_of_an_open_surface_is_its_outline(catalogue, camera):
    square = dataclasses.replace(
        catalogue['cube'], vertices_m=np.array([[0, 0, 0], [.1, 0, 0], [.1, .1, 0], [0, .1, 0.]]),
        faces=np.array([[0, 1, 2], [0, 2, 3]]))
    edges = edges_of(square)
    assert edges.is_edge.sum() == 4
    for turn in (np.eye(3), np.diag([1.0, -1, -1])):    # from both sides
        points = visible_edge_points(edges, np.array([0]), make_transform(turn, [0, 0, 1])[None])
        assert points.is_seen.all() and points.on_outline.all()
        assert points.length[0] == pytest.approx(0.4)


def test_a_fine_mesh_is_thinned(catalogue):
    rng = np.random.default_rng(0)
    vertices = rng.normal(size=(3000, 3))
    faces = rng.integers(0, 3000, (4000, 3))
    edges = edges_of(dataclasses.replace(catalogue['cube'], vertices_m=vertices, faces=faces))
    assert edges.is_edge.sum() == MAX_EDGES


def test_points_of_a_cube_from_the_front(catalogue):
    """The face toward the camera is the outline; its edges are all that is seen."""
    edges = edges_of(catalogue['cube'])
    points = visible_edge_points(edges, np.array([0]), make_transform(np.eye(3), [0, 0, 1])[None])
    assert points.points_m.shape == (1, POINTS, 3)
    on_face = np.sort(np.abs(points.points_m[0]), axis=1)
    assert np.allclose(points.points_m[0, :, 2], -0.025)
    assert np.allclose(on_face[:, 1:], 0.025)
    assert points.on_outline.all()
    assert points.length[0] == pytest.approx(4 * 0.05 / 0.975)
    # Evenly: as many on each of the four sides.
    sides = [np.isclose(points.points_m[0, :, axis], sign * 0.025).sum()
             for axis in (0, 1) for sign in (-1, 1)]
    assert sides == [POINTS // 4] * 4


def test_creases_and_outline_from_a_corner(catalogue, pose):
    edges = edges_of(catalogue['cube'])
    points = visible_edge_points(edges, np.array([0]), pose[None])
    shares = points.on_outline.mean()
    assert 0.6 < shares < 0.75      # six edges of nine
    assert np.allclose(np.linalg.norm(points.directions, axis=-1), 1)


def test_behind_the_camera_nothing_is_seen(catalogue, pose):
    behind = pose.copy()
    behind[2, 3] = -0.5
    points = visible_edge_points(edges_of(catalogue['cube']), np.array([0, 0]),
                                 np.stack([behind, pose]))
    assert points.is_seen.tolist() == [False, True]
    assert np.isfinite(points.points_m).all()
