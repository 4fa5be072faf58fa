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
from dr_perception.ros.conversions import fill_pose, fill_pose_with_covariance, stamp_from_ns
from dr_perception.ros.frame_result import FrameResult, ObjectInstance
from dr_perception.ros.publishers.events import create_output_publisher
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output
from std_msgs.msg import Header
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose


@output('detections', '~/detections (vision_msgs/Detection3DArray): class, score, pose with '
        'covariance and box of every instance', order=0)
class DetectionsPublisher:
    """Publishes one array a frame, empty when nothing was found.

    A detection is nine messages, and making them takes longer than sending them: they are made
    once and filled anew. Publishing has copied them when it returns.
    """

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self._made: list[Detection3D] = []
        self._publisher = create_output_publisher(
            node, Detection3DArray, '~/detections', RESULTS_QOS)

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's instances."""
        while len(self._made) < len(result.instances):
            self._made.append(Detection3D(results=[ObjectHypothesisWithPose()]))
        detections = self._made[:len(result.instances)]
        for message, instance in zip(detections, result.instances):
            _fill(message, result, instance)
        self._publisher.publish(Detection3DArray(header=result.header, detections=detections))

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Nothing here depends on them."""

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)


def _fill(message: Detection3D, result: FrameResult, instance: ObjectInstance) -> None:
    """Write an instance into a message, all of its fields."""
    message.header, message.id = result.header, instance.instance_name
    if instance.found_ns is not None:       # so that nobody takes a prediction for a sighting
        message.header = Header(stamp=stamp_from_ns(instance.found_ns),
                                frame_id=result.header.frame_id)
    found = message.results[0]
    found.hypothesis.class_id = instance.object_name
    found.hypothesis.score = float(instance.score)
    fill_pose_with_covariance(found.pose, instance.T_output_object, instance.covariance)
    fill_pose(message.bbox.center, instance.T_output_object @ instance.T_object_box)
    size = message.bbox.size
    size.x, size.y, size.z = instance.box_size_m.tolist()
