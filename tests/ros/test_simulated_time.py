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

"""`use_sim_time`: age and latency are counted by /clock, and the report goes on without it."""
import time

from builtin_interfaces.msg import Time
from diagnostic_msgs.msg import DiagnosticArray
from dr_perception.ros.conversions import stamp_to_ns, transform_stamped
import pytest
from rosgraph_msgs.msg import Clock
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

NS_PER_S = 1_000_000_000


class SimulatedClock:
    """Publishes /clock, and waits until the node has it."""

    def __init__(self, graph, node):
        """Find the node."""
        self._node = node
        self._publisher = graph.publisher(Clock, '/clock')

    def set(self, seconds):  # noqa: A003
        """Set the time."""
        nanoseconds = round(seconds * NS_PER_S)
        deadline_s = time.monotonic() + 20.0
        while self._node.get_clock().now().nanoseconds != nanoseconds:
            assert time.monotonic() < deadline_s, 'the node has another time'
            self._publisher.publish(Clock(clock=Time(
                sec=nanoseconds // NS_PER_S, nanosec=nanoseconds % NS_PER_S)))
            time.sleep(0.02)


@pytest.fixture
def cell(ros_graph, make_camera_client, tiny_model):
    """Return node, clock, camera and detections."""
    node = ros_graph.start_estimator(
        model=str(tiny_model), camera_pose=[1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0],
        use_sim_time=True, max_image_age_s=1.0)
    clock = SimulatedClock(ros_graph, node)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    return node, clock, make_camera_client(), detections


def image_at(camera, seconds):
    """Return a picture with a stamp."""
    image = camera.image()
    image.header.stamp = Time(sec=int(seconds), nanosec=round(seconds % 1 * NS_PER_S))
    return image


def test_age_and_latency_are_of_the_simulated_clock(cell):
    node, clock, camera, detections = cell
    clock.set(5000.5)
    camera.send_image(image_at(camera, 5000.25))
    assert detections.wait(1)[0].header.stamp == Time(sec=5000, nanosec=NS_PER_S // 4)
    deadline_s = time.monotonic() + 20.0
    while not node._statistics.snapshot().processed and time.monotonic() < deadline_s:
        time.sleep(0.01)
    assert node._statistics.snapshot().latency_p50_ms == pytest.approx(250.0, abs=1e-3)
    clock.set(5002.0)
    camera.send_image(image_at(camera, 5000.5))     # 1.5 s old, where 1 s is allowed
    while not node._statistics.snapshot().errors and time.monotonic() < deadline_s:
        time.sleep(0.01)
    record = node._statistics.snapshot().errors['stale_image']
    assert record.text.startswith('the image is 1.50 s old when its turn comes')
    camera.send_image(image_at(camera, 5001.5))
    assert detections.wait(2)[1].header.stamp.sec == 5001


def test_a_recording_that_begins_again(cell):
    _, clock, camera, detections = cell
    for round_number in (1, 2):
        clock.set(100.0)
        camera.send_image(image_at(camera, 99.9))
        detections.wait(2 * round_number - 1)
        clock.set(200.0)
        camera.send_image(image_at(camera, 199.9))
        detections.wait(2 * round_number)


def test_a_simulator_that_is_reset_takes_its_transforms_along(
        ros_graph, make_camera_client, tiny_model, scene):
    node = ros_graph.start_estimator(
        model=str(tiny_model), use_sim_time=True, target_frame='base_link', max_image_age_s=1.0)
    clock = SimulatedClock(ros_graph, node)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera, arm = make_camera_client(), ros_graph.publisher(TFMessage, '/tf', qos=100)

    def stand(seconds, y_m):
        T_base_camera = scene.T_base_camera.copy()
        T_base_camera[1, 3] += y_m
        image = image_at(camera, seconds)
        arm.publish(TFMessage(transforms=[transform_stamped(
            Header(stamp=image.header.stamp, frame_id='base_link'), image.header.frame_id,
            T_base_camera)]))
        ros_graph.until(lambda: (node._transforms.newest_ns('base_link', 'camera_optical')
                                 == stamp_to_ns(image.header.stamp)))
        return image
    clock.set(0.9)
    stand(0.9, y_m=0.5)
    clock.set(0.5)          # by less than what a transform may be late
    ros_graph.until(lambda: 'camera_optical' not in node._transforms.frames())
    camera.send_image(stand(0.6, y_m=0.0))
    found, = (d for d in detections.wait(1)[0].detections if d.id == 'cube_0')
    assert found.results[0].pose.pose.position.y == pytest.approx(
        scene.T_base_objects['cube'][1, 3], abs=0.002)


def test_the_report_goes_on_while_the_clock_stands(ros_graph, cell):
    _, clock, _, _ = cell
    clock.set(7.0)
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    messages = statuses.wait(3)
    assert all(message.header.stamp.sec == 7 for message in messages)
