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

"""Tracking in the node: what is published of several pictures, on a real graph."""
import time

from builtin_interfaces.msg import Time
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           quat_xyzw_from_rotation, rotation_about)
from dr_perception.ros import parameters
from dr_perception.ros.conversions import (pose_to_matrix, stamp_from_ns, stamp_to_ns,
                                           transform_stamped)
from geometry_msgs.msg import PoseArray
import numpy as np
import pytest
from rclpy.parameter import Parameter
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

COVARIANCE = np.diag([0.002, 0.002, 0.004, 0.03, 0.03, 0.03]) ** 2
START_NS = 100_000_000_000
PERIOD_NS = 50_000_000


def seven(T):
    """Return a pose as the parameter camera_pose takes it."""
    return [float(v) for v in (*T[:3, 3], *quat_xyzw_from_rotation(T[:3, :3]))]


def on_table(x_m, y_m=0.0, yaw_rad=0.0):
    """Return the pose of a cube on the table."""
    return make_transform(rotation_about('z', yaw_rad), [x_m, y_m, 0.025])


class Film:
    """A node, and pictures that are sent one by one; each waits for its answer."""

    def __init__(self, graph, make_camera_client, node, monkeypatch):
        """Listen, then find the node's topics."""
        self.node, self.found, self.seen = node, None, []
        self.detections = graph.listen(Detection3DArray, 'pose_estimator/detections')
        self.poses = graph.listen(PoseArray, 'pose_estimator/poses')
        self.client = make_camera_client()
        self.stamp_ns, self.camera_frame = START_NS, 'camera_optical'
        estimate = node._estimator.estimate
        self.T_base_camera = None

        def answer(image_rgb, camera, T_base_camera=None):
            self.T_base_camera = T_base_camera
            if self.found is None:
                return estimate(image_rgb, camera, T_base_camera=T_base_camera)
            return self.found
        monkeypatch.setattr(node._estimator, 'estimate', answer)

    def show(self, *found, after_ns=PERIOD_NS, stamp_ns=None):
        """Let the node find what is given; returns id -> (T, score, covariance) of the answer."""
        self.stamp_ns = self.stamp_ns + after_ns if stamp_ns is None else stamp_ns
        self.found = list(found)
        return self.send()

    def send(self):
        """Send a picture with the stamp, whatever is found in it."""
        image = self.client.image()
        image.header.frame_id = self.camera_frame
        image.header.stamp = stamp_from_ns(self.stamp_ns)
        count = len(self.detections.messages)
        self.client.send_image(image)
        message = self.detections.wait(count + 1)[-1]
        assert message.header.stamp == image.header.stamp
        return {d.id: (pose_to_matrix(d.results[0].pose.pose), d.results[0].hypothesis.score,
                       np.reshape(d.results[0].pose.covariance, (6, 6)))
                for d in message.detections}

    def set(self, **values):  # noqa: A003
        """Change parameters while the node works."""
        for result in self.node.set_parameters(
                [Parameter(name, value=value) for name, value in values.items()]):
            assert result.successful, result.reason


@pytest.fixture
def start_film(ros_graph, make_camera_client, tiny_model, scene, monkeypatch):
    """Return a function that starts a node with tracking and a Film of it."""
    def start(tracking='constant_pose', is_pose_known=True, **values):
        if is_pose_known:
            values['camera_pose'] = seven(scene.T_base_camera)
        node = ros_graph.start_estimator(
            model=str(tiny_model), tracking=tracking, image_reliability='reliable', **values)
        return Film(ros_graph, make_camera_client, node, monkeypatch)
    return start


@pytest.fixture
def cube(scene):
    """Return a function: the detection of a cube on the table by the reference camera."""
    def see(x_m, y_m=0.0, score=0.9, name='cube'):
        T = invert_transform(scene.T_base_camera) @ on_table(x_m, y_m)
        return Detection(name, score, T, COVARIANCE)
    return see


def test_what_a_real_model_finds_is_confirmed_and_published_where_it_is(
        start_film, scene, catalogue):
    film = start_film(tracking='constant_velocity', target_frame='base_link')
    answers = []
    for _ in range(4):
        film.stamp_ns += PERIOD_NS
        answers.append(film.send())
    assert [set(answer) for answer in answers] == [
        set(), set(), *[{'cube_0', 'rectangular_prism_0'}] * 2]
    for name, (T, score, covariance) in answers[-1].items():
        kind = name.rpartition('_')[0]
        symmetry, T_true = catalogue[kind].symmetry, scene.T_base_objects[kind]
        assert symmetry.position_error_m(T, T_true) < 1e-3
        assert symmetry.rotation_error_rad(T[:3, :3], T_true[:3, :3]) < 0.02
        assert np.linalg.eigvalsh(covariance).min() > 0
        assert 0 < score <= 1


def test_off_by_default_and_again_the_estimator_to_the_letter(start_film, cube):
    assert {s.name: s.default for s in parameters.SPECS}['tracking'] == 'off'
    film, truth = start_film(tracking='off'), cube(0.5)
    for tracking in ('off', 'constant_pose', 'off', 'constant_pose'):
        film.set(tracking=tracking)
        answers = [film.show(cube(0.5)) for _ in range(3)]
        if tracking == 'off':
            for answer in answers:
                T, score, covariance = answer['cube_0']
                assert np.abs(T - truth.T_camera_object).max() < 1e-6
                assert score == pytest.approx(0.9, abs=1e-6)
                assert np.allclose(covariance, COVARIANCE, rtol=1e-6, atol=1e-15)
        else:
            assert [list(answer) for answer in answers] == [[], [], ['cube_0']]


def test_names_follow_what_moves_farther_than_names_alone_could(start_film, cube):
    """Two cubes pass each other; the better score changes from picture to picture."""
    film, lanes = start_film(tracking='constant_velocity', track_position_noise=0.05), {}
    for step, x_m in enumerate(np.arange(-0.15, 0.15, 0.012)):
        better = step % 2
        shown = film.show(cube(0.5 + x_m, -0.03, 0.9 - 0.1 * better),
                          cube(0.5 - x_m, 0.03, 0.8 + 0.1 * better))
        for name, (T, _, _) in shown.items():
            # The camera looks along -x: its x axis is the base frame's y.
            assert lanes.setdefault(name, T[0, 3] > 0) == (T[0, 3] > 0)
    assert set(lanes) == {'cube_0', 'cube_1'}


def test_all_outputs_tell_the_same(ros_graph, start_film, cube):
    film = start_film(track_confirm_hits=1, target_frame='base_link')
    frames = ros_graph.listen(TFMessage, '/tf', 100)
    film.show(cube(0.5, score=0.8), cube(0.4))
    shown = film.show(cube(0.502, score=0.8), cube(0.402))
    assert list(shown) == ['cube_0', 'cube_1']      # best score first
    # Between the first picture and the second one.
    assert 0.4 < shown['cube_0'][0][0, 3] < 0.402 and 0.5 < shown['cube_1'][0][0, 3] < 0.502
    poses = film.poses.wait(2)[-1].poses
    assert [pose_to_matrix(p)[0, 3] for p in poses] == [T[0, 3] for T, _, _ in shown.values()]
    stamp = stamp_from_ns(film.stamp_ns)
    message = frames.wait_for(lambda m: any(
        t.header.stamp == stamp and t.child_frame_id.endswith('cube_1') for t in m.transforms))
    x_m = {t.child_frame_id[-6:]: t.transform.translation.x for t in message.transforms}
    assert x_m == {name: T[0, 3] for name, (T, _, _) in shown.items()}


def test_a_camera_that_moves_with_the_hand(ros_graph, start_film, scene):
    """TF at the image's stamp: the camera circles, the cubes rest in the base frame."""
    film = start_film(is_pose_known=False, target_frame='base_link', track_confirm_hits=2,
                      transform_timeout_s=1.0)
    arm = ros_graph.publisher(TFMessage, '/tf', qos=100)
    truth = {'cube_0': on_table(0.45, -0.1), 'cube_1': on_table(0.55, 0.1)}
    for number, angle_rad in enumerate(np.linspace(0, np.pi / 2, 12)):
        T_base_camera = look_at(
            [0.5 + 0.6 * np.cos(angle_rad), 0.6 * np.sin(angle_rad), 0.6], [0.5, 0, 0])
        stamp_ns = film.stamp_ns + PERIOD_NS
        arm.publish(TFMessage(transforms=[transform_stamped(
            Header(stamp=stamp_from_ns(stamp_ns), frame_id='base_link'), 'camera_optical',
            T_base_camera)]))
        shown = film.show(*(
            Detection('cube', 0.9 - 0.1 * n, invert_transform(T_base_camera) @ T, COVARIANCE)
            for n, T in enumerate(truth.values())))
        assert np.abs(film.T_base_camera - T_base_camera).max() < 1e-9
        assert set(shown) == (set(truth) if number else set())
        for name, (T, _, _) in shown.items():
            assert np.abs(T - truth[name]).max() < 1e-6
    assert 'tracking' not in film.node._statistics.snapshot().errors


def test_without_a_camera_pose_it_tracks_in_the_camera_frame_and_says_so(start_film, cube):
    film = start_film(is_pose_known=False)
    answers = [film.show(cube(0.5)) for _ in range(3)]
    assert [list(answer) for answer in answers] == [[], [], ['cube_0']]
    assert np.abs(answers[-1]['cube_0'][0] - cube(0.5).T_camera_object).max() < 1e-6
    text = film.node._statistics.snapshot().errors['tracking'].text
    assert "in the frame of the camera, 'camera_optical'" in text
    assert "its pose in 'base_link' is not known: a moving camera moves the objects" in text
    assert text.endswith('publish TF between the two, or set camera_pose')


def test_the_frame_of_another_camera_is_another_frame(start_film, cube):
    film = start_film(is_pose_known=False, track_confirm_hits=2)
    for frame in ('left_optical', 'right_optical'):
        film.camera_frame = frame
        assert [list(film.show(cube(0.5))) for _ in range(2)] == [[], ['cube_0']]


def test_the_covariance_of_a_still_scene_stays_that_of_a_network_that_errs_alike(
        start_film, cube):
    film = start_film(track_confirm_hits=1)
    for _ in range(20):
        _, _, covariance = film.show(cube(0.5))['cube_0']
    part = np.diag(covariance) / np.diag(COVARIANCE)
    assert part.min() > 0.9 and part.max() < 1.0


def test_a_camera_pose_that_is_missing_for_a_moment_costs_no_names(
        ros_graph, start_film, cube, scene):
    film = start_film(is_pose_known=False, transform_timeout_s=0.0, max_transform_age_s=0.1)
    arm = ros_graph.publisher(TFMessage, '/tf', qos=100)

    def see(is_known):
        stamp_ns = film.stamp_ns + PERIOD_NS * (1 if is_known else 10)
        if is_known:
            arm.publish(TFMessage(transforms=[transform_stamped(
                Header(stamp=stamp_from_ns(stamp_ns), frame_id='base_link'), 'camera_optical',
                scene.T_base_camera)]))
            time.sleep(0.2)      # it is on its way beside the picture
        shown = film.show(cube(0.5), stamp_ns=stamp_ns)
        assert (film.T_base_camera is not None) == is_known
        return list(shown)
    assert [see(True) for _ in range(4)][-1] == ['cube_0']
    assert see(False) == []      # the camera's own frame knows nothing yet
    assert see(True) == ['cube_0']


def test_a_prediction_bears_the_stamp_of_the_picture_that_showed_it(start_film, cube):
    film = start_film(track_confirm_hits=1, track_expiry_s=0.5)

    def stamps():
        message = film.detections.messages[-1]
        return {d.id: stamp_to_ns(d.header.stamp) - stamp_to_ns(message.header.stamp)
                for d in message.detections}
    film.show(cube(0.5), cube(0.6))
    assert stamps() == {'cube_0': 0, 'cube_1': 0}
    film.show(cube(0.5))
    assert stamps() == {'cube_0': 0, 'cube_1': -PERIOD_NS}
    film.show()
    assert stamps() == {'cube_0': -PERIOD_NS, 'cube_1': -2 * PERIOD_NS}
    film.show(cube(0.5), cube(0.6))
    assert stamps() == {'cube_0': 0, 'cube_1': 0}


def test_what_is_gone_fades_and_ends_in_empty_messages(start_film, cube):
    film = start_film(track_confirm_hits=1, track_expiry_s=0.2)
    for _ in range(3):
        film.show(cube(0.5, score=0.8))
    scores = [shown['cube_0'][1] if shown else None for shown in (film.show() for _ in range(5))]
    assert scores[:3] == [pytest.approx(0.8 * part) for part in (0.75, 0.5, 0.25)]
    assert scores[3:] == [None, None]
    assert len(film.poses.wait(8)[-1].poses) == 0


def test_min_score_and_objects_hold_for_tracked_ones_at_once(start_film, cube):
    film = start_film(track_confirm_hits=1, track_expiry_s=1.0)
    seen = (cube(0.5, score=0.8), cube(0.4, score=0.9, name='cone'))
    assert set(film.show(*seen)) == {'cube_0', 'cone_0'}
    film.set(objects=['cone'])
    assert set(film.show(*seen)) == {'cone_0'}
    film.set(objects=['cone', 'cube'], min_score=0.85)
    assert set(film.show(*seen)) == {'cone_0'}


def test_other_values_take_effect_at_once(start_film, cube):
    film = start_film(track_confirm_hits=100)
    for _ in range(3):
        assert film.show(cube(0.5)) == {}
    film.set(track_confirm_hits=3)
    assert list(film.show(cube(0.5))) == ['cube_0']
    film.set(track_position_noise=10.0, track_rotation_noise=10.0)
    x_m = film.show(cube(0.5))['cube_0'][0][1, 3]
    follows = film.show(cube(0.505))['cube_0'][0][1, 3]
    wanted = cube(0.505).T_camera_object[1, 3]
    assert follows == pytest.approx(wanted, abs=1e-5) and abs(follows - x_m) > 1e-3


def test_a_jump_of_the_clock_begins_anew(start_film, cube):
    film = start_film(track_confirm_hits=2)
    assert [list(film.show(cube(0.5))) for _ in range(3)][-1] == ['cube_0']
    assert film.show(cube(0.5), after_ns=-50_000_000_000) == {}
    assert list(film.show(cube(0.5))) == ['cube_0']
    # One picture that was overtaken on its way: as things were then, and nothing is lost.
    assert list(film.show(after_ns=-PERIOD_NS)) == ['cube_0']
    assert list(film.show(cube(0.5), after_ns=2 * PERIOD_NS)) == ['cube_0']


def test_a_camera_that_sets_no_stamps_is_tracked_by_the_nodes_time(start_film, cube):
    film = start_film()
    assert [list(film.show(cube(0.5), stamp_ns=0)) for _ in range(3)] == [[], [], ['cube_0']]
    assert film.detections.messages[-1].header.stamp == Time()


@pytest.mark.parametrize('name, value, text', [
    ('tracking', 'kalman',
     "tracking: got 'kalman'; expected one of off, constant_pose, constant_velocity"),
    ('track_confirm_hits', 0, 'track_confirm_hits'), ('track_expiry_s', -1.0, 'track_expiry_s'),
    ('track_position_noise', 0.0, 'track_position_noise'),
    ('track_rotation_noise', 1000.0, 'track_rotation_noise')])
def test_a_refused_value_says_why(ros_graph, tiny_model, name, value, text):
    node = ros_graph.start_estimator(model=str(tiny_model))
    result = node.set_parameters([Parameter(name, value=value)])[0]
    assert not result.successful and text in result.reason
