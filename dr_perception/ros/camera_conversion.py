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

"""sensor_msgs/CameraInfo to PinholeCamera and back."""

from __future__ import annotations

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.camera_info import camera_from_info
import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

__all__ = ['camera_from_info', 'info_from_camera']


def info_from_camera(header: Header, camera: PinholeCamera) -> CameraInfo:
    """Return the CameraInfo of a camera: K, D, and P for an unturned image (R = 1)."""
    info = CameraInfo(header=header, width=int(camera.width_px), height=int(camera.height_px))
    named = camera.distortion_model != 'none'
    info.distortion_model = camera.distortion_model if named else 'plumb_bob'
    info.d = [float(c) for c in camera.distortion] if named else [0.0] * 5
    K = camera.K
    info.k = [float(value) for value in K.ravel()]
    info.r = [float(value) for value in np.eye(3).ravel()]
    info.p = [float(value) for value in np.hstack([K, np.zeros((3, 1))]).ravel()]
    return info
