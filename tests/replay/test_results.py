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

"""Poses from a recording are the estimator's own, whatever the file and the encoding."""
import csv

import cv2
from dr_perception import PoseEstimator
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.camera_info import camera_from_info
from dr_perception.core.transforms import (make_transform, quat_xyzw_from_rotation,
                                           rotate_covariance, rotation_about,
                                           rotation_from_quat_xyzw)
from dr_perception.replay.bag import Bag
from dr_perception.replay.records import CSV_COLUMNS
import numpy as np
import pytest


@pytest.fixture(scope='module')
def estimator(tiny_model):
    """Return the model, opened as a user of the library would."""
    return PoseEstimator.from_file(tiny_model, ['CPUExecutionProvider'], 1)


def assert_equal(records, detections, T_out_camera):
    """Assert that one picture's records are those detections, to 1e-6."""
    assert [r['object'] for r in records] == [d.object_name for d in detections]
    assert len(records) == 2
    for record, detection in zip(records, detections):
        T = T_out_camera @ detection.T_camera_object
        assert record['score'] == pytest.approx(detection.score, abs=1e-6)
        assert np.allclose(record['position_m'], T[:3, 3], atol=1e-6, rtol=0)
        assert np.allclose(rotation_from_quat_xyzw(record['quat_xyzw']), T[:3, :3], atol=1e-6)
        covariance = rotate_covariance(T_out_camera[:3, :3], detection.covariance)
        assert np.allclose(record['covariance'], covariance, atol=1e-6 * covariance.max(), rtol=0)


def _encoded(image_rgb, encoding):
    """Return what is recorded, and the RGB picture that it stands for."""
    if encoding == 'rgb8':
        return image_rgb, image_rgb
    if encoding == 'bgr8':
        return image_rgb[:, :, ::-1], image_rgb
    if encoding == 'mono8':
        return image_rgb[:, :, 0], np.repeat(image_rgb[:, :, :1], 3, axis=2)
    data = cv2.imencode(f'.{encoding}', image_rgb[:, :, ::-1])[1]
    return data, np.ascontiguousarray(cv2.imdecode(data, cv2.IMREAD_COLOR)[:, :, ::-1])


@pytest.mark.parametrize('storage', ['mcap', 'db3'])
@pytest.mark.parametrize('encoding', ['rgb8', 'bgr8', 'mono8', 'jpg', 'png'])
def test_poses_equal_the_estimator_on_the_same_picture(
        tmp_path, bag_writer, make_picture, replayed, records, estimator, camera, T_base_camera,
        storage, encoding):
    expected = []
    with bag_writer(tmp_path / 'bag', storage) as bag:
        bag.transform(0.0, T_base_camera)
        bag.info(0.0, camera)
        for number, red in enumerate((40, 200)):
            recorded, image_rgb = _encoded(make_picture(number, red), encoding)
            if encoding in ('jpg', 'png'):
                bag.compressed(0.1 * number, recorded)
            else:
                bag.image(0.1 * number, recorded, encoding)
            expected.append(estimator.estimate(image_rgb, camera, T_base_camera=T_base_camera))
    found = records(replayed(tmp_path / 'bag'))
    stamps = sorted({r['stamp_ns'] for r in found})
    assert stamps == [1_700_000_000_000_000_000, 1_700_000_000_100_000_000]
    assert expected[0][0].score > expected[1][0].score + 0.001  # the picture does matter
    for stamp_ns, detections in zip(stamps, expected):
        assert_equal([r for r in found if r['stamp_ns'] == stamp_ns], detections, T_base_camera)
    assert {r['frame'] for r in found} == {'base_link'}


def test_rows_with_padding(tmp_path, bag_writer, make_picture, replayed, records, estimator,
                           camera, T_base_camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.transform(0.0, T_base_camera)
        bag.info(0.0, camera)
        bag.image(0.1, make_picture(), padding=64)
    assert_equal(records(replayed(tmp_path / 'bag')), estimator.estimate(
        make_picture(), camera, T_base_camera=T_base_camera), T_base_camera)


def test_a_folder_with_packed_chunks_and_its_single_file_are_alike(
        tmp_path, bag_writer, make_picture, replayed, records, camera, T_base_camera):
    path = tmp_path / 'bag'
    with bag_writer(path, is_compressed=True) as bag:
        bag.transform(0.0, T_base_camera)
        bag.info(0.0, camera)
        bag.image(0.1, make_picture())
    folder, file = replayed(path, output='a'), replayed(path / 'bag.mcap', output='b')
    assert len(records(folder)) == 2
    assert records(folder) == records(file)


def test_tf_of_the_recording_and_camera_pose_agree(
        tmp_path, bag_writer, make_picture, replayed, records, camera, T_base_camera):
    T_base_mount = make_transform(rotation_about('z', 0.4), (0.2, -0.1, 0.5))
    T_mount_camera = np.linalg.inv(T_base_mount) @ T_base_camera
    with bag_writer(tmp_path / 'tf') as bag:
        bag.info(0.0, camera)
        bag.image(0.1, make_picture())
        # Recorded after the picture, as a static transform may be.
        bag.transform(0.5, T_base_mount, 'base_link', 'mount')
        bag.transform(0.5, T_mount_camera, 'mount', 'camera_optical')
    with bag_writer(tmp_path / 'plain') as bag:
        bag.info(0.0, camera)
        bag.image(0.1, make_picture())
    pose = [*T_base_camera[:3, 3], *quat_xyzw_from_rotation(T_base_camera[:3, :3])]
    by_tf = records(replayed(tmp_path / 'tf', output='a'))
    given = records(replayed(tmp_path / 'plain', '--camera-pose', *pose, output='b'))
    quoted = records(replayed(tmp_path / 'plain', '--camera-pose', ' '.join(map(str, pose)),
                              output='c'))
    assert len(given) == 2 and given == quoted
    for a, b in zip(by_tf, given):
        assert a['frame'] == b['frame'] == 'base_link'
        assert np.allclose(a['position_m'], b['position_m'], atol=1e-6)
        assert np.allclose(a['quat_xyzw'], b['quat_xyzw'], atol=1e-6)


def test_camera_pose_comes_before_tf(simple_bag, replayed, records, T_base_camera):
    pose = [*(T_base_camera[:3, 3] + [0.05, 0.0, 0.0]),
            *quat_xyzw_from_rotation(T_base_camera[:3, :3])]
    by_tf = records(replayed(simple_bag, output='a'))
    given = records(replayed(simple_bag, '--camera-pose', *pose, output='b'))
    shift_m = np.subtract(given[0]['position_m'], by_tf[0]['position_m'])
    assert np.allclose(shift_m, [0.05, 0.0, 0.0], atol=1e-3)


def test_moving_tf_is_interpolated_at_the_stamp(
        tmp_path, bag_writer, make_picture, replayed, records, estimator, camera, T_base_camera):
    def moved(x_m):
        return make_transform(np.eye(3), (x_m, 0.0, 0.0)) @ T_base_camera

    with bag_writer(tmp_path / 'bag') as bag:
        bag.info(0.0, camera)
        bag.transform(0.0, moved(0.0), topic='/tf')
        bag.image(0.025, make_picture())
        bag.transform(0.1, moved(0.1), topic='/tf')
    found = records(replayed(tmp_path / 'bag'))
    T = moved(0.025)
    assert_equal(found, estimator.estimate(make_picture(), camera, T_base_camera=T), T)


def test_a_window_far_into_the_recording_finds_its_transforms(
        tmp_path, bag_writer, make_picture, replayed, records, camera, T_base_camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.info(0.0, camera)
        for t_s in range(41):
            bag.transform(t_s, T_base_camera, topic='/tf')
            bag.transform(t_s + 0.5, T_base_camera, topic='/tf')
            if t_s % 20 == 0:
                bag.image(t_s + 0.2, make_picture())
    whole = records(replayed(tmp_path / 'bag', output='a'))
    assert {r['frame'] for r in whole} == {'base_link'} and len(whole) == 6
    late = records(replayed(tmp_path / 'bag', '--start', 40.1, output='b'))
    assert [r['position_m'] for r in late] == [r['position_m'] for r in whole[4:]]


def test_without_tf_poses_are_in_the_cameras_frame(
        tmp_path, bag_writer, make_picture, replayed, records, estimator, camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.info(0.0, camera)
        bag.image(0.1, make_picture())
    folder = replayed(tmp_path / 'bag')
    found = records(folder)
    assert {r['frame'] for r in found} == {'camera_optical'}
    assert_equal(found, estimator.estimate(make_picture(), camera), np.eye(4))
    report = (folder / 'report.md').read_text()
    assert "For all pictures the camera's pose in the base frame is not known (no transform " \
        "from 'camera_optical' to 'base_link'" in report
    assert 'Record TF, or give --camera-pose' in report


def test_rectified_takes_P_without_distortion(
        tmp_path, bag_writer, make_picture, replayed, records, estimator, T_base_camera):
    raw = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480, 'plumb_bob',
                        (-0.1, 0.01, 0.0, 0.0, 0.0))
    rectified = PinholeCamera(600.0, 600.0, 319.5, 239.5, 640, 480)
    with bag_writer(tmp_path / 'bag') as bag:
        bag.transform(0.0, T_base_camera)
        bag.info(0.0, raw, P=np.hstack([rectified.K, np.zeros((3, 1))]))
        bag.image(0.1, make_picture())
    for options, camera in (((), raw), (('--rectified',), rectified)):
        found = records(replayed(tmp_path / 'bag', *options, output=f'out{len(options)}'))
        assert_equal(found, estimator.estimate(
            make_picture(), camera, T_base_camera=T_base_camera), T_base_camera)


def test_camera_info_of_the_pictures_time(
        tmp_path, bag_writer, make_picture, replayed, records, camera, T_base_camera):
    half = camera.resized(320, 240)
    with bag_writer(tmp_path / 'bag') as bag:
        bag.transform(0.0, T_base_camera)
        bag.image(0.0, make_picture())
        bag.info(0.1, camera)  # later than the first picture, which has no other
        bag.image(0.2, make_picture()[::2, ::2])
        bag.info(0.2, half)  # recorded after its picture, with the same stamp
        bag.image(0.3, make_picture()[::2, ::2])
    folder = replayed(tmp_path / 'bag')
    assert len({r['stamp_ns'] for r in records(folder)}) == 3
    assert '3 pictures were used, 0 skipped' in (folder / 'report.md').read_text()


def test_csv_holds_the_same_as_jsonl(simple_bag, replayed, records):
    folder = replayed(simple_bag)
    with (folder / 'poses.csv').open(newline='', encoding='utf-8') as stream:
        rows = list(csv.DictReader(stream))
    found = records(folder)
    assert len(rows) == len(found) == 12
    assert tuple(rows[0]) == CSV_COLUMNS
    for row, record in zip(rows, found):
        assert int(row['stamp_ns']) == record['stamp_ns']
        assert (row['object'], row['instance'], row['frame'], row['out_of_range']) == (
            record['object'], record['instance'], record['frame'],
            '; '.join(record['out_of_range']))
        assert float(row['score']) == record['score']
        assert [float(row[n]) for n in ('x_m', 'y_m', 'z_m')] == record['position_m']
        assert [float(row[n]) for n in ('qx', 'qy', 'qz', 'qw')] == record['quat_xyzw']
        covariance = np.array([[float(row[f'covariance_{i}{j}']) for j in range(6)]
                               for i in range(6)])
        assert covariance.tolist() == record['covariance']
        assert np.allclose(covariance, covariance.T) and np.linalg.eigvalsh(covariance)[0] > 0
    assert {r['instance'] for r in found} == {'cube_0', 'rectangular_prism_0'}


@pytest.mark.parametrize('options, numbers', [
    ((), [0, 1, 2, 3, 4, 5]), (('--every', '2'), [0, 2, 4]),
    (('--start', '0.25'), [3, 4, 5]), (('--start', '0.15', '--duration', '0.2'), [2, 3]),
    (('--duration', '0.3', '--every', '2'), [0, 2])])
def test_a_part_of_the_pictures(simple_bag, replayed, records, options, numbers):
    found = records(replayed(simple_bag, *options))
    assert sorted({(r['stamp_ns'] - 1_700_000_000_000_000_000) // 10**8
                   for r in found}) == numbers
    assert {r['frame'] for r in found} == {'base_link'}  # of a static transform at the beginning


def test_min_score(simple_bag, replayed, records):
    scores = sorted(r['score'] for r in records(replayed(simple_bag, output='a')))
    limit = (scores[5] + scores[6]) / 2
    assert sorted(r['score'] for r in records(replayed(
        simple_bag, '--min-score', limit, output='b'))) == scores[6:]


def test_stamp_of_zero_is_replaced_by_the_time_of_recording(
        tmp_path, bag_writer, make_picture, replayed, records, camera):
    with bag_writer(tmp_path / 'bag') as bag:
        header = bag.header(0.0)
        header.stamp.sec = header.stamp.nanosec = 0
        bag.info(0.0, camera)
        bag.image(0.1, make_picture(), header=header)
    assert {r['stamp_ns'] for r in records(replayed(tmp_path / 'bag'))} == {
        1_700_000_000_102_000_000}


def test_a_recorded_camera_info_is_read_like_the_nodes(bag_writer, tmp_path, camera):
    writer = bag_writer(tmp_path / 'bag')
    with writer as bag:
        bag.info(0.0, camera)
    with Bag(tmp_path / 'bag') as bag:
        (_, raw), = bag.messages('/camera/camera_info')
        info = bag.decode(raw, 'sensor_msgs/msg/CameraInfo')
        assert camera_from_info(info, 640, 480) == camera
