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

"""Camera calibrations of every kind of file that people have."""

import subprocess
import sys
import threading

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import PerceptionError
from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.camera_files import camera_from_mapping, camera_keys, parse, read_camera
from sim_trainer.lab.camera_topic import camera_of
import yaml

K = [610.5, 0.0, 321.25, 0.0, 611.5, 243.75, 0.0, 0.0, 1.0]
D = [0.1, -0.2, 0.001, -0.002, 0.05]
P = [600.0, 0.0, 320.0, 0.0, 0.0, 602.0, 240.0, 0.0, 0.0, 0.0, 1.0, 0.0]
#: What `ros2 topic echo --once /camera/camera_info` prints.
ECHO = """header:
  stamp:
    sec: 1700000000
    nanosec: 5
  frame_id: camera_optical_frame
height: 480
width: 640
distortion_model: plumb_bob
d:
- 0.1
- -0.2
- 0.001
- -0.002
- 0.05
k:
""" + ''.join(f'- {v}\n' for v in K) + 'r:\n' + ''.join(f'- {v}\n' for v in np.eye(3).ravel()) + (
    'p:\n' + ''.join(f'- {v}\n' for v in P) + """binning_x: 0
binning_y: 0
roi:
  x_offset: 0
  y_offset: 0
  height: 0
  width: 0
  do_rectify: false
---
""")
#: What camera_calibration writes.
OST = f"""image_width: 640
image_height: 480
camera_name: narrow_stereo
camera_matrix:
  rows: 3
  cols: 3
  data: {K}
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: {D}
rectification_matrix:
  rows: 3
  cols: 3
  data: [1, 0, 0, 0, 1, 0, 0, 0, 1]
projection_matrix:
  rows: 3
  cols: 4
  data: {P}
"""
EXPECTED = PinholeCamera(610.5, 611.5, 321.25, 243.75, 640, 480, 'plumb_bob', tuple(D))


def _opencv(path, **names):
    storage = cv2.FileStorage(str(path), cv2.FILE_STORAGE_WRITE)
    storage.write(names.get('width', 'image_width'), 640)
    storage.write(names.get('height', 'image_height'), 480)
    storage.write(names.get('K', 'camera_matrix'), np.reshape(K, (3, 3)))
    storage.write(names.get('D', 'distortion_coefficients'), np.reshape(D, (5, 1)))
    storage.release()


def test_every_format_gives_the_same_camera(tmp_path):
    for name, text in (('echo.yaml', ECHO), ('ost.yaml', OST)):
        (tmp_path / name).write_text(text)
        assert read_camera(str(tmp_path / name)) == EXPECTED, name
    for i, names in enumerate(({}, {'K': 'Camera_Matrix', 'D': 'Distortion_Coefficients',
                                    'width': 'image_Width', 'height': 'image_Height'},
                               {'K': 'cameraMatrix', 'D': 'distCoeffs'})):
        path = tmp_path / f'opencv{i}.yaml'
        _opencv(path, **names)
        assert read_camera(str(path)) == EXPECTED, names
    numbers = '610.5, 611.5, 321.25, 243.75, 640, 480, 0.1,-0.2,0.001,-0.002,0.05'
    assert read_camera(numbers) == EXPECTED


@given(fx=st.floats(100, 3000), fy=st.floats(100, 3000), cx=st.floats(0, 640),
       cy=st.floats(0, 480))
def test_numbers_come_back(fx, fy, cx, cy):
    camera = read_camera(f'{fx!r},{fy!r},{cx!r},{cy!r},640,480')
    assert camera == PinholeCamera(fx, fy, cx, cy, 640, 480)
    assert camera_keys(camera) == {'width_px': 640, 'height_px': 480, 'fx_px': fx, 'fy_px': fy,
                                   'cx_px': cx, 'cy_px': cy}


def test_rectified_pictures_take_p(tmp_path):
    (tmp_path / 'ost.yaml').write_text(OST)
    camera = read_camera(str(tmp_path / 'ost.yaml'), rectified=True)
    assert camera == PinholeCamera(600, 602, 320, 240, 640, 480)


def test_region_of_interest_and_binning(tmp_path):
    data = next(yaml.safe_load_all(ECHO))
    data['d'], data['binning_x'], data['binning_y'] = [0.0] * 5, 2, 2
    data['roi'].update(x_offset=100, y_offset=40, width=400, height=400)
    (tmp_path / 'roi.yaml').write_text(yaml.safe_dump(data))
    camera = read_camera(str(tmp_path / 'roi.yaml'))
    assert (camera.width_px, camera.height_px) == (200, 200)
    # By hand: (321.25 - 100 + 0.5) / 2 - 0.5
    assert (camera.fx_px, camera.cx_px, camera.cy_px) == pytest.approx((305.25, 110.375, 101.625))


def test_a_fisheye(tmp_path):
    (tmp_path / 'fisheye.yaml').write_text(OST.replace('distortion_model: plumb_bob',
                                                       'distortion_model: fisheye').replace(
        str(D), '[0.01, 0.001, 0.0, 0.0]'))
    camera = read_camera(str(tmp_path / 'fisheye.yaml'))
    assert camera.distortion_model == 'equidistant' and len(camera.distortion) == 4


@pytest.mark.parametrize('flag, model', [('1', 'equidistant'), ('0', 'plumb_bob')])
def test_a_fisheye_of_opencvs_calibration_program(flag, model):
    data = parse(f'%YAML:1.0\n---\nimage_width: 640\nimage_height: 480\nfisheye_model: {flag}\n'
                 'camera_matrix: !!opencv-matrix\n   rows: 3\n   cols: 3\n   dt: d\n'
                 '   data: [ 280., 0., 320., 0., 280., 240., 0., 0., 1. ]\n'
                 'distortion_coefficients: !!opencv-matrix\n   rows: 4\n   cols: 1\n   dt: d\n'
                 '   data: [ -0.012, 0.004, -0.003, 0.0006 ]\n')
    assert camera_from_mapping(data).distortion_model == model


@pytest.mark.parametrize('size', [
    {'width': 640, 'height': 480}, {'height': 480, 'width': 640}, [640, 480],
    {'image_height': 480, 'image_width': 640}])
def test_a_size_that_is_a_mapping_is_read_by_its_names(size):
    camera = camera_from_mapping({'camera_matrix': K, 'image_size': size})
    assert (camera.width_px, camera.height_px) == (640, 480)


def test_a_size_without_a_height_is_missing():
    with pytest.raises(ConfigurationError, match="the picture's size is missing"):
        camera_from_mapping({'camera_matrix': K, 'image_size': {'width': 640, 'depth': 480}})


@pytest.mark.parametrize('text, message', [
    ('', 'holds a NoneType, no calibration; give a CameraInfo'),
    ('- 1\n- 2\n', 'holds a list, no calibration; give a CameraInfo'),
    ('a: [1, 2', 'not valid YAML'),
    ('width: 640\nheight: 480\n', 'there is no camera matrix in it .keys: width, height.; give'),
    (OST.replace('image_width: 640\n', ''), "the picture's size is missing; write image_width"),
    (ECHO.replace('width: 640', 'width: 0'), 'is 0x480 px: the camera driver has no calibration'),
    (OST.replace(str(K), str([0.0] * 9)), 'focal lengths are 0, 0 px; expected positive numbers'),
    (OST.replace(str(K), str(K[:8])), 'the camera matrix has 8 numbers; expected 9'),
    (OST.replace('610.5', '.nan'), 'the camera matrix holds NaN or infinity; calibrate the'),
    (OST.replace(str(K), 'red'), "the camera matrix is 'red'; expected a list of numbers"),
    (OST.replace('610.5', '4.2'), 'fx is 4.2 px for a picture of 640x480 px; expected pixels'),
    (OST.replace('plumb_bob', 'bent'), "distortion model 'bent' is not known; expected one of"),
])
def test_files_that_are_no_calibration(tmp_path, text, message):
    path = tmp_path / 'camera.yaml'
    path.write_text(text)
    with pytest.raises(PerceptionError, match=message) as caught:
        read_camera(str(path))
    assert str(caught.value).startswith(f'{path}: ') and '\n' not in str(caught.value)


@pytest.mark.parametrize('source, message', [
    ('no.yaml', 'no.yaml: there is no such camera file; give a CameraInfo .ros2 topic echo'),
    ('615,615,320', "'615,615,320': 3 numbers; expected fx,fy,cx,cy,width,height in pixels"),
    ('615,615,320,240,640.5,480', 'the size is 640.5x480 px; expected whole numbers'),
    ('64000,48000,615,615,320,240', 'px for a picture of 320x240 .*the order is fx,fy,cx,cy,'),
    ('0,0,320,240,640,480', 'focal lengths are 0, 0 px'),
    ('topic:', 'has no name; write topic:/camera/camera_info')])
def test_sources_that_cannot_be(source, message):
    with pytest.raises(PerceptionError, match=message):
        camera_of(source)


def test_a_second_stereo_camera_and_a_missing_p(tmp_path):
    path = tmp_path / 'right.yaml'
    path.write_text(OST.replace('600.0, 0.0, 320.0, 0.0,', '600.0, 0.0, 320.0, -72.0,'))
    with pytest.raises(PerceptionError, match='second camera of a stereo pair; give the first'):
        read_camera(str(path), rectified=True)
    path.write_text(OST[:OST.index('projection_matrix')])
    with pytest.raises(PerceptionError, match='--rectified needs P .projection_matrix., which is'):
        read_camera(str(path), rectified=True)


def test_a_camera_file_in_the_configuration(tmp_path, repository_root):
    (tmp_path / 'ost.yaml').write_text(OST)
    lab = yaml.safe_load((repository_root / 'config' / 'tabletop.yaml').read_text())
    lab['camera'] = {'file': str(tmp_path / 'ost.yaml'), 'position_m': [1.1, 0.0, 0.65],
                     'look_at_m': [0.5, 0.0, 0.0]}
    (tmp_path / 'lab.yaml').write_text(yaml.safe_dump(lab))
    assert load_config(tmp_path / 'lab.yaml').camera.camera == EXPECTED
    other = load_config(tmp_path / 'lab.yaml', ['camera.cx_px=300.0'])
    assert other.camera.cx_px == 300 and other.camera.fx_px == 610.5
    with pytest.raises(PerceptionError, match='camera.file: no.yaml: there is no such camera'):
        load_config(tmp_path / 'lab.yaml', ['camera.file=no.yaml'])
    with pytest.raises(PerceptionError, match='camera.file: got 3; expected the path'):
        load_config(tmp_path / 'lab.yaml', ['camera.file=3'])


def test_a_topic_without_ros(monkeypatch):
    monkeypatch.setattr('importlib.util.find_spec', lambda name: None)
    with pytest.raises(PerceptionError, match='needs ROS 2 .rclpy, sensor_msgs cannot be imported.'
                                              ': source a ROS 2 installation, or save the'):
        camera_of('topic:/camera/camera_info')


def test_a_topic():
    rclpy = pytest.importorskip('rclpy')
    from sensor_msgs.msg import CameraInfo
    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('camera_driver', context=context)
    publisher = node.create_publisher(CameraInfo, '/lab/camera_info', 5)
    message = CameraInfo(width=640, height=480, distortion_model='plumb_bob', d=D, k=K, p=P)
    stop = threading.Event()

    def publish():
        while not stop.wait(0.05):
            publisher.publish(message)

    thread = threading.Thread(target=publish)
    thread.start()
    try:
        assert camera_of('topic:/lab/camera_info', wait_s=30) == EXPECTED
        with pytest.raises(PerceptionError, match='no CameraInfo came on /lab/other in 3 s .there '
                                                  'are /lab/camera_info.; start the camera'):
            camera_of('topic:/lab/other', wait_s=3)
    finally:
        stop.set()
        thread.join()
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_the_reader_is_light():
    """Reading a calibration loads neither the simulation nor the training."""
    script = ('import sys; from sim_trainer.lab.camera_files import read_camera; '
              'print(" ".join(sys.modules))')
    done = subprocess.run([sys.executable, '-c', script], capture_output=True, text=True,
                          check=True)
    assert not {'torch', 'pybullet', 'trimesh', 'scipy'} & set(done.stdout.split())
