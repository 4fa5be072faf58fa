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

"""Events of the outputs' publishers are looked for seldom, and are not lost."""
import time

from dr_perception.ros.publishers.events import SeldomEvents
from rclpy.qos import QoSProfile, ReliabilityPolicy
from vision_msgs.msg import Detection3DArray


def test_once_a_second_for_a_moment(monkeypatch):
    now_s = [50.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now_s[0])
    group = SeldomEvents()
    looks = []
    for _ in range(300):
        looks.append(group.can_execute(None))
        now_s[0] += 0.01
    assert looks[0] and looks[1] and not any(looks[3:99])
    assert 6 <= sum(looks) <= 9
    # However seldom the executor comes by, it looks then.
    for _ in range(5):
        now_s[0] += 3.0
        assert group.can_execute(None) and group.beginning_execution(None)


def test_a_reader_whose_qos_does_not_fit_is_still_told(ros_graph, tiny_model, capfd):
    node = ros_graph.start_estimator(model=str(tiny_model))
    seen = []
    node._outputs[0]._publisher.event_handlers[0].callback = seen.append
    ros_graph.client.create_subscription(
        Detection3DArray, node.resolve_topic_name('~/detections'), lambda message: None,
        QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE, durability=1))
    ros_graph.until(lambda: seen)
    assert seen[0].total_count == 1
