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

"""Several cameras in one process: one pose estimator each, one network for all of them.

    ros2 run dr_perception multi_camera --ros-args -p cameras:="[left, right]"

Each camera's node is `/<camera>/pose_estimator` and reads `/<camera>/image`. Parameters given by
`-p` hold for all of them; those of one stand in a parameter file under its name.
"""

from __future__ import annotations

import sys

from dr_perception.core.errors import PerceptionError
from dr_perception.inference.batching import NetworkShare
from dr_perception.ros.node_process import run_node
from dr_perception.ros.parameters import ParameterError
from dr_perception.ros.pose_estimator_node import PoseEstimatorNode
from rcl_interfaces.msg import ParameterDescriptor
import rclpy
from rclpy.exceptions import InvalidNamespaceException, InvalidParameterTypeException
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.validate_namespace import validate_namespace

_DESCRIPTION = ('Cameras of this process: namespaces in which a pose_estimator starts, such as '
                '[left, right]. Read at the start only.')


class CameraSet(Node):
    """The nodes of all cameras; they share what can be shared.

    A node that cannot be configured stays there, unconfigured, with the reason in its diagnostics
    (a lifecycle manager may try again); the other cameras go on.
    """

    def __init__(self) -> None:
        super().__init__('multi_camera')
        self.cameras: list[PoseEstimatorNode] = []
        try:
            names = camera_names(self)
            share = NetworkShare()
            for name in names:
                self.cameras.append(PoseEstimatorNode(
                    open_network=share.network, gives_way_on_tf=bool(self.cameras),
                    namespace=name))
            full = [node.get_fully_qualified_name() for node in self.cameras]
            if len(set(full)) < len(full):
                raise ParameterError(
                    f'cameras: all of them would be {full[0]}; leave __ns and __node out, and '
                    'write the namespace before each name: [cell/left, cell/right]')
        except PerceptionError:
            self.close()
            self.destroy_node()
            raise

    def autostart(self) -> bool:
        """Configure and activate all that ask for it; False when none of these is active."""
        wanted = [node for node in self.cameras if node.settings.autostart]
        started = [node.autostart() for node in wanted]
        return not wanted or any(started)

    def close(self) -> None:
        """End the nodes of the cameras."""
        for node in self.cameras:
            node.close()
            node.destroy_node()


def camera_names(node: Node) -> list[str]:
    """Return the parameter `cameras`.

    Raises:
        ParameterError: there are none, or one is named twice.
    """
    try:
        node.declare_parameter('cameras', Parameter.Type.STRING_ARRAY, ParameterDescriptor(
            description=_DESCRIPTION, read_only=True))
    except InvalidParameterTypeException as error:
        raise ParameterError(f'cameras: expected names, such as [left, right]: {error}') from error
    value = node.get_parameter_or('cameras', Parameter('cameras', value=[])).value
    names = [name.strip('/ ') for name in value or []]
    if not names or not all(names):
        raise ParameterError('cameras: names no camera; give their namespaces: --ros-args -p '
                             'cameras:="[left, right]"')
    if len(set(names)) < len(names):
        raise ParameterError(f'cameras: one is named twice in {", ".join(names)}')
    for name in names:
        try:
            validate_namespace(f'/{name}')
        except InvalidNamespaceException as error:
            raise ParameterError(f'cameras: {name!r} cannot be a namespace: expected letters, '
                                 'digits and underscores, a letter first') from error
    return names


def main(args: list[str] | None = None) -> int:
    """Run the nodes; exit code 0 after a signal, 2 when none could be started."""
    return run_node(CameraSet, args, _run)


def _run(cameras: CameraSet, executor: SingleThreadedExecutor) -> int:
    for node in cameras.cameras:
        executor.add_node(node)
    if not cameras.autostart():
        return 2 if rclpy.ok() else 0
    executor.spin()
    return 0


if __name__ == '__main__':
    sys.exit(main())
