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

"""Bad input of every kind: the node says what is wrong, counts it, and takes the next frame."""
from array import array
import dataclasses
import threading
import time

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from dr_perception.core.transforms import look_at
from dr_perception.ros.conversions import stamp_from_ns, transform_stamped
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

POSE = [1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0]


def wait_for_error(graph, node, kind):
    """Return the record of the first error of a kind."""
    def errors():
        return node._statistics.snapshot().errors
    graph.until(lambda: kind in errors(), lambda: f'no error {kind}: {errors()}')
    return errors()[kind]


def break_step(image):
    image.step -= 1


def truncate(image):
    image.data = array('B', bytes(1000))


def change_encoding(image):
    image.encoding = 'yuv422_of_mars'


def empty(image):
    image.width = image.height = image.step = 0
    image.data = array('B')


@pytest.mark.parametrize('breakage, text', [
    (break_step, 'image step is 1919 bytes'), (truncate, 'truncated: 1000 bytes'),
    (change_encoding, 'yuv422_of_mars'), (empty, 'image is 0x0 px')])
def test_broken_image_then_good_one(ros_graph, make_camera_client, tiny_model, breakage, text):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    image = camera.image()
    breakage(image)
    camera.send_image(image)
    assert text in wait_for_error(ros_graph, node, 'image').text
    assert not detections.messages
    good = camera.send_image()
    assert detections.wait()[0].header == good.header


@pytest.mark.parametrize('changes, text', [
    ({'k': [0.0] * 9}, 'calibrat'), ({'k': [float('nan')] * 9}, 'NaN'),
    ({'width': 320, 'height': 240}, 'describes 320x240')])
def test_broken_camera_info_then_good_one(
        ros_graph, make_camera_client, tiny_model, changes, text):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client(is_info_sent=False)
    info = camera.info()
    for name, value in changes.items():
        setattr(info, name, value)
    camera.send_info(info)
    camera.send_image()
    assert text in wait_for_error(ros_graph, node, 'camera_info').text
    camera.send_info()
    good = camera.send_image()
    assert detections.wait()[0].header == good.header


def test_image_without_any_camera_info_is_explained(ros_graph, make_camera_client, tiny_model):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE)
    make_camera_client(is_info_sent=False).send_image()
    assert 'check the camera_info topic' in wait_for_error(ros_graph, node, 'camera_info').text


def test_old_image_is_dropped_with_a_hint(ros_graph, make_camera_client, tiny_model):
    # The old one is of 1970.
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE, max_image_age_s=30.0)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    camera.send_image()
    assert 'use_sim_time' in wait_for_error(ros_graph, node, 'stale_image').text
    fresh = camera.image()
    fresh.header.stamp = stamp_from_ns(time.time_ns())
    camera.send_image(fresh)
    assert detections.wait()[0].header == fresh.header


def test_bug_in_the_estimator_does_not_end_the_thread(
        ros_graph, make_camera_client, tiny_model, monkeypatch):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    estimate = node._estimator.estimate

    def fail_once(*args, **kwargs):
        node._estimator.estimate = estimate
        raise ZeroDivisionError('a bug')

    node._estimator.estimate = fail_once
    camera = make_camera_client()
    camera.send_image()
    assert wait_for_error(ros_graph, node, 'internal').text == 'a bug'
    camera.send_image()
    assert detections.wait()


def test_only_the_newest_waiting_frame_is_processed(
        ros_graph, make_camera_client, tiny_model):
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    estimate = node._estimator.estimate

    begun, go_on = threading.Event(), threading.Event()

    def slow(*args, **kwargs):
        begun.set()
        assert go_on.wait(60)
        return estimate(*args, **kwargs)

    node._estimator.estimate = slow
    camera = make_camera_client()
    first = camera.send_image()
    assert begun.wait(60)
    for received in range(2, 6):
        last = camera.send_image()
        ros_graph.until(lambda count=received: node._statistics.snapshot().received == count)
    go_on.set()
    messages = detections.wait(2)
    ros_graph.until(lambda: node._statistics.snapshot().processed == 2)
    assert [m.header.stamp.sec for m in messages] == [
        first.header.stamp.sec, last.header.stamp.sec]
    snapshot = node._statistics.snapshot()
    assert (snapshot.received, snapshot.dropped, snapshot.processed) == (5, 3, 2)


def test_compressed_images(ros_graph, tiny_model, scene):
    import cv2
    from dr_perception.ros.camera_conversion import info_from_camera
    from sensor_msgs.msg import CameraInfo
    from std_msgs.msg import Header
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE,
                              image_transport='compressed')
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    images = ros_graph.publisher(CompressedImage, 'image/compressed')
    infos = ros_graph.publisher(CameraInfo, 'camera_info')
    infos.publish(info_from_camera(Header(), scene.camera))
    time.sleep(0.2)
    data = cv2.imencode('.jpg', np.full((480, 640, 3), 128, np.uint8))[1].tobytes()
    images.publish(CompressedImage(format='jpeg', data=array('B', data)))
    assert detections.wait()[0].detections


def test_diagnostics_tell_state_model_and_errors(ros_graph, make_camera_client, tiny_model):
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE,
                                     hardware_id='cell_7')

    def values(message):
        return {item.key: item.value for item in message.status[0].values}

    quiet = statuses.wait_for(lambda m: 'no images on' in m.status[0].message)
    assert quiet.status[0].level == DiagnosticStatus.ERROR
    assert 'nobody publishes there' in quiet.status[0].message
    camera = make_camera_client(is_info_sent=False)
    camera.send_image()
    bad = statuses.wait_for(lambda m: 'no CameraInfo' in m.status[0].message)
    assert bad.status[0].level == DiagnosticStatus.ERROR
    assert values(bad)['errors camera_info'] == '1'
    camera.send_info()
    for processed in range(1, 5):
        camera.send_image()
        ros_graph.until(lambda count=processed: node._statistics.snapshot().processed >= count)
    good = statuses.wait_for(lambda m: values(m)['frames processed'] >= '3')
    assert good.status[0].hardware_id == 'cell_7'
    table = values(good)
    assert table['state'] == 'active' and table['model'].startswith('tiny (sha256 ')
    assert table['provider'] == 'CPUExecutionProvider'
    assert table['camera_info'] == '640x480 px'
    steps = ('transport', 'waiting', 'reading', 'preprocess', 'network', 'decode', 'pose', 'score',
             'result', 'publish')
    assert [key for key in table if key.endswith(' p95 [ms]')] == [
        f'{step} p95 [ms]' for step in ('latency', *steps)]
    medians_ms = [float(table[f'{step} p50 [ms]']) for step in steps]
    assert all(ms >= 0 for ms in medians_ms) and medians_ms[steps.index('network')] > 0


def test_transform_age_steps_and_what_training_did_not_cover(
        ros_graph, tiny_model, make_camera_client, monkeypatch):
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    node = ros_graph.start_estimator(model=str(tiny_model))
    camera = make_camera_client()

    def values(message):
        return {item.key: item.value for item in message.status[0].values}

    first = values(statuses.wait()[0])
    assert first['transform age [ms]'] == '' and first['out of range [%]'] == 'nothing found'
    transforms = ros_graph.publisher(TFMessage, '/tf')
    image, start_s = camera.image(), time.monotonic()
    image.header.stamp = stamp_from_ns(time.time_ns() - 300_000_000)
    transforms.publish(TFMessage(transforms=[transform_stamped(
        Header(stamp=image.header.stamp, frame_id='base_link'), image.header.frame_id,
        look_at((1.1, 0.0, 0.65), (0.5, 0.0, 0.0)))]))
    while node._transforms.newest_ns('base_link', image.header.frame_id) is None:
        assert time.monotonic() < start_s + 20
        time.sleep(0.005)
    estimate = node.estimator.estimate

    def flagged(*arguments, **named):
        found = estimate(*arguments, **named)
        assert len(found) == 2
        return [dataclasses.replace(found[0], out_of_range=('distance',)), found[1]]

    monkeypatch.setattr(node.estimator, 'estimate', flagged)
    camera.send_image(image)
    told = values(statuses.wait_for(lambda m: values(m)['frames processed'] == '1'))
    assert 300 <= float(told['transform age [ms]']) < 300 + 1e3 * (time.monotonic() - start_s)
    assert told['out of range [%]'] == '50'
    # Of a single picture the steps add up to the whole; its stamp is 0.3 s old when it is sent.
    steps_ms = {key[:-len(' p50 [ms]')]: float(value) for key, value in told.items()
                if key.endswith(' p50 [ms]')}
    whole_ms = steps_ms.pop('latency')
    assert 300 <= steps_ms['transport'] < whole_ms < 300 + 1e3 * (time.monotonic() - start_s)
    # What a loaded machine does between two steps belongs to none.
    assert sum(steps_ms.values()) == pytest.approx(whole_ms, abs=1.0 + 0.5 * (whole_ms - 300))
