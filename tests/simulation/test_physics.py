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

"""PyBullet's world: quiet, the arm where its URDF says, and nothing that sinks."""

import gc
from pathlib import Path
import subprocess
import sys
import xml.etree.ElementTree as ElementTree

from dr_perception.core.transforms import (make_transform, rotation_about, rotation_from_rotvec,
                                           transform_points)
import numpy as np
import pytest
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.objects.primitives import sphere_points
from sim_trainer.physics.rows import RowPool
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.scene.placement import random_rotation


def test_pybullets_banner_is_hidden_and_other_output_is_not(repository_root):
    """Into a pipe, where C's stdio keeps what is written until the process ends."""
    script = ('import ctypes; ctypes.CDLL(None).printf(b"before\\n"); print("python");'
              'from sim_trainer.physics.quiet import import_pybullet;'
              'assert import_pybullet() is import_pybullet(); print("after");'
              'ctypes.CDLL(None).printf(b"later\\n")')
    done = subprocess.run([sys.executable, '-c', script], cwd=repository_root, text=True,
                          capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert sorted(done.stdout.split()) == ['after', 'before', 'later', 'python']
    assert done.stderr == ''


def test_settled_objects_do_not_sink(config):
    world = PhysicsWorld()
    rng = np.random.default_rng(5)
    models = build_catalogue(config.objects)
    poses = [make_transform(random_rotation(rng), [0.15 * i, 0, 0.08])
             for i in range(len(models))]
    corners = [model.vertices_m for model in models]
    rest = world.settle(corners, poses)
    again = world.settle(corners, poses)
    world.close()
    assert sum(pose is not None for pose in rest) >= 4
    for vertices, a, b in zip(corners, rest, again):
        if a is None:
            assert b is None
            continue
        assert np.allclose(a, b)                # what was settled before leaves no trace
        assert -0.002 < transform_points(a, vertices)[:, 2].min() < 0.004


def test_pybullet_gets_the_same_rows_again():
    """It leaks a reference to each row: new rows would fill the memory over a long drawing."""
    pool = RowPool()
    values = np.arange(12.0).reshape(4, 3)
    first = pool.rows(values)
    assert first == values.tolist() and pool.indices(1000) == list(range(1000))
    again = pool.rows(values[:2] + 1)
    assert again == (values[:2] + 1).tolist()
    assert [id(row) for row in again] == [id(row) for row in first[:2]]
    assert all(a is b for a, b in zip(pool.indices(900), pool.indices(1000)))


def test_settling_often_keeps_the_memory():
    world = PhysicsWorld()
    corners = [sphere_points(0.02)] * 8
    poses = [make_transform(np.eye(3), [0.1 * i, 0, 0.05]) for i in range(8)]
    for _ in range(10):
        world.settle(corners, poses, steps=1)
    before = len(gc.get_objects())
    for _ in range(10):
        world.settle(corners, poses, steps=1)
    world.close()
    assert len(gc.get_objects()) < before + 1000     # rows of lists: 8 x 336 a time


def test_a_body_beside_the_table_is_left_out():
    world = PhysicsWorld()
    cube = np.array([[x, y, z] for x in (-1, 1) for y in (-1, 1) for z in (-1, 1)]) * 0.02
    [fallen, stays] = world.settle([cube] * 2, [make_transform(np.eye(3), [x, 0, 0.03])
                                                for x in (3.0, 0.0)])
    world.close()
    assert fallen is None and stays is not None


def _fixed(origin):
    """Return the transform of a URDF ``origin`` element (roll, pitch, yaw about fixed axes)."""
    if origin is None:
        return np.eye(4)
    roll, pitch, yaw = (float(v) for v in origin.get('rpy', '0 0 0').split())
    R = rotation_about('z', yaw) @ rotation_about('y', pitch) @ rotation_about('x', roll)
    return make_transform(R, [float(v) for v in origin.get('xyz', '0 0 0').split()])


def test_the_arm_stands_as_its_urdf_says():
    """Forward kinematics by hand, from the URDF's text and the same draw of joint angles."""
    import pybullet_data
    urdf = ElementTree.parse(Path(pybullet_data.getDataPath()) / 'kuka_iiwa' / 'model.urdf')
    visuals = {link.get('name'): _fixed(link.find('visual/origin'))
               for link in urdf.iter('link') if link.find('visual/geometry/mesh') is not None}
    joints = {joint.find('child').get('link'): joint for joint in urdf.iter('joint')}
    limits = {name: joint.find('limit') for name, joint in joints.items()
              if joint.get('type') == 'revolute'}
    low, high = (np.array([float(limit.get(side)) for limit in limits.values()])
                 for side in ('lower', 'upper'))
    angles = dict(zip(limits, np.random.default_rng(3).uniform(low, high)))

    def link_pose(name):
        if name not in joints:
            return np.eye(4)
        joint = joints[name]
        axis = np.array([float(v) for v in joint.find('axis').get('xyz').split()])
        turn = make_transform(rotation_from_rotvec(axis * angles[name]), np.zeros(3))
        return link_pose(joint.find('parent').get('link')) @ _fixed(joint.find('origin')) @ turn

    expected = [link_pose(name) @ visual for name, visual in visuals.items()]
    world = PhysicsWorld('kuka_iiwa/model.urdf')
    poses = world.arm_poses(np.random.default_rng(3))
    world.close()
    assert len(poses) == len(expected) == 8
    for pose, by_hand in zip(poses, expected):
        assert np.abs(pose - by_hand).max() < 2e-4       # the URDF rounds pi / 2


def test_a_urdf_that_is_none(tmp_path):
    path = tmp_path / 'arm.urdf'
    path.write_text('<robot')
    with pytest.raises(ConfigurationError, match=f'arm_urdf: {path}: PyBullet cannot load it'):
        PhysicsWorld(str(path))
