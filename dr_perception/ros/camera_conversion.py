"""sensor_msgs/CameraInfo to PinholeCamera and back."""

from __future__ import annotations

import numpy as np
from sensor_msgs.msg import CameraInfo
from std_msgs.msg import Header

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.camera_info import camera_from_info

__all__ = ['camera_from_info', 'info_from_camera']


def info_from_camera(header: Header, camera: PinholeCamera) -> CameraInfo:
    """The CameraInfo of a camera: K, D, and P for an image that needs no rotation (R = 1)."""
    info = CameraInfo(header=header, width=int(camera.width_px), height=int(camera.height_px))
    named = camera.distortion_model != 'none'
    info.distortion_model = camera.distortion_model if named else 'plumb_bob'
    info.d = [float(c) for c in camera.distortion] if named else [0.0] * 5
    K = camera.K
    info.k = [float(value) for value in K.ravel()]
    info.r = [float(value) for value in np.eye(3).ravel()]
    info.p = [float(value) for value in np.hstack([K, np.zeros((3, 1))]).ravel()]
    return info
