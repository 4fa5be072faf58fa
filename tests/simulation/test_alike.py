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

"""Things in nearly the colours of the table or of each other."""
import dataclasses

import numpy as np
import pytest
from sim_trainer.configuration.laws import Chance
from sim_trainer.configuration.schema import load_config
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.materials import with_alike

SCENE = ['randomization.objects.count=[6, 8]', 'randomization.distractors.count=[3, 4]',
         'randomization.arm.present=0']


@pytest.fixture(scope='module')
def drawn(reference_path):
    """Return the same scenes with and without things alike."""
    scenes = []
    for chance in (1.0, 0.0):
        generator = SceneGenerator(load_config(
            reference_path, [*SCENE, f'randomization.textures.alike={chance}']))
        scenes.append([generator.scene(i) for i in range(6)])
        generator.close()
    return scenes


def _things(scene):
    return [body for body in scene.bodies if body.kind in ('object', 'distractor')]


def test_things_have_nearly_a_colour_of_the_scene_and_nothing_else_changes(drawn):
    for alike, apart in zip(*drawn):
        colors = np.array([color for body in apart.bodies if body.kind in (
            'object', 'distractor', 'table') for color in (
                body.material.color_a, body.material.color_b)])
        changed = 0
        for one, other in zip(alike.bodies, apart.bodies):
            if one.kind in ('object', 'distractor'):
                distance = np.abs(colors - one.material.color_a).max(1)
                assert distance.min() < 0.15
                changed += one.material != other.material
                one = dataclasses.replace(one, material=other.material)
            assert np.array_equal(one.T_base_body, other.T_base_body)
            assert (one.mesh, one.kind, one.material) == (other.mesh, other.kind, other.material)
        assert changed == len(_things(alike)) > 0
        assert alike.camera == apart.camera


def test_many_look_like_the_table(drawn):
    near = []
    for scene in drawn[0]:
        table = next(b.material for b in scene.bodies if b.kind == 'table')
        near += [np.abs(np.subtract(body.material.color_a, table.color_a)).max() < 0.15
                 for body in _things(scene)]
    assert 0.4 < np.mean(near) < 0.95


def test_known_colours_and_lone_things_stay(drawn):
    bodies = drawn[1][0].bodies
    rng = np.random.default_rng(0)
    names = {body.object_name for body in bodies if body.object_name}
    for one, other in zip(with_alike(rng, bodies, Chance(1.0), names), bodies):
        assert (one == other) or one.kind == 'distractor'
    lone = tuple(body for body in bodies if body.kind == 'object')[:1]
    assert with_alike(rng, lone, Chance(1.0)) == lone
    assert with_alike(rng, bodies, Chance(0.0)) == bodies


def test_a_limited_number_of_textures_stays_limited(reference_path):
    generator = SceneGenerator(load_config(
        reference_path, [*SCENE, 'randomization.textures.alike=1',
                         'randomization.textures.count=2']))
    colors = {body.material.color_a for i in range(4) for body in _things(generator.scene(i))}
    generator.close()
    assert len(colors) == 2
