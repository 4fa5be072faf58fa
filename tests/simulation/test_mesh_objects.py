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

"""Mesh files as objects: every format and unit, one line for every bad file, the catalogue."""

import json
import time

from dr_perception.core.objects import ObjectModel
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.configuration.loader import build, to_plain
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import build_catalogue, choose_keypoints
from sim_trainer.objects.decimation import decimated, welded
from sim_trainer.objects.mesh_file import draw_geometry, load_mesh
from sim_trainer.objects.resting import resting_faces, round_resting_faces, SCAN_DEG
import trimesh

SIZE_M = np.array([0.08, 0.05, 0.03])
FORMATS = ('obj', 'stl', 'ply', 'glb')


def _entry(path, **keys):
    return ObjectConfig('thing', 'mesh', file=str(path), **keys)


def _model(path, **keys):
    return build_catalogue((_entry(path, **keys),))[0]


def _volume(vertices, faces):
    return np.linalg.det(vertices[faces]).sum() / 6


def _open_edges(faces):
    edges = np.sort(np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]]), 1)
    return int((np.unique(edges, axis=0, return_counts=True)[1] != 2).sum())


@pytest.mark.parametrize('suffix', FORMATS)
@pytest.mark.parametrize('unit, per_m', [('m', 1), ('mm', 1000), ('cm', 100), ('in', 1 / 0.0254)])
def test_formats_and_units(tmp_path, suffix, unit, per_m):
    path = tmp_path / f'box.{suffix}'
    trimesh.creation.box(SIZE_M * per_m).export(path)
    mesh = load_mesh(path, unit)
    assert np.ptp(mesh.vertices_m, axis=0) == pytest.approx(SIZE_M, rel=1e-5)
    assert _volume(mesh.vertices_m, mesh.faces) == pytest.approx(SIZE_M.prod(), rel=1e-5)
    assert mesh.faces.shape == (12, 3)
    assert mesh.uv is None and mesh.texture_rgb is None
    model = _model(path, unit=unit)
    assert model.extents_m == pytest.approx(SIZE_M, rel=1e-5)
    assert len(model.resting_downs) == 6 and len(model.vertices_m) == 8


def test_parts_of_a_scene_are_joined_at_their_places(tmp_path):
    scene = trimesh.Scene()
    for x, mirror in ((0.0, 1), (0.1, -1)):
        T = np.diag([mirror, 1.0, 1, 1])
        T[0, 3] = x
        scene.add_geometry(trimesh.creation.box([0.02, 0.02, 0.02]), transform=T)
    path = tmp_path / 'two.glb'
    scene.export(path)
    mesh = load_mesh(path)
    assert np.ptp(mesh.vertices_m, axis=0) == pytest.approx([0.12, 0.02, 0.02], rel=1e-5)
    # A mirrored part still faces outwards.
    assert _volume(mesh.vertices_m, mesh.faces) == pytest.approx(2 * 0.02 ** 3, rel=1e-5)


def _refused(path, unit='m'):
    with pytest.raises(ConfigurationError) as caught:
        load_mesh(path, unit)
    text = str(caught.value)
    assert '\n' not in text and text.startswith(f'{path}: ')
    return text


def test_files_that_are_no_mesh(tmp_path):
    assert 'there is no such file; give the path of a mesh' in _refused(tmp_path / 'no.obj')
    assert 'is a folder; give the path of a mesh in it' in _refused(tmp_path)
    (tmp_path / 'a.step').write_text('x')
    assert 'ends in one of .obj, .stl, .ply, .glb' in _refused(tmp_path / 'a.step')
    rng = np.random.default_rng(1)
    for suffix in FORMATS:
        path = tmp_path / f'garbage.{suffix}'
        for content in (rng.bytes(500), b'', b'ply\nformat ascii 1.0\n', b'glTF' + rng.bytes(60)):
            path.write_bytes(content)
            text = _refused(path)
            assert 'cannot be read as' in text or 'has no triangles' in text


@pytest.mark.parametrize('suffix', FORMATS)
def test_a_file_cut_short(tmp_path, suffix):
    path = tmp_path / f'ball.{suffix}'
    trimesh.creation.icosphere(3, 0.05).export(path)
    whole = path.read_bytes()
    path.write_bytes(whole[:len(whole) // 3])
    _refused(path)


def test_meshes_that_cannot_be_objects(tmp_path):
    cloud = tmp_path / 'cloud.ply'
    trimesh.PointCloud(np.random.default_rng(1).random((50, 3))).export(cloud)
    assert 'has no triangles (a point cloud, or an empty file?)' in _refused(cloud)
    path = tmp_path / 'x.obj'
    path.write_text('v 0 0 0\nv nan 0 0\nv 0 1 0\nv 0 0 1\nf 1 2 3\nf 1 2 4\n')
    assert '1 vertices are not finite numbers' in _refused(path)
    trimesh.creation.box([80, 50, 30]).export(path)
    assert ('the largest extent is 80 m; expected 0.004...3 m; if the file is in millimetres '
            'write unit: mm') in _refused(path)
    trimesh.creation.box([0.08, 0.05, 0.03]).export(path)
    assert ('the largest extent is 8e-05 m; expected 0.004...3 m; if the file is in metres '
            'write unit: m') in _refused(path, 'mm')
    trimesh.creation.box([8e6, 5, 3]).export(path)
    assert 'scale the mesh to its true size' in _refused(path)
    path.write_text('v 0 0 0\nv 0.1 0 0\nv 0 0.1 0\nv 0.1 0.1 0\nf 1 2 3\nf 2 4 3\n')
    assert 'the mesh is flat (it has no volume)' in _refused(path)


def test_too_many_triangles(tmp_path):
    path = tmp_path / 'big.ply'
    trimesh.creation.icosphere(7, 0.05).export(path)
    assert '327,680 triangles, at most 200,000 are taken; decimate' in _refused(path)


def test_fifty_thousand_vertices(tmp_path):
    """A scan: quick to read, small in the model's metadata, whole to draw."""
    ball = trimesh.creation.icosphere(6, 0.05)
    ball.vertices *= 1 + 0.1 * np.sin(ball.vertices[:, :1] * 100)
    ball.export(tmp_path / 'scan.ply')
    start = time.process_time()
    model = _model(tmp_path / 'scan.ply')
    assert time.process_time() - start < 8          # about 1 s; the margin is for a busy machine
    assert len(model.vertices_m) <= 2000
    assert len(json.dumps(model.to_json())) < 200_000
    assert 1 <= len(model.resting_downs) <= 24
    full = draw_geometry(_entry(tmp_path / 'scan.ply'))
    assert len(full.faces) == 81920
    lowest = (full.vertices_m @ model.resting_downs.T).max(0)
    assert lowest == pytest.approx(model.resting_heights_m, abs=1e-9)
    again = ObjectModel.from_json(json.loads(json.dumps(model.to_json())))
    assert again.extents_m == pytest.approx(model.extents_m, abs=1e-6)


def _scanned_box(rng, noise_m):
    """Points on the surface of a box, with the noise of a scanner, and its hull as the mesh."""
    points = rng.uniform(-0.5, 0.5, (6000, 3))
    axis = rng.integers(3, size=len(points))
    points[np.arange(len(points)), axis] = np.where(rng.random(len(points)) < 0.5, -0.5, 0.5)
    return points * SIZE_M + rng.normal(0, noise_m, points.shape)


def test_flat_faces_of_a_scan():
    points = _scanned_box(np.random.default_rng(3), 0.0001)
    downs, heights = resting_faces(points, SCAN_DEG, 24)
    for axis in range(3):
        for sign in (-1, 1):
            i = int(np.argmax(downs[:, axis] * sign))
            assert downs[i, axis] * sign > np.cos(np.radians(1.5))
            assert heights[i] == pytest.approx(SIZE_M[axis] / 2, abs=0.002)
    assert len(downs) == 6


def test_a_scan_of_a_can_rests_as_a_cylinder_does():
    rng = np.random.default_rng(4)
    turns, radius = rng.uniform(0, 2 * np.pi, 8000), np.full(8000, 0.03)
    z = rng.uniform(-0.05, 0.05, 8000)
    z[:3000] = rng.choice([-0.05, 0.05], 3000)
    radius[:3000] *= np.sqrt(rng.random(3000))
    points = np.column_stack([radius * np.cos(turns), radius * np.sin(turns), z])
    downs, heights = round_resting_faces(points + rng.normal(0, 1e-4, points.shape))
    assert len(downs) == 2 + 64
    assert (downs[0] == [0, 0, -1]).all() and (downs[-1] == [0, 0, 1]).all()
    assert heights[[0, -1]] == pytest.approx([0.05, 0.05], abs=0.001)
    assert heights[1:-1] == pytest.approx(np.full(64, 0.03), abs=0.001)
    assert np.ptp(downs[1:-1, 2]) == 0 and abs(downs[1, 2]) < 0.02
    cone, _ = round_resting_faces(primitives.cone_points(0.03, 0.07))
    assert len(cone) == 65 and cone[1, 2] == pytest.approx(0.03 / np.hypot(0.03, 0.07), abs=1e-3)


def _exported(tmp_path, mesh, name='m.obj'):
    mesh.export(tmp_path / name)
    return tmp_path / name


def test_declared_symmetries(tmp_path):
    prism = trimesh.Trimesh(*primitives.convex_mesh(primitives.prism_points(0.03, 0.08, 6)))
    prism.apply_translation([0, 0, 0.04])           # the file's origin is at the foot
    path = _exported(tmp_path, prism)
    assert len(_model(path, symmetry='none').symmetry.transforms) == 1
    model = _model(path, turns_about_z=6, flips=True)
    assert len(model.symmetry.transforms) == 12 and not model.symmetry.continuous_about_z
    for T in model.symmetry.transforms:
        moved = model.vertices_m @ T[:3, :3].T + T[:3, 3]
        assert np.linalg.norm(moved[:, None] - model.vertices_m[None], axis=-1).min(
            1).max() < 1e-6
    assert np.allclose(model.symmetry.transforms[0], np.eye(4))
    can = _exported(tmp_path, trimesh.creation.cylinder(0.03, 0.08), 'can.stl')
    model = _model(can, round_about_z=True, flips=True)
    assert model.symmetry.continuous_about_z and len(model.symmetry.transforms) == 128
    assert len(model.resting_downs) == 66


def test_a_symmetry_that_is_not_there(tmp_path):
    box = _exported(tmp_path, trimesh.creation.box(SIZE_M))
    with pytest.raises(ConfigurationError, match="object 'thing': turns_about_z is declared, but "
                       r'so turned the mesh stands out by \d+'):
        _model(box, turns_about_z=4)
    assert len(_model(box, turns_about_z=2, flips=True).symmetry.transforms) == 4
    square = tmp_path / 'square.stl'
    trimesh.creation.box((0.06, 0.06, 0.04)).export(square)
    assert len(_model(square, turns_about_z=4).symmetry.transforms) == 4
    for wrong in ({'turns_about_z': 8}, {'turns_about_z': 12}, {'turns_about_z': 64},
                  {'round_about_z': True}):
        with pytest.raises(ConfigurationError, match='so turned the mesh stands out by'):
            _model(square, **wrong)
    lying = trimesh.creation.cylinder(0.03, 0.1)
    lying.apply_transform(trimesh.transformations.rotation_matrix(-np.pi / 2, [1, 0, 0]))
    lying = _exported(tmp_path, lying, 'lying.obj')
    with pytest.raises(ConfigurationError, match='up: y where the file has y up'):
        _model(lying, round_about_z=True)
    model = _model(lying, round_about_z=True, up='y')
    assert model.extents_m[2] == pytest.approx(0.1, rel=1e-5)
    aside = trimesh.creation.cylinder(0.03, 0.1)
    aside.apply_translation([0.04, 0, 0])
    aside = _exported(tmp_path, aside, 'aside.obj')
    with pytest.raises(ConfigurationError, match='write origin: centre'):
        _model(aside, round_about_z=True)
    assert _model(aside, round_about_z=True, origin='centre').symmetry.continuous_about_z


def test_the_origin(tmp_path):
    box = trimesh.creation.box(SIZE_M)
    box.apply_translation([0, 0, 0.015])
    path = _exported(tmp_path, box)
    assert _model(path).vertices_m[:, 2].min() == pytest.approx(0, abs=1e-6)
    centred = _model(path, origin='centre')
    assert centred.vertices_m.max(0) == pytest.approx(SIZE_M / 2, abs=1e-6)
    assert centred.resting_heights_m[0] == pytest.approx(0.015, abs=1e-6)
    box.apply_translation([0.5, 0, 0])
    with pytest.raises(ConfigurationError, match="the file's origin lies 0.46 m outside the mesh "
                       "of object 'thing'; write origin: centre"):
        _model(_exported(tmp_path, box))
    assert draw_geometry(ObjectConfig('cube', 'box', size_m=(0.1, 0.1, 0.1))) is None


@pytest.mark.parametrize('keys, message', [
    ({'shape': 'mesh'}, 'shape mesh needs file'),
    ({'shape': 'mesh', 'file': 'a.obj', 'radius_m': 0.1}, 'shape mesh takes file, unit, up, orig'),
    ({'shape': 'mesh', 'file': 'a.obj', 'unit': 'ft'},
     "unit = 'ft'; expected one of m, mm, cm, in"),
    ({'shape': 'mesh', 'file': 'a.obj', 'origin': 'top'}, 'expected one of file, centre'),
    ({'shape': 'mesh', 'file': 'a.obj', 'up': 'w'}, "up = 'w'; expected one of z, y, x"),
    ({'shape': 'mesh', 'file': 'a.obj', 'turns_about_z': 0}, 'turns_about_z = 0; expected 1...64'),
    ({'shape': 'mesh', 'file': 'a.obj', 'turns_about_z': 2, 'round_about_z': True},
     'round_about_z takes every turn in'),
    ({'shape': 'mesh', 'file': 'a.obj', 'turns': 2}, 'objects.0.turns: unknown key'),
    ({'shape': 'mesh', 'file': 'a.obj', 'flips': 1}, 'objects.0.flips: got 1; expected true or'),
    ({'shape': 'box', 'size_m': [0.1, 0.1, 0.1], 'unit': 'mm'}, 'box takes size_m, not unit')])
def test_wrong_keys(keys, message):
    with pytest.raises(ConfigurationError) as caught:
        build(ObjectConfig, {'name': 'thing', **keys}, 'objects.0')
    assert message in str(caught.value)


def test_a_mesh_in_a_scene_file(reference_path, tmp_path):
    path = _exported(tmp_path, trimesh.creation.box(SIZE_M * 1000), 'box.stl')
    config = load_config(reference_path, [
        f'objects=[{{name: thing, shape: mesh, file: "{path}", unit: mm}}]'])
    assert build(ObjectConfig, to_plain(config.objects[0])) == config.objects[0]
    assert to_plain(config.objects[0])['origin'] == 'file'
    assert build_catalogue(config.objects)[0].extents_m == pytest.approx(SIZE_M, rel=1e-5)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10 ** 6), st.integers(150, 1000))
def test_decimation_keeps_the_shape(seed, target):
    """Closed lumps: at most the faces asked for, the same bounding box, about the volume."""
    rng = np.random.default_rng(seed)
    ball = trimesh.creation.icosphere(4)
    waves = rng.normal(0, 1, (4, 3))
    vertices = ball.vertices * (1 + 0.2 * np.sin(ball.vertices @ waves.T * 2).mean(1))[:, None]
    vertices *= rng.uniform(0.2, 1, 3) * 10.0 ** rng.uniform(-3, 3)
    small, faces = decimated(vertices, ball.faces, target)
    assert 4 <= len(faces) <= target
    assert np.array_equal(np.unique(faces), np.arange(len(small)))
    size = np.ptp(vertices, axis=0)
    assert np.abs(small.min(0) - vertices.min(0)).max() <= 1e-6 * size.max()
    assert np.abs(small.max(0) - vertices.max(0)).max() <= 1e-6 * size.max()
    assert _volume(small, faces) == pytest.approx(_volume(vertices, ball.faces), rel=0.15)


def test_decimation_of_what_is_small_already():
    vertices, faces = primitives.convex_mesh(primitives.box_points((1, 2, 3)))
    torn = vertices[faces].reshape(-1, 3), np.arange(36).reshape(-1, 3)     # as STL has it
    same, joined = decimated(*torn, 300)
    assert same.shape == (8, 3) and _open_edges(joined) == 0
    assert _volume(same, joined) == pytest.approx(6)
    assert welded(*torn)[0].shape == (8, 3)
    with pytest.raises(ValueError, match='target_faces is 3; a closed mesh has at least 4'):
        decimated(*torn, 3)


def test_keypoints_of_a_large_mesh():
    ball = trimesh.creation.icosphere(6, 0.05)
    start = time.process_time()
    keypoints = choose_keypoints(np.asarray(ball.vertices), np.asarray(ball.faces))
    assert time.process_time() - start < 1          # about 0.02 s
    assert (keypoints[0] == 0).all() and len(keypoints) == 9
    apart = np.linalg.norm(keypoints[1:, None] - keypoints[None, 1:], axis=-1)
    assert apart[~np.eye(8, dtype=bool)].min() > 0.04
