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

"""Renderer on PyBullet's CPU TinyRenderer, for machines without EGL: one light, hard shadows.

TinyRenderer shades 8-bit colours without gamma, so it does not draw the picture itself here. Its
red channel carries the pattern and its green channel the light, per pixel; the colours are mixed
from them in linear light with the exposure and tone curve of the OpenGL renderer.

What it leaves out of a ``SceneRecord``: lights beyond the first (which shines for all of them),
grain, decals, reflections and soft shadows; meshes of many vertices are drawn without pattern.
There is no antialiasing: four samples a pixel cost four times the time of one (measured), and
one is already slower than the OpenGL renderer.
"""

from __future__ import annotations

from pathlib import Path
import tempfile

import cv2
from dr_perception.core.transforms import quat_xyzw_from_rotation
import numpy as np
from sim_trainer.physics.quiet import import_pybullet
from sim_trainer.physics.rows import RowPool
from sim_trainer.rendering.base import Picture
from sim_trainer.rendering.bullet_view import (first_light, may_be_seen, near_plane_m,
                                               pattern_coordinates, projection_matrix, shadow_view,
                                               UNITS_PER_M, view_matrix)
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.scene.record import Body, SceneRecord

#: PyBullet leaks memory on repeated loads; the client is opened anew after so many scenes.
SCENES_PER_CLIENT = 100
#: Meshes of more vertices keep one shape without a pattern: lists of floats are slow to pass.
PATTERN_VERTICES = 2500
#: Green = AMBIENT + DIFFUSE * shadow * cosine, shadow 0.8 or 1.
AMBIENT, DIFFUSE = 0.25, 0.75
_TONE_MAX = 16.0


class BulletRenderer:
    """Draws scene records with PyBullet. See ``Renderer``."""

    name = 'bullet'
    device = 'CPU (PyBullet TinyRenderer)'

    def __init__(self, patterns: np.ndarray) -> None:
        """Open a client of its own.

        Args:
            patterns: (L, S, S) uint8.
        """
        self._p = import_pybullet()
        self._patterns = patterns
        self._folder = tempfile.TemporaryDirectory(prefix='dr_perception_patterns_')
        self._meshes: dict[str, DrawMesh] = {}
        self._client = -1
        self._scenes = 0
        self._vertices, self._normals, self._uvs = RowPool(), RowPool(), RowPool()
        self._open()

    def _open(self) -> None:
        self._client = self._p.connect(self._p.DIRECT)
        self._textures: dict[int, int] = {}
        self._large_shapes: dict[tuple, int] = {}

    def add_mesh(self, name: str, mesh: DrawMesh) -> None:
        """See ``Renderer.add_mesh``. TinyRenderer culls back faces: they are turned outwards."""
        if name in self._meshes:
            return
        corners = mesh.positions.reshape(-1, 3, 3)
        if np.linalg.det(corners - mesh.positions.mean(0)).sum() < 0:
            mesh = DrawMesh(corners[:, ::-1].reshape(-1, 3),
                            mesh.normals.reshape(-1, 3, 3)[:, ::-1].reshape(-1, 3))
        self._meshes[name] = mesh

    def draw(self, scene: SceneRecord) -> Picture:
        """See ``Renderer.draw``."""
        camera = scene.camera
        if camera.distortion_model != 'none':
            raise ValueError('the PyBullet renderer draws pinhole cameras without distortion')
        self._scenes += 1
        if self._scenes % SCENES_PER_CLIENT == 0:
            self._p.disconnect(self._client)
            self._open()
        direction, distance_m, origin_m = shadow_view(scene, camera)
        near_m = near_plane_m(camera, direction, distance_m)
        # Near things usually stand last in a record: drawn first, they spare what is behind them.
        shown = [i for i, body in enumerate(scene.bodies)
                 if may_be_seen(body, self._meshes[body.mesh], scene)][::-1]
        handles = [self._add(scene.bodies[i], origin_m) for i in shown]
        try:
            _, _, rgba, _, mask = self._p.getCameraImage(
                camera.width_px, camera.height_px,
                view_matrix(scene.T_base_camera, origin_m), projection_matrix(camera, near_m),
                lightDirection=direction.tolist(), lightColor=[1, 1, 1],
                lightDistance=distance_m * UNITS_PER_M, shadow=1, lightAmbientCoeff=AMBIENT,
                lightDiffuseCoeff=DIFFUSE, lightSpecularCoeff=0.0,
                renderer=self._p.ER_TINY_RENDERER, physicsClientId=self._client)
        finally:
            for handle in handles[::-1]:
                self._p.removeBody(handle, physicsClientId=self._client)
        size = (camera.height_px, camera.width_px)
        rgba = np.reshape(np.asarray(rgba, np.uint8), (*size, 4))
        # 0 is the background (mask -1), i the i-th of the scene's bodies.
        order = np.zeros(max(handles, default=0) + 2, np.uint8)
        order[np.array(handles, int) + 1] = np.array(shown, int) + 1
        body_ids = order[np.reshape(np.asarray(mask, np.int32), size) + 1]
        instances = np.cumsum([bool(body.object_name) for body in scene.bodies])
        table = np.array([0, *(number if body.object_name else 0
                               for body, number in zip(scene.bodies, instances))], np.uint8)
        room = np.array([True, *(body.kind == 'room' for body in scene.bodies)])
        return Picture(self._develop(scene, rgba, body_ids), table[body_ids], room[body_ids])

    def close(self) -> None:
        """See ``Renderer.close``."""
        if self._client >= 0:
            self._p.disconnect(self._client)
            self._client = -1
            self._folder.cleanup()

    def _add(self, body: Body, origin_m: np.ndarray) -> int:
        """Add a body to the client; returns PyBullet's id."""
        p, mesh = self._p, self._meshes[body.mesh]
        pose = body.T_base_body
        handle = p.createMultiBody(
            0, -1, self._shape(body, mesh),
            basePosition=((pose[:3, 3] - origin_m) * UNITS_PER_M).tolist(),
            baseOrientation=quat_xyzw_from_rotation(pose[:3, :3]).tolist(),
            physicsClientId=self._client)
        if _is_patterned(body, mesh):
            p.changeVisualShape(handle, -1, textureUniqueId=self._texture(body.material.pattern),
                                physicsClientId=self._client)
        return handle

    def _shape(self, body: Body, mesh: DrawMesh) -> int:
        key = (body.mesh, body.scale)
        if key in self._large_shapes:
            return self._large_shapes[key]
        scale = np.asarray(body.scale)
        count = len(mesh.positions)
        normals = mesh.normals / scale
        normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
        uvs = (pattern_coordinates(body, mesh) if _is_patterned(body, mesh)
               else np.zeros((count, 2)))
        shape = self._p.createVisualShape(
            self._p.GEOM_MESH, indices=self._vertices.indices(count),
            normals=self._normals.rows(normals),
            vertices=self._vertices.rows(mesh.positions * scale * UNITS_PER_M),
            uvs=self._uvs.rows(uvs),
            rgbaColor=[1, 1, 1, 1], physicsClientId=self._client)
        if count > PATTERN_VERTICES:
            self._large_shapes[key] = shape
        return shape

    def _texture(self, pattern: int) -> int:
        """Return PyBullet's id of a texture that holds the pattern in red."""
        if pattern not in self._textures:
            path = Path(self._folder.name) / f'{pattern}.png'
            if not path.is_file():
                red = self._patterns[pattern]
                cv2.imwrite(str(path), np.dstack([np.full_like(red, 255)] * 2 + [red]))
            self._textures[pattern] = self._p.loadTexture(str(path),
                                                          physicsClientId=self._client)
        return self._textures[pattern]

    def _develop(self, scene: SceneRecord, rgba: np.ndarray, body_ids: np.ndarray) -> np.ndarray:
        """Return the picture (H, W, 3) uint8 of TinyRenderer's samples and their bodies."""
        colors_a, colors_b = np.zeros((2, len(scene.bodies) + 1, 3), np.float32)
        for i, body in enumerate(scene.bodies, 1):
            a, b = (np.array(c) ** 2.2 for c in (body.material.color_a, body.material.color_b))
            plain = not _is_patterned(body, self._meshes[body.mesh])
            colors_a[i], colors_b[i] = ((a + b) / 2,) * 2 if plain else (a, b)
        ambient, lamp = _light_levels(scene)
        green = rgba[..., 1].astype(np.float32)
        blend = np.minimum(rgba[..., 0] / np.maximum(green, 1.0), 1.0)[..., None]
        direct = np.maximum(green / 255.0 - AMBIENT, 0.0)[..., None] / DIFFUSE
        albedo = np.take(colors_a, body_ids, 0)
        albedo += blend * np.take(colors_b - colors_a, body_ids, 0)
        radiance = albedo * (ambient + direct * lamp)
        level = np.minimum(radiance, _TONE_MAX) * ((len(_TONE_TABLE) - 1) / _TONE_MAX)
        return _TONE_TABLE[level.astype(np.uint16)]


def _tone_table() -> np.ndarray:
    """8-bit values of linear light 0..._TONE_MAX; the curve of the OpenGL renderer's shader."""
    light = np.linspace(0, _TONE_MAX, 65536)
    toned = light * (1 + light * 0.12) / (1 + light * 0.45)
    return np.round(np.clip(toned, 0, 1) ** (1 / 2.2) * 255).astype(np.uint8)


_TONE_TABLE = _tone_table()


def _is_patterned(body: Body, mesh: DrawMesh) -> bool:
    return (body.material.color_a != body.material.color_b
            and len(mesh.positions) <= PATTERN_VERTICES)


def _light_levels(scene: SceneRecord) -> tuple[np.ndarray, np.ndarray]:
    """Ambient light (3,) and the lamp's (3,), exposure included, linear.

    The one lamp gives the table what all lights of the scene give it together.
    """
    centre = scene.lit_area.middle_m
    table = np.zeros(3)
    for light in scene.lights:
        offset = np.array(light.position_m) - centre
        distance = np.linalg.norm(offset)
        table += np.array(light.color) * max(offset[2], 0.0) / distance ** 3
    first = np.array(first_light(scene).position_m) - centre
    sine = max(first[2] / np.linalg.norm(first), 0.2)
    ambient = np.array(scene.sky_color) * 0.75 + np.array(scene.ground_color) * 0.25
    return tuple((scene.exposure * part).astype(np.float32) for part in (ambient, table / sine))
