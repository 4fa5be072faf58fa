"""TF: every instance as the frame `<object>_<n>`, child of the output frame."""

from __future__ import annotations

from typing import Any

from tf2_msgs.msg import TFMessage

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.conversions import transform_stamped
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.publishers.qos import TF_QOS
from dr_perception.ros.publishers.registry import output


@output('tf', '/tf: every instance as the frame <object>_<n>, child of the output frame',
        order=30)
class TransformsPublisher:
    """Publishes the frames of one picture together; nothing where nothing was found."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        # Absolute, as every TF broadcaster has it; `--ros-args -r /tf:=tf` moves it.
        self._publisher = node.create_lifecycle_publisher(TFMessage, '/tf', TF_QOS)

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's instances."""
        if result.instances:
            self._publisher.publish(TFMessage(transforms=[
                transform_stamped(result.header, instance.instance_name, instance.T_output_object)
                for instance in result.instances]))

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Nothing here depends on them."""

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)
