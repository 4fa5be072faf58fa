"""Scenes: the same for the same seed, physically possible, and varied."""

import dataclasses

import numpy as np
import pytest

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import look_at, transform_points
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects import primitives
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.randomness import frame_rng


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
        assert len(scene.instances) <= randomization.object_count.high
        assert (randomization.light_count.low <= len(scene.lights)
                <= randomization.light_count.high)
        assert all(light.position_m[2] > 0 for light in scene.lights)
        offset = scene.T_base_camera[:3, 3] - generator.config.camera.position_m
        assert (np.abs(offset) <= np.array(randomization.camera_box_m) / 2 + 1e-9).all()
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


def test_the_arm_moves_with_its_generator():
    world = PhysicsWorld('kuka_iiwa/model.urdf')
    a = world.arm_poses(np.random.default_rng(1))
    b = world.arm_poses(np.random.default_rng(2))
    again = world.arm_poses(np.random.default_rng(1))
    world.close()
    assert len(a) == len(world.arm_links) == 8
    assert np.allclose(a, again) and not np.allclose(a[-1], b[-1])
    assert np.allclose(a[0], b[0], atol=1e-9)       # the base stays
    assert np.allclose(a[0][:3, 3], 0, atol=0.01)


def test_an_arm_that_is_not_there():
    with pytest.raises(ConfigurationError, match='arm_urdf: no/arm.urdf: there is no such file, '
                       'here or in pybullet_data; give a path, or null for no arm'):
        PhysicsWorld('no/arm.urdf')


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
