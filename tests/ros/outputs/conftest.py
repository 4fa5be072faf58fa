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

"""The node in a process of its own, and pictures sent until every output has answered one."""
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.core.transforms import quat_xyzw_from_rotation  # noqa: E402, I100
from dr_perception.ros.conversions import pose_to_matrix  # noqa: E402

MODULE = 'dr_perception.ros.pose_estimator_node'


@pytest.fixture
def camera_pose(scene):
    """Return T_base_camera as the node's parameter takes it."""
    T = scene.T_base_camera
    return [float(value) for value in (*T[:3, 3], *quat_xyzw_from_rotation(T[:3, :3]))]


@pytest.fixture
def start_node(ros_graph):
    """Return a function that starts the node as another process and waits until it is active."""
    processes = []

    def start(**parameters):
        values = {'providers': '[CPUExecutionProvider]', 'threads': 1, 'max_image_age_s': 0.0,
                  'image_reliability': 'reliable', **parameters}
        arguments = [item for name, value in values.items() for item in ('-p', f'{name}:={value}')]
        process = subprocess.Popen(
            [sys.executable, '-m', MODULE, '--ros-args', '-r', f'__ns:={ros_graph.namespace}',
             *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**os.environ})
        processes.append(process)
        said = []
        for line in process.stdout:
            said.append(line)
            if ' active: ' in line:
                break
        else:
            pytest.fail(f'the node did not become active: {"".join(said)}')
        # Nobody reads on: a full pipe would stop the node.
        threading.Thread(target=process.stdout.read, daemon=True).start()

    yield start
    for process in processes:
        process.send_signal(signal.SIGINT)
        process.wait(20.0)


def stamp_of(message):
    """Return the stamp of a message or of its parts, None of an empty one."""
    if hasattr(message, 'header'):
        return message.header.stamp
    parts = getattr(message, 'transforms', None) or getattr(message, 'markers', None)
    return parts[-1].header.stamp if parts else None


@pytest.fixture
def ask():
    """Return a function that sends pictures until all inboxes have an answer to the same one."""
    def send_until_answered(camera, *inboxes, make_image=None, timeout_s=30.0, **shape):
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            # Again each time: the node may have found this camera's topic only now.
            camera.send_info()
            image = camera.send_image(make_image() if make_image else camera.image(**shape))
            patience_s = time.monotonic() + 2.0
            while time.monotonic() < patience_s:
                answers = [next((m for m in list(inbox.messages)
                                 if stamp_of(m) == image.header.stamp), None)
                           for inbox in inboxes]
                if None not in answers:
                    return (image, *answers)
                time.sleep(0.005)
        raise AssertionError(f'no picture was answered by all; messages each: '
                             f'{[len(inbox.messages) for inbox in inboxes]}')
    return send_until_answered


@pytest.fixture
def check_poses(catalogue, scene):
    """Return a function that checks that a Detection3DArray holds the scene."""
    def check(message, T_frame_base, position_m=1e-3, rotation_rad=0.02):
        assert sorted(d.results[0].hypothesis.class_id for d in message.detections) == sorted(
            scene.T_base_objects)
        for detection in message.detections:
            name = detection.results[0].hypothesis.class_id
            symmetry = catalogue[name].symmetry
            T_truth = T_frame_base @ scene.T_base_objects[name]
            T_found = pose_to_matrix(detection.results[0].pose.pose)
            assert symmetry.position_error_m(T_found, T_truth) < position_m
            assert symmetry.rotation_error_rad(T_found[:3, :3], T_truth[:3, :3]) < rotation_rad
    return check


@pytest.fixture
def show(monkeypatch):
    """Return a function that lets a node find what it is told, whatever the picture."""
    from dr_perception.core.pipeline import Detection

    def arrange(node, *found):
        """Let the node find (object name, T_camera_object, covariance) each, scores falling."""
        detections = [Detection(name, 0.95 - 0.01 * number, T_camera_object, covariance)
                      for number, (name, T_camera_object, covariance) in enumerate(found)]
        monkeypatch.setattr(node._estimator, 'estimate', lambda *args, **kwargs: detections)
    return arrange
