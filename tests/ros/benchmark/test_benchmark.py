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

"""The benchmark with a tiny model: the real node in a process of its own, a table of figures."""
import json
import math
import os
import signal
import subprocess
import sys
import time

import cv2
import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.ros.benchmark.command import main  # noqa: E402, I100
from dr_perception.ros.benchmark.table import COLUMNS  # noqa: E402

CPU = 'CPUExecutionProvider'


def tables(text):
    """Return the markdown tables, the rows of each as dicts."""
    found, before = [], ''
    for line in text.splitlines():
        if line.startswith('|'):
            cells = [cell.strip() for cell in line.strip('|').split('|')]
            if before.startswith('|'):
                found[-1].append(cells)
            else:
                found.append([cells])
        before = line
    assert all(set(lines[1]) == {'---'} for lines in found)
    return [[dict(zip(lines[0], line)) for line in lines[2:]] for lines in found]


def table_rows(text):
    """Return the rows of the first table."""
    rows = tables(text)[0]
    assert tuple(rows[0]) == COLUMNS
    return rows


def numbers(value):
    """Return every number of a nested JSON value."""
    if isinstance(value, dict):
        return [n for item in value.values() for n in numbers(item)]
    return [value] if isinstance(value, (int, float)) else []


@pytest.fixture(scope='module')
def measured(tiny_model, tmp_path_factory):
    """Return (markdown, JSON) of a run over two sizes with ROS."""
    figures = tmp_path_factory.mktemp('figures') / 'figures.json'
    done = subprocess.run(
        [sys.executable, '-m', 'dr_perception.ros.benchmark', '--model', str(tiny_model),
         '--sizes', '640x480,1280x720', '--repeat', '8', '--threads', '1', '--json',
         str(figures)], capture_output=True, text=True, timeout=900)
    assert done.returncode == 0, done.stderr
    return done.stdout, json.loads(figures.read_text(encoding='utf-8'))


def test_the_table_has_a_row_for_each_provider_and_size(measured):
    rows = table_rows(measured[0])
    # The providers that run nothing, such as Azure's, have no row.
    assert [(row['provider'], row['image']) for row in rows] == [
        (CPU, '640x480'), (CPU, '1280x720')]
    for row in rows:
        assert float(row['frames/s without ROS']) > 0
        assert float(row['network ms a picture of a batch']) > 0
        assert float(row['frames/s with ROS']) > 0
        assert float(row['node RSS MB']) > 20
        for column in COLUMNS:
            if column.endswith('p50 / p95'):
                p50, p95 = map(float, row[column].split(' / '))
                assert 0 <= p50 <= p95


def test_the_steps_from_stamp_to_poses(measured):
    _, rows = tables(measured[0])
    assert [row['image'] for row in rows] == ['640x480', '1280x720']
    for row, figures in zip(rows, measured[1]['rows']):
        whole_ms, network_ms = float(row['stamp to published']), float(row['network'])
        assert 0 < network_ms < whole_ms
        outside_ms, share = row['all but the network'].split()
        assert float(outside_ms) == pytest.approx(whole_ms - network_ms, abs=0.11)
        assert float(share.strip('()%')) / 100 == pytest.approx(
            (whole_ms - network_ms) / whole_ms, abs=0.02)
        # The camera's process hears of the poses after they were published. The node's median is
        # of the warm-up, too.
        assert figures['ros']['p95_ms'] > 0.8 * whole_ms
        assert set(row) - {'provider', 'image', 'stamp to published', 'all but the network'} == (
            set(figures['ros']['steps_ms']) - {'latency'})


def test_the_figures_are_finite_and_fit_together(measured):
    rows = measured[1]['rows']
    assert len(rows) == 2
    for row in rows:
        found = numbers(dict(row))
        assert len(found) > 20 and all(map(math.isfinite, found))
        p50_ms = row['estimate']['p50_ms']
        assert p50_ms['total'] >= p50_ms['network'] > 0
        assert 0 < row['estimate']['outside_network'] < 1
        assert row['ros']['sent'] >= 8 and 2 <= row['ros']['results'] <= row['ros']['sent']
        # A frame passes through the estimator on its way.
        assert row['ros']['p50_ms'] > 0
    assert rows[0]['estimate']['objects'] == 2.0  # the tiny model sees two in every picture


def test_it_says_what_was_measured(measured):
    for text in (measured[0], json.dumps(measured[1]['measured'])):
        for part in ('8 drawn pictures, 8 objects of the model in each', 'tiny (sha256 ',
                     'the more objects are found', 'cores', 'ONNX Runtime', 'reliable'):
            assert part in text, part


def test_without_ros_and_with_a_folder_of_pictures(tiny_model, tmp_path, capsys):
    for number in range(3):
        cv2.imwrite(str(tmp_path / f'{number}.png'), np.full((300, 500, 3), 200, np.uint8))
    assert main(['--model', str(tiny_model), '--without-ros', '--repeat', '2', '--sizes',
                 '640x480', '--pictures', str(tmp_path), '--providers', CPU]) == 0
    output = capsys.readouterr().out
    assert '3 pictures of a folder' in output and 'poses mean nothing' in output
    row, = table_rows(output)
    assert row['frames/s with ROS'] == row['node RSS MB'] == '-'
    assert row['objects found'] == '2.0' and len(tables(output)) == 1


def error_of(arguments, capsys):
    """Return the one line that the benchmark ends with."""
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert not captured.out
    line, = captured.err.splitlines()
    assert line.startswith('error: ')
    return line


def test_a_provider_that_is_not_there_is_one_line(tiny_model, capsys):
    line = error_of(['--model', str(tiny_model), '--providers', 'MarsExecutionProvider'], capsys)
    assert 'MarsExecutionProvider does not run the model' in line
    assert 'install an onnxruntime that has it' in line


@pytest.mark.parametrize('arguments, text', [
    (['--model', 'nowhere.onnx'], 'there is no such model file'),
    (['--pictures', 'nowhere'], '--pictures nowhere: there is no such folder'),
    (['--json', 'nowhere/f.json'], '--json nowhere/f.json: there is no such folder')])
def test_paths_that_are_not_there_are_one_line(tiny_model, arguments, text, capsys):
    assert text in error_of(['--model', str(tiny_model), '--without-ros', *arguments], capsys)


def test_folders_without_usable_pictures(tiny_model, tmp_path, capsys):
    arguments = ['--model', str(tiny_model), '--without-ros', '--pictures', str(tmp_path)]
    assert 'no pictures in it' in error_of(arguments, capsys)
    (tmp_path / 'a.png').write_bytes(b'no picture')
    assert 'a.png cannot be read as a picture' in error_of(arguments, capsys)


@pytest.mark.parametrize('arguments, text', [
    (['--sizes', '640'], 'expected sizes such as 640x480'),
    (['--sizes', '8x8'], 'expected sizes such as 640x480'),
    (['--repeat', '1'], 'expected 2 to'), (['--providers', ','], 'expected names of execution')])
def test_options_that_cannot_be_used(arguments, text, capsys):
    with pytest.raises(SystemExit) as info:
        main(arguments)
    assert info.value.code == 2
    assert text in capsys.readouterr().err


def test_a_node_that_cannot_start_ends_the_benchmark_with_its_line(
        tiny_model, tmp_path, capsys, monkeypatch):
    # Found only by the node's own process, as what another ROS installation on the path does.
    (tmp_path / 'vision_msgs').mkdir()
    (tmp_path / 'vision_msgs' / '__init__.py').write_text('raise RuntimeError("broken here")')
    monkeypatch.setenv('PYTHONPATH', str(tmp_path))
    assert main(['--model', str(tiny_model), '--repeat', '2', '--sizes', '640x480',
                 '--providers', CPU]) == 2
    line = capsys.readouterr().err.splitlines()[-1]
    assert line.startswith('error: the ') and 'broken here' in line


def children(process_id):
    """Return the ids of the processes that a process has started."""
    with open(f'/proc/{process_id}/task/{process_id}/children', encoding='ascii') as stream:
        return [int(text) for text in stream.read().split()]


def is_there(process_id):
    """Return whether a process still runs."""
    try:
        with open(f'/proc/{process_id}/stat', encoding='ascii') as stream:
            return stream.read().rpartition(')')[2].split()[0] != 'Z'
    except FileNotFoundError:
        return False


@pytest.mark.skipif(not os.path.exists('/proc/self/task'), reason='reads /proc')
@pytest.mark.parametrize('number, code', [(signal.SIGTERM, 130),
                                          (signal.SIGKILL, -signal.SIGKILL)])
def test_a_benchmark_that_is_ended_leaves_no_process(tiny_model, number, code):
    benchmark = subprocess.Popen(
        [sys.executable, '-m', 'dr_perception.ros.benchmark', '--model', str(tiny_model),
         '--sizes', '640x480', '--repeat', '50', '--providers', CPU],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    try:
        deadline_s = time.monotonic() + 240.0
        while len(children(benchmark.pid)) < 2:  # the node and the camera
            assert benchmark.poll() is None and time.monotonic() < deadline_s
            time.sleep(0.01)
        started = children(benchmark.pid)
        benchmark.send_signal(number)
        assert benchmark.wait(60) == code
        deadline_s = time.monotonic() + 60.0
        while any(map(is_there, started)):
            assert time.monotonic() < deadline_s, started
            time.sleep(0.05)
        assert 'Traceback' not in benchmark.stderr.read()
    finally:
        if benchmark.poll() is None:
            os.killpg(benchmark.pid, signal.SIGKILL)
