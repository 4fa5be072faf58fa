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
