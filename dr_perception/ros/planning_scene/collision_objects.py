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

"""The scene's commands as MoveIt messages: primitive shapes where the object is one, else meshes.

Convention:
    ``CollisionObject.pose`` is the object's frame; shapes and subframes are given in it.
    ``operation`` is bytes of length 1. MOVE carries no geometry, REMOVE only the id.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from builtin_interfaces.msg import Time
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import make_transform
from dr_perception.ros.conversions import pose_from_matrix
from dr_perception.ros.planning_scene.scene_tracker import Command, Operation
from geometry_msgs.msg import Point, Pose
from moveit_msgs.msg import CollisionObject, PlanningScene
import numpy as np
from shape_msgs.msg import Mesh, MeshTriangle, SolidPrimitive

_OPERATIONS = {Operation.ADD: CollisionObject.ADD, Operation.MOVE: CollisionObject.MOVE,
               Operation.REMOVE: CollisionObject.REMOVE}
#: A vertex this far (part of the size) from the primitive's is still on it: contracts are rounded.
_TOLERANCE = 1e-5
#: Sides from which a ring of a round object stands for a circle.
_LEAST_SIDES = 12


def collision_object(command: Command, models: Mapping[str, ObjectModel], frame_id: str,
                     stamp: Time) -> CollisionObject:
    """Return the message of one command.

    Args:
        command: what to say.
        models: object name -> its model.
        frame_id: planning frame.
        stamp: time of the picture.
    """
    message = CollisionObject(id=command.instance_name, operation=_OPERATIONS[command.operation])
    message.header.frame_id, message.header.stamp = frame_id, stamp
    if command.operation is Operation.REMOVE:
        return message
    message.pose = pose_from_matrix(command.T_plan_object)
    if command.operation is Operation.ADD:
        _fill_geometry(message, models[command.object_name])
    return message


def scene_diff(objects: Sequence[CollisionObject]) -> PlanningScene:
    """Return a diff of the planning scene with these objects."""
    scene = PlanningScene(is_diff=True)
    scene.robot_state.is_diff = True    # else MoveIt takes the empty state for the robot's
    scene.world.collision_objects = list(objects)
    return scene


def _fill_geometry(message: CollisionObject, model: ObjectModel) -> None:
    message.type.key = model.name
    primitive = primitive_of(model)
    if primitive is not None:
        shape, T_object_shape = primitive
        message.primitives = [shape]
        message.primitive_poses = [pose_from_matrix(T_object_shape)]
    else:
        message.meshes = [mesh_of(model)]
        message.mesh_poses = [Pose()]
    message.subframe_names = list(model.subframes)
    message.subframe_poses = [pose_from_matrix(T) for T in model.subframes.values()]


def mesh_of(model: ObjectModel) -> Mesh:
    """Return the model's mesh."""
    return Mesh(
        vertices=[Point(x=float(x), y=float(y), z=float(z)) for x, y, z in model.vertices_m],
        triangles=[MeshTriangle(vertex_indices=np.asarray(face, dtype=np.uint32))
                   for face in model.faces])


def primitive_of(model: ObjectModel) -> tuple[SolidPrimitive, np.ndarray] | None:
    """Return the box, cylinder or cone that a mesh is, and ``T_object_shape``; None: it is none.

    Told by the vertices alone, so that it holds for meshes too.
    """
    v = model.vertices_m
    low, high = v.min(0), v.max(0)
    size = high - low
    tolerance_m = _TOLERANCE * float(size.max()) + 1e-7
    T_object_shape = make_transform(np.eye(3), (low + high) / 2)
    at_low, at_high = np.abs(v - low) < tolerance_m, np.abs(v - high) < tolerance_m
    if (at_low | at_high).all() and len(np.unique(at_high, axis=0)) == len(v) == 8:
        return _solid(SolidPrimitive.BOX, size), T_object_shape
    if not model.symmetry.continuous_about_z or not (at_low | at_high)[:, 2].all():
        return None
    base, top = v[at_low[:, 2]], v[at_high[:, 2]]
    T_object_shape[:2, 3] = 0.0     # the axis of symmetry; few sides have another middle
    radius_m = _radius_of_ring(base, tolerance_m)
    if radius_m is None:
        return None
    if len(top) == 1 and np.hypot(*top[0, :2]) < tolerance_m:
        return _solid(SolidPrimitive.CONE, (size[2], radius_m)), T_object_shape
    top_radius_m = _radius_of_ring(top, tolerance_m)
    if top_radius_m is not None and abs(top_radius_m - radius_m) < tolerance_m:
        return _solid(SolidPrimitive.CYLINDER, (size[2], radius_m)), T_object_shape
    return None


def _radius_of_ring(points_m: np.ndarray, tolerance_m: float) -> float | None:
    """Return the radius of points (N, 3) that lie on one circle about z; None: they do not."""
    radii_m = np.hypot(points_m[:, 0], points_m[:, 1])
    is_ring = len(points_m) >= _LEAST_SIDES and np.ptp(radii_m) < 2 * tolerance_m
    return float(radii_m.mean()) if is_ring else None


def _solid(kind: int, dimensions_m: Sequence[float]) -> SolidPrimitive:
    # Cylinder and cone: height, then radius, as SolidPrimitive has it.
    return SolidPrimitive(type=kind, dimensions=[float(length) for length in dimensions_m])
