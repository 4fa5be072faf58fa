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

"""The symmetry group of a mesh, found: known shapes, random ones, noise, pictures."""

from dr_perception.core.transforms import (make_transform, rotation_angle, rotation_from_rotvec,
                                           transform_points)
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
from PIL import Image
import pytest
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.objects.rotation_groups import (axes_of, closed_subset, cyclic, dihedral,
                                                 group_name, index_of, SIZES, solid)
from sim_trainer.objects.surface import point_triangle_distance
from sim_trainer.objects.symmetry_search import find_symmetry
import trimesh

GROUPS = {'cone': 'round', 'cube': 'O', 'cylinder': 'round, flips', 'hexagonal_prism': 'D6',
          'pyramid': 'C4', 'rectangular_prism': 'D4', 'tetrahedron': 'T', 'triangular_prism': 'D3'}
Z = np.array([0, 0, 1.0])


def _same_transforms(found, expected):
    """Every expected transform is near one that was found, and they are as many."""
    assert len(found) == len(expected)
    for T in expected:
        angles = rotation_angle(np.swapaxes(found[:, :3, :3], 1, 2) @ T[:3, :3])
        nearest = int(np.argmin(angles))
        assert angles[nearest] < 0.02
        assert found[nearest][:3, 3] == pytest.approx(T[:3, 3], abs=5e-4)


def _prism(sides, radius_m=0.03, height_m=0.05):
    return primitives.convex_mesh(primitives.prism_points(radius_m, height_m, sides))


def _box(size_m, T=None):
    vertices, faces = primitives.convex_mesh(primitives.box_points(size_m))
    return (vertices if T is None else transform_points(T, vertices)), faces


def _random_pose(seed):
    rng = np.random.default_rng(seed)
    return make_transform(rotation_from_rotvec(rng.normal(0, 2, 3)), rng.normal(0, 0.02, 3))


@pytest.mark.parametrize('name', GROUPS)
def test_the_catalogue(repository_root, name):
    config = load_config(repository_root / 'config' / 'tabletop.yaml')
    model, = (m for m in build_catalogue(config.objects) if m.name == name)
    found = find_symmetry(model.vertices_m, model.faces)
    assert found.name == found.shape_name == GROUPS[name]
    assert found.misfit_m < found.tolerance_m
    assert found.symmetry.continuous_about_z == model.symmetry.continuous_about_z
    if name == 'cylinder':      # about which level axis it is flipped does not matter
        assert len(found.symmetry.transforms) == 128
    else:
        _same_transforms(found.symmetry.transforms, model.symmetry.transforms)


@pytest.mark.parametrize('seed', range(6))
def test_a_group_turns_with_its_body(seed):
    """In any pose: as many transforms, and each maps the body onto itself."""
    T = _random_pose(seed)
    shape, count = [(_prism(3), 6), (_prism(5), 10), (_box((0.05,) * 3), 24),
                    (_box((0.08, 0.05, 0.03)), 4), (_box((0.08, 0.04, 0.04)), 8),
                    (primitives.convex_mesh(primitives.tetrahedron_points(0.07)), 12)][seed]
    vertices = transform_points(T, shape[0])
    found = find_symmetry(vertices, shape[1])
    assert len(found.symmetry.transforms) == count
    for S in found.symmetry.transforms:
        moved = transform_points(S, vertices)
        apart = np.linalg.norm(moved[:, None] - vertices[None], axis=2).min(1)
        assert apart.max() < 1e-3


@settings(max_examples=8)
@given(seed=st.integers(0, 10_000))
def test_random_convex_bodies_have_none(seed):
    rng = np.random.default_rng(seed)
    vertices, faces = primitives.convex_mesh(rng.normal(0, 0.03, (10, 3)) * [1, 0.8, 1.3])
    found = find_symmetry(vertices, faces)
    assert found.name == 'C1' and len(found.symmetry.transforms) == 1
    assert found.yaml_keys == 'symmetry: none'


@pytest.mark.parametrize('sides', [3, 4, 5, 6, 7, 8, 9, 10, 12])
def test_prisms(sides):
    found = find_symmetry(*_prism(sides, height_m=0.07))
    assert found.name == f'D{sides}' and len(found.symmetry.transforms) == 2 * sides
    if sides % 2 == 0 or sides in (3, 5, 7, 9):     # a corner on +x: x is one of the flips' axes
        assert found.yaml_keys == f'turns_about_z: {sides}, flips: true'


@pytest.mark.parametrize('sides', [3, 5, 7, 11])
def test_pyramids(sides):
    ring = primitives.prism_points(0.03, 0.05, sides)[:sides]
    found = find_symmetry(*primitives.convex_mesh(np.vstack([ring, [[0, 0, 0.05]]])))
    assert found.name == f'C{sides}' and found.yaml_keys == f'turns_about_z: {sides}'


@pytest.mark.parametrize('mesh, name', [
    (trimesh.creation.icosphere(3, 0.04), 'ball'),
    (trimesh.creation.torus(0.04, 0.01), 'round, flips'),
    (trimesh.creation.annulus(0.01, 0.03, 0.05), 'round, flips'),
    (trimesh.creation.revolve([[0, 0], [0.03, 0], [0.02, 0.06], [0, 0.06]]), 'round'),
    (trimesh.creation.capsule(0.06, 0.02), 'round, flips')])
def test_round_bodies(mesh, name):
    found = find_symmetry(mesh.vertices, mesh.faces)
    assert found.name == name and found.axes[0][1] == 0
    # A revolved body whose origin is at its foot is round about z all the same.
    assert found.symmetry.continuous_about_z


def test_round_about_another_axis_is_not_called_round_about_z():
    can = trimesh.creation.cylinder(0.03, 0.1)
    aside = can.vertices + [0.02, 0, 0]
    found = find_symmetry(aside, can.faces)
    assert found.name == 'round, flips' and not found.symmetry.continuous_about_z
    assert found.yaml_keys == 'symmetry: auto'
    for S in found.symmetry.transforms[::7]:
        moved = transform_points(S, np.array([[0.02, 0, 0]]))[0]
        assert moved == pytest.approx([0.02, 0, 0], abs=3e-4)


def test_an_icosahedron():
    mesh = trimesh.creation.icosahedron()
    found = find_symmetry(np.asarray(mesh.vertices) * 0.04, mesh.faces)
    assert found.name == 'I' and len(found.symmetry.transforms) == 60


def test_a_handle_breaks_a_round_body_and_teeth_leave_their_number():
    cup = trimesh.creation.revolve([[0, 0], [0.03, 0], [0.035, 0.07], [0.03, 0.07], [0.026, 0.005],
                                    [0, 0.005]])
    handle = trimesh.creation.box([0.024, 0.008, 0.04])
    handle.apply_translation([0.042, 0, 0.04])
    mug = trimesh.util.concatenate([cup, handle])
    found = find_symmetry(mug.vertices, mug.faces)
    assert found.name == 'C1'
    assert found.near_misses and found.near_misses[0].misfit_m > found.tolerance_m
    parts = [trimesh.creation.cylinder(0.03, 0.02)]
    for i in range(9):
        tooth = trimesh.creation.box([0.006, 0.004, 0.02])
        tooth.apply_translation([0.031, 0, 0])
        tooth.apply_transform(trimesh.transformations.rotation_matrix(2 * np.pi * i / 9, Z))
        parts.append(tooth)
    gear = trimesh.util.concatenate(parts)
    assert find_symmetry(gear.vertices, gear.faces).name == 'D9'


@pytest.mark.parametrize('size_m, name', [((0.06, 0.06, 0.06), 'O'), ((0.1, 0.06, 0.03), 'D2')])
def test_the_noise_of_a_scan_is_tolerated(size_m, name):
    mesh = trimesh.creation.box(size_m)
    for _ in range(4):
        mesh = mesh.subdivide()
    noise = np.random.default_rng(1).normal(0, 0.0025 * max(size_m), mesh.vertices.shape)
    found = find_symmetry(mesh.vertices + noise, mesh.faces)
    assert found.name == name


def test_exact_sizes_that_differ_a_little_are_meant():
    assert find_symmetry(*_box((0.08, 0.08, 0.0815))).name == 'D4'
    assert find_symmetry(*_box((0.08, 0.0785, 0.0815))).name == 'D2'


def test_what_is_inside_breaks_nothing():
    cube = trimesh.creation.box([0.06] * 3)
    hidden = trimesh.creation.box([0.01, 0.014, 0.018])
    hidden.apply_translation([0.008, 0.004, 0])
    both = trimesh.util.concatenate([cube, hidden])
    assert find_symmetry(both.vertices, both.faces).name == 'O'


def _painted_box(size_m, painter):
    """Return a box of unshared corners whose picture has a coloured column a triangle."""
    vertices, faces = _box(size_m)
    corners = vertices[faces]
    normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    colors = np.array([painter(n / np.linalg.norm(n)) for n in normals], np.uint8)
    texture = np.repeat(np.repeat(colors[None], 4, 0), 4, 1)
    uv = np.repeat((np.arange(len(faces)) + 0.5)[:, None] / len(faces), 3, 0)
    return (corners.reshape(-1, 3), np.arange(3 * len(faces)).reshape(-1, 3),
            np.column_stack([uv, np.full(len(uv), 0.5)]), texture)


def test_a_picture_breaks_what_the_shape_allows():
    red, white, blue = (200, 20, 20), (230, 230, 230), (20, 20, 200)
    plain = find_symmetry(*_painted_box((0.06,) * 3, lambda n: white))
    assert plain.name == plain.shape_name == 'O'
    lid = find_symmetry(*_painted_box((0.06,) * 3, lambda n: red if n[2] > 0.5 else white))
    assert (lid.name, lid.shape_name) == ('C4', 'O')
    assert lid.yaml_keys == 'turns_about_z: 4'
    band = find_symmetry(*_painted_box((0.06,) * 3, lambda n: red if abs(n[2]) > 0.5 else white))
    assert band.name == 'D4'
    every = find_symmetry(*_painted_box(
        (0.06,) * 3, lambda n: [red, white, blue][int(np.argmax(np.abs(n)))] if n.sum() > 0
        else (10 * int(np.argmax(np.abs(n))), 120, 60)))
    assert len(every.symmetry.transforms) < 4
    assert every.near_misses and every.near_misses[0].misfit_m < every.tolerance_m


@pytest.mark.parametrize('stripes, name', [(0, 'round, flips'), (1, 'D1'), (2, 'D2'), (3, 'D3')])
def test_a_label_on_a_can(stripes, name):
    can = trimesh.creation.cylinder(0.03, 0.1, sections=96)
    side = np.abs(can.face_normals[:, 2]) < 0.5
    corners = np.asarray(can.vertices)[can.faces]
    angle = np.arctan2(can.triangles_center[:, 1], can.triangles_center[:, 0])
    shown = side & (np.cos(stripes * angle) > 0.3) if stripes else np.zeros(len(side), bool)
    texture = np.array([[[220, 220, 220]] * 8 + [[200, 20, 20]] * 8] * 8, np.uint8)
    u = np.where(shown, 0.75, 0.25)
    uv = np.column_stack([np.repeat(u, 3), np.full(3 * len(u), 0.5)])
    found = find_symmetry(corners.reshape(-1, 3), np.arange(3 * len(u)).reshape(-1, 3), uv,
                          texture)
    assert found.shape_name == 'round, flips'
    assert found.name == ('C2' if name == 'D1' else name)       # one flip is half a turn


@given(order=st.integers(2, 12), seed=st.integers(0, 1000))
def test_groups_are_closed(order, seed):
    rng = np.random.default_rng(seed)
    axis = rng.normal(size=3)
    axis /= np.linalg.norm(axis)
    side = np.cross(axis, rng.normal(size=3))
    side /= np.linalg.norm(side)
    for group in (cyclic(axis, order), dihedral(axis, order, side)):
        assert all(index_of(a @ b, group) is not None for a in group for b in group)
        assert len(closed_subset(group, np.zeros(len(group)))) == len(group)
    assert group_name(cyclic(axis, order)) == f'C{order}'
    assert axes_of(cyclic(axis, order))[0][1] == order


@pytest.mark.parametrize('name', SIZES)
def test_the_groups_of_the_solids(name):
    group = solid(name, Z, np.array([1.0, 0.2, 0.3]) / np.linalg.norm([1.0, 0.2, 0.3]))
    assert len(group) == SIZES[name] and group_name(group) == name
    # Without one element, a smaller group is left.
    rest = np.delete(group, 5, axis=0)
    kept = closed_subset(rest, np.arange(len(rest)))
    assert 1 <= len(kept) < len(rest) and len(group) % len(kept) == 0


@given(seed=st.integers(0, 1000))
def test_the_distance_from_a_triangle(seed):
    rng = np.random.default_rng(seed)
    corners, point = rng.normal(size=(1, 3, 3)), rng.normal(size=(1, 3))
    weights = rng.dirichlet([0.7] * 3, 4000)
    brute = np.linalg.norm(weights @ corners[0] - point, axis=1).min()
    exact = point_triangle_distance(point, corners)[0]
    assert exact <= brute + 1e-9 and exact > brute - 0.15


def _entry(path, **keys):
    return ObjectConfig('thing', 'mesh', file=str(path), **keys)


def test_the_configuration(tmp_path):
    path = tmp_path / 'box.stl'
    trimesh.creation.box([0.08, 0.05, 0.03]).export(path)
    for keys, count in (({}, 4), ({'symmetry': 'auto'}, 4), ({'symmetry': 'none'}, 1),
                        ({'turns_about_z': 2}, 2), ({'turns_about_z': 1}, 1),
                        ({'flips': True}, 2)):
        model, = build_catalogue((_entry(path, **keys),))
        assert len(model.symmetry.transforms) == count, keys
    can = tmp_path / 'can.stl'
    trimesh.creation.cylinder(0.03, 0.1).export(can)
    model, = build_catalogue((_entry(can),))
    assert model.symmetry.continuous_about_z and len(model.resting_downs) == 66
    with pytest.raises(ConfigurationError, match='symmetry: auto and flips contradict each other; '
                                                 'leave one of them out'):
        _entry(path, symmetry='auto', flips=True)
    with pytest.raises(ConfigurationError, match="symmetry = 'maybe'; expected one of auto, none"):
        _entry(path, symmetry='maybe')


def test_a_picture_that_changes_beside_its_mesh_is_looked_at_again(tmp_path):
    box = trimesh.creation.box((0.06, 0.06, 0.04))
    corners = box.vertices[box.faces].reshape(-1, 3)
    places = (corners[:, :2] / 0.06 + 0.5) * [0.5, 1]
    rows = [*('v %f %f %f' % tuple(v) for v in corners), *('vt %f %f' % tuple(v) for v in places),
            'usemtl a', *(f'f {i}/{i} {i + 1}/{i + 1} {i + 2}/{i + 2}'
                          for i in range(1, len(corners), 3))]
    (tmp_path / 'box.obj').write_text('\n'.join(['mtllib box.mtl', *rows, '']))
    (tmp_path / 'box.mtl').write_text('newmtl a\nKd 1 1 1\nmap_Kd print.png\n')
    picture = np.full((64, 128, 3), 200, np.uint8)
    counts = []
    for mark in (200, 20):
        picture[:32, :32] = mark, 0 if mark == 20 else 200, 200
        Image.fromarray(picture).save(tmp_path / 'print.png')
        model, = build_catalogue((_entry(tmp_path / 'box.obj'),))
        counts.append(len(model.symmetry.transforms))
    assert counts == [8, 1]


def test_a_ball_can_be_trained(tmp_path):
    path = tmp_path / 'ball.stl'
    trimesh.creation.icosphere(3, 0.03).export(path)
    model, = build_catalogue((_entry(path),))
    assert model.symmetry.continuous_about_z
    # However it is turned, one of the equivalents is near.
    for seed in range(5):
        error = model.symmetry.rotation_error_rad(_random_pose(seed)[:3, :3], np.eye(3))
        assert error < np.radians(45)
