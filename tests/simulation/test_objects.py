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

"""Meshes and catalogue entries: closed, outward, of the size their formulas say."""

import math

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config, ObjectConfig
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import build_catalogue, KEYPOINT_COUNT
from sim_trainer.objects.resting import tumbled_faces

LENGTH = st.floats(0.005, 0.5)


def _volume(vertices, faces):
    """Signed volume: positive where closed faces run counter-clockwise seen from outside."""
    return np.linalg.det(vertices[faces]).sum() / 6


def _check_closed(vertices, faces):
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {tuple(edge) for edge in edges.tolist()}
    assert len(directed) == len(edges)                              # no edge runs twice one way
    assert all((b, a) in directed for a, b in directed)             # and each runs back once
    assert set(faces.ravel()) == set(range(len(vertices)))


def _polygon_area(circumradius, sides):
    return sides / 2 * circumradius ** 2 * math.sin(2 * math.pi / sides)


def _prism_extents(circumradius, sides):
    angles = 2 * np.pi * np.arange(sides) / sides
    return [circumradius * np.ptp(np.cos(angles)), circumradius * np.ptp(np.sin(angles))]


def _check(points, volume, extents):
    vertices, faces = primitives.convex_mesh(points)
    _check_closed(vertices, faces)
    assert _volume(vertices, faces) == pytest.approx(volume, rel=1e-9)
    assert np.ptp(vertices, axis=0) == pytest.approx(np.array(extents), rel=1e-9)
    assert vertices[:, 2].max() == pytest.approx(-vertices[:, 2].min(), rel=1e-9)


@settings(max_examples=30, deadline=None)
@given(LENGTH, LENGTH, LENGTH)
def test_boxes(x, y, z):
    _check(primitives.box_points((x, y, z)), x * y * z, (x, y, z))


@settings(max_examples=30, deadline=None)
@given(LENGTH, LENGTH, st.integers(3, 64))
def test_prisms(circumradius, height, sides):
    _check(primitives.prism_points(circumradius, height, sides),
           _polygon_area(circumradius, sides) * height,
           (*_prism_extents(circumradius, sides), height))


@settings(max_examples=20, deadline=None)
@given(LENGTH, LENGTH)
def test_cones_and_pyramids(size, height):
    sides = primitives.CIRCLE_SIDES
    _check(primitives.cone_points(size, height), _polygon_area(size, sides) * height / 3,
           (*_prism_extents(size, sides), height))
    assert _polygon_area(size, sides) == pytest.approx(math.pi * size ** 2, rel=0.002)
    _check(primitives.pyramid_points(size, height), size ** 2 * height / 3, (size, size, height))


@settings(max_examples=20, deadline=None)
@given(LENGTH)
def test_tetrahedra_are_regular(edge):
    points = primitives.tetrahedron_points(edge)
    height = edge * math.sqrt(2 / 3)
    _check(points, edge ** 3 / (6 * math.sqrt(2)), (edge * math.sqrt(3) / 2, edge, height))
    sides = [np.linalg.norm(points[i] - points[j]) for i in range(4) for j in range(i)]
    assert sides == pytest.approx([edge] * 6)
    assert points[0, 1] == 0 and points[0, 0] > 0                   # a base vertex on +x
    assert points[3] == pytest.approx([0, 0, height / 2])           # the apex on +z


@pytest.fixture(scope='module')
def catalogue(reference_path):
    """Return the reference objects by name."""
    return {model.name: model for model in build_catalogue(load_config(reference_path).objects)}


def test_the_first_keypoint_is_the_origin(catalogue):
    for model in catalogue.values():
        assert model.keypoints_m.shape == (KEYPOINT_COUNT, 3)
        assert (model.keypoints_m[0] == 0).all()
        surface = model.keypoints_m[1:]
        assert len(np.unique(surface.round(6), axis=0)) == len(surface)
        hull_side = (surface @ _normals(model).T - _offsets(model)).max(1)
        assert np.abs(hull_side).max() < 1e-7                       # all on the surface


def _normals(model):
    a, b, c = (model.vertices_m[model.faces[:, i]] for i in range(3))
    normals = np.cross(b - a, c - a)
    return normals / np.linalg.norm(normals, axis=1, keepdims=True)


def _offsets(model):
    return np.einsum('ij,ij->i', _normals(model), model.vertices_m[model.faces[:, 0]])


@pytest.mark.parametrize('name, faces, upright_m', [
    ('cube', 6, 0.025), ('cylinder', 66, 0.030), ('hexagonal_prism', 8, 0.025),
    ('pyramid', 5, 0.030), ('rectangular_prism', 6, 0.020), ('triangular_prism', 5, 0.035),
    ('tetrahedron', 4, 0.070 * math.sqrt(2 / 3) / 2), ('cone', 65, 0.035)])
def test_resting_faces(catalogue, name, faces, upright_m):
    """Every face of these bodies is stable; round sides count as their facets."""
    model = catalogue[name]
    assert len(model.resting_downs) == faces
    assert model.resting_downs[0] == pytest.approx([0, 0, -1], abs=1e-9)
    assert model.resting_heights_m[0] == pytest.approx(upright_m, abs=1e-6)
    lowest = (model.vertices_m @ model.resting_downs.T).max(0)
    assert lowest == pytest.approx(model.resting_heights_m, abs=2e-6)
    assert np.linalg.norm(model.resting_downs, axis=1) == pytest.approx(1.0, abs=1e-5)


@pytest.mark.parametrize('name, rotations', [
    ('cube', 24), ('hexagonal_prism', 12), ('pyramid', 4), ('rectangular_prism', 8),
    ('tetrahedron', 12), ('triangular_prism', 6), ('cone', 64), ('cylinder', 128)])
def test_symmetries_are_those_of_the_reference_scene(catalogue, name, rotations):
    model = catalogue[name]
    transforms = model.symmetry.transforms
    assert len(transforms) == rotations
    assert np.allclose(transforms[0], np.eye(4))
    assert model.symmetry.continuous_about_z == (name in ('cone', 'cylinder'))
    for T in transforms:
        moved = model.vertices_m @ T[:3, :3].T + T[:3, 3]
        distance = np.linalg.norm(moved[:, None] - model.vertices_m[None], axis=-1).min(1)
        assert distance.max() < 1e-6


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(['box', 'prism', 'pyramid', 'tetrahedron', 'cone', 'cylinder']),
       st.floats(0.01, 0.2), st.floats(0.01, 0.2), st.integers(3, 8))
def test_every_object_can_rest(shape, size, height, sides):
    """Any dimensions give keypoints, the identity, and a face to stand on."""
    dimensions = {
        'box': {'size_m': (size, height, (size + height) / 2)},
        'prism': {'circumradius_m': size, 'height_m': height, 'sides': sides},
        'pyramid': {'edge_m': size, 'height_m': height},
        'tetrahedron': {'edge_m': size},
        'cone': {'radius_m': size, 'height_m': height},
        'cylinder': {'radius_m': size, 'height_m': height}}[shape]
    [model] = build_catalogue((ObjectConfig('thing', shape, **dimensions),))
    assert len(model.keypoints_m) == KEYPOINT_COUNT
    assert np.allclose(model.symmetry.transforms[0], np.eye(4))
    assert len(model.resting_downs) >= 1
    lowest = (model.vertices_m @ model.resting_downs.T).max(0)
    assert lowest == pytest.approx(model.resting_heights_m, abs=2e-6)


@pytest.mark.parametrize('name, looks', [
    ('cone', 1), ('cube', 0), ('cylinder', 1), ('hexagonal_prism', 1), ('pyramid', 1),
    ('rectangular_prism', 1), ('tetrahedron', 0), ('triangular_prism', 1)])
def test_tumbled_faces_that_look_alike_are_one(catalogue, name, looks):
    # A rectangular prism rests on six faces: four look as upright, two stand it on its end.
    model = catalogue[name]
    found = tumbled_faces(model)
    assert len(found) == looks
    for downs in found:
        rested = np.concatenate([model.resting_downs, downs])
        assert len(np.unique(rested.round(6), axis=0)) == len(model.resting_downs)
        heights = [-(model.vertices_m @ -down).min() for down in downs]
        assert np.ptp(heights) < 1e-3
