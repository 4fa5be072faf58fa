"""Poses, covariances and stamps: messages to arrays and back, as pure functions.

Convention:
    Every number is converted by ``float()`` or ``int()`` where a message is filled: the setters
    check nothing by default, and an int or a numpy float32 in a float64 field is sent as garbage.
"""

from __future__ import annotations

from builtin_interfaces.msg import Time
from geometry_msgs.msg import Pose, PoseWithCovariance, Transform, TransformStamped
import numpy as np
from std_msgs.msg import Header

from dr_perception.core.transforms import (make_transform, quat_xyzw_from_rotation,
                                           rotation_from_quat_xyzw)

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Time) -> int:
    """A message's stamp in nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def stamp_from_ns(stamp_ns: int) -> Time:
    """The stamp of nanoseconds since the epoch (not negative)."""
    seconds, nanoseconds = divmod(int(stamp_ns), NS_PER_S)
    return Time(sec=seconds, nanosec=nanoseconds)


def header_in_frame(header: Header, frame_id: str) -> Header:
    """A header of the same stamp in another frame."""
    return Header(stamp=Time(sec=header.stamp.sec, nanosec=header.stamp.nanosec),
                  frame_id=frame_id)


def clean_frame_id(frame_id: str) -> str:
    """A frame's name as tf2 has it: without the leading slash of ROS 1."""
    return frame_id.lstrip('/')


def transform_from_seven(values: list[float]) -> np.ndarray:
    """``T_a_b`` (4x4) of x, y, z (metres), qx, qy, qz, qw.

    Raises:
        ValueError: not seven finite numbers, or a quaternion without a direction.
    """
    numbers = np.asarray(values, dtype=np.float64)
    if numbers.shape != (7,) or not np.isfinite(numbers).all():
        raise ValueError(f'got {list(values)}; expected seven finite numbers '
                         'x y z qx qy qz qw (metres, quaternion)')
    norm = float(np.linalg.norm(numbers[3:]))
    if abs(norm - 1.0) > 0.01:
        raise ValueError(f'the quaternion {numbers[3:].tolist()} has norm {norm:.3g}; expected 1, '
                         'in the order qx qy qz qw')
    return make_transform(rotation_from_quat_xyzw(numbers[3:]), numbers[:3])


def transform_from_message(message: Transform) -> np.ndarray:
    """``T_parent_child`` (4x4) of a geometry_msgs/Transform.

    Raises:
        ValueError: a zero or non-finite quaternion, or a non-finite translation.
    """
    t, q = message.translation, message.rotation
    translation_m = np.array([t.x, t.y, t.z])
    if not np.isfinite(translation_m).all():
        raise ValueError(f'translation {translation_m} is not finite')
    return make_transform(rotation_from_quat_xyzw(np.array([q.x, q.y, q.z, q.w])), translation_m)


def pose_to_matrix(message: Pose) -> np.ndarray:
    """``T_frame_object`` (4x4) of a geometry_msgs/Pose."""
    p, q = message.position, message.orientation
    return make_transform(rotation_from_quat_xyzw(np.array([q.x, q.y, q.z, q.w])),
                          np.array([p.x, p.y, p.z]))


def pose_from_matrix(T_frame_object: np.ndarray) -> Pose:
    """The geometry_msgs/Pose of ``T_frame_object`` (4x4)."""
    message = Pose()
    _fill(message.position, T_frame_object[:3, 3])
    _fill(message.orientation, quat_xyzw_from_rotation(T_frame_object[:3, :3]), 'xyzw')
    return message


def transform_stamped(header: Header, child_frame_id: str,
                      T_header_child: np.ndarray) -> TransformStamped:
    """The geometry_msgs/TransformStamped of ``T_header_child`` (4x4)."""
    message = TransformStamped(header=header, child_frame_id=child_frame_id)
    _fill(message.transform.translation, T_header_child[:3, 3])
    _fill(message.transform.rotation, quat_xyzw_from_rotation(T_header_child[:3, :3]), 'xyzw')
    return message


def pose_with_covariance(T_frame_object: np.ndarray, covariance: np.ndarray) -> PoseWithCovariance:
    """The geometry_msgs/PoseWithCovariance of a pose and its covariance in the same frame.

    Args:
        T_frame_object: (4, 4), metres.
        covariance: (6, 6) about the frame's axes, order x, y, z, rotX, rotY, rotZ (REP 103).
    """
    message = PoseWithCovariance(pose=pose_from_matrix(T_frame_object))
    message.covariance = np.ascontiguousarray(covariance, dtype=np.float64).reshape(36).copy()
    return message


def rotate_covariance(R_a_b: np.ndarray, covariance_b: np.ndarray) -> np.ndarray:
    """A pose's covariance (6, 6) about the axes of frame a from that about the axes of frame b.

    The tangent stays at the object's origin, so both 3x3 blocks only turn with the axes.
    """
    J = np.zeros((6, 6))
    J[:3, :3] = J[3:, 3:] = R_a_b
    return J @ np.asarray(covariance_b, dtype=np.float64) @ J.T


def _fill(message: object, values: np.ndarray, names: str = 'xyz') -> None:
    for name, value in zip(names, values):
        setattr(message, name, float(value))
