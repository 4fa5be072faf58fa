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

"""A table that is not at z = 0 of the base frame: `workspace.z_m`."""

from dr_perception.core.transforms import invert_transform
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.dataset.frames import Frame, scene_key
from sim_trainer.dataset.labels import label_scene
from sim_trainer.errors import ConfigurationError
from sim_trainer.rendering.factory import make_renderer
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.training.contract import make_contract
from sim_trainer.training.heads.centres import CentreTargets
from sim_trainer.training.samples import SampleMaker

HEIGHT_M = 0.35
SMALL = ['frames.window_width_px=192', 'frames.window_height_px=160']


def _camera_on(height_m):
    return [*SMALL, f'workspace.z_m={height_m}',
            f'camera.position_m=[1.1, 0.0, {0.65 + height_m}]',
            f'camera.look_at_m=[0.5, 0.0, {height_m}]']


@pytest.fixture(scope='module')
def generators(reference_path):
    """Return those of the reference scene, of the same lab on a table, and one with the arm."""
    no_arm = ['randomization.arm.present=0']
    made = [SceneGenerator(load_config(reference_path, overrides)) for overrides in (
        [*_camera_on(0.0), *no_arm], [*_camera_on(HEIGHT_M), *no_arm],
        [*_camera_on(HEIGHT_M), 'randomization.arm.present=1'])]
    yield made
    for generator in made:
        generator.close()


def test_a_lab_on_a_table_is_the_same_but_for_its_height(generators):
    low, high, _ = generators
    renderer = make_renderer(low.config, low)
    try:
        for index in range(3):
            a, b = low.scene(index), high.scene(index)
            np.testing.assert_allclose(b.T_base_camera[:3, 3] - a.T_base_camera[:3, 3],
                                       (0, 0, HEIGHT_M), atol=1e-12)
            pictures = [renderer.draw(scene) for scene in (a, b)]
            differs = np.abs(np.subtract(*(p.image_rgb.astype(int) for p in pictures)))
            assert (differs > 4).mean() < 0.01
            for one, other in zip(*(label_scene(scene, picture.instance_ids, low.catalogue)
                                    for scene, picture in zip((a, b), pictures))):
                assert one.object_index == other.object_index
                np.testing.assert_allclose(one.T_camera_object, other.T_camera_object, atol=1e-9)
    finally:
        renderer.close()


def test_things_stand_on_the_table_and_the_arm_on_its_base(generators):
    _, high, with_arm = generators
    for body in high.scene(1).instances:
        vertices = high.draw_meshes()[body.mesh].positions * body.scale
        lowest = (vertices @ body.T_base_body[:3, :3].T)[:, 2].min() + body.T_base_body[2, 3]
        assert lowest == pytest.approx(HEIGHT_M, abs=2e-4)
    first = [[b.T_base_body for b in with_arm.scene(i).bodies if b.kind == 'arm'][0]
             for i in range(12) if sum(b.kind == 'arm' for b in with_arm.scene(i).bodies) > 1]
    assert len(first) > 3
    for pose in first:      # the foot does not move with the joints
        assert np.abs(pose[:2, 3]).max() < 0.1 and abs(pose[2, 3]) < 0.15


def test_errors_of_the_calibration_are_the_same(reference_path):
    told = ['calibration_error.position_m=0.01', 'calibration_error.rotation_deg=1',
            'calibration_error.plane_height_m=0.01', 'calibration_error.plane_tilt_deg=1']
    shifts = []
    for height_m in (0.0, HEIGHT_M):
        generator = SceneGenerator(load_config(reference_path, [*_camera_on(height_m), *told]))
        scene = generator.scene(2)
        generator.close()
        shifts.append(scene.told.T_told_camera(scene.T_base_camera))
    assert np.abs(shifts[0] - np.eye(4)).max() > 1e-3
    np.testing.assert_allclose(*shifts, atol=1e-9)


def test_the_model_and_its_samples_know_the_height(generators):
    low, high, _ = generators
    assert make_contract(low.config, low.catalogue, []).support_plane_z_m == 0.0
    assert make_contract(high.config, high.catalogue, []).support_plane_z_m == HEIGHT_M
    assert scene_key(low.config) != scene_key(high.config)
    samples = []
    for generator, height_m in ((low, 0.0), (high, HEIGHT_M), (high, 0.0)):
        scene = generator.scene(0)
        frame = Frame(np.zeros((160, 192, 3), np.uint8), scene.camera, scene.T_base_camera, [])
        maker = SampleMaker(generator.catalogue, 3, generator.config.randomization.sensor,
                            CentreTargets(len(generator.catalogue), 4), usual_px_per_m=700.0,
                            plane_z_m=height_m)
        samples.append(maker(2, frame).image_rgb[..., 3].astype(int))
    np.testing.assert_allclose(samples[0], samples[1], atol=1)
    assert np.abs(samples[2] - samples[1]).max() > 20


@pytest.mark.parametrize('override, message', [
    ('workspace.z_m=350', 'workspace.z_m: 350 m; expected .* within 5 m .*not millimetres'),
    ('workspace.z_m=0.7', r'must stand above the table top \(z = 0.7: workspace.z_m\)')])
def test_heights_that_cannot_be(reference_path, override, message):
    with pytest.raises(ConfigurationError, match=message):
        load_config(reference_path, [override])


def test_a_table_below_the_arm(reference_path):
    """A base on a pedestal: the camera may be below the base, but not below the table."""
    generator = SceneGenerator(load_config(reference_path, _camera_on(-0.8)))
    try:
        scene = generator.scene(0)
    finally:
        generator.close()
    assert scene.T_base_camera[2, 3] < 0
    seen = invert_transform(scene.T_base_camera) @ scene.instances[0].T_base_body
    assert seen[2, 3] > 0.3
