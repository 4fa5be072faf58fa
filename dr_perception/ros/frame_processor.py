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

"""One frame from message to result: decode, place the camera, estimate, name, turn the frames."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import TYPE_CHECKING

from dr_perception.core.errors import CameraError, ImageError, PerceptionError
from dr_perception.core.instance_names import InstanceNamer
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transform_buffer import TransformBuffer, TransformError
from dr_perception.core.transforms import make_transform
from dr_perception.ros.camera_conversion import camera_from_info
from dr_perception.ros.conversions import (clean_frame_id, header_in_frame, NS_PER_S,
                                           rotate_covariance, stamp_to_ns)
from dr_perception.ros.frame_result import FrameResult, ObjectInstance
from dr_perception.ros.image_conversion import rgb_from_compressed, rgb_from_image
from dr_perception.ros.parameters import Settings, TRACKING_OFF
from dr_perception.ros.serialized_image import SerializedImage
from dr_perception.ros.tracking import Followed, FrameTracking, is_wanted, PictureOrigin
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

if TYPE_CHECKING:
    from dr_perception import PoseEstimator


class StaleImageError(PerceptionError):
    """An image that is too old to be of use."""


#: error type -> its kind in counts, logs and diagnostics; the first that fits.
ERROR_KINDS = ((StaleImageError, 'stale_image'), (ImageError, 'image'),
               (CameraError, 'camera_info'), (TransformError, 'transform'),
               (PerceptionError, 'estimation'))
CAMERA_POSE_KIND = 'camera_pose'


def error_kind(error: Exception) -> str:
    """Return the kind of an exception, 'internal' for a bug."""
    return next((kind for kind_of, kind in ERROR_KINDS if isinstance(error, kind_of)), 'internal')


class FrameProcessor:
    """Turns frames into results. Used by one thread.

    Args:
        estimator: finds the objects.
        transforms: the TF buffer.
        warn: called with kind and text of what is wrong but does not stop the frame.
    """

    def __init__(self, estimator: PoseEstimator, transforms: TransformBuffer,
                 warn: Callable[[str, str], None]) -> None:
        self._estimator, self._transforms, self._warn = estimator, transforms, warn
        self._boxes = {model.name: _box(model) for model in estimator.contract.objects}
        self._namer = InstanceNamer()
        self._tracking = FrameTracking(estimator.contract.objects, warn)

    def process(self, image: SerializedImage | Image | CompressedImage,
                info: CameraInfo | None, settings: Settings, now_ns: int) -> FrameResult:
        """Everything found in one frame.

        Args:
            image: the picture.
            info: the newest CameraInfo, where one arrived.
            settings: the parameters.
            now_ns: the node's time.

        Raises:
            PerceptionError: the frame cannot be used; see ``ERROR_KINDS``.
        """
        start_s = time.perf_counter()
        stamp_ns = stamp_to_ns(image.header.stamp)
        _check_age(stamp_ns, now_ns, settings.max_image_age_s)
        if info is None:
            raise CameraError('images arrive but no CameraInfo has: check the camera_info topic')
        image_rgb = (rgb_from_compressed(image) if isinstance(image, CompressedImage)
                     else rgb_from_image(image))
        height_px, width_px = image_rgb.shape[:2]
        camera = camera_from_info(info, width_px, height_px, settings.image_is_rectified)
        camera_frame = clean_frame_id(image.header.frame_id)
        T_base_camera = self._camera_in_base(camera_frame, stamp_ns, settings)
        T_output_camera = self._camera_in_output(camera_frame, T_base_camera, stamp_ns, settings)
        read_s = time.perf_counter()
        found = self._estimator.estimate(image_rgb, camera, T_base_camera=T_base_camera)
        estimated_s = time.perf_counter()
        detections = [d for d in found if is_wanted(d.object_name, d.score, settings)]
        detections.sort(key=lambda d: -d.score)
        if settings.tracking == TRACKING_OFF:
            self._tracking.forget()
            T_rest_camera = np.eye(4) if T_base_camera is None else T_base_camera
            names = self._namer.assign(
                [(d.object_name, (T_rest_camera @ d.T_camera_object)[:3, 3]) for d in detections],
                stamp_ns / NS_PER_S)
            followed = [Followed(d, name) for d, name in zip(detections, names)]
        else:
            followed = self._tracking.follow(
                detections, PictureOrigin(stamp_ns, now_ns, camera_frame, T_base_camera), settings)
        header = header_in_frame(image.header, settings.target_frame or image.header.frame_id)
        instances = self._instances(followed, T_output_camera)
        timing_ms = {'reading': (read_s - start_s) * 1e3, **self._estimator.last_timing_ms,
                     'result': (time.perf_counter() - estimated_s) * 1e3}
        return FrameResult(header, image.header, image_rgb, camera, instances, timing_ms)

    def _camera_in_base(self, camera_frame: str, stamp_ns: int,
                        settings: Settings) -> np.ndarray | None:
        if settings.T_base_camera is not None:
            return settings.T_base_camera
        try:
            return self._transforms.lookup(settings.base_frame, camera_frame, stamp_ns,
                                           settings.transform_timeout_s)
        except TransformError as error:
            self._warn(CAMERA_POSE_KIND, (
                f'{error}; the support plane takes no part and poses are less accurate: publish '
                f'TF from {settings.base_frame!r} to {camera_frame!r}, or set camera_pose'))
            return None

    def _camera_in_output(self, camera_frame: str, T_base_camera: np.ndarray | None,
                          stamp_ns: int, settings: Settings) -> np.ndarray:
        target = settings.target_frame
        if target in ('', camera_frame):
            return np.eye(4)
        if target == settings.base_frame and T_base_camera is not None:
            return T_base_camera
        if settings.T_base_camera is not None:  # TF need not know the camera
            return self._transforms.lookup(
                target, settings.base_frame, stamp_ns,
                settings.transform_timeout_s) @ settings.T_base_camera
        return self._transforms.lookup(target, camera_frame, stamp_ns,
                                       settings.transform_timeout_s)

    def _instances(self, followed: list[Followed],
                   T_output_camera: np.ndarray) -> tuple[ObjectInstance, ...]:
        if not followed:
            return ()
        detections = [one.detection for one in followed]
        poses = T_output_camera @ np.stack([d.T_camera_object for d in detections])
        covariances = rotate_covariance(T_output_camera[:3, :3],
                                        np.stack([d.covariance for d in detections]))
        return tuple(
            ObjectInstance(d.object_name, one.name, float(d.score), d.T_camera_object, pose,
                           covariance, *self._boxes[d.object_name], d.out_of_range, one.found_ns)
            for d, one, pose, covariance in zip(detections, followed, poses, covariances))


def _box(model: ObjectModel) -> tuple[np.ndarray, np.ndarray]:
    """Return the pose of the bounding box's centre in the object's frame, and its size (3,)."""
    low, high = model.vertices_m.min(0), model.vertices_m.max(0)
    return make_transform(np.eye(3), (low + high) / 2), high - low


def _check_age(stamp_ns: int, now_ns: int, max_age_s: float) -> None:
    age_s = (now_ns - stamp_ns) / NS_PER_S
    if max_age_s > 0 and stamp_ns > 0 and age_s > max_age_s:
        raise StaleImageError(
            f'the image is {age_s:.2f} s old when its turn comes (max_image_age_s is '
            f'{max_age_s:g}): are the clocks of camera and node the same? For recordings set '
            'use_sim_time or max_image_age_s:=0.0')
