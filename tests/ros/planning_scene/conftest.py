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

"""The node under test beside a planner and a detector that the test plays."""
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.core.transforms import make_transform, rotation_about  # noqa: E402, I100
from dr_perception.ros.conversions import (NS_PER_S, pose_with_covariance,  # noqa: E402
                                           stamp_from_ns, stamp_to_ns)


def upright(x, y=0.0, z=0.025, yaw_rad=0.0):
    """Return T_plan_object of an upright object."""
    return make_transform(rotation_about('z', yaw_rad), (x, y, z))


def detections(found, stamp_s, frame_id='base_link', std_m=0.001, predicted_s=0.0):
    """Return a Detection3DArray.

    Args:
        found: (instance name, object name, T_frame_object) or with a score as fourth.
        stamp_s: time of the picture.
        frame_id: frame of the poses.
        std_m: standard deviation of the positions.
        predicted_s: so long ago was the picture that last showed them.
    """
    from std_msgs.msg import Header
    from vision_msgs.msg import (Detection3D, Detection3DArray, ObjectHypothesis,
                                 ObjectHypothesisWithPose)
    header, shown = (Header(frame_id=frame_id, stamp=stamp_from_ns(round(when_s * NS_PER_S)))
                     for when_s in (stamp_s, stamp_s - predicted_s))
    return Detection3DArray(header=header, detections=[
        Detection3D(header=shown, id=name, results=[ObjectHypothesisWithPose(
            hypothesis=ObjectHypothesis(class_id=kind, score=float(score[0] if score else 0.9)),
            pose=pose_with_covariance(T, np.diag([std_m ** 2] * 6)))])
        for name, kind, T, *score in found])


class Cell:
    """A planner that listens, a detector that speaks, and the node between them."""

    upright = staticmethod(upright)
    detections = staticmethod(detections)

    def __init__(self, graph):
        """Begin with the planner alone."""
        self.graph, self.until = graph, graph.until
        self.stamp_s = 100.0
        self.objects = self.scenes = None
        self.node = self.detector = None

    def listen(self, output='collision_object'):
        """Let the planner listen."""
        from moveit_msgs.msg import CollisionObject, PlanningScene
        kind = {'collision_object': CollisionObject, 'planning_scene': PlanningScene}[output]
        self.objects = self.graph.listen(kind, output, 100).messages
        return self.objects

    def start(self, is_heard=True, **values):
        """Start the node; by default wait until it has found the planner."""
        from dr_perception.ros.planning_scene.node import PlanningSceneNode
        from rclpy.parameter import Parameter
        from vision_msgs.msg import Detection3DArray
        values = {'add_after_hits': 2, **values}
        self.node = PlanningSceneNode(
            context=self.graph.context, namespace=self.graph.namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
        self.graph._nodes.append(self.node)
        self.graph.executor.add_node(self.node)
        self.detector = self.graph.publisher(Detection3DArray, 'detections')
        if is_heard:
            self.until(lambda: self.node._output.is_heard)
        return self.node

    def show(self, *found, step_s=0.1, frame_id='base_link', std_m=0.001, count=1):
        """Publish pictures and wait until the node has taken the last one."""
        for _ in range(count):
            self.stamp_s += step_s
            self.detector.publish(detections(found, self.stamp_s, frame_id, std_m))
            taken = round(self.stamp_s * NS_PER_S)
            self.until(lambda: stamp_to_ns(self.node._stamp) == taken)

    def call(self, service='planning_scene/apply'):
        """Return the node's answer to a Trigger service."""
        from std_srvs.srv import Trigger
        return self.graph.call(Trigger, service)

    def wait_for_objects(self, count):
        """Return the messages the planner got, once there are so many."""
        self.until(lambda: len(self.objects) >= count, lambda: [m.id for m in self.objects])
        time.sleep(0.1)     # whether there are more
        assert len(self.objects) == count, [(m.id, m.operation) for m in self.objects]
        return self.objects


@pytest.fixture
def cell(ros_graph):
    """Return a Cell in a graph of its own."""
    return Cell(ros_graph)
