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

"""Names on TF: an instance never takes a frame that somebody else publishes."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
import threading
from typing import Any

from dr_perception.ros.conversions import clean_frame_id
from dr_perception.ros.publishers.qos import TF_QOS, TF_STATIC_QOS
from geometry_msgs.msg import TransformStamped
from rclpy.serialization import deserialize_message
from tf2_msgs.msg import TFMessage

#: So many of this node's own transforms are told from those of others.
_OWN_REMEMBERED = 4096
#: So many frames of others are remembered; more look like instances nowhere.
_OTHERS_REMEMBERED = 1024


class FrameNames:
    """Finds a free frame name for each instance.

    Other publishers' frames are learned from /tf and /tf_static. TF messages do not say who sent
    them, so a transform is this node's own when it equals one that was announced by ``claim``. A
    frame that was somebody else's once stays theirs: two nodes that gave way to each other would
    else come back together, again and again.

    Args:
        node: reads /tf and /tf_static, and gives renamed frames its name.
        object_names: only frames that begin like instances of these are looked at.
        gives_way: every frame has the node's name before it, because another node that starts at
            the same time has the plain names.
    """

    def __init__(self, node: Any, object_names: Iterable[str], gives_way: bool = False) -> None:
        self._node, self._gives_way = node, gives_way
        self._prefix = node.get_fully_qualified_name().strip('/').replace('/', '_')
        self._lock = threading.Lock()
        self._own: set[tuple] = set()
        self._own_order: deque[tuple] = deque()
        self._others: dict[str, str] = {}
        self._warned: set[str] = set()
        self._subscriptions: list[Any] = []
        self.look_at(object_names)

    def look_at(self, object_names: Iterable[str]) -> None:
        """Look at frames that begin like instances of these from now on."""
        self._tokens = tuple(f'{name}_'.encode() for name in object_names)
        self.close()    # subscribing anew brings static frames that were passed over before
        # Raw: hundreds of messages a second of the arm's joints need not become objects.
        self._subscriptions = [
            self._node.create_subscription(TFMessage, topic, self._on_message, qos, raw=True)
            for topic, qos in (('/tf', TF_QOS), ('/tf_static', TF_STATIC_QOS))]

    def choose(self, instance_name: str, reserved: set[str]) -> str | None:
        """Return the frame of an instance.

        Args:
            instance_name: `<object>_<n>`, also the frame, if that is free.
            reserved: frames that have a meaning of their own: camera, base, target.

        Returns:
            `<object>_<n>`, or `<node>_<object>_<n>` where that is taken, or None where both are.
        """
        problems = []
        names = (instance_name, f'{self._prefix}_{instance_name}')
        for name in names[self._gives_way:]:
            problem = self._problem(name, reserved)
            if not problem:
                if problems:
                    self._warn(instance_name, problems, f'the instance is {name!r} on TF')
                return name
            problems.append(problem)
        self._warn(instance_name, problems, 'the instance is left out of TF')
        return None

    def claim(self, transforms: Iterable[TransformStamped]) -> None:
        """Announce transforms that this node is about to publish."""
        with self._lock:
            for transform in transforms:
                mark = _fingerprint(transform)
                if mark not in self._own:
                    self._own.add(mark)
                    self._own_order.append(mark)
            while len(self._own_order) > _OWN_REMEMBERED:
                self._own.remove(self._own_order.popleft())

    def close(self) -> None:
        """Destroy the subscriptions."""
        for subscription in self._subscriptions:
            self._node.destroy_subscription(subscription)
        self._subscriptions = []

    def _on_message(self, data: bytes) -> None:
        if not any(token in data for token in self._tokens):
            return
        for transform in deserialize_message(data, TFMessage).transforms:
            child = clean_frame_id(transform.child_frame_id)
            if not any(token in child.encode() for token in self._tokens):
                continue
            with self._lock:
                if _fingerprint(transform) not in self._own and (
                        len(self._others) < _OTHERS_REMEMBERED):
                    self._others[child] = clean_frame_id(transform.header.frame_id)

    def _problem(self, name: str, reserved: set[str]) -> str:
        if name in reserved:
            return f'frame {name!r} is the camera, base or target frame'
        with self._lock:
            parent = self._others.get(name)
        return '' if parent is None else (
            f'frame {name!r} is published by another node, below {parent!r}')

    def _warn(self, instance_name: str, problems: list[str], outcome: str) -> None:
        if instance_name in self._warned or len(self._warned) >= _OTHERS_REMEMBERED:
            return
        self._warned.add(instance_name)
        self._node.get_logger().warning(
            f'{" and ".join(problems)}: {outcome}; rename that frame, or set publish_tf to false '
            'in one of the two nodes')


def _fingerprint(transform: TransformStamped) -> tuple:
    stamp, place = transform.header.stamp, transform.transform.translation
    return (clean_frame_id(transform.child_frame_id), clean_frame_id(transform.header.frame_id),
            stamp.sec, stamp.nanosec, place.x, place.y, place.z)
