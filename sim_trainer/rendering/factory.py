"""Chooses the renderer: OpenGL where EGL is there, else PyBullet's CPU renderer with a warning."""

from __future__ import annotations

import logging

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.rendering.base import Renderer, RendererUnavailableError
from sim_trainer.rendering.opengl import OpenGLRenderer
from sim_trainer.rendering.patterns import make_patterns
from sim_trainer.scene.generator import SceneGenerator

logger = logging.getLogger(__name__)


def make_renderer(config: SceneConfig, generator: SceneGenerator) -> Renderer:
    """A renderer that knows every mesh of the generator's scenes."""
    patterns = make_patterns(config.seed)
    renderer: Renderer
    try:
        renderer = OpenGLRenderer(patterns)
    except RendererUnavailableError as error:
        from sim_trainer.rendering.bullet import BulletRenderer
        logger.warning('%s. Drawing with PyBullet instead: one light, no soft shadows, no '
                       'antialiasing, a worse model', error)
        renderer = BulletRenderer(patterns)
    for name, mesh in generator.draw_meshes().items():
        renderer.add_mesh(name, mesh)
    return renderer
