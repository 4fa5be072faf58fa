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

"""URDF files as objects: every kind of shape at its place, units, and one line for bad files."""

from dr_perception.core.transforms import (make_transform, rotation_about, rotation_from_rotvec,
                                           transform_points)
import numpy as np
import pytest
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.units import guess_unit
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.objects.mesh_file import load_mesh
import trimesh

#: The inertial frames are elsewhere than the links': poses must not be read from them.
_INERTIAL = ('<inertial><origin xyz="0.01 0.02 0.03" rpy="0.1 0.2 0.3"/><mass value="1"/>'
             '<inertia ixx="1" ixy="0" ixz="0" iyy="1" iyz="0" izz="1"/></inertial>')


def _visual(geometry, origin=''):
    return f'<visual><origin {origin}/><geometry>{geometry}</geometry></visual>'


def _urdf(path, base, lid=None):
    text = f'<robot name="thing"><link name="base">{_INERTIAL}{base}</link>'
    if lid is not None:
        text += (f'<link name="lid">{_INERTIAL}{lid}</link><joint name="hinge" type="revolute">'
                 '<parent link="base"/><child link="lid"/><origin xyz="0.2 0 0" rpy="0 0 1"/>'
                 '<axis xyz="0 0 1"/><limit lower="-1" upper="1" effort="1" velocity="1"/>'
                 '</joint>')
    path.write_text(text + '</robot>')
    return path


def test_links_and_shapes_stand_where_the_file_puts_them(tmp_path):
    path = _urdf(tmp_path / 'thing.urdf',
                 _visual('<box size="0.1 0.06 0.04"/>', 'xyz="0 0 0.05" rpy="0 0 0.5"'),
                 _visual('<box size="0.02 0.03 0.05"/>', 'xyz="0 0.01 0" rpy="1.5 0 0"'))
    vertices = load_mesh(path).vertices_m
    first = make_transform(rotation_about('z', 0.5), [0, 0, 0.05])
    second = (make_transform(rotation_about('z', 1.0), [0.2, 0, 0])
              @ make_transform(rotation_about('x', 1.5), [0, 0.01, 0]))
    expected = np.concatenate([
        transform_points(T, trimesh.creation.box(size).vertices)
        for T, size in ((first, (0.1, 0.06, 0.04)), (second, (0.02, 0.03, 0.05)))])
    apart = np.linalg.norm(vertices[:, None] - expected, axis=2)
    assert apart.min(0).max() < 1e-6 and apart.min(1).max() < 1e-6


@pytest.mark.parametrize('geometry, extents_m', [
    ('<cylinder radius="0.02" length="0.08"/>', (0.04, 0.04, 0.08)),
    ('<sphere radius="0.03"/>', (0.06, 0.06, 0.06)),
    ('<capsule radius="0.02" length="0.06"/>', (0.04, 0.04, 0.10)),
])
def test_solids(tmp_path, geometry, extents_m):
    path = _urdf(tmp_path / 'solid.urdf', _visual(geometry))
    assert np.ptp(load_mesh(path).vertices_m, axis=0) == pytest.approx(extents_m, rel=0.01)


@pytest.mark.parametrize('name', ['../meshes/part.obj', 'package://cup/meshes/part.obj'])
def test_meshes_are_found_from_the_file_and_from_the_package(tmp_path, monkeypatch, name):
    for folder in ('urdf', 'meshes', 'elsewhere'):
        (tmp_path / 'cup' / folder).mkdir(parents=True)
    monkeypatch.chdir(tmp_path / 'cup' / 'elsewhere')
    trimesh.creation.box((50, 40, 30)).export(tmp_path / 'cup' / 'meshes' / 'part.obj')
    path = _urdf(tmp_path / 'cup' / 'urdf' / 'cup.urdf', _visual(
        f'<mesh filename="{name}" scale="0.001 0.001 0.002"/>', 'xyz="0 0 0.1"'))
    vertices = load_mesh(path).vertices_m
    assert np.ptp(vertices, axis=0) == pytest.approx((0.05, 0.04, 0.06), rel=1e-5)
    assert vertices.mean(0) == pytest.approx((0, 0, 0.1), abs=1e-6)


def test_a_mirrored_mesh_keeps_its_outside_outside(tmp_path):
    trimesh.creation.cone(radius=0.03, height=0.05).export(tmp_path / 'part.stl')
    path = _urdf(tmp_path / 'cup.urdf',
                 _visual('<mesh filename="part.stl" scale="1 1 -1"/>'))
    mesh = load_mesh(path)
    assert np.linalg.det(mesh.vertices_m[mesh.faces]).sum() > 0
    assert mesh.vertices_m[:, 2].min() == pytest.approx(-0.05)


def test_an_object_of_the_catalogue(tmp_path):
    path = _urdf(tmp_path / 'block.urdf', _visual('<box size="0.08 0.06 0.04"/>'))
    model, = build_catalogue((ObjectConfig('block', 'mesh', file=str(path)),))
    assert model.extents_m == pytest.approx((0.08, 0.06, 0.04))
    assert len(model.symmetry.transforms) == 4
    with pytest.raises(ConfigurationError, match="unit = 'mm'; a URDF is in metres"):
        ObjectConfig('block', 'mesh', file=str(path), unit='mm')
    assert guess_unit(0.9, '.urdf').sureness == 'sure'


@pytest.mark.parametrize('base, text', [
    ('', 'has no triangles'),
    (_visual('<mesh filename="gone.obj"/>'), 'a mesh is missing that it names'),
    (_visual('<plane normal="0 0 1"/>'), 'has no volume|has no triangles|no body in it'),
])
def test_bad_files_are_one_line(tmp_path, base, text):
    with pytest.raises(ConfigurationError, match=text) as caught:
        load_mesh(_urdf(tmp_path / 'bad.urdf', base))
    assert '\n' not in str(caught.value)


def test_not_a_urdf(tmp_path):
    path = tmp_path / 'empty.urdf'
    path.write_text('<robot')
    with pytest.raises(ConfigurationError, match='cannot be read as URDF: no body in it'):
        load_mesh(path)


def test_rotation_of_a_link_is_not_transposed(tmp_path):
    """A long part that a joint turns by 90 degrees about z lies along y."""
    rotation = rotation_from_rotvec([0, 0, np.pi / 2])
    path = _urdf(tmp_path / 'turned.urdf', _visual('<box size="0.02 0.02 0.02"/>'),
                 _visual('<box size="0.2 0.01 0.01"/>', f'xyz="0 0 0" rpy="0 0 {np.pi / 2 - 1}"'))
    low, high = load_mesh(path).vertices_m.min(0), load_mesh(path).vertices_m.max(0)
    assert np.allclose(rotation @ [1, 0, 0], [0, 1, 0])
    assert high[1] - low[1] == pytest.approx(0.2, rel=1e-4)
    assert high[0] - low[0] == pytest.approx(0.215, rel=1e-3)
