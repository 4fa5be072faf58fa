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

"""Random camera poses round the nominal, and the window of the picture that is drawn."""

from __future__ import annotations

from dataclasses import replace

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import rotation_from_rotvec
import numpy as np
from sim_trainer.configuration.randomization import ViewpointConfig
from sim_trainer.configuration.schema import CameraConfig, FramesConfig


def random_viewpoint(rng: np.random.Generator, camera: CameraConfig, config: ViewpointConfig
                     ) -> tuple[PinholeCamera, np.ndarray]:
    """Return a whole camera and ``T_base_camera``.

    Source: Tobin et al. 2017, section III-B: position in a box round the nominal, view direction
    turned by up to 0.1 rad, field of view scaled by up to 5 %.
    """
    nominal = camera.camera
    if not config.enabled:
        return nominal, camera.T_base_camera
    offset = (rng.random(3) - 0.5) * config.box_m
    T_base_camera = camera.pose_at(np.array(camera.position_m) + offset)
    turn = np.radians([config.turn_deg, config.turn_deg, config.roll_deg])
    T_base_camera[:3, :3] = T_base_camera[:3, :3] @ rotation_from_rotvec(
        rng.uniform(-turn, turn))
    zoom = 1.0 + rng.uniform(-config.zoom, config.zoom)
    return replace(nominal, fx_px=nominal.fx_px * zoom, fy_px=nominal.fy_px * zoom), T_base_camera


def random_window(rng: np.random.Generator, camera: PinholeCamera, T_base_camera: np.ndarray,
                  workspace_m: tuple[float, float, float, float], frames: FramesConfig
                  ) -> PinholeCamera:
    """Return the camera of the window to draw: mostly over the workspace, sometimes anywhere."""
    scaled = camera.resized(round(camera.width_px * frames.scale),
                            round(camera.height_px * frames.scale))
    width = min(frames.window_width_px, scaled.width_px)
    height = min(frames.window_height_px, scaled.height_px)
    room_x, room_y = scaled.width_px - width, scaled.height_px - height
    if rng.random() < 0.8:
        x0, x1, y0, y1 = workspace_m
        p_base = np.array([rng.uniform(x0, x1), rng.uniform(y0, y1), 0.02])
        R, t = T_base_camera[:3, :3], T_base_camera[:3, 3]
        u, v = scaled.project((p_base - t)[None] @ R)[0]
        left, top = u - width / 2, v - height / 2
    else:
        left, top = rng.uniform(0, room_x + 1), rng.uniform(0, room_y + 1)
    return scaled.cropped(int(np.clip(left, 0, room_x)), int(np.clip(top, 0, room_y)),
                          width, height)
