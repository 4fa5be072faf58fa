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

"""States, parameters, providers, and the process: start, refusal, end."""
import os
from pathlib import Path
import re
import signal
import subprocess
import sys
import time

from dr_perception.ros import parameters
from dr_perception.ros.publishers import registered_outputs
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from vision_msgs.msg import Detection3DArray

POSE = [1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0]
MODULE = 'dr_perception.ros.pose_estimator_node'


def change(graph, transition_id):
    """Return whether a transition succeeded, and the state after it."""
    answer = graph.call(ChangeState, 'pose_estimator/change_state',
                        ChangeState.Request(transition=Transition(id=transition_id)))
    state = graph.call(GetState, 'pose_estimator/get_state')
    return answer.success, state.current_state.id


def test_whole_life_through_the_services(ros_graph, make_camera_client, tiny_model):
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model), camera_pose=POSE)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    steps = [(Transition.TRANSITION_CONFIGURE, State.PRIMARY_STATE_INACTIVE),
             (Transition.TRANSITION_ACTIVATE, State.PRIMARY_STATE_ACTIVE)]
    for round_number in (1, 2):
        for transition, state in steps:
            assert change(ros_graph, transition) == (True, state)
        camera = make_camera_client()
        camera.send_image()
        detections.wait(round_number)
        assert change(ros_graph, Transition.TRANSITION_DEACTIVATE) == (
            True, State.PRIMARY_STATE_INACTIVE)
        assert node.count_subscribers(f'{ros_graph.namespace}/image') == 0
        assert change(ros_graph, Transition.TRANSITION_CLEANUP) == (
            True, State.PRIMARY_STATE_UNCONFIGURED)
        assert node.count_publishers(f'{ros_graph.namespace}/pose_estimator/detections') == 0
        ros_graph.client.destroy_publisher(camera.images)
        ros_graph.client.destroy_publisher(camera.infos)
    assert change(ros_graph, Transition.TRANSITION_UNCONFIGURED_SHUTDOWN) == (
        True, State.PRIMARY_STATE_FINALIZED)


@pytest.mark.parametrize('content, text', [
    (None, 'there is no such model file'), (b'', 'the file is empty'),
    (b'not a model', 'cannot open it')])
def test_unusable_model_leaves_it_unconfigured_and_can_be_mended(
        ros_graph, tiny_model, tmp_path, content, text):
    path = tmp_path / 'model.onnx'
    if content is not None:
        path.write_bytes(content)
    node = ros_graph.start_estimator(is_active=False, model=str(path))
    assert change(ros_graph, Transition.TRANSITION_CONFIGURE) == (
        False, State.PRIMARY_STATE_UNCONFIGURED)
    assert text in node._transition_error
    assert node.set_parameters([Parameter('model', value=str(tiny_model))])[0].successful
    assert change(ros_graph, Transition.TRANSITION_CONFIGURE)[0]


def test_every_parameter_is_described(ros_graph):
    node = ros_graph.start_estimator(is_active=False)
    for spec in parameters.SPECS:
        descriptor = node.describe_parameter(spec.name)
        assert len(descriptor.description) > 15, spec.name
        assert descriptor.read_only == spec.read_only
        ranges = [*descriptor.floating_point_range, *descriptor.integer_range]
        assert len(ranges) == (spec.low is not None), spec.name


@pytest.mark.parametrize('name, value, text', [
    ('min_score', 1.5, 'min_score'), ('max_image_age_s', -1.0, 'max_image_age_s'),
    ('objects', ['teapot'], 'objects: the model does not know teapot; it knows cone'),
    ('precision', 'fp16', 'precision: takes effect while the node configures'),
    ('autostart', False, 'autostart')])
def test_refused_change_says_why(ros_graph, tiny_model, name, value, text):
    node = ros_graph.start_estimator(model=str(tiny_model))
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful and text in result.reason


@pytest.mark.parametrize('name, value, text', [
    ('camera_pose', [1.0, 2.0], 'camera_pose: got .* expected seven finite numbers'),
    ('image_transport', 'theora', "image_transport: got 'theora'; expected one of raw, compr"),
    ('providers', [''], 'providers: the list is empty'),
    ('base_frame', '', 'base_frame: is empty'), ('min_score', 2.0, 'min_score'),
    ('min_score', 'high', 'min_score')])
def test_refused_start_names_the_parameter(ros_graph, name, value, text):
    with pytest.raises(parameters.ParameterError, match=text):
        ros_graph.start_estimator(is_active=False, **{name: value})


def test_unknown_object_is_refused_in_configure(ros_graph, tiny_model):
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model), objects=['teapot'])
    assert not node.autostart()
    assert 'does not know teapot' in node._transition_error


def test_missing_provider_warns_or_refuses(ros_graph, tiny_model):
    pytest.importorskip('onnxruntime')
    values = {'model': str(tiny_model), 'providers': ['NoSuchProvider', 'CPUExecutionProvider']}
    node = ros_graph.start_estimator(**values)
    assert node._provider_problem.startswith('provider NoSuchProvider is not active')
    assert 'CPUExecutionProvider' in node._provider_problem
    strict = ros_graph.start_estimator(is_active=False, strict_provider=True, **values)
    assert not strict.autostart()
    assert 'NoSuchProvider' in strict._transition_error


def start_process(*arguments):
    """Start the node as a process of its own session."""
    values = [item for pair in arguments for item in ('-p', pair)]
    return subprocess.Popen(
        [sys.executable, '-m', MODULE, '--ros-args', *values], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, start_new_session=True, env={**os.environ})


def wait_until_caught(process_id, number, timeout_s=120.0):
    """Wait until a process has a handler for a signal."""
    deadline_s = time.monotonic() + timeout_s
    while True:
        status = Path(f'/proc/{process_id}/status').read_text()
        if int(re.search(r'SigCgt:\s*(\w+)', status)[1], 16) >> (number - 1) & 1:
            return
        assert time.monotonic() < deadline_s, status
        time.sleep(0.05)


@pytest.mark.parametrize('autostart', [True, False])
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM])
def test_signal_ends_the_process_cleanly_in_every_state(tiny_model, autostart, number):
    process = start_process(f'model:={tiny_model}', f'autostart:={str(autostart).lower()}',
                            'providers:=[CPUExecutionProvider]')
    try:
        if autostart:
            line = next(line for line in process.stdout if ' active: ' in line)
            assert '/image -> /pose_estimator/detections' in line
        else:
            wait_until_caught(process.pid, signal.SIGTERM)     # rclpy does, Python alone does not
        process.send_signal(number)
        output, _ = process.communicate(timeout=20)
    finally:
        process.kill()
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_outputs_made_before_one_that_failed_are_not_there_twice(
        ros_graph, tiny_model, monkeypatch):
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model), camera_pose=POSE)

    def topics():
        return sorted(publisher.topic_name for publisher in node.publishers)
    before = topics()
    last = max(registered_outputs(), key=lambda entry: entry.order)
    with monkeypatch.context() as patch:
        patch.setattr(last.factory, '__init__', lambda *arguments: 1 / 0)
        assert node.trigger_configure() == TransitionCallbackReturn.FAILURE
    assert topics() == before
    assert node.trigger_configure() == TransitionCallbackReturn.SUCCESS
    assert len(topics()) == len(set(topics())) > len(before)


def own_lines(output):
    """Return the lines but for those of the middleware, which meets what killed processes left."""
    return [line for line in output.splitlines() if line.strip() and 'RTPS_' not in line]


def test_autostart_with_a_missing_model_is_one_line_and_exit_code_2():
    process = start_process('model:=/nowhere/model.onnx')
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 2
    lines = own_lines(output)
    assert len(lines) == 1 and 'there is no such model file' in lines[0]


def test_wrong_parameter_is_one_line_and_exit_code_2():
    process = start_process('min_score:=7.0')
    output, _ = process.communicate(timeout=90)
    assert process.returncode == 2
    lines = own_lines(output)
    assert len(lines) == 1 and lines[0].startswith('error: min_score')


def test_node_never_imports_pybullet_torch_or_the_trainer():
    code = (f'import sys, {MODULE}; '
            "sys.exit(str({'pybullet', 'torch', 'sim_trainer'} & set(sys.modules) or ''))")
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True,
                            check=False)
    assert result.stderr.strip() == ''
