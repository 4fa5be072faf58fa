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

"""The command: exit codes, one line for what the user can mend, the files, no ROS."""
import re
import subprocess
import sys

import cv2
from dr_perception.replay import command, replaying, video
import numpy as np
import pytest


def error_line(capfd):
    """Return the only line on standard error that tells an error."""
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith('error: ')]
    assert len(lines) == 1, lines
    return lines[0]


def test_errors_are_one_line_and_exit_code_2(simple_bag, replayed, tmp_path, capfd, tiny_model):
    (tmp_path / 'a_file').write_text('')
    for bag, options, text in (
            (tmp_path / 'none', (), 'none: there is no such file or folder'),
            (simple_bag, ('--image-topic', '/x'), '/x is not in the recording; --image-topic'),
            (simple_bag, ('--start', 60), r'/camera/image_raw has no picture between 60 s and the '
             r'end of the recording, which is 0\.5 s long'),
            (simple_bag, ('--start', 60, '--duration', 1), 'between 60 s and 61 s of'),
            (simple_bag, ('--camera-pose', 1, 2, 3), '--camera-pose: .* expected seven finite'),
            (simple_bag, ('--camera-pose', *range(7)), r'--camera-pose: the quaternion .* norm'),
            (simple_bag, ('--camera-pose', 'x'), '--camera-pose: could not convert'),
            (simple_bag, ('--model', tmp_path / 'no.onnx'), 'no.onnx: there is no such model'),
            (simple_bag, ('--providers', 'NoProvider'), "execution provider 'NoProvider' is not"),
            (simple_bag, ('--output', tmp_path / 'a_file' / 'x'), 'a_file/x: cannot be made'),
            (simple_bag, ('--output', tmp_path / 'a_file'), 'a_file: cannot be made')):
        replayed(bag, *options, code=2)
        assert re.search(text, error_line(capfd)), text


@pytest.mark.parametrize('options', [
    ('--every', '0'), ('--start', '-1'), ('--duration', 'nan'), ('--min-score', '2'),
    ('--threads', '-1'), ('--unknown',)])
def test_options_out_of_range(options):
    with pytest.raises(SystemExit) as stopped:
        command.main(['bag', '--output', 'x', *options])
    assert stopped.value.code == 2


def test_no_picture_can_be_used(tmp_path, bag_writer, make_picture, replayed, capfd, camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.info(0.0, camera.resized(320, 240))
        bag.image(0.1, make_picture())
        bag.image(0.2, make_picture())
    folder = replayed(tmp_path / 'bag', code=2)
    assert 'none of 2 pictures can be used; 2 of them: the image is 640x480 px but its ' \
        'CameraInfo describes 320x240 px' in error_line(capfd)
    assert '0 pictures were used, 2 skipped' in (folder / 'report.md').read_text()


def test_a_bug_is_not_hidden(simple_bag, replayed, monkeypatch):
    def fail(*_):
        raise ZeroDivisionError('a bug')
    monkeypatch.setattr(replaying, 'write_reports', fail)
    with pytest.raises(ZeroDivisionError, match='a bug'):
        replayed(simple_bag)


def test_a_full_disk_is_the_users(simple_bag, replayed, monkeypatch, capfd):
    def fail(*_):
        raise OSError(28, 'No space left on device')
    monkeypatch.setattr(replaying, 'write_reports', fail)
    replayed(simple_bag, code=2)
    assert re.search('out: No space left on device', error_line(capfd))


def interrupt_after(monkeypatch, count):
    """Press Ctrl-C after so many pictures."""
    class Impatient(replaying.ProgressLine):

        def step(self):
            super().step()
            if self._done == count:
                raise KeyboardInterrupt
    monkeypatch.setattr(replaying, 'ProgressLine', Impatient)


def test_interrupted_it_keeps_what_is_done(simple_bag, replayed, records, monkeypatch):
    interrupt_after(monkeypatch, 2)
    folder = replayed(simple_bag, code=130)
    assert len({r['stamp_ns'] for r in records(folder)}) == 2
    assert 'interrupted: the rest of the recording was not read' in (
        folder / 'report.md').read_text()


def test_interrupted_before_the_first_usable_picture(
        tmp_path, bag_writer, make_picture, replayed, monkeypatch, camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.info(0.0, camera)
        bag.image(0.1, make_picture()[:100])
        bag.image(0.2, make_picture())
    interrupt_after(monkeypatch, 1)
    folder = replayed(tmp_path / 'bag', code=130)
    assert '0 pictures were used, 1 skipped' in (folder / 'report.md').read_text()


def test_without_rosbags_the_message_is_the_command(monkeypatch, tmp_path, capfd):
    for name in [n for n in sys.modules if n.startswith(('rosbags', 'dr_perception.replay.'))]:
        monkeypatch.delitem(sys.modules, name)
    for name in ('rosbags', 'rosbags.rosbag2'):
        monkeypatch.setitem(sys.modules, name, None)
    assert command.main([str(tmp_path), '--output', str(tmp_path / 'x')]) == 2
    assert error_line(capfd) == (
        "error: rosbags is not installed: pip install 'dr_perception[replay]' (from a checkout: "
        "pip install '.[replay]')")


def test_the_video(simple_bag, replayed, records, make_picture, camera, T_base_camera):
    folder = replayed(simple_bag, '--video')
    capture = cv2.VideoCapture(str(folder / 'annotated.mp4'))
    assert capture.isOpened()
    assert capture.get(cv2.CAP_PROP_FRAME_COUNT) == 6
    assert 8 < capture.get(cv2.CAP_PROP_FPS) < 13  # 6 pictures within 0.5 s
    is_read, image_bgr = capture.read()
    assert is_read and image_bgr.shape == (480, 640, 3)
    plain_bgr = make_picture(0)[:, :, ::-1].astype(int)
    changed = np.abs(image_bgr.astype(int) - plain_bgr).max(-1) > 80
    assert 300 < changed.sum() < 0.05 * changed.size  # edges, axes and labels; all else as it was
    for record in records(folder)[:2]:
        point_camera = np.linalg.inv(T_base_camera) @ [*record['position_m'], 1.0]
        column, row = camera.project(point_camera[None, :3])[0].astype(int)
        assert changed[row - 30:row + 30, column - 30:column + 30].sum() > 100, record['object']
    assert not (replayed(simple_bag, output='b') / 'annotated.mp4').exists()


class NoMpeg4:
    """A cv2.VideoWriter of an OpenCV without FFmpeg."""

    real, accepted = cv2.VideoWriter, ('MJPG',)

    def __new__(cls, path, fourcc, *rest):
        """Open as the real one does, if the codec is there."""
        is_there = fourcc in [cv2.VideoWriter_fourcc(*name) for name in cls.accepted]
        return cls.real(path, fourcc, *rest) if is_there else cls.real()


@pytest.mark.parametrize('codecs, name, note', [
    (('MJPG',), 'annotated.avi', 'this OpenCV cannot write MPEG-4: the video is annotated.avi, '
     'Motion JPEG'),
    ((), None, 'this OpenCV can write neither MPEG-4 nor Motion JPEG: there is no video (install '
     'opencv-python-headless by pip, or pass --no-video)')])
def test_a_missing_codec(simple_bag, replayed, monkeypatch, codecs, name, note):
    monkeypatch.setattr(NoMpeg4, 'accepted', codecs)
    monkeypatch.setattr(video.cv2, 'VideoWriter', NoMpeg4)
    folder = replayed(simple_bag, '--video')
    assert [p.name for p in folder.glob('annotated.*')] == ([name] if name else [])
    assert note in (folder / 'report.md').read_text()
    if name:
        assert cv2.VideoCapture(str(folder / name)).get(cv2.CAP_PROP_FRAME_COUNT) == 6


def test_pictures_of_another_size_are_resized_in_the_video(tmp_path):
    file = video.VideoFile(tmp_path, 10.0)
    for height, width in ((120, 161), (240, 320), (119, 160)):
        file.write(np.full((height, width, 3), 99, np.uint8))
    file.close()
    capture = cv2.VideoCapture(str(file.path))
    sizes = [capture.read()[1].shape for _ in range(3)]
    assert len(set(sizes)) == 1 and not capture.read()[0]


def test_the_reports(simple_bag, replayed, tiny_model):
    folder = replayed(simple_bag, '--every', 2)
    report = (folder / 'report.md').read_text()
    assert '- 3 pictures were used, 0 skipped.' in report
    assert 'known for all of them: the support plane took part' in report
    assert re.search(r'- cube_0 was found in 100\.0 % of the pictures, at 0\.4\d* -0\.1\d* '
                     r'0\.02\d* m in base_link on average, with a spread of \d\.\d mm, median '
                     r'score 0\.\d\d\.', report)
    for stage in ('image', 'preprocess', 'network', 'decode', 'pose', 'all'):
        assert re.search(rf'\| {stage} \| [\d.]+ \| [\d.]+ \|', report), stage
    assert re.search(r'\| cube_0 \| base_link \| 100\.0 % \| [-\d. ]+ \| [\d. ]+ \| 0\.\d+ \| '
                     r'\d+\.0 % \|', report)
    assert '/camera/image_raw' in report and str(tiny_model) in report
    page = (folder / 'report.html').read_text()
    assert page.count('src="data:image/jpeg;base64,') == 1
    assert not re.search(r'(src|href)="(?!data:)|https?://', page)
    assert '<td>cube_0</td>' in page and "default-src 'none'" in page


def test_names_are_escaped_in_the_page(simple_bag, replayed):
    bag = simple_bag.rename(simple_bag.with_name('a<b>|c'))
    (bag / 'metadata.yaml').unlink()  # so that a sentence names the folder, too
    folder = replayed(bag)
    assert 'a<b>' not in (folder / 'report.html').read_text()
    assert 'a&lt;b&gt;|c' in (folder / 'report.html').read_text()
    assert r'a<b>\|c |' in (folder / 'report.md').read_text()


def test_nothing_found_is_said(tmp_path, bag_writer, replayed, records, camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.info(0.0, camera)
        bag.image(0.1, np.zeros((480, 640, 3), np.uint8))
    folder = replayed(tmp_path / 'bag')
    assert records(folder) == []
    assert 'Nothing was found in any of them' in (folder / 'report.md').read_text()


BLOCKED = ('rclpy', 'sensor_msgs', 'std_msgs', 'geometry_msgs', 'tf2_msgs', 'vision_msgs',
           'builtin_interfaces', 'cv_bridge', 'torch', 'pybullet', 'matplotlib', 'yaml',
           'sim_trainer')


def test_no_ros_is_needed(simple_bag, tmp_path, tiny_model, repository_root):
    script = (f'import sys\nfor name in {BLOCKED!r}: sys.modules[name] = None\n'
              'from dr_perception.replay.command import main\n'
              'code = main(sys.argv[1:])\n'
              'assert not [n for n in sys.modules if n.startswith("dr_perception.ros")]\n'
              'sys.exit(code)')
    done = subprocess.run(
        [sys.executable, '-c', script, str(simple_bag), '--output', str(tmp_path / 'out'),
         '--model', str(tiny_model)], cwd=repository_root, capture_output=True, text=True,
        timeout=120)
    assert done.returncode == 0, done.stderr
    assert '12 poses from 6 pictures' in done.stdout
    assert {p.name for p in (tmp_path / 'out').iterdir()} == {
        'poses.csv', 'poses.jsonl', 'annotated.mp4', 'report.md', 'report.html'}


def test_help_needs_nothing_and_names_every_option(repository_root):
    done = subprocess.run([sys.executable, '-m', 'dr_perception.replay', '--help'],
                          cwd=repository_root, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0
    page = (repository_root / 'docs' / 'replay.md').read_text(encoding='utf-8')
    options = set(re.findall(r'--[a-z][a-z-]+', done.stdout)) - {'--help'}
    assert options >= {'--model', '--camera-pose', '--rectified', '--every', '--no-video'}
    assert not [name for name in options if f'`{name}' not in page]
