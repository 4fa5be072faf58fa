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

"""Simulated time that begins again, or a bag that is played once more."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from rclpy.clock import JumpHandle, JumpThreshold
from rclpy.duration import Duration


def call_when_time_goes_back(node: Any, forget: Callable[[], None]) -> JumpHandle:
    """Call a function whenever the node's time jumps back, however little, as tf2's buffer does.

    Returns:
        The handle; it ends with its last reference.
    """
    return node.get_clock().create_jump_callback(
        JumpThreshold(min_forward=None, min_backward=Duration(nanoseconds=-1),
                      on_clock_change=False), post_callback=lambda jump: forget())
