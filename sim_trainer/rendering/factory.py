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

"""Chooses the renderer: OpenGL where EGL is there, else PyBullet's CPU renderer with a warning."""

from __future__ import annotations

from dataclasses import replace
import logging

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.rendering.base import Picture, Renderer, RendererUnavailableError
from sim_trainer.rendering.distortion import LensMap
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.rendering.opengl import OpenGLRenderer
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.record import SceneRecord
from sim_trainer.sensor.background import apply_background
from sim_trainer.textures.bank import TextureBank

logger = logging.getLogger(__name__)


class SceneRenderer:
    """Adds to a renderer the lens's distortion and the record's picture behind the scene.

    See ``Renderer``.
    """

    def __init__(self, inner: Renderer, textures: TextureBank) -> None:
        self._inner, self._textures = inner, textures
        self.name = inner.name
        self.device = inner.device

    def add_mesh(self, name: str, mesh: DrawMesh) -> None:
        """See ``Renderer.add_mesh``."""
        self._inner.add_mesh(name, mesh)

    def draw(self, scene: SceneRecord) -> Picture:
        """See ``Renderer.draw``."""
        if scene.camera.distortion_model == 'none':
            picture = self._inner.draw(scene)
        else:
            lens = LensMap.of(scene.camera)
            picture = lens.bend(self._inner.draw(replace(scene, camera=lens.pinhole)))
        if scene.background is None:
            return picture
        return replace(picture, image_rgb=apply_background(
            picture.image_rgb, picture.room_mask, scene.background, self._textures.backgrounds()))

    def close(self) -> None:
        """See ``Renderer.close``."""
        self._inner.close()


def make_renderer(config: SceneConfig, generator: SceneGenerator) -> Renderer:
    """Return a renderer that knows every mesh and texture of the generator's scenes."""
    textures = generator.textures
    patterns = textures.patterns()
    inner: Renderer
    try:
        inner = OpenGLRenderer(patterns, textures.pictures)
    except RendererUnavailableError as error:
        from sim_trainer.rendering.bullet import BulletRenderer
        logger.warning('%s. Drawing with PyBullet instead: one light, no soft shadows, no '
                       'antialiasing, no pictures on surfaces, a worse model', error)
        inner = BulletRenderer(patterns)
    renderer = SceneRenderer(inner, textures)
    for name, mesh in generator.draw_meshes().items():
        renderer.add_mesh(name, mesh)
    return renderer
