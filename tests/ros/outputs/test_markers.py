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

"""`~/markers`: what is drawn, what is deleted, and what is not even made."""
from dr_perception.core.drawing import object_color
from dr_perception.core.transforms import (make_transform, rotation_about, rotation_from_rotvec,
                                           transform_points)
from dr_perception.ros.conversions import pose_to_matrix
from dr_perception.ros.publishers import markers as markers_module
from dr_perception.ros.publishers.marker_geometry import CHI2_3_90
from dr_perception.ros.publishers.markers import LIFETIME_S, marker_id
import numpy as np
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from vision_msgs.msg import Detection3DArray
from visualization_msgs.msg import Marker, MarkerArray

KINDS = ('mesh', 'ellipsoid', 'label')


def stretched_covariance(seed):
    """Return a (6, 6) covariance with three very different axes, turned."""
    R = rotation_from_rotvec(np.random.default_rng(seed).normal(size=3))
    covariance = np.diag([0.0] * 3 + [1e-3] * 3)
    covariance[:3, :3] = R @ np.diag(np.array([0.001, 0.004, 0.02]) ** 2) @ R.T
    return covariance


def placed(name, x_m, seed=0):
    """Return an object in front of the camera, as the fixture `show` takes it."""
    return (name, make_transform(rotation_about('x', 0.3 + seed), (x_m, 0.05, 0.8)),
            stretched_covariance(seed))


def by_name(message):
    """Return the drawn markers by namespace and id."""
    return {(m.ns, m.id): m for m in message.markers if m.action == Marker.ADD}


@pytest.fixture
def watched(ros_graph, make_camera_client, tiny_model, camera_pose, show):
    """Return a node that finds two cubes and a tetrahedron, its camera and two inboxes."""
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    show(node, placed('cube', -0.2), placed('cube', 0.2, 1), placed('tetrahedron', 0.0, 2))
    inboxes = [ros_graph.listen(kind, f'pose_estimator/{name}') for name, kind in (
        ('markers', MarkerArray), ('detections', Detection3DArray))]
    return (node, make_camera_client(), *inboxes)


def test_mesh_label_and_ellipsoid_of_every_instance(watched, ask, catalogue):
    _, camera, inbox, detections = watched
    _, message, array = ask(camera, inbox, detections)
    drawn = by_name(message)
    names = [detection.id for detection in array.detections]
    assert sorted(names) == ['cube_0', 'cube_1', 'tetrahedron_0']
    assert set(drawn) == {(kind, marker_id(name)) for kind in KINDS for name in names}
    for detection in array.detections:
        mesh, ellipsoid, label = (drawn[kind, marker_id(detection.id)] for kind in KINDS)
        pose = detection.results[0].pose
        model = catalogue[detection.results[0].hypothesis.class_id]
        assert (mesh.type, mesh.pose) == (Marker.TRIANGLE_LIST, pose.pose)
        corners_m = [[p.x, p.y, p.z] for p in mesh.points]
        # The model file keeps seven digits.
        assert np.array(corners_m) == pytest.approx(
            model.vertices_m[model.faces].reshape(-1, 3), abs=1e-7)
        assert (mesh.scale.x, mesh.scale.y, mesh.scale.z) == (1.0, 1.0, 1.0)
        # As the debug image draws it.
        color = np.array(object_color(detection.id.rstrip('0123456789'))) / 255.0
        assert [mesh.color.r, mesh.color.g, mesh.color.b] == pytest.approx(color, abs=1e-6)
        assert 0.0 < mesh.color.a < 1.0  # the ellipsoid is inside
        score = detection.results[0].hypothesis.score
        assert (label.type, label.text) == (
            Marker.TEXT_VIEW_FACING, f'{detection.id} {score:.2f}')
        assert label.pose.position.y < pose.pose.position.y - 0.02  # up, in an optical frame
        assert label.scale.z > 0.0 and label.color.a == ellipsoid.color.a == 1.0
        assert all(m.lifetime.sec == LIFETIME_S for m in (mesh, ellipsoid, label))


def test_ellipsoid_holds_ninety_percent_of_the_published_covariance(watched, ask):
    _, camera, inbox, detections = watched
    _, message, array = ask(camera, inbox, detections)
    for detection in array.detections:
        ellipsoid = by_name(message)['ellipsoid', marker_id(detection.id)]
        T = pose_to_matrix(ellipsoid.pose)
        half_m = np.array([ellipsoid.scale.x, ellipsoid.scale.y, ellipsoid.scale.z]) / 2
        pose = detection.results[0].pose
        covariance = np.reshape(pose.covariance, (6, 6))[:3, :3]
        assert ellipsoid.type == Marker.SPHERE
        assert T[:3, 3] == pytest.approx(pose_to_matrix(pose.pose)[:3, 3])
        assert T[:3, :3] @ np.diag(half_m ** 2) @ T[:3, :3].T == pytest.approx(
            CHI2_3_90 * covariance, rel=1e-6, abs=1e-12)
        assert sorted(half_m) == pytest.approx(
            np.sqrt(CHI2_3_90) * np.array([0.001, 0.004, 0.02]))


def test_in_a_target_frame_ellipsoid_and_label_turn_with_it(
        ros_graph, make_camera_client, tiny_model, camera_pose, scene, show, ask):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose,
                                     target_frame='base_link')
    found = placed('cube', 0.1)
    show(node, found)
    inbox = ros_graph.listen(MarkerArray, 'pose_estimator/markers')
    _, message = ask(make_camera_client(), inbox)
    mesh, ellipsoid, label = (by_name(message)[kind, marker_id('cube_0')] for kind in KINDS)
    T_base_cube = scene.T_base_camera @ found[1]
    assert pose_to_matrix(mesh.pose) == pytest.approx(T_base_cube, abs=1e-9)
    R = scene.T_base_camera[:3, :3]
    axes = pose_to_matrix(ellipsoid.pose)[:3, :3]
    half_m = np.array([ellipsoid.scale.x, ellipsoid.scale.y, ellipsoid.scale.z]) / 2
    assert axes @ np.diag(half_m ** 2) @ axes.T == pytest.approx(
        CHI2_3_90 * R @ found[2][:3, :3] @ R.T, rel=1e-6, abs=1e-12)
    assert label.pose.position.z > T_base_cube[2, 3] + 0.02
    assert (label.pose.position.x, label.pose.position.y) == pytest.approx(T_base_cube[:2, 3])


def test_what_vanished_is_deleted_by_name_and_what_stays_keeps_its_number(watched, ask, show):
    node, camera, inbox, detections = watched
    _, first, _ = ask(camera, inbox, detections)
    # Whatever an earlier process left in the viewer goes first.
    assert [m.action for m in inbox.messages[0].markers[:2]] == [Marker.DELETEALL, Marker.ADD]
    show(node, placed('cube', 0.21, 1))
    _, second, _ = ask(camera, inbox, detections)
    assert set(by_name(second)) == {(kind, marker_id('cube_1')) for kind in KINDS}
    assert by_name(second).keys() < by_name(first).keys()
    deleted = {(m.ns, m.id) for m in second.markers if m.action == Marker.DELETE}
    assert deleted == by_name(first).keys() - by_name(second).keys()
    show(node)
    ask(camera, detections)
    third = inbox.wait_for(lambda m: len(m.markers) == 3)
    assert {(m.action, m.ns, m.id) for m in third.markers} == {
        (Marker.DELETE, kind, marker_id('cube_1')) for kind in KINDS}
    count = len(inbox.messages)
    ask(camera, detections)
    assert list(inbox.wait(count + 1)[-1].markers) == []  # deleted once


@pytest.mark.parametrize('end', ['deactivate', 'shutdown'])
def test_everything_is_deleted_when_the_node_stops(watched, ask, end):
    node, camera, inbox, detections = watched
    ask(camera, inbox, detections)
    assert getattr(node, f'trigger_{end}')() == TransitionCallbackReturn.SUCCESS
    last = inbox.wait_for(lambda m: [x.action for x in m.markers] == [Marker.DELETEALL])
    assert inbox.messages[-1] == last
    if end == 'deactivate':  # and drawn again when it goes on
        assert node.trigger_activate() == TransitionCallbackReturn.SUCCESS
        _, message, _ = ask(camera, inbox, detections)
        assert len(by_name(message)) == 9


def test_nothing_is_made_while_nobody_looks(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask, monkeypatch):
    made = []
    for name in ('Marker', 'limit_triangles', 'ellipsoid_90'):
        original = getattr(markers_module, name)

        class Counted:
            ADD, DELETE, DELETEALL = Marker.ADD, Marker.DELETE, Marker.DELETEALL
            TRIANGLE_LIST, SPHERE = Marker.TRIANGLE_LIST, Marker.SPHERE
            TEXT_VIEW_FACING = Marker.TEXT_VIEW_FACING

            def __new__(cls, *args, original=original, name=name, **kwargs):
                made.append(name)
                return original(*args, **kwargs)
        monkeypatch.setattr(markers_module, name, Counted)
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    ask(camera, detections)
    ask(camera, detections)
    assert made == []
    inbox = ros_graph.listen(MarkerArray, 'pose_estimator/markers')
    ask(camera, inbox)
    assert set(made) == {'Marker', 'limit_triangles', 'ellipsoid_90'}
    ask(camera, inbox)
    assert made.count('limit_triangles') == 2  # two kinds, once each: meshes are kept


def test_a_viewer_that_comes_back_begins_with_a_clean_table(
        ros_graph, watched, ask, until):
    node, camera, inbox, detections = watched
    ask(camera, inbox, detections)
    for subscription in list(ros_graph.client.subscriptions):
        if subscription.topic_name.endswith('/markers'):
            ros_graph.client.destroy_subscription(subscription)
    publisher, = (p for p in node.publishers if p.topic_name.endswith('/markers'))
    # The graph forgets a reader before its writers do: the writer's own count decides.
    until(lambda: publisher.get_subscription_count() == 0)
    # Detections come before markers: those of the second image say that the first is done with.
    ask(camera, detections)
    ask(camera, detections)
    later = ros_graph.listen(MarkerArray, 'pose_estimator/markers')
    ask(camera, later)
    assert later.messages[0].markers[0].action == Marker.DELETEALL


def test_numbers_are_valid_and_differ(catalogue):
    names = [f'{name}_{number}' for name in catalogue for number in range(50)]
    ids = [marker_id(name) for name in names]
    assert len(set(ids)) == len(ids) and 0 <= min(ids) and max(ids) < 2 ** 31
    assert marker_id('cube_0') == 1247409308  # also in the next process


def test_the_label_stands_above_the_mesh(watched, ask, catalogue):
    _, camera, inbox, detections = watched
    _, message, array = ask(camera, inbox, detections)
    for detection in array.detections:
        model = catalogue[detection.results[0].hypothesis.class_id]
        top_m = transform_points(pose_to_matrix(detection.results[0].pose.pose),
                                 model.vertices_m)[:, 1].min()
        label = by_name(message)['label', marker_id(detection.id)]
        assert label.pose.position.y < top_m
