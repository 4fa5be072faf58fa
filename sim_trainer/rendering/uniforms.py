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

"""What the OpenGL renderer passes to its programs: matrices, body blocks, culling."""

from __future__ import annotations

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import invert_transform, look_at
import numpy as np
from sim_trainer.rendering.shaders import (BODY_VEC4S, DECAL_VEC4S, MAX_DECALS, MAX_LIGHTS,
                                           SHADOWED_LIGHTS)
from sim_trainer.scene.record import Body, Decal, LitArea, SceneRecord

#: How deep shadow maps are, before and behind the area's middle, by its reach.
_SHADOW_DEPTH = 1.45
SKY_SOFTNESS_M = 0.04
NEAR_M, FAR_M = 0.05, 16.0
#: Ids of the id attachment: 0 everything else, 1 ... instances, this one the room and the sky.
ROOM_ID = 255
_GAMMA = 2.2


def f4(values) -> bytes:
    """Little-endian float32 bytes, as uniforms are written."""
    return np.ascontiguousarray(values, 'f4').tobytes()


def column_major(matrix: np.ndarray) -> bytes:
    """Return a 4x4 in OpenGL's column-major float32."""
    return np.ascontiguousarray(matrix.T, 'f4').tobytes()


def model_matrices(bodies: tuple[Body, ...]) -> np.ndarray:
    """(N, 4, 4): body coordinates of unit scale to base."""
    models = np.array([body.T_base_body for body in bodies]).reshape(-1, 4, 4)
    models[:, :3, :3] *= np.array([body.scale for body in bodies]).reshape(-1, 1, 3)
    return models


def body_blocks(bodies: tuple[Body, ...], models: np.ndarray) -> np.ndarray:
    """(N, BODY_VEC4S, 4) float32; the layout stands in ``shaders``."""
    count = len(bodies)
    blocks = np.zeros((count, BODY_VEC4S, 4), np.float32)
    blocks[:, 0:3] = models[:, :3]
    blocks[:, 3, :3] = [body.scale for body in bodies]
    # The golden ratio spreads any number of keys evenly; 0.1 is left for the surface's direction.
    blocks[:, 3, 3] = 0.1 + 0.8 * np.mod(0.618034 * np.arange(1, count + 1), 1.0)
    materials = [body.material for body in bodies]
    blocks[:, 4, :3] = np.power([m.color_a for m in materials], _GAMMA)
    instances = np.cumsum([bool(body.object_name) for body in bodies])
    ids = np.where([bool(body.object_name) for body in bodies], instances,
                   np.where([body.kind == 'room' for body in bodies], ROOM_ID, 0))
    blocks[:, 4, 3] = ids / 255.0
    blocks[:, 5, :3] = np.power([m.color_b for m in materials], _GAMMA)
    blocks[:, 5, 3] = [m.grain_strength for m in materials]
    angles = np.array([m.pattern_angle_rad for m in materials])
    blocks[:, 6, 0] = [m.pattern for m in materials]
    blocks[:, 6, 1] = [1.0 / m.pattern_scale_m for m in materials]
    blocks[:, 6, 2], blocks[:, 6, 3] = np.cos(angles), np.sin(angles)
    blocks[:, 7, :2] = [m.pattern_offset for m in materials]
    blocks[:, 7, 2] = [m.grain for m in materials]
    blocks[:, 7, 3] = [max(m.picture, 0) for m in materials]
    blocks[:, 8, :3] = [(m.roughness, m.metalness, m.specular) for m in materials]
    return blocks


def decal_block(decals: tuple[Decal, ...]) -> bytes:
    """Return the decals of one body as the shader reads them; places left show nothing."""
    block = np.zeros((MAX_DECALS, DECAL_VEC4S, 4), np.float32)
    for row, decal in zip(block, decals):
        row[:3] = decal.box_from_body
        row[3] = [*np.power(decal.color, _GAMMA), decal.opacity]
        row[4, :3] = max(decal.pattern, 0), 1.0 / decal.pattern_scale_m, decal.pattern >= 0
    return block.tobytes()


def frame_uniforms(scene: SceneRecord, clip: np.ndarray, shadow_matrices: list[np.ndarray],
                   softness: tuple[float, ...]) -> dict[str, bytes]:
    """Uniforms that all bodies of a scene share, by name."""
    lights = scene.lights[:MAX_LIGHTS]
    beams = []
    for light in lights:
        aim = np.subtract(light.target_m, light.position_m)
        beams.append([*(aim / max(np.linalg.norm(aim), 1e-9)),
                      np.cos(np.radians(min(light.beam_deg, 360.0) / 2))
                      if light.beam_deg < 360 else -2.0])
    room = scene.reflected
    return {
        'clip_from_base': column_major(clip),
        'eye': f4(scene.T_base_camera[:3, 3]),
        'light_position': f4([light.position_m for light in lights]),
        'light_color': f4([light.color for light in lights]),
        'light_beam': f4(beams),
        'light_specular': f4([light.specular for light in lights]),
        'light_shadow': f4([light.shadow for light in lights[:SHADOWED_LIGHTS]]),
        'shadow_matrix_0': column_major(shadow_matrices[0]),
        'shadow_matrix_1': column_major(shadow_matrices[1]),
        'shadow_matrix_sky': column_major(shadow_matrices[2]),
        'softness': f4(softness),
        'sky_color': f4(scene.sky_color),
        'ground_color': f4(scene.ground_color),
        'occlusion_strength': f4([scene.occlusion_strength]),
        'exposure': f4([scene.exposure]),
        'reflected': f4([0, 1, 0, 0] if room is None else
                        [room.pattern, room.repeats, room.turn, room.contrast]),
    }


def projection(camera: PinholeCamera) -> np.ndarray:
    """Clip coordinates of the optical frame, for pixel centres at integers, row 0 first.

    Convention: OpenGL's window x of pixel i's centre is i + 0.5, and its row 0 is the bottom one;
    y is not negated here, so the image's first row is the first one read back.
    """
    w, h = camera.width_px, camera.height_px
    return np.array([
        [2 * camera.fx_px / w, 0, (2 * camera.cx_px + 1) / w - 1, 0],
        [0, 2 * camera.fy_px / h, (2 * camera.cy_px + 1) / h - 1, 0],
        [0, 0, (FAR_M + NEAR_M) / (FAR_M - NEAR_M), -2 * FAR_M * NEAR_M / (FAR_M - NEAR_M)],
        [0, 0, 1, 0]])


def lamp_matrix(position_m: np.ndarray, area: LitArea) -> np.ndarray:
    """Perspective clip coordinates of a lamp that looks at the lit area."""
    centre = area.middle_m
    distance = float(np.linalg.norm(position_m - centre))
    depth = _SHADOW_DEPTH * area.reach_m
    near, far = max(distance - depth, 0.1), distance + depth
    zoom = distance / area.reach_m
    lens = np.array([[zoom, 0, 0, 0], [0, zoom, 0, 0],
                     [0, 0, (far + near) / (far - near), -2 * far * near / (far - near)],
                     [0, 0, 1, 0]])
    return lens @ invert_transform(look_at(position_m, centre, up=(0.3, 1.0, 0.0)))


def sky_matrix(area: LitArea) -> np.ndarray:
    """Parallel light from almost straight above, for the dark round what stands on the table."""
    centre = area.middle_m
    view = invert_transform(look_at(centre + [0.02, 0.01, 1.5], centre, up=(0.3, 1.0, 0.0)))
    ortho = np.diag([1 / area.reach_m, 1 / area.reach_m, 1.0, 1.0])
    ortho[2, 3] = -1.5
    return ortho @ view


def inside_frustum(clip: np.ndarray, centres_m: np.ndarray, radii_m: np.ndarray) -> np.ndarray:
    """(N,) bool: spheres that a clip matrix's side and near planes do not cut off entirely."""
    rows = np.vstack([clip[3] + clip[0], clip[3] - clip[0], clip[3] + clip[1], clip[3] - clip[1],
                      clip[3] + clip[2]])
    rows = rows / np.linalg.norm(rows[:, :3], axis=1, keepdims=True)
    distance = centres_m @ rows[:, :3].T + rows[:, 3]
    return (distance > -radii_m[:, None]).all(1)
