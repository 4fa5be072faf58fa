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

"""Plain values of messages, read by attribute alone.

The classes of rclpy and those of a library that reads recordings have the same fields, so nothing
of ROS is imported here.
"""

from __future__ import annotations

from typing import Any

from dr_perception.core.transforms import make_transform, rotation_from_quat_xyzw
import numpy as np

NS_PER_S = 1_000_000_000


def stamp_to_ns(stamp: Any) -> int:
    """Return a message's stamp in nanoseconds."""
    return stamp.sec * NS_PER_S + stamp.nanosec


def clean_frame_id(frame_id: str) -> str:
    """Return a frame's name as tf2 has it: without the leading slash of ROS 1."""
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


def transform_from_message(message: Any) -> np.ndarray:
    """``T_parent_child`` (4x4) of a geometry_msgs/Transform.

    Raises:
        ValueError: a zero or non-finite quaternion, or a non-finite translation.
    """
    t, q = message.translation, message.rotation
    translation_m = np.array([t.x, t.y, t.z])
    if not np.isfinite(translation_m).all():
        raise ValueError(f'translation {translation_m} is not finite')
    return make_transform(rotation_from_quat_xyzw(np.array([q.x, q.y, q.z, q.w])), translation_m)
