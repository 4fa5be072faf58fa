"""The camera's intrinsics from numbers or a camera_calibration file."""
import pytest

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
from sim_trainer.calibration.camera_input import read_camera

YAML = """image_width: 640
image_height: 480
camera_name: head
camera_matrix:
  rows: 3
  cols: 3
  data: [615.5, 0., 319.5, 0., 616.5, 239.5, 0., 0., 1.]
distortion_model: plumb_bob
distortion_coefficients:
  rows: 1
  cols: 5
  data: [-0.1, 0.01, 0.0, 0.0, 0.0]
"""


def test_numbers():
    assert read_camera('615,616,319.5,239.5,640,480') == PinholeCamera(
        615, 616, 319.5, 239.5, 640, 480)
    assert read_camera('615,616,319.5,239.5,640,480,-0.1,0.01,0,0').distortion_model == 'plumb_bob'


def test_a_camera_calibration_file(tmp_path):
    path = tmp_path / 'ost.yaml'
    path.write_text(YAML)
    assert read_camera(str(path)) == PinholeCamera(
        615.5, 616.5, 319.5, 239.5, 640, 480, 'plumb_bob', (-0.1, 0.01, 0, 0, 0))


@pytest.mark.parametrize('text, message', [
    ('no/such.yaml', r'--camera no/such.yaml: neither a file nor numbers; expected fx,fy,cx'),
    ('615,616,319.5', r'3 numbers; expected fx,fy,cx,cy,width,height'),
    ('615,616,319.5,239.5,640.5,480', r'expected fx,fy,cx,cy,width,height'),
    ('0,0,0,0,640,480', 'focal lengths are 0, 0 px'),
    ('0.6,0.6,319,239,640,480', 'not millimetres'),
    ('615,616,319.5,239.5,640,480,1,2,3', 'coefficients')])
def test_wrong_numbers(text, message):
    with pytest.raises(CameraError, match=message):
        read_camera(text)


@pytest.mark.parametrize('old, new, message', [
    ('image_width: 640', '', "the key 'image_width' is missing"),
    ('image_width: 640', 'image_width: wide', "image_width is 'wide'; expected a whole number"),
    ('camera_matrix:', 'camera_matrix: 3\nrest:', 'is damaged'),
    ('615.5, 0., 319.5, ', '', 'camera_matrix has 6 numbers; expected 9'),
    ('image_width', '{', 'cannot be read'),
    (YAML, '- 1', 'holds no camera')])
def test_wrong_files(tmp_path, old, new, message):
    path = tmp_path / 'camera.yaml'
    path.write_text(YAML.replace(old, new))
    with pytest.raises(CameraError, match=message) as caught:
        read_camera(str(path))
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)
