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

"""A node as a process: start, spin, and an end without a traceback on SIGINT and SIGTERM."""

from __future__ import annotations

from collections.abc import Callable
import sys
from typing import Any

from dr_perception.core.errors import PerceptionError
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor


def run_node(make_node: Callable[[], Any], args: list[str] | None = None,
             run: Callable[[Any, SingleThreadedExecutor], int] | None = None) -> int:
    """Run a node until it is done or told to end.

    Args:
        make_node: makes the node; it has ``close()`` beside what nodes have.
        args: command line; by default the process's.
        run: spins the executor and returns the exit code; by default it spins for ever.

    Returns:
        Exit code: that of ``run``, 0 after a signal, 2 for an error of the user (one line).
    """
    node = context = None
    try:
        rclpy.init(args=args)
        context = rclpy.get_default_context()
        node = make_node()
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        if run is not None:
            return run(node, executor)
        executor.spin()
    except (KeyboardInterrupt, ExternalShutdownException):
        pass
    except PerceptionError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except Exception:
        # rclpy ends the context on a signal, and whatever was about to use it fails somehow.
        if context is None or context.ok():
            raise
    finally:
        if node is not None:
            node.close()
            node.destroy_node()
        rclpy.try_shutdown()
    return 0
