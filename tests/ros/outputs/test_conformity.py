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

"""What every output keeps to: headers, frames, empty arrays, quality of service."""
from dr_perception.core.transforms import invert_transform, make_transform, rotation_about
from dr_perception.ros.conversions import transform_stamped
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

#: Topic below the node -> type.
TOPICS = {
    'detections': Detection3DArray, 'poses': PoseArray, 'cube/pose': PoseWithCovarianceStamped,
    'markers': MarkerArray}
PICTURES = {'debug_image': Image, 'debug_image/compressed': CompressedImage}
TYPES = {
    'detections': 'vision_msgs/msg/Detection3DArray', 'poses': 'geometry_msgs/msg/PoseArray',
    'cube/pose': 'geometry_msgs/msg/PoseWithCovarianceStamped',
    'markers': 'visualization_msgs/msg/MarkerArray', 'debug_image': 'sensor_msgs/msg/Image',
    'debug_image/compressed': 'sensor_msgs/msg/CompressedImage',
    'vision_info': 'vision_msgs/msg/VisionInfo'}


def listen_to_all(graph):
    """Return the inboxes of all outputs that answer a picture with something found in it."""
    inboxes = {name: graph.listen(kind, f'pose_estimator/{name}')
               for name, kind in {**TOPICS, **PICTURES}.items()}
    inboxes['/tf'] = graph.listen(TFMessage, '/tf')
    return inboxes


def headers_of(message):
    """Return the headers of a message and of its parts."""
    headers = [message.header] if hasattr(message, 'header') else []
    for name in ('detections', 'transforms', 'markers'):
        headers += [part.header for part in getattr(message, name, ())]
    return headers


def test_every_header_is_that_of_the_image(
        ros_graph, start_node, make_camera_client, ask, tiny_model, camera_pose):
    start_node(model=tiny_model, camera_pose=camera_pose)
    inboxes = listen_to_all(ros_graph)
    image, *answers = ask(make_camera_client(), *inboxes.values())
    assert image.header.frame_id == 'camera_optical' and image.header.stamp.nanosec == 5
    for name, answer in zip(inboxes, answers):
        headers = headers_of(answer)
        assert headers and all(header == image.header for header in headers), name


def test_with_a_target_frame_only_the_frame_differs_and_pictures_keep_their_own(
        ros_graph, start_node, make_camera_client, ask, tiny_model, camera_pose, check_poses):
    start_node(model=tiny_model, camera_pose=camera_pose, target_frame='base_link')
    inboxes = listen_to_all(ros_graph)
    image, *answers = ask(make_camera_client(), *inboxes.values())
    for name, answer in zip(inboxes, answers):
        frame = 'camera_optical' if name in PICTURES else 'base_link'
        headers = headers_of(answer)
        assert headers, name
        for header in headers:
            assert (header.frame_id, header.stamp) == (frame, image.header.stamp), name
    check_poses(answers[0], np.eye(4))


def test_camera_frame_and_target_frame_hold_the_same_objects(
        ros_graph, start_node, make_camera_client, ask, tiny_model, camera_pose, scene,
        check_poses):
    start_node(model=tiny_model, camera_pose=camera_pose)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    _, message = ask(make_camera_client(), detections)
    check_poses(message, invert_transform(scene.T_base_camera))


def test_camera_pose_from_tf_at_the_stamp(
        ros_graph, make_camera_client, ask, tiny_model, scene, check_poses):
    ros_graph.start_estimator(model=str(tiny_model), target_frame='world')
    static = ros_graph.publisher(TFMessage, '/tf_static', qos=QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    moving = ros_graph.publisher(TFMessage, '/tf')
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    T_world_base = make_transform(rotation_about('z', 1.2), (1.0, 2.0, 3.0))
    static.publish(TFMessage(transforms=[
        transform_stamped(Header(frame_id='world'), 'base_link', T_world_base)]))

    def image():
        message = camera.image()
        moving.publish(TFMessage(transforms=[transform_stamped(
            Header(stamp=message.header.stamp, frame_id='/base_link'), 'camera_optical',
            scene.T_base_camera)]))
        return message

    sent, message = ask(camera, detections, make_image=image)
    assert message.header.frame_id == 'world' and message.header.stamp == sent.header.stamp
    check_poses(message, T_world_base)


def test_nothing_found_is_said_by_empty_arrays(
        ros_graph, start_node, make_camera_client, ask, tiny_model, camera_pose):
    start_node(model=tiny_model, camera_pose=camera_pose)
    inboxes = listen_to_all(ros_graph)
    markers = inboxes['markers']
    camera = make_camera_client()
    image, detections, poses = ask(camera, inboxes['detections'], inboxes['poses'], level=0)
    assert detections == Detection3DArray(header=image.header)
    assert poses == PoseArray(header=image.header)
    message = markers.wait()[-1]
    assert all(marker.action == Marker.DELETEALL for marker in message.markers)
    # Once pictures are answered everywhere, one with nothing in it adds nothing elsewhere.
    ask(camera, *inboxes.values())
    image, detections = ask(camera, inboxes['detections'], level=0)
    assert not detections.detections
    assert not [m for name in ('cube/pose', '/tf') for m in inboxes[name].messages
                if image.header in headers_of(m)]


def test_quality_of_service_and_type_of_every_topic(ros_graph, start_node, tiny_model, until):
    start_node(model=tiny_model)
    client, node = ros_graph.client, f'{ros_graph.namespace}/pose_estimator'
    found = {}
    until(lambda: ('pose_estimator', ros_graph.namespace) in client.get_node_names_and_namespaces()
          and all(client.count_publishers(f'{node}/{name}') for name in TYPES))
    for name, _ in client.get_publisher_names_and_types_by_node(
            'pose_estimator', ros_graph.namespace):
        found[name] = [info for info in client.get_publishers_info_by_topic(name)
                       if info.node_name == 'pose_estimator'
                       and info.node_namespace == ros_graph.namespace]
    for name, kind in TYPES.items():
        assert [info.topic_type for info in found[f'{node}/{name}']] == [kind], name
    assert [info.topic_type for info in found['/tf']] == ['tf2_msgs/msg/TFMessage']
    for name, infos in found.items():
        for info in infos:
            if name == '/rosout' or name == '/parameter_events':  # ROS's own
                continue
            assert info.qos_profile.reliability == ReliabilityPolicy.RELIABLE, name
            is_latched = info.qos_profile.durability == DurabilityPolicy.TRANSIENT_LOCAL
            assert is_latched == name.endswith('/vision_info'), name


def test_the_documentation_names_every_topic(ros_graph, tiny_model, repository_root):
    node = ros_graph.start_estimator(model=str(tiny_model))
    page = (repository_root / 'docs' / 'ros_interface.md').read_text(encoding='utf-8')
    rows = [line for line in page.splitlines() if line.startswith('| `')]
    prefix = f'{ros_graph.namespace}/pose_estimator/'
    for name, kinds in node.get_publisher_names_and_types_by_node(
            node.get_name(), node.get_namespace()):
        if not name.startswith(prefix) or name.endswith('/transition_event'):
            continue
        shown = name.replace(prefix, '~/')
        parts = shown.split('/')
        if parts[-1] == 'pose' and len(parts) == 3:
            shown = '~/<object>/pose'
        kind = kinds[0].replace('/msg/', '/')
        assert any(f'`{shown}`' in row and kind in row for row in rows), (shown, kind)


def test_without_a_camera_pose_it_still_estimates_and_says_so(
        ros_graph, make_camera_client, tiny_model):
    node = ros_graph.start_estimator(model=str(tiny_model))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    make_camera_client().send_image()
    assert len(detections.wait()[0].detections) >= 1
    error = node._statistics.snapshot().errors['camera_pose']
    assert "no transform from 'camera_optical' to 'base_link'" in error.text
    assert 'set camera_pose' in error.text


def test_unreachable_target_frame_publishes_nothing_and_is_counted(
        ros_graph, make_camera_client, tiny_model, camera_pose, until):
    node = ros_graph.start_estimator(model=str(tiny_model), target_frame='mars',
                                     camera_pose=camera_pose)
    inboxes = listen_to_all(ros_graph)
    make_camera_client().send_image()
    until(lambda: 'transform' in node._statistics.snapshot().errors)
    assert not any(inbox.messages for inbox in inboxes.values())


@pytest.mark.parametrize('name, topics', [
    ('detections', ['detections']), ('poses', ['poses']), ('object_poses', ['cube/pose']),
    ('tf', ['/tf']), ('markers', ['markers']), ('vision_info', ['vision_info']),
    ('debug_image', ['debug_image', 'debug_image/compressed'])])
def test_a_switched_off_output_has_no_topic_and_the_others_have(
        ros_graph, tiny_model, name, topics):
    node = ros_graph.start_estimator(model=str(tiny_model), **{f'publish_{name}': False})
    found = {topic for topic, _ in node.get_publisher_names_and_types_by_node(
        node.get_name(), node.get_namespace())}
    prefix = f'{ros_graph.namespace}/pose_estimator/'
    shown = {topic.removeprefix(prefix) for topic in found}
    assert not shown & set(topics)
    assert {*TYPES, '/tf'} - set(topics) <= shown


def test_objects_and_min_score_filter_while_running(
        ros_graph, make_camera_client, ask, tiny_model, camera_pose):
    from rclpy.parameter import Parameter
    node = ros_graph.start_estimator(model=str(tiny_model), objects=['cube'],
                                     camera_pose=camera_pose)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    _, message = ask(camera, detections)
    assert [d.id for d in message.detections] == ['cube_0']
    assert node.set_parameters([Parameter('min_score', value=1.0)])[0].successful
    _, message = ask(camera, detections)
    assert list(message.detections) == []
