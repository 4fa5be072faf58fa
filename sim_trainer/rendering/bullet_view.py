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

"""How TinyRenderer sees a scene: its projection, its shadow's view, what lies outside both.

Convention: PyBullet's world is the base frame moved to ``origin_m`` and scaled by UNITS_PER_M.
Source: bullet3 examples/TinyRenderer/{TinyRenderer,our_gl}.cpp for its conventions.
"""

from __future__ import annotations

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import invert_transform, make_transform, transform_points
import numpy as np
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.scene.record import Body, Light, SceneRecord

#: TinyRenderer's shadow test forgives SHADOW_BIAS_UNITS less the near plane's distance.
UNITS_PER_M = 4.0
SHADOW_BIAS_UNITS = 0.05
FAR_M = 12.0
#: How much of the lit area's reach the shadow map must hold: it is coarse.
_SHADOW_REACH = 0.73


def projection_matrix(camera: PinholeCamera, near_m: float) -> list[float]:
    """Return TinyRenderer's projection: 16 floats, column-major, OpenGL's axes (x right, y up).

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


def shadow_view(scene: SceneRecord, camera: PinholeCamera
                ) -> tuple[np.ndarray, float, np.ndarray]:
    """Direction to the light (3,), its distance (m) and the world's origin (3, m, base frame).

    TinyRenderer draws the shadow map with the camera's own projection, from the light towards
    the world's origin. The origin is placed so that the middle of the workspace falls on the
    middle of that view, and the light so far off that the workspace fits into it.
    """
    centre = scene.lit_area.middle_m
    offset = np.array(first_light(scene).position_m) - centre
    direction = offset / np.linalg.norm(offset)
    view = min(camera.width_px / camera.fx_px, camera.height_px / camera.fy_px)
    reach_m = _SHADOW_REACH * scene.lit_area.reach_m
    distance_m = max(float(np.linalg.norm(offset)), 2 * reach_m / view)
    side = np.cross(-direction, [0, 0, 1])
    side /= max(np.linalg.norm(side), 1e-9)
    down = np.cross(-direction, side)
    shift = (side * (camera.width_px / 2 - camera.cx_px) / camera.fx_px
             + down * (camera.height_px / 2 - camera.cy_px) / camera.fy_px)
    return direction, distance_m, centre - shift * distance_m


def near_plane_m(camera: PinholeCamera, direction: np.ndarray, distance_m: float) -> float:
    """Return the near plane whose shadow test forgives the table's fall within a shadow texel."""
    texel_m = distance_m / min(camera.fx_px, camera.fy_px)
    slope = np.sqrt(1 - min(direction[2] ** 2, 1.0)) / max(direction[2], 0.2)
    bias_m = np.clip(1.5 * texel_m * slope, 0.002, 0.012)
    return float(SHADOW_BIAS_UNITS / UNITS_PER_M - bias_m)


def first_light(scene: SceneRecord) -> Light:
    """Return the only lamp that PyBullet can draw; a lamp straight above where there is none."""
    x, y, z = scene.lit_area.centre_m
    return scene.lights[0] if scene.lights else Light((x, y, z + 2.0), (0.0, 0.0, 0.0), 0.0)


def may_be_seen(body: Body, mesh: DrawMesh, scene: SceneRecord) -> bool:
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
