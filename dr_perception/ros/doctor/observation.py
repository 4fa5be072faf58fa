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

"""What was seen of the ROS graph: topics, traffic, TF and diagnostics."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dr_perception.core.transform_buffer import TransformBuffer

RAW_TYPE, COMPRESSED_TYPE = 'sensor_msgs/msg/Image', 'sensor_msgs/msg/CompressedImage'
INFO_TYPE = 'sensor_msgs/msg/CameraInfo'
IMAGE_TYPES = (RAW_TYPE, COMPRESSED_TYPE)


@dataclass(frozen=True)
class Endpoint:
    """A publisher or subscription.

    Attributes:
        node: full name of its node.
        qos: rclpy's QoSProfile; a depth of 0 was not told over DDS.
    """

    node: str
    qos: Any


@dataclass
class Topic:
    """A topic of the graph; ``publishers`` and ``subscriptions`` without the doctor's own."""

    name: str
    type_name: str
    publishers: list[Endpoint] = field(default_factory=list)
    subscriptions: list[Endpoint] = field(default_factory=list)


@dataclass
class Traffic:
    """What arrived on a topic.

    Attributes:
        arrivals_s: monotonic times.
        ages_s: clock minus stamp at each arrival, of those that have a stamp.
        newest: the last message.
        lost: how many DDS reported as lost.
    """

    arrivals_s: list[float] = field(default_factory=list)
    ages_s: list[float] = field(default_factory=list)
    newest: Any = None
    lost: int = 0

    @property
    def rate_hz(self) -> float:
        """Messages a second; 0 with fewer than two."""
        if len(self.arrivals_s) < 2:
            return 0.0
        return (len(self.arrivals_s) - 1) / max(self.arrivals_s[-1] - self.arrivals_s[0], 1e-9)


@dataclass(frozen=True)
class Camera:
    """An image topic and the CameraInfo topic that goes with it ('' where there is none)."""

    image_topic: str
    info_topic: str


@dataclass(frozen=True)
class TransformEdge:
    """The newest transform of a frame to its parent; ``stamp_ns`` of the message."""

    parent: str
    is_static: bool
    stamp_ns: int


@dataclass
class Observation:
    """Everything that was seen in ``seconds``.

    Attributes:
        topics: of images, CameraInfo; by name.
        estimators: full names of the running pose estimators.
        cameras: those that were listened to.
        traffic: by topic.
        transforms: the buffer of all TF.
        edges: child frame to its newest transform.
        statuses: newest DiagnosticStatus by name.
        uses_sim_time: /clock is published, and its time was used.
        now_ns: ROS time at the end.
        seconds: how long it was listened.
    """

    seconds: float
    topics: dict[str, Topic] = field(default_factory=dict)
    estimators: list[str] = field(default_factory=list)
    cameras: list[Camera] = field(default_factory=list)
    traffic: dict[str, Traffic] = field(default_factory=dict)
    transforms: TransformBuffer = field(default_factory=TransformBuffer)
    edges: dict[str, TransformEdge] = field(default_factory=dict)
    statuses: dict[str, Any] = field(default_factory=dict)
    uses_sim_time: bool = False
    now_ns: int = 0

    def traffic_of(self, topic: str) -> Traffic:
        """Return what arrived on a topic; nothing where it was not listened to."""
        return self.traffic.get(topic, Traffic())

    def estimator_subscription(self, topic: str) -> Endpoint | None:
        """Return the subscription of a running pose estimator on a topic."""
        subscriptions = self.topics[topic].subscriptions if topic in self.topics else []
        return next((s for s in subscriptions if s.node in self.estimators), None)


def find_cameras(topics: dict[str, Topic], estimators: list[str], image_topic: str,
                 info_topic: str) -> list[Camera]:
    """Which cameras to look at.

    That of the options; else those that a running pose estimator reads; else every image topic
    that somebody other than a pose estimator publishes.

    Args:
        topics: of the graph.
        estimators: full names of the running pose estimators.
        image_topic: of the options, resolved; '' where not given.
        info_topic: likewise.
    """
    if image_topic:
        return [Camera(image_topic, info_topic or _info_of(image_topic, topics, estimators))]
    images = [topic for topic in topics.values() if topic.type_name in IMAGE_TYPES]
    read = [t.name for t in images if any(s.node in estimators for s in t.subscriptions)]
    published = [t.name for t in images if any(p.node not in estimators for p in t.publishers)]
    return [Camera(name, info_topic or _info_of(name, topics, estimators))
            for name in sorted(read or published)]


def _info_of(image_topic: str, topics: dict[str, Topic], estimators: list[str]) -> str:
    """Return the CameraInfo topic of an image topic: what its estimator reads, or its sibling."""
    if image_topic in topics:
        readers = {s.node for s in topics[image_topic].subscriptions if s.node in estimators}
        for topic in topics.values():
            if topic.type_name == INFO_TYPE and readers & {s.node for s in topic.subscriptions}:
                return topic.name
    base = image_topic.removesuffix('/compressed')
    return f'{base.rpartition("/")[0]}/camera_info'
