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

"""``sim_trainer report`` on recordings: the same poses, TF or a given pose, errors in one line."""
import json

import numpy as np
import pytest
from sim_trainer.cli import main
from sim_trainer.real_gap.recorded import is_recording, RecordedPictures


@pytest.fixture
def report(tmp_path, tiny_model):
    """Return a function that runs the command: exit code, and the report's figures."""
    def run(bag, *more):
        output = tmp_path / 'gap'
        code = main(['report', '--model', str(tiny_model), '--pictures', str(bag), '--output',
                     str(output), *more])
        path = output / 'report.json'
        return code, json.loads(path.read_text()) if path.is_file() else None
    return run


def test_a_recording_has_camera_and_pose(report, simple_bag, capsys):
    code, figures = report(simple_bag)
    assert code == 0
    assert '12 objects are found in 6 pictures' in capsys.readouterr().out
    assert figures['pictures'] == 6
    assert report(simple_bag, '--every', '2')[1]['pictures'] == 3
    mcap = next(simple_bag.glob('*.mcap'))
    assert report(mcap)[1] == figures


def test_pictures_are_those_of_the_recording(simple_bag, make_picture, camera, T_base_camera,
                                             tmp_path):
    pictures = list(RecordedPictures(simple_bag))
    assert [p.picture_id for p in pictures] == list(range(6))
    for number, picture in enumerate(pictures):
        assert np.array_equal(picture.image_rgb, make_picture(number))
        assert picture.camera == camera
        assert np.allclose(picture.T_base_camera, T_base_camera)
    given = np.eye(4)
    assert np.array_equal(next(iter(RecordedPictures(simple_bag, given))).T_base_camera, given)
    other = next(iter(RecordedPictures(simple_bag, base_frame='elsewhere')))
    assert other.T_base_camera is None
    assert is_recording(simple_bag) and not is_recording(tmp_path)


def test_what_cannot_be_used_is_one_line(report, simple_bag, tmp_path, bag_writer, capsys,
                                         camera):
    assert report(simple_bag, '--camera', '615,615,319.5,239.5,640,480')[0] == 2
    assert 'a recording has its own CameraInfo; leave it out' in capsys.readouterr().err
    assert report(simple_bag, '--every', '0')[0] == 2
    assert '--every 0: expected 1 or more' in capsys.readouterr().err
    assert report(simple_bag, '--image-topic', '/none')[0] == 2
    assert '/none' in capsys.readouterr().err
    with bag_writer(tmp_path / 'bad') as bag:
        bag.info(0.0, camera)
        bag.image(0.0, np.zeros((480, 640, 3), np.uint8), encoding='strange')
    assert report(tmp_path / 'bad')[0] == 2
    assert 'none of its pictures on /camera/image_raw can be used: ' in capsys.readouterr().err
