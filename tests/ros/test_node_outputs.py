"""What the node publishes, on a real graph with a real model file."""
import time

from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

from dr_perception.core.transforms import (invert_transform, make_transform,
                                           quat_xyzw_from_rotation, rotation_about)
from dr_perception.ros.conversions import pose_to_matrix, transform_stamped

SCENE_NAMES = ['cube', 'rectangular_prism']


def camera_pose_parameter(scene):
    """Return T_base_camera as the node's parameter takes it."""
    T = scene.T_base_camera
    return [float(value) for value in (*T[:3, 3], *quat_xyzw_from_rotation(T[:3, :3]))]


def check_poses(message, scene, catalogue, T_frame_base, position_m=1e-3, rotation_rad=0.02):
    """Check that a Detection3DArray holds the scene."""
    assert sorted(d.results[0].hypothesis.class_id for d in message.detections) == SCENE_NAMES
    for detection in message.detections:
        name = detection.results[0].hypothesis.class_id
        symmetry = catalogue[name].symmetry
        T_truth = T_frame_base @ scene.T_base_objects[name]
        T_found = pose_to_matrix(detection.results[0].pose.pose)
        assert symmetry.position_error_m(T_found, T_truth) < position_m
        assert symmetry.rotation_error_rad(T_found[:3, :3], T_truth[:3, :3]) < rotation_rad


def test_known_pose_becomes_known_pixel_becomes_published_pose(
        ros_graph, make_camera_client, tiny_model, scene, catalogue):
    # By hand: the camera stands at (1.10, 0, 0.65) and looks at (0.5, 0, 0), so its forward axis
    # is (-0.6, 0, -0.65) / 0.884590, its right axis (0, 1, 0). The cube's centre, seen from it, is
    # (-0.65, -0.12, -0.625): right -0.12, forward (0.39 + 0.40625) / 0.884590 = 0.900135.
    forward_m = (0.65 * 0.6 + 0.625 * 0.65) / np.hypot(0.6, 0.65)
    pixel = scene.camera.project(scene.T_camera_object('cube')[:3, 3])[0]
    assert pixel[0] == pytest.approx(319.5 - 0.12 / forward_m * 615.0, abs=1e-6)

    ros_graph.start_estimator(model=str(tiny_model), target_frame='base_link',
                              camera_pose=camera_pose_parameter(scene))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    camera.send_image()
    message = detections.wait()[0]
    check_poses(message, scene, catalogue, np.eye(4))
    cube = next(d for d in message.detections if d.id == 'cube_0')
    position = cube.results[0].pose.pose.position
    assert [position.x, position.y, position.z] == pytest.approx([0.45, -0.12, 0.025], abs=1e-3)
    assert 0.0 < cube.results[0].hypothesis.score <= 1.0


def test_headers_and_contents_of_all_outputs(
        ros_graph, make_camera_client, tiny_model, scene, catalogue):
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose_parameter(scene))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    poses = ros_graph.listen(PoseArray, 'pose_estimator/poses')
    cube = ros_graph.listen(PoseWithCovarianceStamped, 'pose_estimator/cube/pose')
    transforms = ros_graph.listen(TFMessage, '/tf')
    pictures = ros_graph.listen(Image, 'pose_estimator/debug_image')
    camera = make_camera_client()
    deadline_s = time.monotonic() + 20
    while not (poses.messages and cube.messages and transforms.messages and pictures.messages
               and detections.messages):
        sent = camera.send_image()
        time.sleep(0.2)
        assert time.monotonic() < deadline_s
    message = detections.wait_for(lambda m: m.header.stamp.sec <= sent.header.stamp.sec)
    check_poses(message, scene, catalogue, invert_transform(scene.T_base_camera))
    for detection in message.detections:
        assert detection.header == message.header
        covariance = np.reshape(detection.results[0].pose.covariance, (6, 6))
        assert np.allclose(covariance, covariance.T) and np.linalg.eigvalsh(covariance).min() > 0
        size = detection.bbox.size
        extents_m = catalogue[detection.results[0].hypothesis.class_id].extents_m
        assert [size.x, size.y, size.z] == pytest.approx(extents_m)
    for header in (message.header, poses.messages[0].header, cube.messages[0].header,
                   pictures.messages[0].header, transforms.messages[0].transforms[0].header):
        assert header.frame_id == sent.header.frame_id
        assert header.stamp.nanosec == 5 and 100 <= header.stamp.sec <= sent.header.stamp.sec
    assert len(poses.messages[0].poses) == 2
    children = {t.child_frame_id for t in transforms.messages[0].transforms}
    assert children == {'cube_0', 'rectangular_prism_0'}
    drawn = np.frombuffer(pictures.messages[0].data, np.uint8)
    assert (drawn != 128).any() and (drawn == 128).mean() > 0.8


def test_nothing_found_publishes_an_empty_array(ros_graph, make_camera_client, tiny_model, scene):
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose_parameter(scene))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    poses = ros_graph.listen(PoseArray, 'pose_estimator/poses')
    transforms = ros_graph.listen(TFMessage, '/tf')
    camera = make_camera_client()
    sent = camera.send_image(level=0)
    assert list(detections.wait()[0].detections) == []
    assert detections.messages[0].header == sent.header
    assert list(poses.wait()[0].poses) == []
    assert not transforms.messages


def test_camera_pose_from_tf_at_the_stamp(
        ros_graph, make_camera_client, tiny_model, scene, catalogue):
    ros_graph.start_estimator(model=str(tiny_model), target_frame='world')
    static = ros_graph.publisher(TFMessage, '/tf_static', qos=QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    moving = ros_graph.publisher(TFMessage, '/tf')
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    T_world_base = make_transform(rotation_about('z', 1.2), (1.0, 2.0, 3.0))
    image = camera.image()
    static.publish(TFMessage(transforms=[
        transform_stamped(Header(frame_id='world'), 'base_link', T_world_base)]))
    moving.publish(TFMessage(transforms=[transform_stamped(
        Header(stamp=image.header.stamp, frame_id='/base_link'), 'camera_optical',
        scene.T_base_camera)]))
    time.sleep(0.2)
    camera.send_image(image)
    message = detections.wait()[0]
    assert message.header.frame_id == 'world' and message.header.stamp == image.header.stamp
    check_poses(message, scene, catalogue, T_world_base)


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
        ros_graph, make_camera_client, tiny_model, scene):
    node = ros_graph.start_estimator(model=str(tiny_model), target_frame='mars',
                                     camera_pose=camera_pose_parameter(scene))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    camera.send_image()
    deadline_s = time.monotonic() + 10
    while 'transform' not in node._statistics.snapshot().errors:
        assert time.monotonic() < deadline_s
        time.sleep(0.01)
    assert not detections.messages


def test_switched_off_outputs_have_no_topic(ros_graph, tiny_model):
    node = ros_graph.start_estimator(
        model=str(tiny_model), publish_poses=False, publish_object_poses=False, publish_tf=False,
        publish_debug_image=False)
    topics = {name for name, _ in node.get_publisher_names_and_types_by_node(
        node.get_name(), node.get_namespace())}
    prefix = f'{ros_graph.namespace}/pose_estimator/'
    assert f'{prefix}detections' in topics
    assert not {f'{prefix}poses', f'{prefix}cube/pose', f'{prefix}debug_image', '/tf'} & topics


def test_objects_and_min_score_filter_while_running(
        ros_graph, make_camera_client, tiny_model, scene):
    from rclpy.parameter import Parameter
    node = ros_graph.start_estimator(model=str(tiny_model), objects=['cube'],
                                     camera_pose=camera_pose_parameter(scene))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    camera.send_image()
    assert [d.id for d in detections.wait()[0].detections] == ['cube_0']
    assert node.set_parameters([Parameter('min_score', value=1.0)])[0].successful
    camera.send_image()
    assert list(detections.wait(2)[1].detections) == []
