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

"""`~/debug_image`: the picture with every instance drawn in; only while somebody looks."""

from __future__ import annotations

from array import array
from typing import Any

import cv2
from dr_perception.core.drawing import draw_object, feature_edges
from dr_perception.core.objects import ObjectModel
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.image_conversion import image_from_rgb
from dr_perception.ros.publishers.events import create_output_publisher
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output
import numpy as np
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header

_JPEG_QUALITY = 80


@output('debug_image', '~/debug_image (sensor_msgs/Image) and ~/debug_image/compressed (JPEG): '
        'the picture with edges, axes and label of every instance; drawn only while subscribed',
        order=90)
class DebugImagePublisher:
    """Draws and publishes, in the image's own frame, while there is a subscriber."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self.update_objects(objects)
        self._raw = create_output_publisher(node, Image, '~/debug_image', RESULTS_QOS)
        # The name that image_transport gives it, so that RViz and rqt find it.
        self._compressed = create_output_publisher(
            node, CompressedImage, '~/debug_image/compressed', RESULTS_QOS)

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Draw these."""
        self._objects = {model.name: model for model in objects}
        self._edges: dict[str, np.ndarray] = {}

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's picture."""
        wants_raw = self._raw.get_subscription_count() > 0
        wants_compressed = self._compressed.get_subscription_count() > 0
        if not wants_raw and not wants_compressed:
            return
        picture = result.image_rgb.copy()
        for instance in reversed(result.instances):
            name = instance.object_name
            draw_object(picture, result.camera, self._objects[name].vertices_m,
                        self._object_edges(name), instance.T_camera_object,
                        f'{instance.instance_name} {instance.score:.2f}')
        if wants_raw:
            self._raw.publish(image_from_rgb(result.image_header, picture))
        if wants_compressed:
            self._compressed.publish(jpeg_from_rgb(result.image_header, picture))

    def close(self) -> None:
        """Destroy the publishers."""
        for publisher in (self._raw, self._compressed):
            self._node.destroy_lifecycle_publisher(publisher)

    def _object_edges(self, name: str) -> np.ndarray:
        """Return an object's edges, found when first needed and kept."""
        if name not in self._edges:
            model = self._objects[name]
            self._edges[name] = feature_edges(model.vertices_m, model.faces)
        return self._edges[name]


def jpeg_from_rgb(header: Header, image_rgb: np.ndarray) -> CompressedImage:
    """Return the sensor_msgs/CompressedImage (JPEG) of an (H, W, 3) uint8 array."""
    _, jpeg = cv2.imencode('.jpg', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR),
                           [cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY])
    # As image_transport describes it: what it was; how it is packed; what unpacking gives.
    message = CompressedImage(header=header, format='rgb8; jpeg compressed bgr8')
    data = array('B')  # frombytes: assigning the array itself is a hundred times slower
    data.frombytes(memoryview(jpeg.reshape(-1)).cast('B'))
    message.data = data
    return message
