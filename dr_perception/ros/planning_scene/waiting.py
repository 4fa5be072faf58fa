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

"""Waiting inside a callback without blocking the executor."""

from __future__ import annotations

from typing import Any

from rclpy.clock import Clock, ClockType
from rclpy.task import Future


async def wait_for(node: Any, future: Future, timeout_s: float) -> bool:
    """Wait until a future is done or the time is up; whether it is done.

    The callback that awaits this must be in a reentrant callback group. The clock is the steady
    one: simulated time may stand still.
    """
    awake = Future()
    timer = node.create_timer(timeout_s, lambda: _set(awake),
                              clock=Clock(clock_type=ClockType.STEADY_TIME))
    future.add_done_callback(lambda _: _set(awake))
    try:
        await awake
    finally:
        node.destroy_timer(timer)
    return future.done()


def _set(future: Future) -> None:
    if not future.done():
        future.set_result(None)
