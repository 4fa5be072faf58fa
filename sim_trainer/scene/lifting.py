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

"""From a base frame on the table to the one of the lab, where the table may be higher or lower."""

from __future__ import annotations

from dataclasses import replace

from dr_perception.core.transforms import invert_transform, make_transform
import numpy as np
from sim_trainer.scene.record import Light, SceneRecord


def lifted(scene: SceneRecord, height_m: float) -> SceneRecord:
    """Return the scene with everything in it higher by this; pictures of it are the same.

    Args:
        scene: whose table top is z = 0 in base.
        height_m: of the table top in the base frame that the lab has.
    """
    return moved(scene, (0.0, 0.0, height_m)) if height_m else scene


def moved(scene: SceneRecord, by_m: tuple[float, float, float]) -> SceneRecord:
    """Return the scene with everything in it, camera and what is told of it too, moved in base."""
    T = make_transform(np.eye(3), by_m)
    told = scene.told
    if told is not None:
        told = replace(told, T_base_camera=T @ told.T_base_camera,
                       T_told_base=T @ told.T_told_base @ invert_transform(T))
    return replace(
        scene, T_base_camera=T @ scene.T_base_camera, told=told,
        bodies=tuple(replace(body, T_base_body=T @ body.T_base_body) for body in scene.bodies),
        lights=tuple(_light(light, by_m) for light in scene.lights),
        lit_area=replace(scene.lit_area, centre_m=_shifted(scene.lit_area.centre_m, by_m)))


def _light(light: Light, by_m: tuple[float, float, float]) -> Light:
    return replace(light, position_m=_shifted(light.position_m, by_m),
                   target_m=_shifted(light.target_m, by_m))


def _shifted(point_m: tuple[float, float, float], by_m: tuple[float, float, float]
             ) -> tuple[float, float, float]:
    x, y, z = (float(a + b) for a, b in zip(point_m, by_m))
    return x, y, z
