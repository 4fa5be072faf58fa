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

"""A CameraInfo from a running camera: ROS is asked in a process of its own."""

from __future__ import annotations

import importlib.util
import subprocess
import sys

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import PerceptionError
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.camera_files import camera_from_mapping, parse, read_camera

PREFIX = 'topic:'
#: Seconds to wait for a CameraInfo; a driver sends one with each picture.
WAIT_S = 10.0


def camera_of(source: str, rectified: bool = False, wait_s: float = WAIT_S) -> PinholeCamera:
    """Return the camera of a file, of numbers, or of ``topic:/camera/camera_info``.

    Raises:
        ConfigurationError, CameraError: no calibration there; one line with the remedy.
    """
    if not source.startswith(PREFIX):
        return read_camera(source, rectified)
    topic = source[len(PREFIX):]
    if not topic:
        raise ConfigurationError('--camera topic: has no name; write topic:/camera/camera_info')
    missing = [name for name in ('rclpy', 'sensor_msgs') if not importlib.util.find_spec(name)]
    if missing:
        raise ConfigurationError(
            f'--camera {source} needs ROS 2 ({", ".join(missing)} cannot be imported): source a '
            'ROS 2 installation, or save the message there (ros2 topic echo --once '
            f'{topic} > camera.yaml) and give --camera camera.yaml')
    done = subprocess.run([sys.executable, '-m', 'dr_perception.ros.read_camera_info', topic,
                           str(wait_s)], capture_output=True, text=True, timeout=wait_s + 60,
                          check=False)
    if done.returncode == 3:
        raise ConfigurationError(done.stderr.strip().splitlines()[-1])
    if done.returncode != 0:
        raise RuntimeError(f'reading {topic} failed:\n{done.stderr}')
    try:
        return camera_from_mapping(parse(done.stdout), rectified)
    except PerceptionError as error:
        raise type(error)(f'{topic}: {error}') from error
