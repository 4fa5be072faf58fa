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

"""The robot arm of a scene, or the column of somebody else's robot."""

from __future__ import annotations

from dr_perception.core.transforms import make_transform
import numpy as np
from sim_trainer.configuration.randomization import ArmConfig
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.scene.materials import plain_material
from sim_trainer.scene.record import Body

#: The arm must leave this much room (m) round the camera, or it fills the picture.
CAMERA_CLEARANCE_M = 0.35
#: Links lower than this over the workspace, or beside it by less than that, push things over.
_LOW_M, _BESIDE_M = 0.25, 0.15
#: Attempts to find a configuration that reaches neither the table's things nor the camera.
_TRIES = 8


def random_arm(rng: np.random.Generator, config: ArmConfig, world: PhysicsWorld,
               T_base_camera: np.ndarray, workspace_m: tuple[float, float, float, float],
               table_z_m: float) -> list[Body]:
    """Return the arm's links in a random configuration, a column, or nothing; not painted.

    The arm reaches neither the things of the workspace (x0, x1, y0, y1) nor the camera.

    Args:
        rng: decides everything.
        config: the law.
        world: holds the arm.
        T_base_camera: (4, 4) of the camera, in a base frame on the table, as all that is returned.
        workspace_m: x from, to, y from, to, in the same.
        table_z_m: height of the table in the arm's own base frame.
    """
    x0, x1, y0, y1 = workspace_m
    low_m, high_m = np.array([x0, y0]) - _BESIDE_M, np.array([x1, y1]) + _BESIDE_M
    present, column = config.present.happens(rng), config.column.happens(rng)
    radius, height = rng.uniform(0.06, 0.2), rng.uniform(0.3, 1.5)
    place = rng.uniform([-0.1, -0.1], [0.08, 0.1])
    if not present or not world.arm_links:
        if not column:
            return []
        pose = make_transform(np.eye(3), [*place, height / 2])
        return [Body('unit_cylinder', pose, (float(radius), float(radius), float(height)),
                     plain_material('arm'), kind='arm')]
    onto_table = make_transform(np.eye(3), [0, 0, -table_z_m])
    for _ in range(_TRIES):
        poses = [onto_table @ pose for pose in world.arm_poses(rng, config.joint_range)]
        places = np.array([pose[:3, 3] for pose in poses])
        over = ((places[:, :2] > low_m) & (places[:, :2] < high_m)).all(1)
        # What stands beside the arm's own foot, its base is beside too.
        over &= np.linalg.norm(places[:, :2], axis=1) > _BESIDE_M
        low = (over & (places[:, 2] < _LOW_M)).any()
        near = np.linalg.norm(places - T_base_camera[:3, 3], axis=1).min()
        if not low and near > CAMERA_CLEARANCE_M:
            return [Body(link.mesh_name, pose, (1.0, 1.0, 1.0), plain_material('arm'), kind='arm')
                    for link, pose in zip(world.arm_links, poses)]
    return []
