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

"""Several cameras in one process: each has its topics, its poses and its diagnostics."""
import os
import signal
import subprocess
import sys
import time

from builtin_interfaces.msg import Time
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402, I100
from dr_perception.core.transforms import quat_xyzw_from_rotation  # noqa: E402
from dr_perception.ros.camera_conversion import info_from_camera  # noqa: E402
from dr_perception.ros.image_conversion import image_from_rgb  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402

MODULE = 'dr_perception.ros.multi_camera'


def _start(*arguments):
    return subprocess.Popen(
        [sys.executable, '-m', MODULE, '--ros-args', *arguments], stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, env={**os.environ})


def _end(process):
    process.send_signal(signal.SIGINT)
    output, _ = process.communicate(timeout=20)
    return output


def _pose(scene, offset_m):
    T = scene.T_base_camera
    numbers = [*(T[:3, 3] + offset_m), *quat_xyzw_from_rotation(T[:3, :3])]
    return '[' + ', '.join(f'{n:.9f}' for n in numbers) + ']'


def _parameter_file(folder, namespace, scene, model, right_model):
    path = folder / 'cameras.yaml'
    path.write_text(
        '/**:\n'
        '  ros__parameters: {providers: [CPUExecutionProvider], threads: 1,\n'
        '                    max_image_age_s: 0.0, base_frame: cell, target_frame: cell}\n'
        f'{namespace}/left/pose_estimator:\n'
        f'  ros__parameters: {{model: {model}, camera_pose: {_pose(scene, [0, 0, 0])}}}\n'
        f'{namespace}/right/pose_estimator:\n'
        f'  ros__parameters: {{model: {right_model}, '
        f'camera_pose: {_pose(scene, [0.5, 0, 0])}}}\n')
    return path


@pytest.fixture
def cell(ros_graph, scene, tiny_model, tmp_path):
    """Return a function that starts two cameras; the process is ended after the test."""
    processes = []

    def start(right_model=tiny_model):
        namespace = ros_graph.namespace
        path = _parameter_file(tmp_path, namespace, scene, tiny_model, right_model)
        names = f'[{namespace[1:]}/left, {namespace[1:]}/right]'
        processes.append(_start('--params-file', str(path), '-p', f'cameras:={names}'))
        return processes[-1]
    yield start
    for process in processes:
        if process.poll() is None:
            process.kill()
            process.communicate()


def _poses(graph, scene, camera, second):
    """Show a camera the scene until there are detections; the first of them."""
    inbox = graph.listen(Detection3DArray, f'{camera}/pose_estimator/detections')
    header = Header(stamp=Time(sec=second), frame_id=f'{camera}_optical')
    infos = graph.publisher(CameraInfo, f'{camera}/camera_info')
    images = graph.publisher(Image, f'{camera}/image')
    grey = np.full((scene.camera.height_px, scene.camera.width_px, 3), 128, np.uint8)
    deadline_s = time.monotonic() + 20.0
    while not inbox.messages:
        assert time.monotonic() < deadline_s, f'{camera}: no detections'
        infos.publish(info_from_camera(header, scene.camera))
        images.publish(image_from_rgb(header, grey))
        time.sleep(0.2)
    return inbox.messages[0]


def test_each_camera_has_its_own_poses(ros_graph, scene, cell):
    process = cell()
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    frames = ros_graph.listen(TFMessage, '/tf', 100)
    for second, (camera, offset_m) in enumerate({'left': [0, 0, 0], 'right': [0.5, 0, 0]}.items()):
        message = _poses(ros_graph, scene, camera, 100 + second)
        assert message.header.stamp.sec == 100 + second
        assert message.header.frame_id == 'cell'
        found = {d.results[0].hypothesis.class_id: d.results[0].pose.pose.position
                 for d in message.detections}
        for name, T in scene.T_base_objects.items():
            position = [found[name].x, found[name].y, found[name].z]
            assert position == pytest.approx(T[:3, 3] + offset_m, abs=2e-3)
    prefix = ros_graph.namespace[1:]
    # The first camera has the plain names on TF, whichever sees an object first.
    names = set(scene.T_base_objects)
    ros_graph.until(lambda: {t.child_frame_id for m in frames.messages for t in m.transforms} == {
        *(f'{name}_0' for name in names),
        *(f'{prefix}_right_pose_estimator_{name}_0' for name in names)}, lambda: frames.messages)
    for camera in ('left', 'right'):
        statuses.wait_for(lambda m, name=f'{prefix}/{camera}/pose_estimator: localization': (
            m.status[0].name == name))
    output = _end(process)
    assert process.returncode == 0, output
    assert 'Traceback' not in output


def test_one_camera_that_cannot_start_leaves_the_other(ros_graph, scene, cell):
    process = cell(right_model='/nowhere/none.onnx')
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    _poses(ros_graph, scene, 'left', 100)
    statuses.wait_for(lambda m: 'right' in m.status[0].name
                      and 'there is no such model file' in m.status[0].message)
    output = _end(process)
    assert process.returncode == 0, output
    assert 'cannot configure: /nowhere/none.onnx: there is no such model file' in output


@pytest.mark.parametrize(('arguments', 'text'), [
    ([], 'error: cameras: names no camera; give their namespaces'),
    (['-p', 'cameras:=[]'], 'error: cameras: names no camera'),
    (['-p', 'cameras:=[1, 2]'], 'error: cameras: expected names, such as [left, right]: '),
    (['-p', 'cameras:=[cam-left]'], "error: cameras: 'cam-left' cannot be a namespace"),
    (['-p', 'cameras:=[left, left]'], 'error: cameras: one is named twice in left, left'),
    (['-p', 'cameras:=[left, right]', '-r', '__ns:=/cell'],
     'error: cameras: all of them would be /cell/pose_estimator; leave __ns and __node out'),
    (['-p', 'cameras:=[left]', '-p', 'model:=/nowhere/none.onnx'],
     'cannot configure: /nowhere/none.onnx: there is no such model file'),
])
def test_errors_of_the_user_are_one_line(arguments, text):
    process = _start(*arguments)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == 2, output
    assert text in output and 'Traceback' not in output
    assert 'Traceback' not in output
