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

"""The executable `planning_scene`."""

from __future__ import annotations

import signal
import sys
import threading
from typing import Any

from dr_perception.core.errors import MissingDependencyError
from dr_perception.ros.node_process import run_node
from rclpy.executors import SingleThreadedExecutor

# What the node reads where nothing else is asked for; of several rules for a name rcl takes the
# first, and this one is the last.
_DEFAULT_REMAPPING = ['--ros-args', '-r', 'detections:=pose_estimator/detections']
_POLL_S = 0.2


def make_node() -> Any:
    """Return the node.

    Raises:
        MissingDependencyError: MoveIt's messages are not installed.
    """
    try:
        import moveit_msgs.msg  # noqa: F401
    except ImportError as error:
        raise MissingDependencyError(
            'moveit_msgs is not installed: apt-get install ros-jazzy-moveit-msgs (with ROS from '
            'PyPI: python -m dr_perception.ros.interfaces)') from error
    from dr_perception.ros.planning_scene.node import PlanningSceneNode
    return PlanningSceneNode()


def _run(node: Any, executor: SingleThreadedExecutor) -> int:
    # In place of rclpy's handlers: these end the context first, and then the node could not remove
    # its objects any more.
    told_to_end = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: told_to_end.set())
    while not told_to_end.is_set():
        executor.spin_once(timeout_sec=_POLL_S)
    return 0


def main(args: list[str] | None = None) -> int:
    """Run the node; exit code 0 after a signal, 2 when it could not be started."""
    given = sys.argv if args is None else args
    return run_node(make_node, [*given, *_DEFAULT_REMAPPING], _run)


if __name__ == '__main__':
    sys.exit(main())
