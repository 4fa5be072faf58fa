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

"""A picture of a model's own objects on a table, drawn from the contract alone.

For measuring time: how long decoding and poses take depends on how many objects there are to be
found, so a grey picture would flatter. It is no measure of accuracy: flat colours and one lamp are
less than `sim_trainer` draws, and a model may find only some of the objects.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.contract import ModelContract
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_about, transform_points)
import numpy as np

#: The reference scene: where the camera stands and what it looks at, base frame, metres.
_CAMERA_M, _TARGET_M = (1.10, 0.0, 0.65), (0.5, 0.0, 0.0)
_REFERENCE_HEIGHT_PX = 480
#: Places on the table: columns along y, rows along x (metres).
_SPACING_Y_M, _ROWS_X_M = 0.125, (0.40, 0.52, 0.64)
_PLACES_A_ROW = 4
_LIGHT = np.array([0.3, 0.2, 0.93])
_COLORS_RGB = np.array([[200, 60, 50], [60, 150, 70], [50, 90, 190], [220, 180, 60],
                        [150, 70, 160], [70, 180, 190], [230, 130, 50], [180, 180, 180]])
_WOOD_RGB, _WALL_RGB = (176, 148, 112), (96, 100, 106)


@dataclass(frozen=True, eq=False)
class DrawnScene:
    """A picture with what it was drawn with.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        camera: of the picture's size, with the vertical field of view that training had.
        T_base_camera: (4, 4), metres.
        object_count: how many objects stand in it.
    """

    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray
    object_count: int


def reference_camera(contract: ModelContract, width_px: int, height_px: int) -> PinholeCamera:
    """Return the reference scene's camera in another size: the same vertical field of view."""
    focal_px = contract.input.focal_px * height_px / _REFERENCE_HEIGHT_PX
    return PinholeCamera(focal_px, focal_px, (width_px - 1) / 2, (height_px - 1) / 2, width_px,
                         height_px)


def reference_pose() -> np.ndarray:
    """``T_base_camera`` (4x4) of the reference scene."""
    return look_at(_CAMERA_M, _TARGET_M)


def draw_scene(contract: ModelContract, width_px: int, height_px: int, seed: int) -> DrawnScene:
    """Draw the model's objects, upright, each once (at most twelve of them).

    Args:
        contract: of the model; its objects are drawn.
        width_px: of the picture.
        height_px: of the picture.
        seed: for the places, turns and the noise.
    """
    rng = np.random.default_rng([seed, width_px, height_px])
    camera = reference_camera(contract, width_px, height_px)
    T_base_camera = reference_pose()
    T_camera_base = invert_transform(T_base_camera)
    image_rgb = np.full((height_px, width_px, 3), _WALL_RGB, np.uint8)
    table = camera.project(transform_points(T_camera_base, np.array(
        [[-0.1, -0.7, 0], [0.95, -0.7, 0], [0.95, 0.7, 0], [-0.1, 0.7, 0.0]])))
    cv2.fillConvexPoly(image_rgb, np.round(table).astype(np.int32), _WOOD_RGB)
    places = [(x, (column - (_PLACES_A_ROW - 1) / 2) * _SPACING_Y_M)
              for x in _ROWS_X_M for column in range(_PLACES_A_ROW)]
    chosen = sorted(rng.permutation(len(places))[:len(contract.objects)],
                    key=lambda i: places[i][0])  # the camera looks from +x: the far ones first
    names = rng.permutation(len(contract.objects))
    for place, index in zip(chosen, names):
        x, y = np.array(places[place]) + rng.uniform(-0.012, 0.012, 2)
        model = contract.objects[index]
        T_base_object = make_transform(
            rotation_about('z', rng.uniform(-np.pi, np.pi)),
            (x, y, contract.support_plane_z_m + _upright_height_m(model)))
        _draw_mesh(image_rgb, camera, model, T_base_object, T_camera_base,
                   _COLORS_RGB[index % len(_COLORS_RGB)])
    noise = rng.normal(0.0, 4.0, (height_px, width_px, 1)).astype(np.float32)
    image_rgb = np.clip(image_rgb + noise, 0, 255).astype(np.uint8)
    return DrawnScene(image_rgb, camera, T_base_camera, len(chosen))


def _upright_height_m(model: ObjectModel) -> float:
    """Height of the origin above what the object stands on."""
    return float(-model.vertices_m[:, 2].min())


def _draw_mesh(image_rgb: np.ndarray, camera: PinholeCamera, model: ObjectModel,
               T_base_object: np.ndarray, T_camera_base: np.ndarray, color: np.ndarray) -> None:
    """Its faces, far to near, those that look away left out; in place."""
    corners_base = transform_points(T_base_object, model.vertices_m)[model.faces]
    corners = transform_points(T_camera_base, corners_base.reshape(-1, 3)).reshape(-1, 3, 3)
    normals = np.cross(corners_base[:, 1] - corners_base[:, 0],
                       corners_base[:, 2] - corners_base[:, 0])
    normals /= np.maximum(np.linalg.norm(normals, axis=1, keepdims=True), 1e-12)
    seen = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    faces_us = (seen * corners.mean(1)).sum(1) < 0
    shade = 0.35 + 0.65 * np.clip(normals @ _LIGHT, 0, 1)
    for face in np.argsort(-corners[:, :, 2].mean(1)):
        if faces_us[face]:
            pixels = camera.project(corners[face])
            if np.isfinite(pixels).all():
                cv2.fillConvexPoly(image_rgb, np.round(pixels).astype(np.int32),
                                   tuple(int(c) for c in color * shade[face]), cv2.LINE_AA)
