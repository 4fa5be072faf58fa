"""Renderer on PyBullet's CPU TinyRenderer, for machines without EGL: one light, hard shadows.

TinyRenderer shades 8-bit colours without gamma, so it does not draw the picture itself here. Its
red channel carries the pattern and its green channel the light, per pixel; the colours are mixed
from them in linear light with the exposure and tone curve of the OpenGL renderer.

What it leaves out of a ``SceneRecord``: lights beyond the first (which shines for all of them),
grain, reflections and soft shadows; meshes of many vertices are drawn without their pattern.
There is no antialiasing: four samples a pixel cost four times the time of one (measured), and
one is already slower than the OpenGL renderer.
Source: bullet3 examples/TinyRenderer/{TinyRenderer,our_gl}.cpp for its conventions.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import cv2
import numpy as np

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import (invert_transform, make_transform,
                                           quat_xyzw_from_rotation, transform_points)
from sim_trainer.physics.quiet import import_pybullet
from sim_trainer.rendering.base import Picture
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.scene.record import Body, Light, SceneRecord

#: PyBullet leaks memory on repeated loads; the client is opened anew after so many scenes.
SCENES_PER_CLIENT = 100
#: TinyRenderer's shadow test forgives SHADOW_BIAS_UNITS less the near plane's distance.
UNITS_PER_M = 4.0
SHADOW_BIAS_UNITS = 0.05
FAR_M = 12.0
#: Meshes of more vertices keep one shape without a pattern: lists of floats are slow to pass.
PATTERN_VERTICES = 2500
#: Green = AMBIENT + DIFFUSE * shadow * cosine, shadow 0.8 or 1.
AMBIENT, DIFFUSE = 0.25, 0.75
#: Middle (m) and half width (m) of what the shadow map must hold.
SHADOW_CENTRE_M = (0.5, 0.0, 0.05)
SHADOW_REACH_M = 0.45
_TONE_MAX = 16.0


class BulletRenderer:
    """Draws scene records with PyBullet. See ``Renderer``."""

    name = 'bullet'

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
        direction, distance_m, origin_m = _shadow_view(scene, camera)
        near_m = _near_plane_m(camera, direction, distance_m)
        # Near things usually stand last in a record: drawn first, they spare what is behind them.
        shown = [i for i, body in enumerate(scene.bodies)
                 if _may_be_seen(body, self._meshes[body.mesh], scene)][::-1]
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
        return Picture(self._develop(scene, rgba, body_ids), table[body_ids])

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
            self._p.GEOM_MESH, vertices=(mesh.positions * scale * UNITS_PER_M).tolist(),
            indices=list(range(count)), normals=normals.tolist(), uvs=uvs.tolist(),
            rgbaColor=[1, 1, 1, 1], physicsClientId=self._client)
        if count > PATTERN_VERTICES:
            self._large_shapes[key] = shape
        return shape

    def _texture(self, pattern: int) -> int:
        """PyBullet's id of a texture that holds the pattern in red."""
        if pattern not in self._textures:
            path = Path(self._folder.name) / f'{pattern}.png'
            if not path.is_file():
                red = self._patterns[pattern]
                cv2.imwrite(str(path), np.dstack([np.full_like(red, 255)] * 2 + [red]))
            self._textures[pattern] = self._p.loadTexture(str(path),
                                                          physicsClientId=self._client)
        return self._textures[pattern]

    def _develop(self, scene: SceneRecord, rgba: np.ndarray, body_ids: np.ndarray) -> np.ndarray:
        """The picture (H, W, 3) uint8 from TinyRenderer's samples and the bodies behind them."""
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


def _may_be_seen(body: Body, mesh: DrawMesh, scene: SceneRecord) -> bool:
    """Whether the corners of a body's box are not all beyond one side of the picture.

    What is beyond is left out: walls cost as much time as everything else. Its shadow goes too.
    """
    low, high = mesh.positions.min(0), mesh.positions.max(0)
    corners = np.array([[x, y, z] for x in (low[0], high[0]) for y in (low[1], high[1])
                        for z in (low[2], high[2])]) * np.asarray(body.scale)
    T_camera_body = invert_transform(scene.T_base_camera) @ body.T_base_body
    points = transform_points(T_camera_body, corners)
    camera, (u, v, z) = scene.camera, (points @ scene.camera.K.T).T
    beyond = (z <= 0, u < -z, u > camera.width_px * z, v < -z, v > camera.height_px * z)
    return not any(side.all() for side in beyond)


def projection_matrix(camera: PinholeCamera, near_m: float) -> list[float]:
    """TinyRenderer's projection: 16 floats, column-major, OpenGL's axes (x right, y up, -z ahead).

    Convention: TinyRenderer samples at whole window coordinates (OpenGL at i + 0.5), and turns
    rows 0...H-1 upside down at the end. So pixel u is window x = u, and pixel v is window
    y = H - 1 - v.
    """
    w, h = camera.width_px, camera.height_px
    near, far = near_m * UNITS_PER_M, FAR_M * UNITS_PER_M
    matrix = np.array([
        [2 * camera.fx_px / w, 0, 1 - 2 * camera.cx_px / w, 0],
        [0, 2 * camera.fy_px / h, 2 * (camera.cy_px + 1) / h - 1, 0],
        [0, 0, -(far + near) / (far - near), -2 * far * near / (far - near)],
        [0, 0, -1, 0]])
    return matrix.T.ravel().tolist()


def view_matrix(T_base_camera: np.ndarray, origin_m: np.ndarray) -> list[float]:
    """16 floats, column-major: from PyBullet's world (units, about ``origin_m``) to OpenGL eye."""
    T_camera_base = invert_transform(T_base_camera)
    t_units = (T_camera_base[:3, :3] @ origin_m + T_camera_base[:3, 3]) * UNITS_PER_M
    view = np.diag([1.0, -1.0, -1.0, 1.0]) @ make_transform(T_camera_base[:3, :3], t_units)
    return view.T.ravel().tolist()


def pattern_coordinates(body: Body, mesh: DrawMesh) -> np.ndarray:
    """Texture coordinates (3F, 2), positive: box mapping along each triangle's dominant axis."""
    material = body.material
    corners = mesh.positions.reshape(-1, 3, 3)
    normals = np.abs(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]))
    axes = np.array([[1, 2], [0, 2], [0, 1]])[normals.argmax(1)]
    sized = corners * np.asarray(body.scale)
    uv = np.take_along_axis(sized, np.repeat(axes[:, None], 3, axis=1), axis=2).reshape(-1, 2)
    c, s = np.cos(material.pattern_angle_rad), np.sin(material.pattern_angle_rad)
    uv = uv @ np.array([[c, s], [-s, c]]) / material.pattern_scale_m + material.pattern_offset
    return uv - np.floor(uv.min(0))


def _shadow_view(scene: SceneRecord, camera: PinholeCamera
                 ) -> tuple[np.ndarray, float, np.ndarray]:
    """Direction to the light (3,), its distance (m) and the world's origin (3, m, base frame).

    TinyRenderer draws the shadow map with the camera's own projection, from the light towards
    the world's origin. The origin is placed so that the middle of the workspace falls on the
    middle of that view, and the light so far off that the workspace fits into it.
    """
    centre = np.array(SHADOW_CENTRE_M)
    offset = np.array(_first_light(scene).position_m) - centre
    direction = offset / np.linalg.norm(offset)
    view = min(camera.width_px / camera.fx_px, camera.height_px / camera.fy_px)
    distance_m = max(float(np.linalg.norm(offset)), 2 * SHADOW_REACH_M / view)
    side = np.cross(-direction, [0, 0, 1])
    side /= max(np.linalg.norm(side), 1e-9)
    down = np.cross(-direction, side)
    shift = (side * (camera.width_px / 2 - camera.cx_px) / camera.fx_px
             + down * (camera.height_px / 2 - camera.cy_px) / camera.fy_px)
    return direction, distance_m, centre - shift * distance_m


def _near_plane_m(camera: PinholeCamera, direction: np.ndarray, distance_m: float) -> float:
    """The near plane whose shadow test forgives how much the table falls within a shadow texel."""
    texel_m = distance_m / min(camera.fx_px, camera.fy_px)
    slope = np.sqrt(1 - min(direction[2] ** 2, 1.0)) / max(direction[2], 0.2)
    bias_m = np.clip(1.5 * texel_m * slope, 0.002, 0.012)
    return float(SHADOW_BIAS_UNITS / UNITS_PER_M - bias_m)


def _first_light(scene: SceneRecord) -> Light:
    return scene.lights[0] if scene.lights else Light((0.5, 0.0, 2.0), (0.0, 0.0, 0.0), 0.0)


def _light_levels(scene: SceneRecord) -> tuple[np.ndarray, np.ndarray]:
    """Ambient light (3,) and the lamp's (3,), exposure included, linear.

    The one lamp gives the table what all lights of the scene give it together.
    """
    centre = np.array(SHADOW_CENTRE_M)
    table = np.zeros(3)
    for light in scene.lights:
        offset = np.array(light.position_m) - centre
        distance = np.linalg.norm(offset)
        table += np.array(light.color) * max(offset[2], 0.0) / distance ** 3
    first = np.array(_first_light(scene).position_m) - centre
    sine = max(first[2] / np.linalg.norm(first), 0.2)
    ambient = np.array(scene.sky_color) * 0.75 + np.array(scene.ground_color) * 0.25
    return tuple((scene.exposure * part).astype(np.float32) for part in (ambient, table / sine))
