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

"""Poses, covariances and boxes on the topics against the estimator itself, on one picture."""
from dr_perception import PoseEstimator
from dr_perception.core.transforms import (make_transform, quat_xyzw_from_rotation, rotation_about,
                                           transform_points)
from dr_perception.ros.conversions import pose_to_matrix, transform_stamped
from dr_perception.ros.image_conversion import image_from_rgb
from geometry_msgs.msg import PoseArray, PoseWithCovarianceStamped
import numpy as np
import pytest
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray


@pytest.fixture(scope='module')
def picture(repository_root):
    """Return a drawn picture with several kinds of objects, and where its camera stood."""
    from sim_trainer.configuration.schema import load_config
    from sim_trainer.evaluation.heldout import simulated_pictures
    config = load_config(repository_root / 'config' / 'tabletop.yaml', [
        'seed=71', 'randomization.objects.count=8', 'randomization.objects.tumbled=0',
        'randomization.objects.dropped=0', 'randomization.objects.crowded=0',
        'randomization.distractors.count=0'])
    return next(iter(simulated_pictures(config, 1, first=4)))


@pytest.fixture(scope='module')
def shipped_model(repository_root):
    """Return the path of the shipped model."""
    return repository_root / 'models' / 'tabletop.onnx'


@pytest.fixture(scope='module')
def expected(picture, shipped_model):
    """Return what the estimator says of the picture, best score first."""
    estimator = PoseEstimator.from_file(shipped_model, ['CPUExecutionProvider'], 1)
    found = estimator.estimate(picture.image_rgb, picture.camera, picture.T_base_camera)
    assert len({d.object_name for d in found}) >= 4
    return sorted(found, key=lambda d: -d.score), {m.name: m for m in estimator.contract.objects}


@pytest.fixture
def photograph(ros_graph, start_node, ask, picture, shipped_model):
    """Return a function: the answers to the picture from a node with the shipped model."""
    def take(make_camera, *topics, **parameters):
        T = picture.T_base_camera
        seven = [float(v) for v in (*T[:3, 3], *quat_xyzw_from_rotation(T[:3, :3]))]
        start_node(model=shipped_model, camera_pose=seven, **parameters)
        inboxes = [ros_graph.listen(kind, f'pose_estimator/{name}') for name, kind in topics]
        camera = make_camera(is_info_sent=False)
        camera.camera = picture.camera
        camera.send_info()
        return ask(camera, *inboxes, make_image=lambda: image_from_rgb(
            camera.header(), picture.image_rgb))[1:]
    return take


def test_topics_equal_the_estimator_on_the_same_picture(
        make_camera_client, photograph, expected):
    wanted, objects = expected
    message, poses = photograph(make_camera_client, ('detections', Detection3DArray),
                                ('poses', PoseArray))
    assert len(message.detections) == len(poses.poses) == len(wanted)
    for detection, pose, truth in zip(message.detections, poses.poses, wanted):
        assert detection.results[0].hypothesis.class_id == truth.object_name
        assert detection.results[0].hypothesis.score == pytest.approx(truth.score, abs=1e-6)
        for T in (pose_to_matrix(detection.results[0].pose.pose), pose_to_matrix(pose)):
            assert np.abs(T - truth.T_camera_object).max() < 1e-6
        covariance = np.reshape(detection.results[0].pose.covariance, (6, 6))
        assert np.allclose(covariance, truth.covariance, rtol=1e-6, atol=1e-15)


def test_detections_are_filled_as_vision_msgs_says(make_camera_client, photograph, expected):
    """Its comments: one entry a class in results, a box about its centre, an id that lasts."""
    wanted, objects = expected
    (message,) = photograph(make_camera_client, ('detections', Detection3DArray))
    ids = [detection.id for detection in message.detections]
    assert len(set(ids)) == len(ids)
    shifts_m = []
    for detection in message.detections:
        assert len(detection.results) == 1 and detection.header == message.header
        hypothesis = detection.results[0].hypothesis
        assert detection.id.rpartition('_')[0] == hypothesis.class_id
        assert 0.0 < hypothesis.score <= 1.0
        # The box holds the mesh exactly, seen from the box's own centre and axes.
        T_frame_object = pose_to_matrix(detection.results[0].pose.pose)
        T_frame_box = pose_to_matrix(detection.bbox.center)
        corners_m = transform_points(np.linalg.inv(T_frame_box) @ T_frame_object,
                                     objects[hypothesis.class_id].vertices_m)
        size = detection.bbox.size
        half_m = np.array([size.x, size.y, size.z]) / 2
        assert corners_m.max(0) == pytest.approx(half_m, abs=1e-9)
        assert corners_m.min(0) == pytest.approx(-half_m, abs=1e-9)
        shifts_m.append(np.linalg.norm(T_frame_box[:3, 3] - T_frame_object[:3, 3]))
    assert max(shifts_m) > 1e-3  # else the centre could not be told from the origin


def test_covariance_is_symmetric_and_turns_into_the_target_frame(
        ros_graph, make_camera_client, photograph, expected, picture):
    T_world_base = make_transform(rotation_about('z', 1.2) @ rotation_about('x', 0.4),
                                  (1.0, 2.0, 3.0))
    static = ros_graph.client.create_publisher(TFMessage, '/tf_static', QoSProfile(
        depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
    static.publish(TFMessage(transforms=[
        transform_stamped(Header(frame_id='world'), 'base_link', T_world_base)]))
    (message,) = photograph(make_camera_client, ('detections', Detection3DArray),
                            target_frame='world')
    assert message.header.frame_id == 'world'
    T_world_camera = T_world_base @ picture.T_base_camera
    R = T_world_camera[:3, :3]
    for detection, truth in zip(message.detections, expected[0]):
        pose = detection.results[0].pose
        assert np.abs(pose_to_matrix(pose.pose)
                      - T_world_camera @ truth.T_camera_object).max() < 1e-6
        covariance = np.reshape(pose.covariance, (6, 6))
        assert np.allclose(covariance, covariance.T, rtol=1e-12, atol=1e-18)
        assert np.linalg.eigvalsh(covariance).min() > 0
        # Order x, y, z, rotX, rotY, rotZ: each of the four blocks turns by itself.
        for rows in (slice(0, 3), slice(3, 6)):
            for columns in (slice(0, 3), slice(3, 6)):
                wanted = R @ truth.covariance[rows, columns] @ R.T
                assert np.allclose(covariance[rows, columns], wanted, rtol=1e-6,
                                   atol=1e-9 * np.abs(wanted).max())
    assert len(message.detections) == len(expected[0])


def test_the_pose_of_each_object_is_its_best_instance(
        ros_graph, make_camera_client, tiny_model, camera_pose, show, ask):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    covariance = np.diag([1e-6, 2e-6, 3e-6, 1e-3, 2e-3, 3e-3])
    show(node, *(('cube', make_transform(np.eye(3), (x_m, 0.0, 0.8)), covariance)
                 for x_m in (0.2, -0.2)))
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    poses = ros_graph.listen(PoseWithCovarianceStamped, 'pose_estimator/cube/pose')
    _, message, pose = ask(make_camera_client(), detections, poses)
    assert len(message.detections) == 2 and pose.header == message.header
    assert pose.pose == message.detections[0].results[0].pose
    assert pose.pose.pose.position.x == pytest.approx(0.2)
    assert np.diag(np.reshape(pose.pose.covariance, (6, 6))) == pytest.approx(
        np.diag(covariance))


def test_known_pose_becomes_known_pixel_becomes_published_pose(
        ros_graph, make_camera_client, ask, tiny_model, scene, camera_pose, check_poses):
    # By hand: the camera stands at (1.10, 0, 0.65) and looks at (0.5, 0, 0), so its forward axis
    # is (-0.6, 0, -0.65) / 0.884590, its right axis (0, 1, 0). The cube's centre, seen from it, is
    # (-0.65, -0.12, -0.625): right -0.12, forward (0.39 + 0.40625) / 0.884590 = 0.900135.
    forward_m = (0.65 * 0.6 + 0.625 * 0.65) / np.hypot(0.6, 0.65)
    pixel = scene.camera.project(scene.T_camera_object('cube')[:3, 3])[0]
    assert pixel[0] == pytest.approx(319.5 - 0.12 / forward_m * 615.0, abs=1e-6)

    ros_graph.start_estimator(model=str(tiny_model), target_frame='base_link',
                              camera_pose=camera_pose)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    _, message = ask(make_camera_client(), detections)
    check_poses(message, np.eye(4))
    cube = next(d for d in message.detections if d.id == 'cube_0')
    position = cube.results[0].pose.pose.position
    assert [position.x, position.y, position.z] == pytest.approx([0.45, -0.12, 0.025], abs=1e-3)
    assert 0.0 < cube.results[0].hypothesis.score <= 1.0
