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

"""`~/<object>/pose`: the best instance of each object, as PoseWithCovarianceStamped."""

from __future__ import annotations

from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.conversions import pose_with_covariance
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.publishers.events import create_output_publisher
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output
from geometry_msgs.msg import PoseWithCovarianceStamped


@output('object_poses', '~/<object>/pose (geometry_msgs/PoseWithCovarianceStamped): the instance '
        'of each object with the best score', order=20)
class ObjectPosesPublisher:
    """Publishes on one topic an object; an object that was not found publishes nothing."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node, self._publishers = node, {}
        self.update_objects(objects)

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Publish a topic for each of these; those that are there already stay."""
        names = {model.name for model in objects}
        for name in sorted(names - set(self._publishers)):
            self._publishers[name] = create_output_publisher(
                self._node, PoseWithCovarianceStamped, f'~/{name}/pose', RESULTS_QOS)
        for name in sorted(set(self._publishers) - names):
            self._node.destroy_lifecycle_publisher(self._publishers.pop(name))

    def publish(self, result: FrameResult) -> None:
        """Publish the best instance of each object."""
        best = {instance.object_name: instance for instance in reversed(result.instances)}
        for name, instance in best.items():
            self._publishers[name].publish(PoseWithCovarianceStamped(
                header=result.header,
                pose=pose_with_covariance(instance.T_output_object, instance.covariance)))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in self._publishers.values():
            self._node.destroy_lifecycle_publisher(publisher)
