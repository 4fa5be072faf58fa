"""`~/poses`: the bare poses, as geometry_msgs/PoseArray, in the order of `~/detections`."""

from __future__ import annotations

from typing import Any

from geometry_msgs.msg import PoseArray

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.conversions import pose_from_matrix
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output


@output('poses', '~/poses (geometry_msgs/PoseArray): the poses alone, in the order of '
        '~/detections', order=10)
class PosesPublisher:
    """Publishes one array a frame, empty when nothing was found."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self._publisher = node.create_lifecycle_publisher(PoseArray, '~/poses', RESULTS_QOS)

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's poses."""
        self._publisher.publish(PoseArray(header=result.header, poses=[
            pose_from_matrix(instance.T_output_object) for instance in result.instances]))

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Nothing here depends on them."""

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)
