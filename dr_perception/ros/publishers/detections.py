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

"""`~/detections`: everything about every instance, as vision_msgs/Detection3DArray."""

from __future__ import annotations

from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.conversions import pose_from_matrix, pose_with_covariance
from dr_perception.ros.frame_result import FrameResult, ObjectInstance
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output
from geometry_msgs.msg import Vector3
from vision_msgs.msg import (BoundingBox3D, Detection3D, Detection3DArray, ObjectHypothesis,
                             ObjectHypothesisWithPose)


@output('detections', '~/detections (vision_msgs/Detection3DArray): class, score, pose with '
        'covariance and box of every instance', order=0)
class DetectionsPublisher:
    """Publishes one array a frame, empty when nothing was found."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self._publisher = node.create_lifecycle_publisher(
            Detection3DArray, '~/detections', RESULTS_QOS)

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's instances."""
        self._publisher.publish(Detection3DArray(
            header=result.header,
            detections=[self._detection(result, instance) for instance in result.instances]))

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Nothing here depends on them."""

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)

    @staticmethod
    def _detection(result: FrameResult, instance: ObjectInstance) -> Detection3D:
        x, y, z = (float(length) for length in instance.box_size_m)
        return Detection3D(
            header=result.header, id=instance.instance_name,
            results=[ObjectHypothesisWithPose(
                hypothesis=ObjectHypothesis(
                    class_id=instance.object_name, score=float(instance.score)),
                pose=pose_with_covariance(instance.T_output_object, instance.covariance))],
            bbox=BoundingBox3D(
                center=pose_from_matrix(instance.T_output_object @ instance.T_object_box),
                size=Vector3(x=x, y=y, z=z)))
