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

"""What stands round the things: table, room and arm."""

import numpy as np
import pytest
from sim_trainer.configuration.randomization import SurroundingsConfig
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.surroundings import random_surroundings


def test_an_arm_does_not_reach_into_a_workspace_elsewhere(reference_path):
    made = SceneGenerator(load_config(reference_path.with_name('real_box.yaml'), [
        'randomization.arm.present=1']))
    try:
        links = [[body.T_base_body[:3, 3] for body in made.scene(index).bodies
                  if body.kind == 'arm'] for index in range(60)]
        x0, x1, y0, y1 = made.workspace_m
    finally:
        made.close()
    assert np.mean([len(places) > 1 for places in links]) > 0.7
    for x, y, z in (place for places in links for place in places):
        assert z > 0.25 or not (x0 < x < x1 and y0 < y < y1)


def test_the_room_stands_round_the_workspace():
    for toward_camera in ((1.0, 0.1), (-1.0, 0.0), (0.1, -1.0)):
        for law in (SurroundingsConfig(), SurroundingsConfig(enabled=False)):
            here, there = (random_surroundings(
                np.random.default_rng(8), law, (0.3 + x, 0.7 + x, -0.2 + y, 0.2 + y),
                np.array(toward_camera)) for x, y in ((0.0, 0.0), (-4.0, 7.0)))
            assert len(here) == len(there) >= 5
            for a, b in zip(here, there):
                np.testing.assert_allclose(a.scale, b.scale)
                np.testing.assert_allclose(b.T_base_body[:3, 3] - a.T_base_body[:3, 3],
                                           (-4.0, 7.0, 0.0), atol=1e-9)


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


@pytest.mark.parametrize('settings, low, high', [
    (['table_edge=1'], 0.0, 0.05), (['table_edge=0', 'table_margin_m=[0.2, 0.3]'], 0.2, 0.3)])
def test_the_table_ends_where_the_law_says(reference_path, settings, low, high):
    made = SceneGenerator(load_config(
        reference_path, [f'randomization.surroundings.{text}' for text in settings]))
    try:
        scenes = [made.scene(index, whole_picture=True) for index in range(6)]
    finally:
        made.close()
    margins = []
    for scene in scenes:
        table = next(body for body in scene.bodies if body.kind == 'table')
        corners = np.array([[-.5, -.5], [.5, .5]]) * table.scale[:2] + table.T_base_body[:2, 3]
        margins.append(np.abs(corners - [[0.30, -0.28], [0.70, 0.28]]))
    assert np.min(margins) >= low - 1e-9 and np.max(margins) <= high + 1e-9
    assert np.ptp(margins) > 0.5 * (high - low)


@pytest.mark.parametrize('position, workspace', [
    ([1.1, 0, 0.65], None), ([-0.1, 0, 0.65], None), ([0.5, 0.9, 0.65], None),
    ([0.5, -0.9, 0.65], None), ([-1.777, 0.024, 0.785], ([-1.34, -0.45], [-0.62, 0.62]))])
def test_the_room_lies_where_the_camera_looks(reference_path, position, workspace):
    """Walls and boxes between the camera and the table would hide everything."""
    x, y = workspace or ([0.30, 0.70], [-0.28, 0.28])
    middle = np.array([np.mean(x), np.mean(y)])
    made = SceneGenerator(load_config(reference_path, [
        f'camera.position_m={position}', f'camera.look_at_m={[*middle.tolist(), 0.0]}',
        f'workspace.x_m={x}', f'workspace.y_m={y}', 'randomization.surroundings.boxes=4']))
    try:
        scenes = [made.scene(index, whole_picture=True) for index in range(8)]
    finally:
        made.close()
    for scene in scenes:
        eye = scene.T_base_camera[:2, 3]
        away = (middle - eye) / np.linalg.norm(middle - eye)
        table = next(body for body in scene.bodies if body.kind == 'table')
        corners = (np.array([[-.5, -.5], [.5, -.5], [.5, .5], [-.5, .5]]) * table.scale[:2]
                   ) @ table.T_base_body[:2, :2].T + table.T_base_body[:2, 3]
        assert (corners.min(0) <= [x[0], y[0]]).all() and (corners.max(0) >= [x[1], y[1]]).all()
        walls = [body for body in scene.bodies if body.kind == 'room' and max(body.scale) >= 8
                 and body.scale[2] == 8]
        assert len(walls) == 3
        beyond = [(wall.T_base_body[:2, 3] - middle) @ away for wall in walls]
        assert max(beyond) > 0.5
        for wall in walls:      # no wall stands between the camera and the middle of the table
            T = np.linalg.inv(wall.T_base_body)
            ends = [(T @ [*point, 0, 1])[:2] for point in (eye, middle)]
            thin = int(np.argmin(wall.scale[:2]))
            assert ends[0][thin] * ends[1][thin] > 0
        boxes = [body for body in scene.bodies if body.kind == 'room' and max(body.scale) < 1]
        assert len(boxes) == 4
        assert all((box.T_base_body[:2, 3] - middle) @ away > 0 for box in boxes)
