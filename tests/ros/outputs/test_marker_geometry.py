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

"""Ellipsoids and coarse meshes, without a graph."""
from dr_perception.ros.publishers.marker_geometry import (CHI2_3_90, ellipsoid_90, limit_triangles,
                                                          THINNEST_M)
import hypothesis
from hypothesis import strategies
import numpy as np
import pytest

numbers = strategies.floats(-1e-2, 1e-2)


@hypothesis.given(strategies.lists(numbers, min_size=9, max_size=9))
def test_the_axes_are_a_rotation_and_give_the_covariance_back(values):
    root = np.reshape(values, (3, 3)) + 1e-4 * np.eye(3)
    covariance = np.eye(6)
    covariance[:3, :3] = root @ root.T
    axes, diameters_m = ellipsoid_90(covariance)
    assert axes.T @ axes == pytest.approx(np.eye(3), abs=1e-9)
    assert np.linalg.det(axes) == pytest.approx(1.0)
    variances = (diameters_m / 2) ** 2 / CHI2_3_90
    thinnest = (THINNEST_M / 2) ** 2 / CHI2_3_90
    assert axes @ np.diag(variances) @ axes.T == pytest.approx(
        covariance[:3, :3], abs=2 * thinnest + 1e-9 * np.trace(covariance[:3, :3]))


def test_ninety_percent_of_the_positions_are_inside():
    rng = np.random.default_rng(5)
    root = rng.normal(size=(3, 3)) * 1e-3
    axes, diameters_m = ellipsoid_90(root @ root.T)
    samples = rng.normal(size=(200_000, 3)) @ root.T
    inside = (((samples @ axes) / (diameters_m / 2)) ** 2).sum(1) <= 1.0
    assert inside.mean() == pytest.approx(0.9, abs=0.003)


def test_a_certain_position_is_still_drawn():
    axes, diameters_m = ellipsoid_90(np.zeros((6, 6)))
    assert diameters_m.tolist() == [THINNEST_M] * 3


def sphere(rings):
    """Return a unit sphere's vertices and faces; 2 * rings ** 2 triangles about."""
    down = np.linspace(0.0, np.pi, rings + 1)
    round_ = np.linspace(0.0, 2 * np.pi, rings, endpoint=False)
    a, b = np.meshgrid(down, round_, indexing='ij')
    vertices = np.stack([np.sin(a) * np.cos(b), np.sin(a) * np.sin(b), np.cos(a)], -1)
    i, j = (grid.reshape(-1) for grid in np.meshgrid(
        np.arange(rings), np.arange(rings), indexing='ij'))
    corner = i * rings + j
    beside = i * rings + (j + 1) % rings
    faces = np.concatenate([np.stack([corner, corner + rings, beside], 1),
                            np.stack([beside, corner + rings, beside + rings], 1)])
    return vertices.reshape(-1, 3), faces


def test_a_small_mesh_is_left_alone():
    vertices, faces = sphere(10)
    kept_vertices, kept_faces = limit_triangles(vertices, faces, 200)
    assert np.array_equal(kept_vertices, vertices) and np.array_equal(kept_faces, faces)


@pytest.mark.parametrize('largest_count', [100, 1000, 5000])
def test_a_large_mesh_keeps_its_shape_with_few_triangles(largest_count):
    vertices, faces = sphere(120)
    kept_vertices, kept_faces = limit_triangles(vertices * [1.0, 1.0, 0.1], faces, largest_count)
    assert 0.15 * largest_count < len(kept_faces) <= largest_count
    corners = kept_vertices[kept_faces]
    assert np.abs(kept_vertices).max(0) == pytest.approx([1.0, 1.0, 0.1], rel=0.35)
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    # Still turned outwards, so that RViz lights the right side.
    outwards = (normals * corners.mean(1) / [1.0, 1.0, 0.01]).sum(1)
    assert (outwards > 0).mean() > 0.95
    assert all(len(set(face)) == 3 for face in kept_faces.tolist())


def test_a_limit_that_no_shape_survives_is_refused():
    with pytest.raises(ValueError, match='largest_count is 12; expected at least 100'):
        limit_triangles(*sphere(10), 12)
