"""`~/debug_image`: the picture with every instance drawn in; only while somebody looks."""

from __future__ import annotations

from typing import Any

from sensor_msgs.msg import Image

from dr_perception.core.drawing import draw_object, feature_edges
from dr_perception.core.objects import ObjectModel
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.image_conversion import image_from_rgb
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output


@output('debug_image', '~/debug_image (sensor_msgs/Image): the picture with edges, axes and '
        'label of every instance; drawn only while subscribed', order=90)
class DebugImagePublisher:
    """Draws and publishes, in the image's own frame, while there is a subscriber."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self.update_objects(objects)
        self._publisher = node.create_lifecycle_publisher(Image, '~/debug_image', RESULTS_QOS)

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Draw these."""
        self._objects = {model.name: model for model in objects}
        self._edges = {model.name: feature_edges(model.vertices_m, model.faces)
                       for model in objects}

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's picture."""
        if not self._publisher.get_subscription_count():
            return
        picture = result.image_rgb.copy()
        for instance in reversed(result.instances):
            name = instance.object_name
            draw_object(picture, result.camera, self._objects[name].vertices_m,
                        self._edges[name], instance.T_camera_object,
                        f'{instance.instance_name} {instance.score:.2f}')
        self._publisher.publish(image_from_rgb(result.image_header, picture))

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)
