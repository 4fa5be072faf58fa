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

"""The room that smooth surfaces mirror."""
import dataclasses

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import look_at, make_transform
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.record import Body, Light, Material, Reflected, SceneRecord
from sim_trainer.scene.record_file import record_from_plain, record_to_plain

ROOM = Reflected(7, 3, 0.2, 1.0)


def _picture(opengl, roughness, metalness, reflected):
    """Return a cylinder, lying, seen from the side and a little above."""
    grey = (0.6, 0.6, 0.6)
    material = Material(grey, grey, 0, 0.1, 0.0, (0.0, 0.0), 0, 0.0, roughness, metalness, 0.5)
    body = Body('cylinder', make_transform(np.eye(3), [0.5, 0.0, 0.03]), (1.0, 1.0, 1.0), material,
                'cylinder')
    camera = PinholeCamera(900.0, 900.0, 79.5, 59.5, 160, 120)
    picture = opengl.draw(SceneRecord(
        (body,), (Light((0.5, 1.0, 2.0), (0.3, 0.3, 0.3), 0.005),), (0.5, 0.5, 0.5),
        (0.3, 0.3, 0.3), 0.0, 1.0, camera, look_at((1.1, 0.0, 0.4), (0.5, 0.0, 0.03)),
        reflected=reflected))
    return picture.image_rgb.astype(float)[picture.instance_ids > 0]


def test_a_mirror_shows_the_room_and_chalk_does_not(opengl):
    changed = {}
    for name, look in (('mirror', (0.1, 1.0)), ('brushed', (0.6, 1.0)), ('chalk', (1.0, 0.0))):
        even, room = (_picture(opengl, *look, reflected) for reflected in (None, ROOM))
        changed[name] = (room - even).std()
    assert changed['mirror'] > 15
    assert changed['chalk'] < 5 < changed['brushed'] < changed['mirror']


def test_without_contrast_the_room_is_even(opengl):
    even = _picture(opengl, 0.1, 1.0, None)
    assert np.array_equal(even, _picture(opengl, 0.1, 1.0, dataclasses.replace(ROOM, contrast=0)))


def test_the_room_turns(opengl):
    pictures = [_picture(opengl, 0.1, 1.0, dataclasses.replace(ROOM, turn=turn))
                for turn in (0.2, 0.35, 1.2)]
    assert np.abs(pictures[0] - pictures[1]).max() > 20
    assert np.abs(pictures[0] - pictures[2]).max() <= 2     # a full circle


@pytest.mark.parametrize('chance', [0, 1])
def test_scenes_have_rooms_as_often_as_wanted(reference_path, chance):
    generator = SceneGenerator(load_config(
        reference_path, [f'randomization.lighting.reflections={chance}']))
    scenes = [generator.scene(i) for i in range(4)]
    generator.close()
    assert all((scene.reflected is not None) == chance for scene in scenes)
    for scene in scenes:
        plain = record_to_plain(scene)
        assert ('reflected' in plain) == chance
        assert record_from_plain(plain).reflected == scene.reflected
