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

"""Tape, labels and print: where they are drawn, what carries them, what they leave alone."""

import dataclasses

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import make_transform
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.rendering.shaders import MAX_DECALS
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.record import Body, Decal, Light, Material, SceneRecord
from sim_trainer.scene.record_file import record_from_plain, record_to_plain

WHITE, BLUE = (0.9, 0.9, 0.9), (0.05, 0.05, 0.9)
#: The part of the cube above a plane 5 mm below its centre, measured along its x axis.
HALF = Decal(np.array([[1 / 0.05, 0, 0, -0.045 / 0.05], [0, 1, 0, 0], [0, 0, 1, 0]]), BLUE, 1.0)


def _picture(opengl, decals, pattern_color=WHITE):
    """Return a cube of 5 cm from straight above; image x along base -y, image y along base -x."""
    camera = PinholeCamera(800.0, 800.0, 59.5, 59.5, 120, 120)
    T_base_camera = make_transform(np.array([[0, -1, 0], [-1, 0, 0], [0, 0, -1.0]]),
                                   [0.5, 0.0, 1.0])
    material = Material(WHITE, pattern_color, 0, 0.1, 0.0, (0.0, 0.0), 0, 0.0, 0.9, 0.0, 0.0,
                        decals=decals)
    cube = Body('cube', make_transform(np.eye(3), [0.5, 0.0, 0.025]), (1.0, 1.0, 1.0), material,
                'cube')
    lamp = Light((0.5, 0.0, 2.0), (3.0, 3.0, 3.0), 0.005)
    return opengl.draw(SceneRecord((cube,), (lamp,), (0.3, 0.3, 0.3), (0.2, 0.2, 0.2), 0.0, 1.0,
                                   camera, T_base_camera))


@pytest.mark.parametrize('pattern_color', [WHITE, (0.9, 0.9, 0.8)], ids=['plain', 'patterned'])
def test_a_decal_covers_its_box_and_nothing_else(opengl, pattern_color):
    bare, marked = (_picture(opengl, decals, pattern_color) for decals in ((), (HALF,)))
    assert np.array_equal(bare.instance_ids, marked.instance_ids)
    changed = np.abs(bare.image_rgb.astype(int) - marked.image_rgb).max(-1) > 3
    rows = np.flatnonzero(changed.any(1))
    # x from -5 to 25 mm: upwards from 59.5 + 5 mm * 800 / 0.95 px.
    assert abs(rows[-1] - (59.5 + 0.005 * 800 / 0.95)) < 1.5
    assert abs(rows[0] - (59.5 - 0.025 * 800 / 0.95)) < 1.5
    inside = marked.image_rgb[45:60, 45:75].reshape(-1, 3).mean(0)
    assert inside[2] > 3 * inside[0]


def test_opacity_and_print_let_the_body_through(opengl):
    bare, full, half, printed = (_picture(opengl, decals).image_rgb[45:60, 45:75, 0].astype(float)
                                 for decals in (
        (), (HALF,), (dataclasses.replace(HALF, opacity=0.5),),
        (dataclasses.replace(HALF, pattern=2, pattern_scale_m=0.01),)))
    assert full.mean() < half.mean() < bare.mean()
    assert printed.std() > 10 > half.std()      # a checker


def test_the_last_decal_lies_on_top(opengl):
    red = dataclasses.replace(HALF, color=(0.9, 0.05, 0.05))
    top = _picture(opengl, (HALF, red)).image_rgb[50, 60]
    assert top[0] > 3 * top[2]


@pytest.fixture(scope='module')
def decalled(reference_path):
    """Return a generator of scenes where half of the things carry something."""
    made = SceneGenerator(load_config(reference_path, [
        'randomization.textures.decals=0.5', 'randomization.objects.count=[6, 8]',
        'randomization.distractors.count=[4, 6]']))
    yield made
    made.close()


def test_objects_and_distractors_carry_as_many(decalled):
    scenes = [decalled.scene(index) for index in range(40)]
    share = {kind: np.mean([bool(body.material.decals) for scene in scenes
                            for body in scene.bodies if body.kind == kind])
             for kind in ('object', 'distractor', 'table', 'arm', 'room')}
    assert share['object'] == pytest.approx(0.5, abs=0.1)
    assert share['distractor'] == pytest.approx(0.5, abs=0.15)
    assert share['table'] == share['arm'] == share['room'] == 0
    counts = {len(body.material.decals) for scene in scenes for body in scene.bodies}
    assert counts == set(range(MAX_DECALS + 1))


def test_every_decal_reaches_its_body(decalled):
    vertices = {model.name: model.vertices_m for model in decalled.catalogue}
    for index in range(30):
        for body in decalled.scene(index).instances:
            points = vertices[body.object_name]
            low, high = points.min(0), points.max(0)
            grid = low + (high - low) * np.random.default_rng(0).random((20000, 3))
            for decal in body.material.decals:
                A = decal.box_from_body
                assert (np.abs(grid @ A[:, :3].T + A[:, 3]) <= 1).all(1).any()


def test_records_with_decals_come_back(decalled):
    scene = next(s for s in map(decalled.scene, range(10))
                 if any(body.material.decals for body in s.bodies))
    plain = record_to_plain(scene)
    assert record_to_plain(record_from_plain(plain)) == plain


def test_without_the_chance_nothing_else_changes(decalled, reference_path):
    bare = SceneGenerator(load_config(reference_path, [
        'randomization.objects.count=[6, 8]', 'randomization.distractors.count=[4, 6]']))
    try:
        for index in range(5):
            for one, other in zip(bare.scene(index).bodies, decalled.scene(index).bodies):
                assert one.material.decals == ()
                assert dataclasses.replace(other.material, decals=()) == one.material
    finally:
        bare.close()
