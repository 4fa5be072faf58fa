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

"""Poses, covariances and stamps: messages to arrays and back, as pure functions.

Convention:
    Every number is converted by ``float()`` or ``int()`` where a message is filled: the setters
    check nothing by default, and an int or a numpy float32 in a float64 field is sent as garbage.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from dr_perception.core.message_values import (clean_frame_id, NS_PER_S, stamp_to_ns,
                                               transform_from_message, transform_from_seven)
from dr_perception.core.transforms import (make_transform, quat_xyzw_from_rotation,
                                           rotate_covariance, rotation_from_quat_xyzw)
from geometry_msgs.msg import (Point, Pose, PoseWithCovariance, Quaternion, TransformStamped,
                               Vector3)
import numpy as np
from std_msgs.msg import Header

# What needs no message class lives in the core; the nodes find all conversions here.
__all__ = ['clean_frame_id', 'fill_pose', 'fill_pose_with_covariance', 'header_in_frame',
           'NS_PER_S', 'pose_from_matrix', 'pose_to_matrix', 'pose_with_covariance',
           'rotate_covariance', 'stamp_from_ns', 'stamp_to_ns', 'transform_from_message',
           'transform_from_seven', 'transform_stamped']


def stamp_from_ns(stamp_ns: int) -> Time:
    """Return the stamp of nanoseconds since the epoch (not negative)."""
    seconds, nanoseconds = divmod(int(stamp_ns), NS_PER_S)
    return Time(sec=seconds, nanosec=nanoseconds)


def header_in_frame(header: Header, frame_id: str) -> Header:
    """Return a header of the same stamp in another frame."""
    return Header(stamp=Time(sec=header.stamp.sec, nanosec=header.stamp.nanosec),
                  frame_id=frame_id)


def pose_to_matrix(message: Pose) -> np.ndarray:
    """``T_frame_object`` (4x4) of a geometry_msgs/Pose."""
    p, q = message.position, message.orientation
    return make_transform(rotation_from_quat_xyzw(np.array([q.x, q.y, q.z, q.w])),
                          np.array([p.x, p.y, p.z]))


def pose_from_matrix(T_frame_object: np.ndarray) -> Pose:
    """Return the geometry_msgs/Pose of ``T_frame_object`` (4x4)."""
    message = Pose()
    fill_pose(message, T_frame_object)
    return message


def fill_pose(message: Pose, T_frame_object: np.ndarray) -> None:
    """Write ``T_frame_object`` (4x4) into a geometry_msgs/Pose."""
    _fill(message.position, message.orientation, T_frame_object)


def transform_stamped(header: Header, child_frame_id: str,
                      T_header_child: np.ndarray) -> TransformStamped:
    """Return the geometry_msgs/TransformStamped of ``T_header_child`` (4x4)."""
    message = TransformStamped(header=header, child_frame_id=child_frame_id)
    _fill(message.transform.translation, message.transform.rotation, T_header_child)
    return message


def pose_with_covariance(T_frame_object: np.ndarray, covariance: np.ndarray) -> PoseWithCovariance:
    """Return the geometry_msgs/PoseWithCovariance of a pose and its covariance in the same frame.

    Args:
        T_frame_object: (4, 4), metres.
        covariance: (6, 6) about the frame's axes, order x, y, z, rotX, rotY, rotZ (REP 103).
    """
    message = PoseWithCovariance()
    fill_pose_with_covariance(message, T_frame_object, covariance)
    return message


def fill_pose_with_covariance(message: PoseWithCovariance, T_frame_object: np.ndarray,
                              covariance: np.ndarray) -> None:
    """Write what ``pose_with_covariance`` takes into a message that is there."""
    fill_pose(message.pose, T_frame_object)
    message.covariance = np.ascontiguousarray(covariance, dtype=np.float64).reshape(36).copy()


def _fill(position: Point | Vector3, orientation: Quaternion, T: np.ndarray) -> None:
    position.x, position.y, position.z = np.asarray(T[:3, 3], np.float64).tolist()
    (orientation.x, orientation.y, orientation.z,
     orientation.w) = quat_xyzw_from_rotation(T[:3, :3]).tolist()
