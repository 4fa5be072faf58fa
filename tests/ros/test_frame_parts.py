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

"""The parts between the messages: worker, statistics, names, scoring, drawing, diagnostics."""
import dataclasses
import threading
import time

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.drawing import draw_object, feature_edges
from dr_perception.core.instance_names import InstanceNamer
from dr_perception.core.transforms import make_transform, rotation_about
from dr_perception.ros.demo.scene_painter import ScenePainter, visible_part
from dr_perception.ros.demo.scoring import format_table, PosedObject, Scoreboard
from dr_perception.ros.diagnostics import diagnose, NodeHealth
from dr_perception.ros.frame_statistics import FrameStatistics
from dr_perception.ros.frame_worker import FrameWorker
import numpy as np
import pytest


def test_worker_takes_the_newest_and_outlives_exceptions():
    handled, errors, release = [], [], threading.Event()

    def handle(item):
        handled.append(item)
        release.wait(5.0)
        if item == 'first':
            raise ValueError(item)

    worker = FrameWorker(handle, errors.append)
    worker.start()
    assert not worker.put('first')
    while not handled:
        time.sleep(0.001)
    assert [worker.put(item) for item in ('second', 'third', 'fourth')] == [False, True, True]
    release.set()
    while len(handled) < 2:
        time.sleep(0.001)
    assert worker.stop()
    assert handled == ['first', 'fourth'] and str(errors[0]) == 'first'


def test_repeated_errors_are_counted_but_logged_once(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now_s[0])
    statistics = FrameStatistics()
    assert statistics.count_error('image', 'broken') == 'image: broken'
    assert [statistics.count_error('image', 'broken') for _ in range(3)] == [''] * 3
    assert statistics.count_error('transform', 'gone') == 'transform: gone'
    now_s[0] += 6.0
    assert statistics.count_error('image', 'again') == 'image: again (3 more like this before)'
    assert statistics.snapshot().errors['image'].count == 5


def test_rate_and_latency(monkeypatch):
    now_s = [100.0]
    monkeypatch.setattr(time, 'monotonic', lambda: now_s[0])
    statistics = FrameStatistics()
    assert np.isnan(statistics.snapshot().latency_p50_ms)
    assert np.isnan(statistics.snapshot().out_of_range_share)
    for number in range(11):
        statistics.count_processed(float(number), {'network': 2.0 * number, 'publish': 1.0},
                                   [number > 0, True])
        now_s[0] += 0.1
    snapshot = statistics.snapshot()
    assert snapshot.rate_hz == pytest.approx(10.0)
    assert (snapshot.latency_p50_ms, snapshot.latency_p95_ms) == (5.0, 9.5)
    assert snapshot.result_age_s == pytest.approx(0.1)
    assert snapshot.out_of_range_share == pytest.approx(1 / 22)
    assert snapshot.timing_ms == {'network': (10.0, 19.0), 'publish': (1.0, 1.0)}
    statistics.count_processed(None, {'waiting': 5.0})     # a stamp of zero: no latency
    assert statistics.snapshot().timing_ms['waiting'] == (5.0, 5.0)
    assert statistics.snapshot().latency_p50_ms == 5.0


def places(*values):
    """Return positions along x."""
    return [np.array([x_m, 0.0, 0.0]) for x_m in values]


def test_names_stay_with_their_objects():
    namer = InstanceNamer()
    a, b = places(0.0, 0.3)
    assert namer.assign([('cube', a), ('cube', b), ('cone', a)], 1.0) == [
        'cube_0', 'cube_1', 'cone_0']
    assert namer.assign([('cube', b + 0.01), ('cube', a + 0.01)], 1.1) == ['cube_1', 'cube_0']
    assert namer.assign([('cube', b)], 1.2) == ['cube_1']
    # Long gone, or moved far: a lone object begins at 0 again.
    assert namer.assign([('cube', b)], 9.0) == ['cube_0']
    assert namer.assign([('cube', a)], 9.1) == ['cube_0']


def posed(name, x_m, weight, angle_rad=0.0):
    """Return an object at (x, 0, 1) in the camera's frame."""
    return PosedObject(name, make_transform(
        rotation_about('z', angle_rad), [x_m, 0.0, 1.0]), weight)


def test_scoreboard_by_hand(catalogue):
    board = Scoreboard(tuple(catalogue.values()))
    board.add_frame(
        [posed('cube', 0.0, 1.0), posed('cube', 0.2, 1.0), posed('cone', 0.4, 0.05),
         posed('teapot', 0.5, 1.0)],
        [posed('cube', 0.003, 0.9, np.pi / 2 + 0.1), posed('cube', 0.005, 0.8),
         posed('cone', 0.4, 0.7), posed('cone', 0.6, 0.6)])
    report = board.report()
    cube = report['objects']['cube']
    # The second cube detection stands where the first one is: the other cube stays unfound.
    assert (cube['shown'], cube['found'], cube['false_positives']) == (2, 1, 1)
    assert cube['position_error_mean_mm'] == pytest.approx(3.0)
    assert cube['rotation_error_median_deg'] == pytest.approx(np.rad2deg(0.1))
    # Hardly visible: neither asked for nor held against; the one beside it is false.
    cone = report['objects']['cone']
    assert (cone['shown'], cone['found'], cone['false_positives']) == (0, 0, 1)
    assert 'teapot' not in report['objects']
    assert report['all']['shown'] == 2
    assert '1 of 2' in format_table(report)


def test_feature_edges_of_a_box_and_a_cylinder(catalogue):
    def edges(name):
        return feature_edges(catalogue[name].vertices_m, catalogue[name].faces)
    assert len(edges('cube')) == 12  # not the diagonals of its faces
    assert len(edges('tetrahedron')) == 6
    rim = edges('cylinder')
    heights_m = catalogue['cylinder'].vertices_m[rim][:, :, 2]
    assert np.allclose(heights_m[:, 0], heights_m[:, 1])  # the two rims, no line down the side
    assert feature_edges(np.zeros((0, 3)), np.zeros((0, 3))).shape == (0, 2)


@pytest.mark.parametrize('z_m', [0.5, 0.02, -1.0])
def test_drawing_ahead_of_across_and_behind_the_camera(catalogue, z_m):
    camera = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)
    picture = np.zeros((480, 640, 3), np.uint8)
    cube = catalogue['cube']
    draw_object(picture, camera, cube.vertices_m, feature_edges(cube.vertices_m, cube.faces),
                make_transform(np.eye(3), [0.0, 0.0, z_m]), 'cube_0 0.97')
    assert picture.any() == (z_m > 0)
    if z_m == 0.5:
        # The front face's right edge by hand: 319.5 + 0.025 / 0.475 * 615 = 351.9.
        assert picture[239, 350:355].any()


def test_visible_part_of_a_cube_seen_from_the_front(catalogue):
    camera = PinholeCamera(600.0, 600.0, 319.5, 239.5, 640, 480)
    cube = catalogue['cube'].vertices_m
    T = make_transform(np.eye(3), [0.0, 0.0, 0.625])
    whole_px = int((0.05 / 0.6 * 600) ** 2)
    assert visible_part(camera, T, cube, whole_px) == pytest.approx(1.0, abs=0.01)
    assert visible_part(camera, T, cube, whole_px // 4) == pytest.approx(0.25, abs=0.01)


def test_painter_hands_its_error_to_the_node():
    def scenes():
        yield 'scene'
        raise RuntimeError('no more paint')

    painter = ScenePainter(scenes)
    assert painter.take(5.0) == 'scene'
    with pytest.raises(RuntimeError, match='no more paint'):
        painter.take(5.0)
    assert painter.take() is None
    painter.close()


def health(**changes):
    """Return the health of an active node without images."""
    base = NodeHealth('active', 10.0, '', '/image', '/camera_info', 1, '', 0, '', 'TF', '', 'CPU',
                      '', 'm', FrameStatistics().snapshot())
    return dataclasses.replace(base, **changes)


@pytest.mark.parametrize('changes, level, text', [
    ({'transition_error': 'not configured: no model', 'state': 'unconfigured'}, b'\x02',
     'not configured: no model'),
    ({'state': 'inactive'}, b'\x00', 'inactive'),
    ({'qos_problem': 'bad QoS'}, b'\x02', 'bad QoS'),
    ({}, b'\x02', 'no images on /image .1 publishers'),
    ({'active_s': 0.5, 'lost_images': 3}, b'\x01', '3 images were lost in transport, 0 arrived'),
    ({'active_s': 0.5}, b'\x00', '0.0 frames/s'),
    ({'active_s': 0.5, 'provider_problem': 'runs on CPU'}, b'\x01', 'runs on CPU')])
def test_diagnosis(changes, level, text):
    import re
    found, message = diagnose(health(**changes))
    assert found == level and re.search(text, message)
