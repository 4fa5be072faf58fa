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

"""Commands as MoveIt messages: shapes by hand, and what each operation carries."""
import dataclasses

from builtin_interfaces.msg import Time
import numpy as np
import pytest

pytest.importorskip('moveit_msgs', reason='needs MoveIt messages')

from dr_perception.core.objects import ObjectModel  # noqa: E402, I100
from dr_perception.core.transforms import make_transform, rotation_about  # noqa: E402
from dr_perception.ros.conversions import pose_to_matrix  # noqa: E402
from dr_perception.ros.planning_scene import collision_objects as out  # noqa: E402
from dr_perception.ros.planning_scene.scene_tracker import Command, Operation  # noqa: E402
from moveit_msgs.msg import CollisionObject  # noqa: E402
from rclpy.serialization import deserialize_message, serialize_message  # noqa: E402
from shape_msgs.msg import SolidPrimitive  # noqa: E402

T = make_transform(rotation_about('z', 0.4), (0.5, -0.1, 0.03))


def message_of(operation, model, name='thing_0'):
    """Return the message of a command about a model."""
    return out.collision_object(Command(operation, name, model.name, T), {model.name: model},
                                'base_link', Time(sec=7))


@pytest.mark.parametrize('name, kind, dimensions', [
    ('cube', SolidPrimitive.BOX, (0.05, 0.05, 0.05)),
    ('rectangular_prism', SolidPrimitive.BOX, (0.08, 0.04, 0.04)),
    ('cylinder', SolidPrimitive.CYLINDER, (0.06, 0.025)),
    ('cone', SolidPrimitive.CONE, (0.07, 0.03))])
def test_primitives_of_the_reference_scene(catalogue, name, kind, dimensions):
    model = ObjectModel.from_json(catalogue[name].to_json())      # rounded, as in a contract
    message = message_of(Operation.ADD, model)
    solid, = message.primitives
    assert solid.type == kind
    assert np.allclose(solid.dimensions, dimensions, atol=1e-6)
    assert np.allclose(pose_to_matrix(message.primitive_poses[0]), np.eye(4), atol=1e-6)
    assert not message.meshes and not message.mesh_poses


@pytest.mark.parametrize('name', ['hexagonal_prism', 'pyramid', 'tetrahedron', 'triangular_prism'])
def test_the_others_are_meshes(catalogue, name):
    model = catalogue[name]
    message = message_of(Operation.ADD, model)
    mesh, = message.meshes
    assert not message.primitives
    assert np.allclose([[p.x, p.y, p.z] for p in mesh.vertices], model.vertices_m)
    assert np.array_equal([t.vertex_indices for t in mesh.triangles], model.faces)
    assert np.allclose(pose_to_matrix(message.mesh_poses[0]), np.eye(4))


def test_a_primitive_whose_origin_is_elsewhere_is_moved_there(catalogue):
    up = dataclasses.replace(catalogue['cube'], vertices_m=catalogue['cube'].vertices_m
                             + [0.01, 0.0, 0.025])
    solid, T_object_shape = out.primitive_of(up)
    assert np.allclose(solid.dimensions, 0.05)
    assert np.allclose(T_object_shape[:3, 3], [0.01, 0.0, 0.025])


@pytest.mark.parametrize('change', [
    lambda v: v * [1, 1, 1 + 0.1 * (v[:, :1].T[0] > 0).mean()] + [0.01, 0, 0],   # off the axis
    lambda v: np.where(v[:, 2:] > 0, v * [0.5, 0.5, 1], v),                      # a frustum
    lambda v: np.vstack([v, [[0.0, 0.0, 0.0]]])])                                # a point within
def test_what_is_nearly_a_cylinder_is_none(catalogue, change):
    model = catalogue['cylinder']
    bent_up = dataclasses.replace(model, vertices_m=change(model.vertices_m))
    assert out.primitive_of(bent_up) is None


def test_what_is_nearly_a_box_is_none(catalogue):
    bent = catalogue['cube'].vertices_m.copy()
    bent[0] *= 0.9
    assert out.primitive_of(dataclasses.replace(catalogue['cube'], vertices_m=bent)) is None


def test_add_carries_everything(catalogue):
    grasp = make_transform(rotation_about('x', np.pi), (0.0, 0.0, 0.025))
    model = dataclasses.replace(catalogue['cube'], subframes={'grasp_top': grasp})
    message = message_of(Operation.ADD, model)
    assert message.operation == CollisionObject.ADD
    assert (message.id, message.type.key) == ('thing_0', 'cube')
    assert (message.header.frame_id, message.header.stamp.sec) == ('base_link', 7)
    assert np.allclose(pose_to_matrix(message.pose), T)
    assert message.subframe_names == ['grasp_top']
    assert np.allclose(pose_to_matrix(message.subframe_poses[0]), grasp)
    assert deserialize_message(serialize_message(message), CollisionObject) == message


def test_move_carries_the_pose_and_no_geometry(catalogue):
    message = message_of(Operation.MOVE, catalogue['tetrahedron'])
    expected = CollisionObject(id='thing_0', operation=CollisionObject.MOVE, pose=message.pose,
                               header=message.header)
    assert message == expected
    assert np.allclose(pose_to_matrix(message.pose), T)


def test_remove_carries_the_id_alone(catalogue):
    message = message_of(Operation.REMOVE, catalogue['cube'])
    assert message == CollisionObject(id='thing_0', operation=CollisionObject.REMOVE,
                                      header=message.header)


def test_a_diff_says_that_it_is_one(catalogue):
    message = message_of(Operation.ADD, catalogue['cube'])
    scene = out.scene_diff([message])
    assert scene.is_diff and scene.robot_state.is_diff
    assert scene.world.collision_objects == [message]


def test_a_mesh_of_a_model_has_unsigned_triangles(catalogue):
    assert out.mesh_of(catalogue['pyramid']).triangles[0].vertex_indices.dtype == np.uint32
