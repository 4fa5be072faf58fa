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

"""The benchmark's camera before a node that is slower than the pictures come."""
import threading
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.ros.benchmark.camera_process import BenchmarkCamera  # noqa: E402, I100
import rclpy  # noqa: E402
from rclpy.executors import SingleThreadedExecutor  # noqa: E402
from rclpy.qos import QoSProfile  # noqa: E402
from sensor_msgs.msg import Image  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402

ANSWER_S = 0.05


@pytest.fixture
def camera(ros_graph, scene):
    """Return a camera whose pictures a node answers every 50 ms, each time the newest one."""
    answering = rclpy.create_node('answering', namespace=ros_graph.namespace,
                                  context=ros_graph.context)
    answers = answering.create_publisher(Detection3DArray, 'pose_estimator/detections', 10)

    def answer(image):
        time.sleep(ANSWER_S)
        answers.publish(Detection3DArray(header=image.header))
    answering.create_subscription(Image, 'image', answer, QoSProfile(depth=1))
    executor = SingleThreadedExecutor(context=ros_graph.context)
    executor.add_node(answering)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    yield BenchmarkCamera(ros_graph.client, np.zeros((2, 48, 64, 3), np.uint8), scene.camera)
    executor.shutdown()
    thread.join()
    answering.destroy_node()


def test_a_burst_goes_on_until_enough_came_back(camera):
    assert camera.warm_up(20.0)
    few = camera.stream(2000.0, 8, least_results=0)
    assert few['sent'] == 8 and few['results'] < 8
    begin_s = time.monotonic()
    enough = camera.stream(2000.0, 8, least_results=8)
    assert time.monotonic() - begin_s > 7 * ANSWER_S
    assert enough['results'] >= 8 and enough['sent'] > enough['results']
    assert enough['rate_hz'] > 0
