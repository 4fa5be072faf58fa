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

"""`~/vision_info`: which model the results come from, and where its classes are described."""

from __future__ import annotations

from pathlib import Path
from typing import Any
import weakref

from dr_perception.core.contract import METADATA_KEY
from dr_perception.core.objects import ObjectModel
from dr_perception.ros.frame_result import FrameResult
from dr_perception.ros.publishers.qos import LATCHED_QOS
from dr_perception.ros.publishers.registry import output
from dr_perception.ros.publishers.transition_publisher import create_transition_publisher
from vision_msgs.msg import VisionInfo

#: node -> (hash of its last model, version): versions outlive the publisher.
_versions: weakref.WeakKeyDictionary[Any, tuple[str, int]] = weakref.WeakKeyDictionary()


@output('vision_info', '~/vision_info (vision_msgs/VisionInfo, latched): name and hash of the '
        'model, and where the classes are described', order=95)
class VisionInfoPublisher:
    """Publishes once, when the node becomes active; late readers get it as well.

    Made anew with another model, so that its publisher says that one once.
    """

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        # What was loaded, which the file may not be any more.
        path, sha256 = Path(node.estimator.model_path).resolve(), node.estimator.model_sha256
        last_sha256, version = _versions.get(node, ('', 0))
        _versions[node] = (sha256, version + (sha256 != last_sha256))
        self._info = VisionInfo(
            method=f'{path.stem} (sha256 {sha256[:12]})',
            database_location=f'{path}#{METADATA_KEY}', database_version=_versions[node][1])
        self._publisher = create_transition_publisher(
            node, VisionInfo, '~/vision_info', LATCHED_QOS)
        self._publisher.on_activated = self._announce

    def publish(self, result: FrameResult) -> None:
        """Nothing: a model does not change from frame to frame."""

    def close(self) -> None:
        """Destroy the publisher."""
        self._node.destroy_lifecycle_publisher(self._publisher)

    def _announce(self) -> None:
        self._info.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(self._info)
