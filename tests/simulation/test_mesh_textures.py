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

"""Pictures on meshes: read with every format, and drawn where the file puts them."""

import dataclasses

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           transform_points)
import numpy as np
from PIL import Image
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects.mesh_file import load_mesh
from sim_trainer.rendering.factory import make_renderer
from sim_trainer.scene.generator import SceneGenerator
import trimesh

#: Four colours (RGB) of a 2x2 checker: top left, top right, bottom left, bottom right.
COLORS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 0]]], np.uint8)


def _write_textured_obj(folder, map_line='map_Kd picture.png'):
    picture = np.kron(COLORS, np.ones((8, 8, 1), np.uint8))
    cv2.imwrite(str(folder / 'picture.png'), cv2.cvtColor(picture, cv2.COLOR_RGB2BGR))
    (folder / 'mesh.mtl').write_text(f'newmtl paint\nKd 1 1 1\n{map_line}\n')
    # A tetrahedron whose vertex 2 has two places on the picture: a seam.
    path = folder / 'mesh.obj'
    path.write_text(
        'mtllib mesh.mtl\nusemtl paint\nv 0 0 0\nv 50 0 0\nv 0 40 0\nv 0 0 30\n'
        'vt 0.25 0.75\nvt 0.75 0.75\nvt 0.25 0.25\nvt 0.75 0.25\n'
        'f 1/1 3/3 2/2\nf 1/1 2/2 4/4\nf 1/1 4/4 3/3\nf 2/3 3/3 4/4\n')
    return path


def _color_at(mesh, vertex_m):
    """Return the colours of the vertices at one place, by the convention of ``MeshFile``."""
    height, width = mesh.texture_rgb.shape[:2]
    at = np.linalg.norm(mesh.vertices_m - vertex_m, axis=1) < 1e-6
    uv = mesh.uv[at]
    rows = np.floor((1 - uv[:, 1]) * height).astype(int).clip(0, height - 1)
    columns = np.floor(uv[:, 0] * width).astype(int).clip(0, width - 1)
    return {tuple(int(c) for c in color) for color in mesh.texture_rgb[rows, columns]}


@pytest.mark.parametrize('suffix', ['obj', 'glb'])
def test_a_known_texel_lands_on_a_known_vertex(tmp_path, suffix):
    path = _write_textured_obj(tmp_path)
    if suffix == 'glb':     # in GLB v points down: the writer turns it over, and the reader back
        made = trimesh.load(path, force='mesh', process=False)
        path = path.with_suffix('.glb')
        made.export(path)
    mesh = load_mesh(path, 'mm')
    assert mesh.uv.dtype == np.float32 and mesh.texture_rgb.dtype == np.uint8
    assert mesh.texture_rgb.shape == (16, 16, 3)
    assert _color_at(mesh, [0, 0, 0]) == {(255, 0, 0)}
    assert _color_at(mesh, [0, 0.04, 0]) == {(0, 0, 255)}
    assert _color_at(mesh, [0, 0, 0.03]) == {(255, 255, 0)}
    # The seam: one place, two colours.
    assert _color_at(mesh, [0.05, 0, 0]) == {(0, 255, 0), (0, 0, 255)}


def test_a_ply_with_texture_coordinates(tmp_path):
    cv2.imwrite(str(tmp_path / 'picture.png'), np.kron(COLORS, np.ones((8, 8, 1), np.uint8))
                [..., ::-1])
    path = tmp_path / 'mesh.ply'
    path.write_text(
        'ply\nformat ascii 1.0\ncomment TextureFile picture.png\nelement vertex 4\n'
        'property float x\nproperty float y\nproperty float z\nproperty float s\n'
        'property float t\nelement face 4\nproperty list uchar int vertex_indices\nend_header\n'
        '0 0 0 0.25 0.75\n50 0 0 0.75 0.75\n0 40 0 0.25 0.25\n0 0 30 0.75 0.25\n'
        '3 0 2 1\n3 0 1 3\n3 0 3 2\n3 1 2 3\n')
    mesh = load_mesh(path, 'mm')
    assert _color_at(mesh, [0, 0, 0]) == {(255, 0, 0)}
    assert _color_at(mesh, [0.05, 0, 0]) == {(0, 255, 0)}
    assert _color_at(mesh, [0, 0.04, 0]) == {(0, 0, 255)}


def test_several_pictures_become_one_sheet(tmp_path):
    def part(x, material):
        made = trimesh.creation.box([0.02, 0.02, 0.02])
        made.apply_translation([x, 0, 0])
        uv = np.tile([0.25, 0.75], (len(made.vertices), 1))
        made.visual = trimesh.visual.TextureVisuals(uv=uv, material=material)
        return made

    def picture(corner):
        pixels = np.full((16, 16, 3), 9, np.uint8)
        pixels[:8, :8] = corner         # uv (0.25, 0.75): the upper left quarter
        return Image.fromarray(pixels)

    pbr = trimesh.visual.material.PBRMaterial
    scene = trimesh.Scene([part(0, pbr(baseColorTexture=picture([200, 10, 10]))),
                           part(0.05, pbr(baseColorTexture=picture([10, 200, 10]))),
                           part(0.10, pbr(baseColorFactor=[10, 10, 200, 255]))])
    path = tmp_path / 'three.glb'
    scene.export(path)
    mesh = load_mesh(path)
    assert mesh.texture_rgb.shape == (32, 32, 3)
    for x, color in ((0, (200, 10, 10)), (0.05, (10, 200, 10)), (0.10, (10, 10, 200))):
        assert _color_at(mesh, [x + 0.01, 0.01, 0.01]) == {color}


def test_a_picture_that_is_not_there_is_said(tmp_path, caplog):
    mesh = load_mesh(_write_textured_obj(tmp_path, 'map_Kd lost.png'), 'mm')
    assert mesh.texture_rgb is None
    assert 'has texture coordinates but no picture' in caplog.text
    caplog.clear()
    path = _write_textured_obj(tmp_path)
    path.write_text(path.read_text().replace('mtllib mesh.mtl\nusemtl paint\n', ''))
    assert load_mesh(path, 'mm').texture_rgb is None
    assert 'has texture coordinates but no picture' in caplog.text


def test_a_broken_picture(tmp_path):
    path = _write_textured_obj(tmp_path)
    noise = np.random.default_rng(1).integers(0, 255, (64, 64, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'picture.png'), noise)
    whole = (tmp_path / 'picture.png').read_bytes()
    (tmp_path / 'picture.png').write_bytes(whole[:len(whole) // 2])
    with pytest.raises(ConfigurationError, match='mesh.obj: its picture cannot be read: '):
        load_mesh(path, 'mm')


def test_a_texture_lies_on_the_mesh_as_the_file_says(reference_path, tmp_path):
    """Four colours in the corners of a plate, drawn where u and v put them."""
    texture = np.zeros((64, 64, 3), np.uint8)       # rows from the top: v = 1 first
    texture[:32, :32], texture[:32, 32:] = (220, 0, 0), (0, 200, 0)
    texture[32:, :32], texture[32:, 32:] = (0, 0, 220), (230, 230, 230)
    Image.fromarray(texture).save(tmp_path / 'plate.png')
    (tmp_path / 'plate.mtl').write_text('newmtl plate\nmap_Kd plate.png\n')
    h, z = 0.05, 0.01
    corners = [(-h, -h), (h, -h), (h, h), (-h, h)]
    lines = ['mtllib plate.mtl', 'usemtl plate']
    lines += [f'v {x} {y} {top}' for top in (z, -z) for x, y in corners]
    lines += ['vt 0 0', 'vt 1 0', 'vt 1 1', 'vt 0 1']       # u along x, v along y
    lines += ['f 1/1 2/2 3/3', 'f 1/1 3/3 4/4', 'f 5/1 7/3 6/2', 'f 5/1 8/4 7/3']
    for a, b in ((1, 2), (2, 3), (3, 4), (4, 1)):
        lines += [f'f {a}/1 {a + 4}/1 {b + 4}/1', f'f {a}/1 {b + 4}/1 {b}/1']
    (tmp_path / 'plate.obj').write_text('\n'.join(lines) + '\n')
    config = load_config(reference_path, [
        f'objects=[{{name: plate, shape: mesh, file: {tmp_path}/plate.obj}}]', 'arm_urdf=null',
        'randomization.distractors.kinds=[primitives]',
        'randomization.distractors.weights=null', 'randomization.objects.count=1'])
    generator = SceneGenerator(config)
    renderer = make_renderer(config, generator)
    try:
        if renderer.name != 'opengl':
            pytest.skip('the PyBullet renderer draws no pictures on surfaces')
        body = generator.scene(0).instances[0]
        assert body.material.picture == 0
        white = dataclasses.replace(body.material, color_a=(1.0,) * 3, color_b=(1.0,) * 3)
        camera = PinholeCamera(400.0, 400.0, 79.5, 59.5, 160, 120)
        T_base_camera = look_at([0.7, 0.1, 0.45], [0.5, 0, 0])
        T_base_body = make_transform(np.eye(3), [0.5, 0, z])
        scene = dataclasses.replace(
            generator.scene(0), camera=camera, T_base_camera=T_base_camera, background=None,
            bodies=(dataclasses.replace(body, T_base_body=T_base_body, material=white),))
        image = renderer.draw(scene).image_rgb.astype(int)
        for x, y, channel in ((-1, 1, 0), (1, 1, 1), (-1, -1, 2)):
            point = transform_points(invert_transform(T_base_camera) @ T_base_body,
                                     np.array([[x * h / 2, y * h / 2, z]]))
            u, v = np.round(camera.project(point)[0]).astype(int)
            pixel = image[v, u]
            assert pixel.argmax() == channel and np.sort(pixel)[-1] > 2 * np.sort(pixel)[1] + 20
    finally:
        renderer.close()
        generator.close()
