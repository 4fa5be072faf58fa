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

"""The action `~/get_pose` on a real graph: an answer, or the reason why not."""
import re
import threading
import time

from builtin_interfaces.msg import Duration, Time
import numpy as np
import pytest

pytest.importorskip('moveit_msgs', reason='needs MoveIt messages')

from action_msgs.msg import GoalStatus  # noqa: E402, I100
from dr_perception.core.transforms import make_transform, rotation_about  # noqa: E402
from dr_perception.ros.conversions import transform_from_message, transform_stamped  # noqa: E402
from rclpy.action import ActionClient  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.action import LookupTransform  # noqa: E402
from tf2_msgs.msg import TF2Error, TFMessage  # noqa: E402


class Asker:
    """A detector that goes on showing, and a client that asks."""

    def __init__(self, cell):
        """Begin with an empty table."""
        self.cell, self.found, self.std_m = cell, lambda number: [], 0.001
        self.predicted_s = 0.0
        self._client = ActionClient(cell.graph.client, LookupTransform, 'planning_scene/get_pose')
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)

    def start(self, **values):
        """Start the node and the detector."""
        self.cell.start(is_heard=False, **{'get_pose_samples': 4, **values})
        assert self._client.wait_for_server(20.0)
        self._thread.start()
        return self

    def _show(self):
        number = 0
        while not self._stopping.wait(0.05):
            number += 1
            found = self.found(number)
            if found is not None:
                self.cell.detector.publish(self.cell.detections(
                    found, 100.0 + number / 20, std_m=self.std_m,
                    predicted_s=self.predicted_s))

    def send(self, source_frame, timeout_s=20.0, **goal):
        """Return the handle of a goal."""
        timeout = Duration(sec=int(timeout_s), nanosec=int(timeout_s % 1 * 1e9))
        return self.cell.graph.result_of(self._client.send_goal_async(LookupTransform.Goal(
            source_frame=source_frame, timeout=timeout, **goal)))

    def ask(self, source_frame, timeout_s=20.0, **goal):
        """Return status and result of a goal."""
        answer = self.cell.graph.result_of(
            self.send(source_frame, timeout_s, **goal).get_result_async())
        return answer.status, answer.result

    def close(self):
        """Stop."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()
        self._client.destroy()


@pytest.fixture
def asker(cell):
    """Return an Asker in a graph of its own."""
    asker = Asker(cell)
    yield asker
    asker.close()


def test_the_pose_of_a_still_object(cell, asker):
    steps = [0.0, 0.001, -0.001, 0.0]
    asker.found = lambda number: [
        ('cube_3', 'cube', cell.upright(0.5 + steps[number % 4], yaw_rad=number * np.pi / 2))]
    asker.start()
    status, result = asker.ask('cube')
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert (result.error.error, result.error.error_string) == (TF2Error.NO_ERROR, '')
    assert result.transform.child_frame_id == 'cube_3'
    assert result.transform.header.frame_id == 'base_link'
    assert 100 <= result.transform.header.stamp.sec < 130
    T = transform_from_message(result.transform.transform)
    assert np.allclose(T[:3, 3], [0.5, 0.0, 0.025], atol=1e-6)      # the mean of the four
    assert np.allclose(np.abs(T[:3, :3]).max(0), 1.0, atol=1e-6)


def test_in_another_frame(cell, asker):
    T_base_tool = make_transform(rotation_about('x', np.pi), (0.5, 0.0, 0.5))
    static = cell.graph.client.create_publisher(TFMessage, '/tf_static', QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    static.publish(TFMessage(transforms=[
        transform_stamped(Header(frame_id='base_link'), 'tool', T_base_tool)]))
    asker.found = lambda number: [('cube_0', 'cube', cell.upright(0.5))]
    asker.start(get_pose_samples=40)
    status, result = asker.ask('cube_0', target_frame='tool')
    assert result.error.error_string == ''
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.transform.header.frame_id == 'tool'
    T = transform_from_message(result.transform.transform)
    assert np.allclose(T[:3, 3], [0.0, 0.0, 0.475])


def test_a_frame_that_is_not_there(cell, asker):
    asker.found = lambda number: [('cube_0', 'cube', cell.upright(0.5))]
    asker.start()
    status, result = asker.ask('cube', target_frame='nowhere')
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error.error == TF2Error.CONNECTIVITY_ERROR
    assert "no transform from 'base_link' to 'nowhere'" in result.error.error_string


REASONS = {
    'stale': (lambda cell: lambda number: None, TF2Error.TIMEOUT_ERROR,
              r'stale: cube within 1\.5 s: no detections on /test_\d+/detections'),
    'not seen': (lambda cell: lambda number: [('cone_0', 'cone', cell.upright(0.5))],
                 TF2Error.LOOKUP_ERROR,
                 r'not seen: cube within 1\.5 s: not in \d+ pictures, which show cone_0'),
    'moving': (lambda cell: lambda number: [
        ('cube_0', 'cube', cell.upright(0.5 + 0.01 * (number % 2)))],
        TF2Error.TRANSFORM_ERROR, r'moving: cube within 1\.5 s: 4 samples lie up to 5\.0 mm'),
}


@pytest.mark.parametrize('reason', list(REASONS))
def test_the_reason_why_not(cell, asker, reason):
    found, code, text = REASONS[reason]
    asker.found = found(cell)
    asker.start()
    status, result = asker.ask('cube', timeout_s=1.5)
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error.error == code
    assert re.match(text, result.error.error_string), result.error.error_string


def test_an_uncertain_object(cell, asker):
    asker.found = lambda number: [('cube_0', 'cube', cell.upright(0.5))]
    asker.std_m = 0.03
    asker.start(get_pose_timeout_s=1.0)
    status, result = asker.ask('cube', timeout_s=0.0)       # then the parameter holds
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error.error_string.startswith(
        'uncertain: cube within 1 s: standard deviation 30.0 mm, at most 10 mm')


def test_a_prediction_of_what_no_picture_shows_is_no_sighting(cell, asker):
    asker.predicted_s = 0.3      # as pose_estimator's tracking publishes
    asker.found = lambda number: [('cube_0', 'cube', cell.upright(0.5))]
    asker.start()
    status, result = asker.ask('cube', timeout_s=1.5)
    assert status == GoalStatus.STATUS_ABORTED
    assert re.match(r'not seen: cube within 1\.5 s: not in \d+ pictures, which show nothing',
                    result.error.error_string), result.error.error_string
    assert not cell.node._tracker.added


def test_pictures_before_source_time_do_not_count(cell, asker):
    asker.found = lambda number: [('cube_0', 'cube', cell.upright(0.5))]
    asker.start()
    status, result = asker.ask('cube', source_time=Time(sec=102))
    assert status == GoalStatus.STATUS_SUCCEEDED
    assert result.transform.header.stamp.sec >= 102


@pytest.mark.parametrize('name, goal, text', [
    ('mug', {}, "source_frame 'mug' is neither an object of the model nor an instance"),
    ('cube', {'advanced': True}, 'advanced lookups are not for objects')])
def test_a_question_that_makes_no_sense(asker, name, goal, text):
    asker.start()
    status, result = asker.ask(name, **goal)
    assert status == GoalStatus.STATUS_ABORTED
    assert result.error.error == TF2Error.INVALID_ARGUMENT_ERROR
    assert result.error.error_string.startswith(text)


def test_two_questions_at_a_time_and_one_is_withdrawn(cell, asker):
    asker.start()
    withdrawn, kept = asker.send('cube_0'), asker.send('cube_1')
    time.sleep(0.2)
    cell.graph.result_of(withdrawn.cancel_goal_async())
    answer = cell.graph.result_of(withdrawn.get_result_async())
    assert answer.status == GoalStatus.STATUS_CANCELED
    assert answer.result.error.error_string == 'cube_0: canceled'
    asker.found = lambda number: [('cube_1', 'cube', cell.upright(0.5))]
    answer = cell.graph.result_of(kept.get_result_async())
    assert answer.status == GoalStatus.STATUS_SUCCEEDED
    assert answer.result.transform.child_frame_id == 'cube_1'
