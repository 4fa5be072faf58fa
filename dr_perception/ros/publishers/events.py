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

"""How often the executor looks for events of the outputs' publishers."""

from __future__ import annotations

import time
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.lifecycle import LifecyclePublisher
from rclpy.qos import QoSProfile

#: Seconds between two looks, and how long one lasts: for as long as one round of an executor.
_PERIOD_S, _LOOK_S = 1.0, 0.02


class SeldomEvents(CallbackGroup):
    """Callback group of a publisher's events (a reader's QoS does not fit), which are rare.

    Each publisher has two, and an executor of rclpy goes through all that it may execute whenever
    a message comes: for the events of 17 publishers that took twice as long as for all else of
    the node. What happens in between waits in the middleware.
    """

    def __init__(self) -> None:
        super().__init__()
        self._next_look_s = self._look_end_s = 0.0

    def can_execute(self, entity: Any) -> bool:
        """Whether it is time for a look; the first of a period begins it."""
        now_s = time.monotonic()
        if now_s >= self._next_look_s:
            self._next_look_s, self._look_end_s = now_s + _PERIOD_S, now_s + _LOOK_S
        return now_s < self._look_end_s

    def beginning_execution(self, entity: Any) -> bool:
        """Nothing excludes another here."""
        return True

    def ending_execution(self, entity: Any) -> None:
        """Nothing waits for it."""


def create_output_publisher(node: Any, kind: type, topic: str,
                            qos: QoSProfile) -> LifecyclePublisher:
    """Return a lifecycle publisher of an output; ``destroy_lifecycle_publisher`` ends it."""
    return node.create_lifecycle_publisher(kind, topic, qos, callback_group=SeldomEvents())
