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

"""The executable: a process of its own, its default topic, its end, and what keeps it away."""
import os
import signal
import subprocess
import sys
import time

import pytest

pytest.importorskip('moveit_msgs', reason='needs MoveIt messages')

from moveit_msgs.msg import CollisionObject  # noqa: E402, I100
from vision_msgs.msg import Detection3DArray  # noqa: E402

MODULE = 'dr_perception.ros.planning_scene.main'


def start(namespace, *arguments):
    """Return the node as a process."""
    return subprocess.Popen(
        [sys.executable, '-m', MODULE, '--ros-args', '-r', f'__ns:={namespace}', *arguments],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, start_new_session=True,
        env=dict(os.environ))


def finish(process):
    """Return exit code and output; nothing is left running."""
    try:
        output = process.communicate(timeout=60)[0]
    finally:
        if process.poll() is None:
            process.kill()
    return process.returncode, output


@pytest.mark.parametrize('number, remap, topic', [
    (signal.SIGINT, (), 'pose_estimator/detections'),
    (signal.SIGTERM, ('-r', 'detections:=elsewhere'), 'elsewhere')])
def test_detections_of_another_process_and_a_clean_end(cell, number, remap, topic):
    objects = cell.graph.listen(CollisionObject, 'collision_object', 100).messages
    process = start(cell.graph.namespace, *remap, '-p', 'add_after_hits:=2')
    try:
        detector = cell.graph.publisher(Detection3DArray, topic)
        stamps_s = iter(range(100, 10000))

        def is_added():
            detector.publish(cell.detections(
                [('cube_0', 'cube', cell.upright(0.5))], next(stamps_s) / 10))
            return bool(objects)

        cell.until(is_added)
        process.send_signal(number)
        code, output = finish(process)
    finally:
        process.kill()
    assert code == 0, output
    assert 'Traceback' not in output
    cell.until(lambda: len(objects) >= 2, lambda: output)
    assert [(m.operation, m.id) for m in objects] == [
        (CollisionObject.ADD, 'cube_0'), (CollisionObject.REMOVE, 'cube_0')]


@pytest.mark.parametrize('argument, line', [
    ('model:=/nowhere/model.onnx', 'error: /nowhere/model.onnx: there is no such model file'),
    ('output:=world', "error: output: got 'world'; expected one of collision_object")])
def test_what_cannot_start_is_one_line_and_exit_code_2(cell, argument, line):
    code, output = finish(start(cell.graph.namespace, '-p', argument))
    assert code == 2
    assert output.startswith(line)
    assert output.count('\n') == 1


def test_without_moveits_messages_the_remedy_is_named(monkeypatch, capsys):
    from dr_perception.core.errors import MissingDependencyError
    from dr_perception.ros.planning_scene import main
    monkeypatch.setitem(sys.modules, 'moveit_msgs.msg', None)
    with pytest.raises(MissingDependencyError, match='apt-get install ros-jazzy-moveit-msgs'):
        main.make_node()


def test_from_a_picture_to_the_planner(cell, scene, tiny_model, make_camera_client):
    """The estimator here, the planning scene's node in a process of its own."""
    from dr_perception.core.transforms import quat_xyzw_from_rotation
    from dr_perception.ros.conversions import pose_to_matrix
    import numpy as np
    objects = cell.graph.listen(CollisionObject, 'collision_object', 100).messages
    pose = [*scene.T_base_camera[:3, 3], *quat_xyzw_from_rotation(scene.T_base_camera[:3, :3])]
    cell.graph.start_estimator(model=str(tiny_model), target_frame='base_link',
                               camera_pose=[float(number) for number in pose])
    process = start(cell.graph.namespace, '-p', f'model:={tiny_model}')
    try:
        camera = make_camera_client()

        def are_added():
            camera.send_image()
            time.sleep(0.1)
            return len(objects) >= 2

        cell.until(are_added, lambda: objects)
        process.send_signal(signal.SIGINT)
        code, output = finish(process)
    finally:
        process.kill()
    assert code == 0, output
    for message in objects[:2]:
        assert message.operation == CollisionObject.ADD
        assert message.header.frame_id == 'base_link'
        T_base_object = scene.T_base_objects[message.type.key]
        assert np.allclose(pose_to_matrix(message.pose)[:3, 3], T_base_object[:3, 3], atol=2e-3)
    assert {message.id for message in objects[:2]} == {'cube_0', 'rectangular_prism_0'}
