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

"""Prints one CameraInfo as YAML: ``python -m dr_perception.ros.read_camera_info TOPIC SECONDS``.

Exit codes: 0 printed, 3 none came in that time (stderr says so in one line).
"""

from __future__ import annotations

import sys
import time

import rclpy
from rclpy.qos import qos_profile_sensor_data
from sensor_msgs.msg import CameraInfo
import yaml


def as_mapping(info: CameraInfo) -> dict:
    """Return the fields that describe a camera, as ``ros2 topic echo`` names them."""
    roi = {name: int(getattr(info.roi, name))
           for name in ('x_offset', 'y_offset', 'height', 'width')}
    return {'height': int(info.height), 'width': int(info.width),
            'distortion_model': str(info.distortion_model),
            **{name: [float(v) for v in getattr(info, name)] for name in ('d', 'k', 'r', 'p')},
            'binning_x': int(info.binning_x), 'binning_y': int(info.binning_y), 'roi': roi}


def main(argv: list[str]) -> int:
    """Wait for a CameraInfo and print it."""
    topic, wait_s = argv[0], float(argv[1])
    received: list[CameraInfo] = []
    rclpy.init()
    node = rclpy.create_node('read_camera_info')
    node.create_subscription(CameraInfo, topic, received.append, qos_profile_sensor_data)
    end = time.monotonic() + wait_s
    while not received and time.monotonic() < end:
        rclpy.spin_once(node, timeout_sec=0.1)
    names = sorted(name for name, types in node.get_topic_names_and_types()
                   if 'sensor_msgs/msg/CameraInfo' in types and name != topic)
    node.destroy_node()
    rclpy.shutdown()
    if not received:
        others = (f'there are {", ".join(names)}' if names else
                  'there is no other one either')
        print(f'no CameraInfo came on {topic} in {wait_s:g} s ({others}); start the camera '
              'driver, or name its camera_info topic', file=sys.stderr)
        return 3
    print(yaml.safe_dump(as_mapping(received[0]), sort_keys=False))
    return 0


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
