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

"""TF: every instance as the frame `<object>_<n>`, child of the output frame."""

from __future__ import annotations

from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.conversions import clean_frame_id, transform_stamped
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.publishers.events import create_output_publisher
from dr_perception.ros.publishers.frame_names import FrameNames
from dr_perception.ros.publishers.qos import TF_QOS
from dr_perception.ros.publishers.registry import output
from tf2_msgs.msg import TFMessage


@output('tf', '/tf: every instance as the frame <object>_<n>, child of the output frame',
        order=30)
class TransformsPublisher:
    """Publishes the frames of one picture together; nothing where nothing was found."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        # Absolute, as every TF broadcaster has it; `--ros-args -r /tf:=tf` moves it.
        self._publisher = create_output_publisher(node, TFMessage, '/tf', TF_QOS)
        self._names = FrameNames(node, [model.name for model in objects], node.gives_way_on_tf)

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's instances."""
        # The target frame, or the camera's; the camera's; the base's.
        reserved = {clean_frame_id(result.header.frame_id),
                    clean_frame_id(result.image_header.frame_id), self._node.settings.base_frame}
        transforms = []
        for instance in result.instances:
            frame = self._names.choose(instance.instance_name, reserved)
            if frame is not None:
                transforms.append(
                    transform_stamped(result.header, frame, instance.T_output_object))
        if transforms and self._publisher.is_activated:
            self._names.claim(transforms)
            self._publisher.publish(TFMessage(transforms=transforms))

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Keep out of the way of frames that look like instances of these."""
        self._names.look_at(model.name for model in objects)

    def close(self) -> None:
        """Destroy the publisher."""
        self._names.close()
        self._node.destroy_lifecycle_publisher(self._publisher)
