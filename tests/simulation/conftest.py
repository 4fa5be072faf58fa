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

"""Shared: the reference configuration, small pictures, renderers."""

from pathlib import Path

import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.rendering.base import RendererUnavailableError
from sim_trainer.rendering.bullet import BulletRenderer
from sim_trainer.rendering.opengl import OpenGLRenderer
from sim_trainer.rendering.patterns import make_patterns
from sim_trainer.scene.generator import SceneGenerator

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope='session')
def reference_path():
    """Return the scene YAML of the reference scene."""
    return ROOT / 'config' / 'tabletop.yaml'


@pytest.fixture(scope='session')
def config(reference_path):
    """Return the reference scene with a small window."""
    return load_config(reference_path, ['frames.window_width_px=192',
                                        'frames.window_height_px=160', 'frames.count=4'])


@pytest.fixture(scope='session')
def generator(config):
    """Return a generator of its scenes."""
    made = SceneGenerator(config)
    yield made
    made.close()


def _with_meshes(renderer, generator):
    try:
        made = renderer(make_patterns(1))
    except RendererUnavailableError as error:
        pytest.skip(str(error))
    for name, mesh in generator.draw_meshes().items():
        made.add_mesh(name, mesh)
    return made


@pytest.fixture(scope='session', params=[OpenGLRenderer, BulletRenderer], ids=lambda r: r.name)
def renderer(request, generator):
    """Each renderer, with every mesh."""
    made = _with_meshes(request.param, generator)
    yield made
    made.close()


@pytest.fixture(scope='module')
def opengl(generator):
    """Return the OpenGL renderer with every mesh."""
    made = _with_meshes(OpenGLRenderer, generator)
    yield made
    made.close()
