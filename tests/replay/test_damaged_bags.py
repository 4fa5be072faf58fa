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

"""Recordings that are cut off, damaged or not there: what can be read is read, and it is said."""
from pathlib import Path
import shutil
import sqlite3

from dr_perception.replay.bag import Bag
from dr_perception.replay.errors import BagError
from dr_perception.replay.mcap_salvage import complete_size, SalvagedPath
from hypothesis import given, HealthCheck, settings, strategies
import numpy as np
import pytest

TOPIC = '/camera/camera_info'


@pytest.fixture
def small_mcap(tmp_path, bag_writer, camera):
    """Return the path of an MCAP file of 3 chunks with 40 CameraInfos and a picture each."""
    with bag_writer(tmp_path / 'small') as bag:
        for number in range(40):
            bag.info(0.1 * number, camera)
            bag.image(0.1 * number, np.zeros((120, 220, 3), np.uint8))
    return tmp_path / 'small' / 'small.mcap'


def stamps(bag):
    """Return the times of recording of the CameraInfos, in order."""
    return [recorded_ns for recorded_ns, _ in bag.messages(TOPIC)]


def test_a_whole_file_has_no_notes(small_mcap):
    for path in (small_mcap, small_mcap.parent):
        with Bag(path) as bag:
            assert [(t.name, t.count) for t in bag.topics] == [
                (TOPIC, 40), ('/camera/image_raw', 40)]
            assert len(stamps(bag)) == 40
            assert bag.notes == []
            assert bag.end_ns - bag.start_ns == 3_900_000_001


@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=strategies.data())
def test_a_file_cut_off_anywhere_gives_its_beginning(small_mcap, data):
    content = small_mcap.read_bytes()
    size = data.draw(strategies.integers(0, len(content) - 1))
    path = small_mcap.with_name('cut.mcap')
    path.write_bytes(content[:size])
    with Bag(small_mcap) as bag:
        expected = stamps(bag)
    try:
        with Bag(path) as bag:
            found = stamps(bag)
            assert 'cut.mcap ends in the middle' in bag.notes[0]
            assert f'of its {size} bytes are used' in bag.notes[0]
    except BagError as error:
        found = []
        assert 'cut.mcap: is no MCAP recording or is damaged' in str(error)
    assert found == expected[:len(found)]
    # Nothing that is whole may be lost: three chunks of 14 or less, the last one smaller.
    if size > 0.5 * len(content):
        assert len(found) >= 13
    if size > 0.98 * len(content):
        assert len(found) >= 27


def test_half_a_recording_is_replayed(simple_bag, replayed, records, capfd):
    file = simple_bag / 'simple.mcap'
    file.write_bytes(file.read_bytes()[:int(0.6 * file.stat().st_size)])
    folder = replayed(simple_bag)
    numbers = sorted({r['stamp_ns'] for r in records(folder)})
    assert 2 <= len(numbers) < 6
    report = (folder / 'report.md').read_text()
    assert 'Attention: ' in report and 'ends in the middle' in report
    assert f'{len(numbers)} pictures were used' in report


def test_a_file_of_which_no_picture_is_left_says_both(simple_bag, replayed, capfd):
    file = simple_bag / 'simple.mcap'
    file.write_bytes(file.read_bytes()[:2000])
    replayed(file, code=2)
    error = capfd.readouterr().err
    assert 'error: the recording holds no sensor_msgs/Image or CompressedImage' in error
    assert 'simple.mcap ends in the middle' in error


def test_a_folder_without_metadata(simple_bag):
    (simple_bag / 'metadata.yaml').unlink()
    with Bag(simple_bag) as bag:
        assert len(stamps(bag)) == 6
        assert 'has no metadata.yaml (the recorder was killed?)' in bag.notes[0]


@pytest.mark.parametrize('content', ['', '{', 'rosbag2_bagfile_information: 3', '\x00'])
def test_damaged_metadata(simple_bag, content):
    (simple_bag / 'metadata.yaml').write_text(content)
    with Bag(simple_bag) as bag:
        assert len(stamps(bag)) == 6
        assert 'cannot be read as a whole' in bag.notes[0]


def test_one_of_several_files_is_damaged(tmp_path, bag_writer, camera):
    folder = tmp_path / 'split'
    folder.mkdir()
    for number, t_s in ((2, 10), (10, 2)):
        with bag_writer(tmp_path / f'part_{number}') as bag:
            bag.info(t_s, camera)
        shutil.copy(tmp_path / f'part_{number}' / f'part_{number}.mcap', folder)
    (folder / 'part_3.mcap').write_bytes(b'nothing')
    with Bag(folder) as bag:
        assert [ns // 10**9 % 100 for ns in stamps(bag)] == [2, 10]
        assert any('part_3.mcap: is no MCAP recording' in note and note.endswith('; left out')
                   for note in bag.notes)


def test_damage_in_the_middle_keeps_what_is_before(tmp_path, bag_writer, make_picture, camera,
                                                   replayed, records):
    with bag_writer(tmp_path / 'bag', is_compressed=True) as bag:
        for number in range(8):
            bag.info(number, camera)
            bag.image(number, make_picture(number))
    file = tmp_path / 'bag' / 'bag.mcap'
    content = bytearray(file.read_bytes())
    middle = len(content) // 2
    content[middle:middle + 300_000] = bytes(300_000)
    file.write_bytes(content)
    folder = replayed(tmp_path / 'bag')
    assert 1 <= len({r['stamp_ns'] for r in records(folder)}) < 8
    report = (folder / 'report.md').read_text()
    assert 'is damaged: /camera/image_raw could be read up to its message' in report


@pytest.mark.parametrize('part', [0.0, 0.3, 0.7])
def test_a_db3_cut_off_names_the_way_to_recover_it(tmp_path, bag_writer, make_picture, camera,
                                                   part):
    with bag_writer(tmp_path / 'bag', 'db3') as bag:
        bag.info(0, camera)
        bag.image(0, make_picture())
    file = tmp_path / 'bag' / 'bag.db3'
    file.write_bytes(file.read_bytes()[:int(part * file.stat().st_size)])
    with pytest.raises(BagError, match=r'bag\.db3: is no SQLite recording or is damaged \(.*\); '
                       r'try: sqlite3 .*bag\.db3 \.recover \| sqlite3 recovered\.db3'):
        Bag(file)


def test_what_is_no_recording(tmp_path):
    (tmp_path / 'empty').mkdir()
    for name in ('a.bag', 'a.txt', 'a.mcap'):
        (tmp_path / name).write_bytes(b'')
    (tmp_path / 'head.mcap').write_bytes(b'\x89MCAP0\r\n')
    for name, text in (
            ('missing', 'there is no such file or folder; give a rosbag2 folder'),
            ('a.bag', 'is a ROS 1 bag; convert it first: rosbags-convert --src'),
            ('a.txt', 'is no recording that can be read; expected a rosbag2 folder, or a file'),
            ('empty', 'holds no recording; expected metadata.yaml with .mcap or .db3 files'),
            ('a.mcap', r'is no MCAP recording or is damaged \(.*\); try: mcap recover'),
            ('head.mcap', r'is no MCAP recording or is damaged \(.*\); try: mcap recover')):
        with pytest.raises(BagError, match=text):
            Bag(tmp_path / name)


def test_a_salvaged_file_reads_as_its_beginning_and_a_footer(tmp_path):
    path = tmp_path / 'x.mcap'
    path.write_bytes(bytes(range(256)) * 100)
    salvaged = SalvagedPath(path, 20_000)
    # Opcode 2, a length of 20, no index; then the magic.
    expected = path.read_bytes()[:20_000] + b'\x02\x14' + bytes(27) + b'\x89MCAP0\r\n'
    with salvaged.open('rb') as stream:
        assert stream.read() == expected
        for offset in (0, 19_990, 20_000, 20_010, len(expected)):
            stream.seek(offset)
            assert stream.read(30) == expected[offset:offset + 30]
        assert stream.seek(-37, 2) == 20_000
        assert stream.read() == expected[20_000:]
    assert (str(salvaged), salvaged.stem, salvaged.suffix) == (str(path), 'x', '.mcap')
    assert salvaged.exists() and not salvaged.is_dir()


def test_complete_records_end_where_the_data_section_ends(small_mcap):
    whole = complete_size(small_mcap)
    content = small_mcap.read_bytes()
    assert content[whole] == 0x0F  # the record "data end"; index and footer follow
    cut = Path(str(small_mcap) + '.cut')
    cut.write_bytes(content[:whole - 1])
    assert 0 < complete_size(cut) < whole
    cut.write_bytes(content[:whole] + bytes(1000))  # blocks that were never written
    assert complete_size(cut) == whole


def test_pictures_that_cannot_be_used_are_counted_by_reason(
        tmp_path, bag_writer, make_picture, replayed, records, camera, T_base_camera):
    with bag_writer(tmp_path / 'bag') as bag:
        bag.transform(0.0, T_base_camera)
        bag.info(0.0, camera)
        for number in range(3):
            bag.image(0.1 * number, make_picture()[:100 + number])
        bag.image(0.3, make_picture(), data=make_picture().ravel()[:1000])
        bag.image(0.4, make_picture(), 'bayer_rggb16')
        bag.image(0.5, make_picture())
    folder = replayed(tmp_path / 'bag')
    assert len(records(folder)) == 2
    report = (folder / 'report.md').read_text()
    assert '1 picture was used, 5 skipped, mostly because: the image is 640x100 px but its ' \
        'CameraInfo describes 640x480 px' in report
    rows = [line for line in report.splitlines() if line.startswith('| the image is 640x100')]
    assert len(rows) == 1 and rows[0].endswith('| 3 |')
    assert 'image data is truncated: 1000 bytes' in report
    assert "image encoding 'bayer_rggb16' cannot be read; expected one of rgb8, bgr8" in report


def test_a_damaged_message_is_one_skipped_picture(
        tmp_path, bag_writer, make_picture, replayed, records, camera):
    with bag_writer(tmp_path / 'bag', 'db3') as bag:
        bag.info(0.0, camera)
        bag.image(0.1, make_picture())
        bag.image(0.2, make_picture())
    with sqlite3.connect(tmp_path / 'bag' / 'bag.db3') as database:
        database.execute('UPDATE messages SET data = substr(data, 1, 30) WHERE id = 2')
    folder = replayed(tmp_path / 'bag')
    assert len(records(folder)) == 2
    assert '1 skipped, mostly because: a damaged sensor_msgs/msg/Image message of 30 bytes' in (
        folder / 'report.md').read_text()
