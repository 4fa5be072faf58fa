"""A lifecycle publisher that also speaks when the node's state changes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

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
    """A TransitionPublisher of a lifecycle node; ``destroy_lifecycle_publisher`` ends it."""
    publisher = node.create_publisher(kind, topic, qos, publisher_class=TransitionPublisher)
    node.add_managed_entity(publisher)
    return publisher
