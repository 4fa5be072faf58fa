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

"""The node's subscriptions while it is active: images, CameraInfo, TF."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
import time
from typing import Any

from dr_perception.core.transform_buffer import TransformBuffer
from dr_perception.ros.parameters import ParameterError, Settings
from dr_perception.ros.qos_compatibility import full_name, incompatibility
from dr_perception.ros.serialized_image import read_image, SerializedImage
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.qos import (DurabilityPolicy, HistoryPolicy, qos_policy_name_from_kind, QoSPolicyKind,
                       QoSProfile, ReliabilityPolicy)
from rclpy.qos_overriding_options import QoSOverridingOptions
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

_TF_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100)
_TF_STATIC_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=100,
                            durability=DurabilityPolicy.TRANSIENT_LOCAL)


def _newest_only(reliability: str) -> QoSProfile:
    """Return a profile for one subscription: rclpy writes its qos_overrides into it."""
    # Older frames would be replaced in the slot anyhow.
    return QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=1,
                      reliability=ReliabilityPolicy[reliability.upper()])


def _overridable(node: Any, topic: str) -> QoSOverridingOptions:
    """Return what the user's qos_overrides may change.

    rclpy keeps the values of the first subscription as parameters, and writes them into every
    later one: what `image_reliability` says would hold for the first activation only.
    """
    name = f'qos_overrides.{node.resolve_topic_name(topic)}.subscription.reliability'
    kinds = [QoSPolicyKind.HISTORY, QoSPolicyKind.DEPTH]
    if name in node._parameter_overrides:
        kinds.append(QoSPolicyKind.RELIABILITY)
    return QoSOverridingOptions(policy_kinds=kinds)


@dataclass(frozen=True)
class ArrivedImage:
    """An image message, serialized, and when it came: the node's time, and perf_counter."""

    serialized: bytes
    node_ns: int
    time_s: float


class FrameInputs:
    """Subscribes; the newest CameraInfo is kept, and never an exact pair demanded.

    Depth and reliability can be changed further by the topics' qos_overrides parameters.

    Args:
        node: the node.
        settings: its parameters.
        transforms: the buffer that TF goes to; TF is subscribed to only where it is needed.
        on_image: called with each image; ``read`` reads it.
    """

    def __init__(self, node: Any, settings: Settings, transforms: TransformBuffer,
                 on_image: Callable[[ArrivedImage], None]) -> None:
        self._node, self._take_image = node, on_image
        self.camera_info: CameraInfo | None = None
        self._had_qos_problem = False
        self.lost_images = 0
        self._compressed = settings.image_transport == 'compressed'
        kind, topic = ((CompressedImage, 'image/compressed') if self._compressed
                       else (Image, 'image'))
        self._subscriptions = []
        image = self._subscribe(
            kind, topic, self._on_image, settings.image_reliability, raw=True,
            event_callbacks=SubscriptionEventCallbacks(
                incompatible_qos=self._on_incompatible_qos, message_lost=self._on_lost))
        info = self._subscribe(CameraInfo, 'camera_info', self._on_camera_info, 'best_effort')
        self.image_topic, self.camera_info_topic = image.topic_name, info.topic_name
        self._image_qos = image.qos_profile      # with what the overrides made of it
        if settings.T_base_camera is None or settings.target_frame not in (
                '', settings.base_frame):
            self._subscriptions += [
                node.create_subscription(TFMessage, '/tf', lambda message: (
                    transforms.add_message(message, is_static=False)), _TF_QOS),
                node.create_subscription(TFMessage, '/tf_static', lambda message: (
                    transforms.add_message(message, is_static=True)), _TF_STATIC_QOS)]

    def _subscribe(self, kind: Any, topic: str, callback: Callable, reliability: str,
                   **options: Any) -> Any:
        try:
            subscription = self._node.create_subscription(
                kind, topic, callback, _newest_only(reliability),
                qos_overriding_options=_overridable(self._node, topic), **options)
        except RuntimeError as error:
            self.close()
            raise ParameterError(
                f'qos_overrides.{self._node.resolve_topic_name(topic)}.subscription cannot be '
                f'used: {error}') from error
        self._subscriptions.append(subscription)
        return subscription

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def read(self, arrived: ArrivedImage) -> SerializedImage | CompressedImage:
        """Return what a message tells.

        Raises:
            ImageError: it is no image.
        """
        return read_image(arrived.serialized, self._compressed)

    def _on_image(self, serialized: bytes) -> None:
        self._take_image(ArrivedImage(serialized, self._node.get_clock().now().nanoseconds,
                                      time.perf_counter()))

    def _on_camera_info(self, message: CameraInfo) -> None:
        self.camera_info = message

    def _on_lost(self, event: Any) -> None:
        self.lost_images = event.total_count

    @property
    def qos_problem(self) -> str:
        """Which publisher of images offers what this cannot read; '' when there is none now."""
        # The event only tells that there was one; looking again costs a walk of the graph.
        return self._describe_incompatibility() if self._had_qos_problem else ''

    def _describe_incompatibility(self, unknown: str = '') -> str:
        who, what = '', unknown
        for publisher in self._node.get_publishers_info_by_topic(self.image_topic):
            reason = incompatibility(publisher.qos_profile, self._image_qos)
            if reason:
                who, what = f' ({full_name(publisher)})', reason
        return what and (
            f'a publisher of {self.image_topic}{who} offers an incompatible {what}: change it '
            'there, or here by image_reliability or the qos_overrides parameters')

    def _on_incompatible_qos(self, event: Any) -> None:
        self._had_qos_problem = True
        self._node.get_logger().error(self._describe_incompatibility(
            unknown=qos_policy_name_from_kind(event.last_policy_kind)))
