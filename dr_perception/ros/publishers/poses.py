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

"""`~/poses`: the bare poses, as geometry_msgs/PoseArray, in the order of `~/detections`."""

from __future__ import annotations

from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.conversions import pose_from_matrix
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.publishers.events import create_output_publisher
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output
from geometry_msgs.msg import PoseArray


@output('poses', '~/poses (geometry_msgs/PoseArray): the poses alone, in the order of '
        '~/detections', order=10)
class PosesPublisher:
    """Publishes one array a frame, empty when nothing was found."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self._publisher = create_output_publisher(node, PoseArray, '~/poses', RESULTS_QOS)

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's poses."""
        self._publisher.publish(PoseArray(header=result.header, poses=[
            pose_from_matrix(instance.T_output_object) for instance in result.instances]))

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Nothing here depends on them."""

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)
