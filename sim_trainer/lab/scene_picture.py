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

"""The scene as the camera will see it, and beside it a photograph that the camera took."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import invert_transform, transform_points
import numpy as np
from sim_trainer.configuration.distractors import DistractorConfig
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import ConfigurationError
from sim_trainer.evaluation.annotation import annotated, label
from sim_trainer.evaluation.heldout import simulated_pictures
from sim_trainer.objects.catalogue import build_catalogue

_WORKSPACE_RGB, _GRID_RGB, _EDGE_RGB = (255, 210, 0), (200, 180, 60), (255, 0, 200)
_AXES_RGB = ((255, 40, 40), (40, 220, 40), (70, 130, 255))
#: Width and height of a photograph may differ from the camera's in shape by this part.
_SHAPE = 0.01


def nominal_scene(config: SceneConfig) -> SceneConfig:
    """Return the configuration with all at its nominal value, each object once and upright."""
    law = config.randomization
    objects = replace(law.objects, count=Range(*[float(len(config.objects))] * 2),
                      tumbled=Chance(0.0), dropped=Chance(0.0), crowded=Chance(0.0),
                      hidden=Chance(0.0), repeated=Chance(0.0))
    return replace(config, randomization=replace(
        law, objects=objects, distractors=DistractorConfig(count=Range(0, 0)),
        textures=replace(law.textures, enabled=False), lighting=replace(law.lighting,
                                                                        enabled=False),
        viewpoint=replace(law.viewpoint, enabled=False),
        arm=replace(law.arm, present=Chance(1.0 if config.arm_urdf else 0.0), column=Chance(0.0)),
        surroundings=replace(law.surroundings, enabled=False),
        background=replace(law.background, probability=Chance(0.0)),
        sensor=replace(law.sensor, enabled=False)))


def scene_picture(config: SceneConfig, photograph: Path | None = None) -> np.ndarray:
    """Return the scene, (H, W, 3) uint8 RGB: nominal, as in training, and over a photograph.

    Raises:
        ConfigurationError: the photograph cannot be read, or is of another shape than the
            camera's pictures.
    """
    camera = config.camera.camera
    photo = None if photograph is None else read_photograph(photograph, camera)
    catalogue = build_catalogue(config.objects)
    nominal = next(iter(simulated_pictures(nominal_scene(config), 1)))
    drawn = annotated(nominal, [], catalogue)
    _draw_frame(drawn, config, nominal)
    if photo is None:
        training = annotated(next(iter(simulated_pictures(config, 1))), [], catalogue)
        return _side_by_side([(drawn, 'nominal: workspace yellow, base axes, objects green'),
                              (training, 'a training picture')])
    marked = photo.copy()
    _draw_grid(marked, config, nominal)
    _draw_frame(marked, config, nominal)
    edges = cv2.Canny(cv2.cvtColor(nominal.image_rgb, cv2.COLOR_RGB2GRAY), 40, 110) > 0
    over = photo.copy()
    over[edges] = _EDGE_RGB
    blend = cv2.addWeighted(photo, 0.5, nominal.image_rgb, 0.5, 0)
    return np.vstack([
        _side_by_side([(drawn, 'nominal: workspace yellow, base axes, objects green'),
                       (marked, 'photograph: the same, with a line every 10 cm of the table')]),
        _side_by_side([(blend, 'half photograph, half drawn'),
                       (over, 'edges of the drawn scene over the photograph')])])


def read_photograph(path: Path, camera: PinholeCamera) -> np.ndarray:
    """Return a photograph (H, W, 3) uint8 RGB at the camera's size.

    Raises:
        ConfigurationError: missing, not a picture, or of another shape.
    """
    if not path.is_file():
        raise ConfigurationError(f'{path}: there is no such photograph; give a picture that the '
                                 'camera took (PNG or JPEG)')
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise ConfigurationError(f'{path}: cannot be read as a picture; save it as PNG or JPEG')
    height, width = image.shape[:2]
    if abs(width / height * camera.height_px / camera.width_px - 1) > _SHAPE:
        raise ConfigurationError(
            f'{path}: the photograph has {width}x{height} px, the camera {camera.width_px}x'
            f'{camera.height_px} px, which is another shape; give an uncut picture of this '
            'camera, or the calibration of this resolution')
    if (width, height) != (camera.width_px, camera.height_px):
        image = cv2.resize(image, (camera.width_px, camera.height_px),
                           interpolation=cv2.INTER_AREA)
    return cv2.cvtColor(image, cv2.COLOR_BGR2RGB)


def view_lines(config: SceneConfig) -> list[str]:
    """Return what the camera sees of the workspace, in words."""
    camera, T = config.camera.camera, config.camera.T_base_camera
    x, y = config.workspace.x_m, config.workspace.y_m
    grid = np.stack([*np.meshgrid(np.linspace(x.low, x.high, 21), np.linspace(y.low, y.high, 21)),
                     np.full((21, 21), config.workspace.z_m)], -1).reshape(-1, 3)
    points = transform_points(invert_transform(T), grid)
    pixels = camera.project(points)
    inside = ((pixels >= -0.5) & (pixels < [camera.width_px - 0.5, camera.height_px - 0.5])
              ).all(1)
    share, far = inside.mean(), points[:, 2]
    if not inside.any():
        raise ConfigurationError(
            f'camera: at {list(config.camera.position_m)} m, looking at '
            f'{list(config.camera.look_at_m)} m, it sees nothing of the workspace; correct '
            'camera.position_m, camera.look_at_m or the workspace')
    lines = [f'camera: {camera.width_px}x{camera.height_px} px, sees {100 * share:.0f} % of the '
             f'workspace at {far[inside].min():.2f}...{far[inside].max():.2f} m; a pixel there is '
             f'{1000 * np.median(far[inside]) / camera.fx_px:.1f} mm']
    if share < 0.7:
        lines.append('  warning:   much of the workspace is outside the picture: objects there '
                     'are never seen; make the workspace smaller or turn the camera')
    for entry, model in zip(config.objects, build_catalogue(config.objects)):
        px = model.diameter_m / np.median(far[inside]) * camera.fx_px * config.frames.scale
        if px < 20:
            lines.append(f'  warning:   {entry.name} is {px:.0f} px wide in the drawn picture: '
                         'too small for a good pose; move the camera nearer, or raise '
                         'frames.scale')
    return lines


def _draw_frame(image: np.ndarray, config: SceneConfig, picture: BopPicture) -> None:
    """Workspace and base axes on a picture, in place."""
    x, y, z = config.workspace.x_m, config.workspace.y_m, config.workspace.z_m
    corners = np.array([[x.low, y.low, z], [x.high, y.low, z], [x.high, y.high, z],
                        [x.low, y.high, z]])
    for start, end in zip(corners, np.roll(corners, -1, 0)):
        _polyline(image, picture, np.linspace(start, end, 30), _WORKSPACE_RGB)
    for axis, color in zip(np.eye(3), _AXES_RGB):
        _polyline(image, picture, np.linspace(np.zeros(3), 0.1 * axis, 10), color)


def _draw_grid(image: np.ndarray, config: SceneConfig, picture: BopPicture) -> None:
    """Lines on the table at every 10 cm of base, in place: to be compared with a ruler."""
    x, y, z = config.workspace.x_m, config.workspace.y_m, config.workspace.z_m
    for value in np.arange(np.ceil(x.low * 10), np.floor(x.high * 10) + 1) / 10:
        _polyline(image, picture, np.linspace([value, y.low, z], [value, y.high, z], 30),
                  _GRID_RGB, 1)
    for value in np.arange(np.ceil(y.low * 10), np.floor(y.high * 10) + 1) / 10:
        _polyline(image, picture, np.linspace([x.low, value, z], [x.high, value, z], 30),
                  _GRID_RGB, 1)


def _polyline(image: np.ndarray, picture: BopPicture, points_m: np.ndarray,
              color: tuple[int, int, int], thickness: int = 2) -> None:
    pixels = picture.camera.project(transform_points(invert_transform(picture.T_base_camera),
                                                     points_m))
    for a, b in zip(pixels, pixels[1:]):
        if np.isfinite([a, b]).all() and np.abs([a, b]).max() < 1e4:
            cv2.line(image, *(tuple(int(round(16 * v)) for v in p) for p in (a, b)), color,
                     thickness, cv2.LINE_AA, 4)


def _side_by_side(panels: list[tuple[np.ndarray, str]]) -> np.ndarray:
    for image, text in panels:
        label(image, text, np.array([6, 14]), (255, 255, 255))
    return np.hstack([image for image, _ in panels])
