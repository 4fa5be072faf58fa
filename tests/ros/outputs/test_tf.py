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

"""TF: `<object>_<n>`, and never a frame that is somebody else's."""
import itertools
import time

from dr_perception.core.transforms import make_transform, rotation_about
from dr_perception.ros.conversions import transform_from_message, transform_stamped
import numpy as np
import pytest
from rcl_interfaces.msg import Log
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

STATIC_QOS = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
STABLE = 1e-6 * np.eye(6)


def foreign(child, parent='map'):
    """Return somebody else's transform."""
    return TFMessage(transforms=[transform_stamped(
        Header(frame_id=parent), child, make_transform(np.eye(3), (9.0, 9.0, 9.0)))])


def cube(x_m):
    """Return a cube in front of the camera, as the fixture `show` takes it."""
    return ('cube', make_transform(rotation_about('y', x_m), (x_m, 0.0, 0.8)), STABLE)


def children(message):
    """Return the frames that a message publishes."""
    return [transform.child_frame_id for transform in message.transforms]


@pytest.fixture
def own(ros_graph):
    """Return the inbox of /tf without what these tests send themselves."""
    inbox = ros_graph.listen(TFMessage, '/tf', 100)
    return inbox


def fully_named(graph, name):
    """Return the name of an instance's frame with the node's name before it."""
    return f'{graph.namespace.strip("/")}_pose_estimator_{name}'


def test_one_message_a_picture_with_every_instance_below_the_output_frame(
        ros_graph, make_camera_client, tiny_model, camera_pose, scene, show, ask, own):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose,
                                     target_frame='base_link')
    show(node, cube(0.2), cube(-0.2))
    image, message = ask(make_camera_client(), own)
    assert children(message) == ['cube_0', 'cube_1']
    for transform, x_m in zip(message.transforms, (0.2, -0.2)):
        assert (transform.header.frame_id, transform.header.stamp) == (
            'base_link', image.header.stamp)
        assert transform_from_message(transform.transform) == pytest.approx(
            scene.T_base_camera @ cube(x_m)[1], abs=1e-9)


def test_its_own_frames_are_never_taken_for_others(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask, own):
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    camera = make_camera_client()
    for _ in range(5):
        _, message = ask(camera, own)
        assert sorted(children(message)) == ['cube_0', 'rectangular_prism_0']


@pytest.mark.parametrize('topic, qos', [('/tf', 10), ('/tf_static', STATIC_QOS)])
def test_a_frame_of_another_node_is_left_to_it(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask, own, topic, qos, until):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    logs = ros_graph.listen(Log, '/rosout', 100)
    camera = make_camera_client()
    _, message = ask(camera, own)
    assert 'cube_0' in children(message)
    names = next(p for p in node._outputs if hasattr(p, '_names'))._names
    ros_graph.publisher(TFMessage, topic, qos=qos).publish(foreign('/cube_0'))
    until(lambda: names._others)
    for _ in range(2):  # and it stays so, though the other is silent now
        _, message = ask(camera, own)
        assert sorted(children(message)) == sorted([
            fully_named(ros_graph, 'cube_0'), 'rectangular_prism_0'])
    warning = logs.wait_for(lambda m: 'cube_0' in m.msg)
    assert warning.msg == (
        "frame 'cube_0' is published by another node, below 'map': the instance is "
        f"'{fully_named(ros_graph, 'cube_0')}' on TF; rename that frame, or set publish_tf to "
        'false in one of the two nodes')
    assert sum('cube_0' in m.msg for m in logs.messages) == 1


def test_with_both_names_taken_the_instance_is_left_out(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask, own, until):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    logs = ros_graph.listen(Log, '/rosout', 100)
    names = next(p for p in node._outputs if hasattr(p, '_names'))._names
    others = ros_graph.publisher(TFMessage, '/tf')
    camera = make_camera_client()
    for name in ('cube_0', fully_named(ros_graph, 'cube_0')):
        others.publish(foreign(name))
    until(lambda: len(names._others) == 2)
    _, message = ask(camera, own)
    assert children(message) == ['rectangular_prism_0']
    assert logs.wait_for(lambda m: 'is left out of TF' in m.msg)


@pytest.mark.parametrize('role, parameters', [
    ('camera', {}), ('camera', {'target_frame': 'base_link'}), ('base', {'base_frame': 'cube_0'}),
    ('target', {'target_frame': 'cube_0'})])
def test_camera_base_and_target_frame_are_never_overwritten(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask, own, role, parameters):
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose, **parameters)
    if role == 'target':
        ros_graph.publisher(TFMessage, '/tf_static', qos=STATIC_QOS).publish(
            foreign('base_link', parent='cube_0'))
    logs = ros_graph.listen(Log, '/rosout', 100)
    camera = make_camera_client()

    def make_image():
        image = camera.image()
        if role == 'camera':
            image.header.frame_id = '/cube_0'
        return image

    _, message = ask(camera, own, make_image=make_image)
    assert sorted(children(message)) == sorted([
        fully_named(ros_graph, 'cube_0'), 'rectangular_prism_0'])
    assert logs.wait_for(
        lambda m: "frame 'cube_0' is the camera, base or target frame" in m.msg)


def test_two_nodes_with_the_same_objects_end_with_frames_of_their_own(
        ros_graph, make_camera_client, scene, tiny_model, camera_pose, own):
    second = type(ros_graph)()
    try:
        cameras = []
        for graph, frame in ((ros_graph, 'left_optical'), (second, 'right_optical')):
            graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
            cameras.append((type(make_camera_client())(graph, scene.camera), frame)
                           if graph is second else (make_camera_client(), frame))
        deadline_s = time.monotonic() + 20
        for number in itertools.count():
            for camera, frame in cameras:
                image = camera.image()
                image.header.frame_id = frame
                camera.send_info()
                camera.send_image(image)
            time.sleep(0.1)
            parents = {}
            for message in own.messages[-6:]:
                for transform in message.transforms:
                    parents.setdefault(transform.child_frame_id, set()).add(
                        transform.header.frame_id)
            if number > 5 and len(parents) == 4 and all(len(p) == 1 for p in parents.values()):
                break
            assert time.monotonic() < deadline_s, parents
    finally:
        second.close()


def test_traffic_of_others_costs_no_message_objects(
        ros_graph, tiny_model, camera_pose, monkeypatch, until):
    from dr_perception.ros.publishers import frame_names
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    names = next(p for p in node._outputs if hasattr(p, '_names'))._names
    unpacked = []

    def unpack(data, kind, original=frame_names.deserialize_message):
        unpacked.append(data)
        return original(data, kind)

    monkeypatch.setattr(frame_names, 'deserialize_message', unpack)
    arm = ros_graph.publisher(TFMessage, '/tf', qos=100)
    for _ in range(20):
        arm.publish(foreign('wrist_3_link'))
    arm.publish(foreign('cube_7'))
    until(lambda: 'cube_7' in names._others)
    assert len(unpacked) == 1


def test_what_is_remembered_of_others_is_bounded(ros_graph, tiny_model, monkeypatch, until):
    from dr_perception.ros.publishers import frame_names
    monkeypatch.setattr(frame_names, '_OTHERS_REMEMBERED', 3)
    monkeypatch.setattr(frame_names, '_OWN_REMEMBERED', 3)
    node = ros_graph.start_estimator(model=str(tiny_model))
    names = next(p for p in node._outputs if hasattr(p, '_names'))._names
    others = ros_graph.publisher(TFMessage, '/tf', qos=100)
    for number in range(10):
        others.publish(foreign(f'cube_{number}'))
        names.claim(foreign(f'cone_{number}').transforms)
    until(lambda: len(names._others) == 3)
    time.sleep(0.2)
    assert len(names._others) == 3
    assert len(names._own) == len(names._own_order) == 3
