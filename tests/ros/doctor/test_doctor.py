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

"""The doctor on a real graph: good and bad cameras, TF, models, and what it prints."""
import json
import os
import re
import subprocess
import sys
import threading

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from dr_perception.core.compiled import library
from dr_perception.ros.doctor.command import main
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image

SECTIONS = ['Versions', 'Execution providers', 'Model', 'Image topics', 'CameraInfo', 'TF',
            'Time per stage', 'Running pose_estimator']
BEST_EFFORT = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
GRAPH_SECTIONS = ('Image topics', 'CameraInfo', 'TF')


def test_a_good_camera_is_ok_in_every_section(ros_graph, start_camera, diagnose):
    start_camera()
    diagnosis = diagnose()
    assert list(diagnosis.report['sections']) == SECTIONS
    for title in (*GRAPH_SECTIONS, 'Versions', 'Execution providers', 'Model'):
        assert diagnosis.findings(title)
        assert {level for level, *_ in diagnosis.findings(title)} == {'OK'}, title
    assert diagnosis.exit_code == 0
    camera = diagnosis.section('Image topics')['data']['cameras'][0]
    assert camera['image'] == f'{ros_graph.namespace}/image'
    assert camera['camera_info'] == f'{ros_graph.namespace}/camera_info'
    assert 1 < camera['image_rate_hz'] < 12
    row = next(row for row in diagnosis.section('Image topics')['tables'][0]
               if row['topic'] == camera['image'])
    assert row['publisher'] == f'{ros_graph.namespace}/client'
    assert (row['reliability'], row['durability']) == ('RELIABLE', 'VOLATILE')
    assert row['read by image_reliability best_effort / reliable'] == 'yes / yes'
    assert '640x480 px, rgb8' in diagnosis.section('CameraInfo')['facts'][camera['image']]
    assert diagnosis.section('TF')['tables'][0] == [
        {'frame': 'camera_optical', 'parent': 'base_link', 'transform': 'static'}]
    stages = diagnosis.section('Time per stage')['data']['p50_ms']
    assert stages['total'] >= stages['network'] > 0
    model = diagnosis.section('Model')['facts']
    assert re.fullmatch('[0-9a-f]{64}', model['sha256'])
    assert model['name'] == 'tiny' and 'cube' in model['objects']


def test_a_camera_that_is_not_calibrated_is_an_error(start_camera, diagnose):
    start_camera(k=[0.0] * 9)
    diagnosis = diagnose()
    text, remedy = diagnosis.only('CameraInfo', 'ERROR')
    assert 'focal lengths are 0, 0 px' in text
    assert 'camera_calibration' in remedy
    assert diagnosis.exit_code == 3
    assert diagnosis.report['summary']['ERROR'] == 1


@pytest.mark.parametrize('changes, text', [
    ({'k': [float('nan')] * 9}, 'NaN'),
    ({'width': 320, 'height': 240}, 'the image is 640x480 px but its CameraInfo describes 320x240')
])
def test_other_broken_camera_infos(start_camera, diagnose, changes, text):
    start_camera(**changes)
    found, remedy = diagnose().only('CameraInfo', 'ERROR')
    assert text in found and remedy


def test_incompatible_qos_names_both_sides(ros_graph, start_camera, diagnose, tiny_model):
    ros_graph.start_estimator(model=str(tiny_model), image_reliability='reliable')
    start_camera(image_qos=BEST_EFFORT)
    diagnosis = diagnose(image='')  # it is found as what the node reads
    text, remedy = diagnosis.only('Image topics', 'ERROR')
    topic = f'{ros_graph.namespace}/image'
    assert (f'{ros_graph.namespace}/pose_estimator does not hear {ros_graph.namespace}/client on '
            f'{topic}') in text
    assert 'RELIABILITY (offered BEST_EFFORT, requested RELIABLE)' in text
    assert 'image_reliability:=best_effort' in remedy
    row = next(row for row in diagnosis.section('Image topics')['tables'][0]
               if row['topic'] == topic)
    assert row['read by image_reliability best_effort / reliable'] == 'yes / no'
    # The node says the same of itself, and the doctor passes it on.
    status = diagnosis.section('Running pose_estimator')
    assert diagnosis.only('Running pose_estimator', 'ERROR')[0].endswith(
        'or here by image_reliability or the qos_overrides parameters')
    assert list(status['data'].values())[0]['values']['state'] == 'active'


def test_a_running_node_with_a_compatible_camera(ros_graph, start_camera, diagnose, tiny_model):
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    ros_graph.start_estimator(model=str(tiny_model))
    start_camera(image_qos=BEST_EFFORT)
    # On a loaded machine the first report may come before the first picture.
    name = f'{ros_graph.namespace.strip("/")}/pose_estimator: localization'
    statuses.wait_for(lambda message: any(
        status.name == name and status.level == DiagnosticStatus.OK
        and 'frames/s' in status.message for status in message.status))
    diagnosis = diagnose(image='', seconds='6')     # it reports once a second, if it gets to it
    assert not diagnosis.findings('Image topics', 'ERROR')
    assert diagnosis.section('Running pose_estimator')['facts']['nodes'] == (
        f'{ros_graph.namespace}/pose_estimator')
    text = diagnosis.only('Running pose_estimator', 'OK')[0]
    assert re.search(r'pose_estimator: localization: [\d.]+ frames/s', text)


def test_no_tf_says_which_frames_are_not_connected(start_camera, diagnose):
    start_camera(transform=None)
    diagnosis = diagnose()
    text, remedy = diagnosis.only('TF', 'WARN')
    assert "no transform from 'camera_optical' to 'base_link'" in text
    assert "publish TF from 'base_link' to 'camera_optical', or set camera_pose" in remedy
    assert diagnosis.exit_code == 0


def test_a_moving_camera_shows_the_age_of_its_transform(start_camera, diagnose):
    start_camera(transform='moving')
    diagnosis = diagnose()
    assert 'moving (camera_optical)' in diagnosis.only('TF', 'OK')[0]
    assert re.fullmatch(r'moving, newest -?[\d.]+ s old',
                        diagnosis.section('TF')['tables'][0][0]['transform'])


def test_another_base_frame_is_not_connected(start_camera, diagnose):
    start_camera()
    assert "to 'world'" in diagnose('--base-frame', 'world').only('TF', 'WARN')[0]


def test_a_camera_pose_parameter_needs_no_tf(ros_graph, start_camera, diagnose, tiny_model):
    ros_graph.start_estimator(model=str(tiny_model),
                              camera_pose=[1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0])
    start_camera(transform=None)
    diagnosis = diagnose(seconds='6')
    assert not diagnosis.findings('TF', 'WARN')
    assert 'has the parameter camera_pose' in diagnosis.only('TF', 'OK')[0]


def test_a_body_frame_in_place_of_the_optical_one(start_camera, diagnose, scene, monkeypatch):
    turned = scene.T_base_camera.copy()
    turned[:3, :3] = [[1, 0, 0], [0, -1, 0], [0, 0, 1.0]]
    turned[:3, :3] = turned[:3, :3] @ [[1, 0, 0], [0, -1, 0], [0, 0, 1.0]]  # z up: looks away
    monkeypatch.setitem(scene.__dict__, 'T_base_camera', turned)
    start_camera()
    text, remedy = diagnose().only('TF', 'WARN')
    assert 'does not look at the plane z = 0' in text and 'optical frame' in remedy


def test_old_stamps_are_an_error_of_the_clocks(start_camera, diagnose):
    start_camera(age_s=30.0)
    text, remedy = diagnose().only('CameraInfo', 'ERROR')
    assert re.search(r'the images are 30\.\d\d s old', text)
    assert 'synchronise the clocks' in remedy and 'use_sim_time:=true' in remedy


def test_a_picture_that_cannot_be_read(ros_graph, diagnose):
    publisher = ros_graph.client.create_publisher(Image, 'image', 2)
    timer = ros_graph.client.create_timer(0.1, lambda: publisher.publish(
        Image(width=4, height=4, encoding='yuv422_of_mars', step=4)))
    diagnosis = diagnose()
    timer.destroy()
    texts = [text for _, text, _ in diagnosis.findings('CameraInfo', 'ERROR')]
    assert any("encoding 'yuv422_of_mars' cannot be read" in text for text in texts)
    assert any(text.startswith('nobody publishes ') for text in texts)
    assert 'the stamps are zero' in diagnosis.only('CameraInfo', 'WARN')[0]


def test_a_wrong_image_topic_names_those_that_are_there(ros_graph, start_camera, diagnose):
    start_camera(topic='color/image_raw')
    text, remedy = diagnose(image='nowhere').only('Image topics', 'ERROR')
    assert text == f'nobody publishes {ros_graph.namespace}/nowhere'
    assert f'image:={ros_graph.namespace}/color/image_raw' in remedy


def test_a_topic_that_is_no_image(ros_graph, start_camera, diagnose):
    start_camera()
    text, remedy = diagnose(image='camera_info').only('Image topics', 'ERROR')
    assert 'is a sensor_msgs/msg/CameraInfo, no image' in text and 'sensor_msgs/Image' in remedy


def test_a_camera_info_topic_that_is_none(ros_graph, start_camera, diagnose):
    start_camera()
    diagnosis = diagnose('--camera-info', f'{ros_graph.namespace}/image')
    text, remedy = diagnosis.only('CameraInfo', 'ERROR')
    assert 'is a sensor_msgs/msg/Image, no CameraInfo' in text
    assert 'sensor_msgs/CameraInfo' in remedy


def test_a_publisher_that_sends_nothing(ros_graph, diagnose):
    ros_graph.client.create_publisher(Image, 'image', 2)
    text, remedy = diagnose(seconds='2').only('Image topics', 'ERROR')
    assert 'no image came on' in text and 'the driver streams' in remedy


def test_a_node_that_is_found_late_is_listened_to_as_long(ros_graph, make_ros_graph, diagnose):
    # A driver that sends a picture every second, found a second after everything else.
    late = []

    def start():
        late.append(make_ros_graph())
        publisher = late[0].client.create_publisher(Image, f'{ros_graph.namespace}/image', 2)
        late[0].client.create_timer(1.0, lambda: publisher.publish(Image()))
    timer = threading.Timer(1.0, start)
    timer.start()
    try:
        findings = diagnose(seconds='1.8').findings('Image topics', 'ERROR')
    finally:
        timer.join()
        late[0].close()
    assert not findings


def test_a_garbage_model_is_an_error_and_the_rest_goes_on(tmp_path, diagnose, start_camera):
    garbage = tmp_path / 'garbage.onnx'
    garbage.write_bytes(b'not a model')
    start_camera()
    diagnosis = diagnose(model=garbage)
    text, remedy = diagnosis.only('Model', 'ERROR')
    assert f'{garbage}: ONNX Runtime cannot open it' in text
    assert 'sim_trainer train' in remedy
    assert diagnosis.exit_code == 3
    assert 'no usable model' in diagnosis.section('Execution providers')['facts']['not checked']
    assert {level for level, *_ in diagnosis.findings('Image topics')} == {'OK'}


def test_a_provider_that_is_asked_for_and_not_there(diagnose):
    text, remedy = diagnose('--providers', 'MarsExecutionProvider,CPUExecutionProvider', image='',
                            seconds='1').only('Execution providers', 'ERROR')
    assert 'MarsExecutionProvider does not run the model' in text
    assert 'built without it' in text and 'onnxruntime' in remedy


def test_without_camera_and_node_it_says_so_and_exits_0(diagnose):
    diagnosis = diagnose(image='', seconds='1')
    text, remedy = diagnosis.only('Image topics', 'WARN')
    assert text == 'nobody publishes images here' and 'ROS_DOMAIN_ID' in remedy
    assert 'no camera' in diagnosis.section('CameraInfo')['facts']['not checked']
    assert 'no pose_estimator is running' in diagnosis.only('Running pose_estimator', 'OK')[0]
    assert diagnosis.exit_code == 0


def test_as_a_process_it_prints_markdown_with_the_summary_on_top(tiny_model, repository_root):
    done = subprocess.run(
        [sys.executable, '-m', 'dr_perception.ros.doctor', '--seconds', '1', '--image', '/nobody',
         '--model', str(tiny_model)], cwd=repository_root, capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 3, done.stderr
    lines = done.stdout.splitlines()
    assert lines[0] == '# dr_perception doctor'
    assert re.match(r'\*\*1 error, \d warnings?, \d+ OK\*\*', lines[2])
    assert lines[4].startswith('- ERROR: nobody publishes /nobody. Remedy: start the camera')
    assert [line[3:] for line in lines if line.startswith('## ')] == SECTIONS
    widths = {}  # every row of a table has as many cells as its head
    for number, line in enumerate(lines):
        if line.startswith('|'):
            cells = len(re.findall(r'(?<!\\)\|', line))
            assert widths.setdefault(number - 1, cells) == cells or number - 1 not in widths
            widths[number] = cells
        else:
            widths.pop(number - 1, None)


def test_without_ros_it_still_reports_and_says_what_to_install(tiny_model, repository_root):
    script = ('import sys; sys.modules["vision_msgs"] = None; '
              'from dr_perception.ros.doctor.command import main; sys.exit(main(sys.argv[1:]))')
    done = subprocess.run(
        [sys.executable, '-c', script, '--json', '--seconds', '1', '--model', str(tiny_model)],
        cwd=repository_root, capture_output=True, text=True, timeout=120, env={**os.environ})
    assert done.returncode == 3, done.stderr
    sections = json.loads(done.stdout)['sections']
    finding = sections['Versions']['findings'][0]
    assert finding['level'] == 'ERROR' and 'vision_msgs cannot be imported' in finding['text']
    assert 'python -m dr_perception.ros.interfaces' in finding['remedy']
    assert 'ROS 2 cannot be imported' in sections['TF']['facts']['not checked']
    assert sections['Time per stage']['data']['p50_ms']['total'] > 0


@pytest.mark.parametrize('switch, solver, levels', [('0', 'numpy', ['WARN']),
                                                    ('1', 'compiled', [])])
def test_what_solves_the_poses_is_told(tiny_model, repository_root, switch, solver, levels):
    if solver == 'compiled' and library.LIBRARY is None:
        pytest.skip('needs a C compiler when the package is installed: apt install gcc')
    done = subprocess.run(
        [sys.executable, '-m', 'dr_perception.ros.doctor', '--json', '--seconds', '1', '--model',
         str(tiny_model)], cwd=repository_root, capture_output=True, text=True, timeout=120,
        env={**os.environ, library.SWITCH: switch})
    sections = json.loads(done.stdout)['sections']
    assert sections['Versions']['facts']['pose solver'] == solver
    # How long a picture takes, and what else runs, is the machine's.
    of_solver = [finding for finding in sections['Time per stage']['findings']
                 if not re.match(r'a picture takes [\d.]+ ms', finding['text'])
                 and 'other work keeps' not in finding['text']]
    assert [finding['level'] for finding in of_solver] == levels
    if solver == 'numpy':
        assert ('runs on numpy, at half its speed: DR_PERCEPTION_COMPILED=0 says so'
                in of_solver[0]['text'])


@pytest.mark.parametrize('arguments, text', [
    (['--seconds', '0'], 'expected seconds, more than 0'),
    (['--seconds', 'nan'], 'expected seconds, more than 0'),
    (['--providers', ','], 'expected names of execution providers')])
def test_options_that_cannot_be_used(arguments, text, capsys):
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert text in capsys.readouterr().err


def test_a_topic_name_that_cannot_be_is_one_line(capsys):
    assert main(['--image', 'a b', '--seconds', '1']) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: --image: 'a b' is no topic name")
    assert error.count('\n') == 1


def test_a_stamp_of_the_future(start_camera, diagnose):
    start_camera(age_s=-30.0)
    assert 'ahead of this clock' in diagnose().only('CameraInfo', 'ERROR')[0]
