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

"""Scenes: the same for the same seed, physically possible, and varied."""

import dataclasses

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import look_at, rotation_about, transform_points
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.dataset.labels import model_pose
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects import primitives
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.materials import Painter
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.sensor.effects import IDEAL


def _flat(value):
    if dataclasses.is_dataclass(value):
        return [x for f in dataclasses.fields(value) for x in _flat(getattr(value, f.name))]
    if isinstance(value, np.ndarray):
        return value.ravel().tolist()
    if isinstance(value, (tuple, list)):
        return [x for item in value for x in _flat(item)]
    return [value]


def test_a_scene_depends_on_seed_and_index_alone(generator, config):
    other = SceneGenerator(config)
    try:
        for index in (7, 3, 40):
            other.scene(index + 1)
            assert _flat(generator.scene(index)) == _flat(other.scene(index))
    finally:
        other.close()
    assert _flat(generator.scene(1)) != _flat(generator.scene(2))


def test_a_dropped_scene_does_not_depend_on_what_fell_before(reference_path):
    """See that no state of PyBullet's solver goes from one drop to the next."""
    config = load_config(reference_path, ['randomization.objects.dropped=1'])
    one, two = SceneGenerator(config), SceneGenerator(config)
    try:
        for index in range(6):
            two.scene(index + 50)
            assert _flat(one.scene(index)) == _flat(two.scene(index))
    finally:
        one.close()
        two.close()


def test_only_the_named_randomizer_changes(generator):
    scenes = [generator.scene(i, only=('lighting',)) for i in (0, 1, 2)]
    first = generator.scene(0)
    assert _flat(scenes[0]) == _flat(first)
    for scene in scenes[1:]:
        assert scene.lights != first.lights
        assert _flat(scene.bodies) == _flat(first.bodies)
        assert scene.sensor == first.sensor and scene.camera == first.camera
    textured = generator.scene(5, only=('textures',))
    assert _flat([b.T_base_body for b in textured.bodies]) == _flat(
        [b.T_base_body for b in first.bodies])
    assert all(a.material != b.material for a, b in zip(textured.bodies, first.bodies)
               if a.kind != 'arm')


@pytest.mark.parametrize('override, text', [
    (['workspace.x_m=[0.45, 0.5]', 'workspace.y_m=[0, 0.05]', 'randomization.objects.count=8'],
     r'only \d of 8 objects find room in the workspace x 0.45...0.5, y 0...0.05 m .*enlarge'),
    (['camera.look_at_m=[5, 0, 0.65]'], r'it sees nothing of the workspace .* correct camera'),
])
def test_an_impossible_scene_is_said(reference_path, override, text):
    with pytest.raises(ConfigurationError, match=text):
        SceneGenerator(load_config(reference_path, override))


def test_ten_thousand_draws_are_ten_thousand_textures(config):
    painter = Painter(config.randomization.textures, 1, 0)
    rng = np.random.default_rng(0)
    assert len({painter.paint(rng, 'object') for _ in range(10_000)}) == 10_000
    few = Painter(dataclasses.replace(config.randomization.textures, count=7), 1, 0)
    assert len({few.paint(rng, 'object') for _ in range(300)}) == 7


def test_a_factor_that_is_off_is_the_same_in_every_picture(reference_path):
    off = [f'randomization.{name}.enabled=false' for name in (
        'textures', 'lighting', 'viewpoint', 'surroundings', 'sensor')]
    made = SceneGenerator(load_config(reference_path, [
        *off, 'randomization.arm.present=0', 'randomization.arm.column=0',
        'randomization.distractors.count=0', 'randomization.background.probability=0']))
    try:
        a, b = made.scene(3, whole_picture=True), made.scene(4, whole_picture=True)
    finally:
        made.close()
    assert a.lights == b.lights and a.sensor == b.sensor == IDEAL and a.background is None
    assert np.array_equal(a.T_base_camera, b.T_base_camera) and a.camera == b.camera
    for scene in (a, b):
        assert {body.kind for body in scene.bodies} == {'object', 'table', 'room'}
    colors = {body.material for scene in (a, b) for body in scene.instances}
    assert len(colors) == 1


def test_hidden_objects_have_something_between_them_and_the_camera(reference_path):
    made = SceneGenerator(load_config(reference_path, [
        'randomization.objects.hidden=1', 'randomization.objects.dropped=0',
        'randomization.objects.count=1', 'randomization.distractors.count=1']))
    vertices = made.draw_meshes()
    try:
        offsets, covered = [], []
        for index in range(40):
            scene = made.scene(index, whole_picture=True)
            thing = [b for b in scene.bodies if b.kind == 'distractor']
            if thing:
                hidden, eye = scene.instances[0], scene.T_base_camera[:3, 3]
                toward = eye[:2] - hidden.T_base_body[:2, 3]
                offset = thing[0].T_base_body[:2, 3] - hidden.T_base_body[:2, 3]
                offsets.append(offset @ toward / np.linalg.norm(offset) / np.linalg.norm(toward))
                # The line from the eye over the hiding thing's top, where it meets the axis.
                top = _top_m(thing[0], vertices)
                reach = np.linalg.norm(offset)
                meets = top - reach * (eye[2] - top) / (np.linalg.norm(toward) - reach)
                covered.append(meets / _top_m(hidden, vertices))
    finally:
        made.close()
    assert len(offsets) > 30 and np.median(offsets) > 0.85
    # Any part of the height, as often.
    assert 0.3 < np.median(covered) < 0.8
    assert np.quantile(covered, 0.1) < 0.3 and np.quantile(covered, 0.9) > 0.7


def _top_m(body, meshes):
    points = meshes[body.mesh].positions * body.scale @ body.T_base_body[:3, :3].T
    return points[:, 2].max() + body.T_base_body[2, 3]


def test_one_randomizer_does_not_shift_another():
    a = frame_rng(1, 5, 'lighting').random(3)
    frame_rng(1, 5, 'something new').random(100)
    assert np.array_equal(a, frame_rng(1, 5, 'lighting').random(3))
    assert not np.array_equal(a, frame_rng(1, 5, 'objects').random(3))
    assert not np.array_equal(a, frame_rng(1, 6, 'lighting').random(3))
    assert not np.array_equal(a, frame_rng(2, 5, 'lighting').random(3))


@pytest.fixture(scope='module')
def placed(reference_path):
    """Fifty scenes of objects that are placed, not dropped."""
    made = SceneGenerator(load_config(reference_path, ['randomization.objects.dropped=0']))
    yield made, [made.scene(i) for i in range(50)]
    made.close()


def test_objects_stand_on_the_table(placed):
    generator, scenes = placed
    models = {model.name: model for model in generator.catalogue}
    for scene in scenes:
        for body in scene.instances:
            z = transform_points(body.T_base_body, models[body.object_name].vertices_m)[:, 2]
            assert abs(z.min()) < 1e-9


def test_objects_rest_on_stable_faces(placed):
    generator, scenes = placed
    models = {model.name: model for model in generator.catalogue}
    tilted = 0
    for body in (body for scene in scenes for body in scene.instances):
        model = models[body.object_name]
        down = body.T_base_body[:3, :3].T @ [0, 0, -1]
        assert (model.resting_downs @ down).max() > 1 - 1e-6
        tilted += down[2] > -0.99
    assert tilted > 10


def test_things_on_the_table_do_not_touch(placed):
    """Objects and distractors alike: their footprints, as discs, keep apart."""
    generator, scenes = placed
    meshes = generator.draw_meshes()
    crowded = 0
    for scene in scenes:
        discs = []
        for body in scene.bodies:
            if not (body.object_name or body.mesh.startswith('distractor_')):
                continue
            corners = (meshes[body.mesh].positions * body.scale) @ body.T_base_body[:3, :3].T
            assert corners[:, 2].min() + body.T_base_body[2, 3] == pytest.approx(0, abs=1e-6)
            discs.append((body.T_base_body[:2, 3], np.linalg.norm(corners[:, :2], axis=1).max()))
        for i, (a, r) in enumerate(discs):
            gaps = [np.linalg.norm(a - b) - r - q for b, q in discs[:i]]
            assert all(gap > 0.0019 for gap in gaps)
            crowded += any(gap < 0.02 for gap in gaps)
    assert crowded > 50


def test_counts_and_lights_stay_in_their_ranges(placed):
    generator, scenes = placed
    randomization = generator.config.randomization
    for scene in scenes:
        assert len(scene.instances) <= randomization.objects.count.high
        assert (randomization.lighting.count.low <= len(scene.lights)
                <= randomization.lighting.count.high)
        assert all(light.position_m[2] > 0 for light in scene.lights)
        offset = scene.T_base_camera[:3, 3] - generator.config.camera.position_m
        assert (np.abs(offset) <= np.array(randomization.viewpoint.box_m) / 2 + 1e-9).all()
    assert {len(scene.lights) for scene in scenes} == {1, 2, 3, 4}
    materials = {body.material for scene in scenes for body in scene.instances}
    assert len(materials) == sum(len(scene.instances) for scene in scenes)


def test_settled_things_lie_on_the_table():
    world = PhysicsWorld()
    cube = primitives.box_points((0.05, 0.05, 0.05))
    poses = [look_at([0.1 * i, 0, 0.2 + 0.1 * i], [0.1 * i + 0.3, 0.2, 0.1]) for i in range(4)]
    rest = world.settle([cube] * 4, poses, steps=600)
    world.close()
    settled = [pose for pose in rest if pose is not None]
    assert len(settled) >= 3
    for pose in settled:
        lowest = transform_points(pose, cube)[:, 2].min()
        assert -0.002 < lowest < 0.03


def test_windows_are_windows_of_the_camera(generator):
    for index in range(20):
        whole = generator.scene(index, whole_picture=True)
        window = generator.scene(index)
        assert isinstance(window.camera, PinholeCamera)
        left = whole.camera.cx_px - window.camera.cx_px
        top = whole.camera.cy_px - window.camera.cy_px
        assert left == pytest.approx(round(left)) and 0 <= left <= 640 - 192
        assert top == pytest.approx(round(top)) and 0 <= top <= 480 - 160
        assert window.camera.fx_px == whole.camera.fx_px


def test_tumbled_prisms_stand_on_their_end(reference_path):
    """Not one in three: the four lying faces look like the upright one."""
    generator = SceneGenerator(load_config(reference_path, [
        'randomization.objects.tumbled=1', 'randomization.objects.dropped=0',
        'randomization.objects.count=[8, 8]']))
    try:
        bodies = [body for index in range(12) for body in generator.scene(index).bodies
                  if body.mesh == 'rectangular_prism' and body.kind == 'object']
    finally:
        generator.close()
    assert len(bodies) > 6
    assert all(abs(body.T_base_body[2, 0]) > 0.99 for body in bodies)


def test_a_known_colour_is_kept_and_varied(reference_path):
    made = SceneGenerator(load_config(reference_path, [
        'objects.1.color=[0.9, 0.2, 0.1]', 'objects.1.color_spread=0.05',
        'randomization.objects.count=[8, 8]']))
    try:
        bodies = [body for index in range(30) for body in made.scene(index).instances]
    finally:
        made.close()
    known = np.array([b.material.color_a for b in bodies if b.object_name == 'cube'])
    other = np.array([b.material.color_a for b in bodies if b.object_name == 'cone'])
    assert len(known) > 20
    assert np.abs(known.mean(0) - [0.9, 0.2, 0.1]).max() < 0.05
    assert 0.02 < known.std(0).min() and known.std(0).max() < 0.1 < other.std(0).min()


def test_real_things_differ_from_their_models(reference_path):
    """Some larger, some smaller; they stand on the table, and so does the model of the label."""
    made = SceneGenerator(load_config(reference_path, [
        *(f'objects.{i}.size_spread=0.03' for i in range(1, 8)), 'randomization.objects.dropped=0',
        'randomization.objects.tumbled=0.3', 'randomization.objects.count=[6, 8]']))
    models = {model.name: model for model in made.catalogue}
    try:
        bodies = [body for index in range(30) for body in made.scene(index).instances]
    finally:
        made.close()
    first = load_config(reference_path).objects[0].name
    assert all(body.scale == (1, 1, 1) for body in bodies if body.object_name == first)
    bodies = [body for body in bodies if body.object_name != first]
    scales = np.array([body.scale for body in bodies])
    assert len(scales) > 100 and np.abs(scales.mean(0) - 1).max() < 0.01
    assert 0.02 < scales.std(0).min() and np.abs(scales - 1).max() <= 0.06 + 1e-9
    moved = 0
    for body in bodies:
        model, T = models[body.object_name], model_pose(body, models[body.object_name])
        if model.symmetry.continuous_about_z:
            assert body.scale[0] == body.scale[1]
        for vertices, pose in ((model.vertices_m * body.scale, body.T_base_body),
                               (model.vertices_m, T)):
            assert transform_points(pose, vertices)[:, 2].min() == pytest.approx(0, abs=1e-9)
        assert np.array_equal(T[:2], body.T_base_body[:2])
        moved = max(moved, abs(T[2, 3] - body.T_base_body[2, 3]))
    assert 0.0005 < moved < 0.004


def test_the_camera_s_roll_turns_the_picture(reference_path):
    level, rolled = (load_config(reference_path, [f'camera.roll_deg={angle}']).camera
                     for angle in (0, 10))
    R = level.T_base_camera[:3, :3].T @ rolled.T_base_camera[:3, :3]
    assert R == pytest.approx(rotation_about('z', np.radians(10)))
    assert rolled.T_base_camera[:3, 3] == pytest.approx(level.position_m)
