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

"""PinholeCamera of a message shaped like sensor_msgs/CameraInfo, read by attribute alone."""

from __future__ import annotations

from typing import Any

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
import numpy as np


def camera_from_info(info: Any, width_px: int, height_px: int,
                     is_rectified: bool = False) -> PinholeCamera:
    """Return the camera of the images that travel with a CameraInfo.

    Convention:
        K and P belong to the full resolution that the camera was calibrated at (``info.width`` x
        ``info.height``); the image is its region of interest, reduced by the binning (REP 104).
        Binning joins pixels, so half a pixel moves as in any resize.

    Args:
        info: the newest CameraInfo.
        width_px, height_px: size of the image.
        is_rectified: the image was rectified, so P holds and there is no distortion.

    Raises:
        CameraError: not calibrated, not finite, of another size than the image, an unknown
            distortion model, or the P of a stereo pair's second camera.
    """
    binning_x, binning_y = max(int(info.binning_x), 1), max(int(info.binning_y), 1)
    roi = info.roi
    full = roi.width == 0 or roi.height == 0
    left_px, top_px = (0, 0) if full else (int(roi.x_offset), int(roi.y_offset))
    roi_width_px = int(info.width) - left_px if full else int(roi.width)
    roi_height_px = int(info.height) - top_px if full else int(roi.height)
    expected = roi_width_px // binning_x, roi_height_px // binning_y
    if (width_px, height_px) != expected:
        raise CameraError(
            f'the image is {width_px}x{height_px} px but its CameraInfo describes '
            f'{expected[0]}x{expected[1]} px ({info.width}x{info.height}, binning '
            f'{binning_x}x{binning_y}, region of interest {roi.width}x{roi.height}): use the '
            'camera_info topic of this image topic')
    if is_rectified:
        camera = _rectified(info)
    else:
        camera = PinholeCamera.from_matrix(
            np.reshape(info.k, (3, 3)), int(info.width), int(info.height), np.array(info.d),
            info.distortion_model or None)
    if not full:
        camera = camera.cropped(left_px, top_px, roi_width_px, roi_height_px)
    if (binning_x, binning_y) != (1, 1):
        camera = camera.cropped(0, 0, width_px * binning_x, height_px * binning_y)
        camera = camera.resized(width_px, height_px)
    return camera


def _rectified(info: Any) -> PinholeCamera:
    P = np.reshape(info.p, (3, 4))
    if not np.isfinite(P).all():
        raise CameraError('P of the CameraInfo holds NaN or infinity; expected a calibrated '
                          'camera')
    if np.abs(P[:2, 3]).max() > 1e-6 * max(abs(P[0, 0]), 1.0):
        raise CameraError(
            f'P of the CameraInfo has the offset {P[0, 3]:g}, {P[1, 3]:g}: it belongs to the '
            'second camera of a stereo pair; use the topics of the first (left) camera')
    return PinholeCamera.from_matrix(P[:, :3], int(info.width), int(info.height))
