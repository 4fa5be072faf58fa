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

"""A lifecycle publisher that also speaks when the node's state changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from dr_perception.ros.publishers.events import SeldomEvents
from rclpy.lifecycle import LifecyclePublisher, TransitionCallbackReturn
from rclpy.qos import QoSProfile


class TransitionPublisher(LifecyclePublisher):
    """Silent until the node is active, with a first and a last word.

    Attributes:
        on_activated: called when the node has become active; may publish.
        on_deactivating: called before the publisher falls silent; may publish.
    """

    on_activated: Callable[[], None] | None = None
    on_deactivating: Callable[[], None] | None = None

    def on_activate(self, state: Any) -> TransitionCallbackReturn:
        """Start publishing."""
        outcome = super().on_activate(state)
        if self.on_activated is not None:
            self.on_activated()
        return outcome

    def on_deactivate(self, state: Any) -> TransitionCallbackReturn:
        """Stop publishing."""
        if self.on_deactivating is not None:
            self.on_deactivating()
        return super().on_deactivate(state)


def create_transition_publisher(node: Any, kind: type, topic: str,
                                qos: QoSProfile) -> TransitionPublisher:
    """Return a publisher of a lifecycle node; ``destroy_lifecycle_publisher`` ends it."""
    publisher = node.create_publisher(kind, topic, qos, callback_group=SeldomEvents(),
                                      publisher_class=TransitionPublisher)
    node.add_managed_entity(publisher)
    return publisher
