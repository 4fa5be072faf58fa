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

"""Listens to the ROS graph for a few seconds, as a node of its own that publishes nothing."""

from __future__ import annotations

from collections.abc import Callable
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from dr_perception.core.errors import PerceptionError
from dr_perception.ros.conversions import clean_frame_id, NS_PER_S, stamp_to_ns
from dr_perception.ros.doctor.observation import (COMPRESSED_TYPE, Endpoint, find_cameras,
                                                  IMAGE_TYPES, INFO_TYPE, Observation, Topic,
                                                  Traffic, TransformEdge)
from dr_perception.ros.qos_compatibility import full_name
import rclpy
from rclpy.context import Context
from rclpy.event_handler import SubscriptionEventCallbacks
from rclpy.exceptions import InvalidTopicNameException
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, qos_profile_sensor_data, QoSProfile
from rclpy.validate_topic_name import validate_topic_name
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from tf2_msgs.msg import TFMessage

NODE_NAME = 'dr_perception_doctor'
_DETECTIONS_TYPE = 'vision_msgs/msg/Detection3DArray'
_LOOK_PERIOD_S = 0.3
#: DDS announces a participant every 3 s; when its first announcements are lost, the graph looks
#: empty until then.
DISCOVERY_S = 4.0
_TF_QOS = QoSProfile(depth=100)
_TF_STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)


class DoctorError(PerceptionError, ValueError):
    """An option that cannot be used."""


def watch(image_topic: str, info_topic: str, seconds: float) -> Observation:
    """Listen to the graph.

    Args:
        image_topic, info_topic: to listen to; '' finds them.
        seconds: how long, from the moment when the last of the other nodes was found. They are
            waited for DISCOVERY_S.

    Raises:
        DoctorError: a topic name that cannot be.
    """
    context = Context()
    rclpy.init(args=[], context=context)
    node = rclpy.create_node(NODE_NAME, context=context, start_parameter_services=False,
                             enable_rosout=False)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        names = [_resolve(node, option, name) for option, name in
                 (('--image', image_topic), ('--camera-info', info_topic))]
        graph_watch = _GraphWatch(node, names[0], names[1], seconds)
        discovered_s = time.monotonic() + DISCOVERY_S
        end_s = max(discovered_s, time.monotonic() + seconds)
        look_s, known = 0.0, {(NODE_NAME, '/')}
        while time.monotonic() < end_s:
            if time.monotonic() >= look_s:
                graph_watch.look()
                look_s = time.monotonic() + _LOOK_PERIOD_S
                found = set(node.get_node_names_and_namespaces()) - known
                if found and time.monotonic() < discovered_s:
                    known |= found
                    end_s = max(discovered_s, time.monotonic() + seconds)
            executor.spin_once(timeout_sec=0.05)
        graph_watch.look()
        return graph_watch.observation
    finally:
        executor.shutdown()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


class _GraphWatch:
    """Looks at the graph again and again, and subscribes to what matters in it."""

    def __init__(self, node: Any, image_topic: str, info_topic: str, seconds: float) -> None:
        self._node, self._image_topic, self._info_topic = node, image_topic, info_topic
        self.observation = Observation(seconds)
        seen = self.observation
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 50)
        node.create_subscription(TFMessage, '/tf', lambda m: self._on_tf(m, False), _TF_QOS)
        node.create_subscription(TFMessage, '/tf_static', lambda m: self._on_tf(m, True),
                                 _TF_STATIC_QOS)
        seen.transforms.max_age_s = 0.5

    def look(self) -> None:
        """Read the graph; listen to new topics of the cameras."""
        node, seen = self._node, self.observation
        names = node.get_topic_names_and_types()
        seen.topics = {name: self._topic(name, types[0]) for name, types in names
                       if types[0] in (*IMAGE_TYPES, INFO_TYPE)}
        seen.estimators = sorted({
            endpoint.node for name, types in names if types[0] == _DETECTIONS_TYPE
            for endpoint in self._topic(name, types[0]).publishers
            if name == f'{endpoint.node}/detections'})
        if not seen.uses_sim_time and node.count_publishers('/clock'):
            node.set_parameters([Parameter('use_sim_time', value=True)])
            seen.uses_sim_time = True
        seen.cameras = find_cameras(seen.topics, seen.estimators, self._image_topic,
                                    self._info_topic)
        for camera in seen.cameras:
            if camera.image_topic in seen.topics:
                self._listen(camera.image_topic)
            if camera.info_topic in seen.topics:
                self._listen(camera.info_topic)
        seen.now_ns = node.get_clock().now().nanoseconds

    def _topic(self, name: str, type_name: str) -> Topic:
        node = self._node

        def endpoints(read: Callable) -> list[Endpoint]:
            return [Endpoint(full_name(info), info.qos_profile) for info in read(name)
                    if info.node_name != NODE_NAME]
        return Topic(name, type_name, endpoints(node.get_publishers_info_by_topic),
                     endpoints(node.get_subscriptions_info_by_topic))

    def _listen(self, name: str) -> None:
        seen = self.observation
        if name in seen.traffic:
            return
        traffic = seen.traffic[name] = Traffic()
        kind = {INFO_TYPE: CameraInfo, COMPRESSED_TYPE: CompressedImage}.get(
            seen.topics[name].type_name, Image)

        def on_message(message: Any) -> None:
            traffic.arrivals_s.append(time.monotonic())
            traffic.newest = message
            stamp_ns = stamp_to_ns(message.header.stamp)
            if stamp_ns:
                traffic.ages_s.append(
                    (self._node.get_clock().now().nanoseconds - stamp_ns) / NS_PER_S)

        def on_lost(event: Any) -> None:
            traffic.lost = event.total_count
        # Best effort and volatile, as the node reads by default: every publisher fits.
        self._node.create_subscription(
            kind, name, on_message, qos_profile_sensor_data,
            event_callbacks=SubscriptionEventCallbacks(message_lost=on_lost))

    def _on_tf(self, message: TFMessage, is_static: bool) -> None:
        seen = self.observation
        seen.transforms.add_message(message, is_static)
        for item in message.transforms:
            seen.edges[clean_frame_id(item.child_frame_id)] = TransformEdge(
                clean_frame_id(item.header.frame_id), is_static, stamp_to_ns(item.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            self.observation.statuses[status.name] = status


def _resolve(node: Any, option: str, name: str) -> str:
    if not name:
        return ''
    try:
        validate_topic_name(name)
        return node.resolve_topic_name(name)
    except InvalidTopicNameException as problem:
        raise DoctorError(f'{option}: {name!r} is no topic name: '
                          f'{" ".join(str(problem).split())}') from problem
