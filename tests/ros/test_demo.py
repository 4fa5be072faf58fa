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

"""The demo: three real processes to a table, one-line refusals, nobody left behind."""
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import time

import pytest
from sim_trainer import demo

ROOT = Path(__file__).resolve().parents[2]


def process_ids(text):
    """Return the ids of running processes whose command line holds a text."""
    found = []
    for folder in Path('/proc').glob('[0-9]*'):
        try:
            if text.encode() in (folder / 'cmdline').read_bytes():
                found.append(int(folder.name))
        except OSError:
            continue
    return [number for number in found if number != os.getpid()]


def start_demo(model, *arguments):
    """Start the demo as a process of its own session, that takes Ctrl-C.

    Tests that run in a shell's background have SIGINT ignored, and hand that on.
    """
    return subprocess.Popen(
        [sys.executable, '-m', 'sim_trainer', 'demo', '--model', str(model), *arguments],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL))


def needs_renderer():
    """Skip where pictures cannot be drawn."""
    for name in ('pybullet', 'moderngl', 'trimesh'):
        pytest.importorskip(name, reason='needs the simulation: pip install .[demo]')


@pytest.mark.slow
def test_demo_ends_with_a_table_and_nobody_is_left(tiny_model, tmp_path):
    needs_renderer()
    figures = tmp_path / 'demo.json'
    process = start_demo(tiny_model, '--duration', '6', '--rate', '5', '--json', str(figures))
    output, _ = process.communicate(timeout=250)
    assert process.returncode == 0, output
    assert 'false' in output and 'image stamp to received poses' in output
    report = json.loads(figures.read_text())
    assert report['frames'] >= 5 and report['latency_p50_ms'] > 0
    assert report['all']['shown'] > 0
    assert not process_ids(str(tiny_model))


@pytest.mark.slow
@pytest.mark.parametrize('number', [signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
def test_interrupted_demo_leaves_nobody(tiny_model, number):
    process = start_demo(tiny_model, '--duration', '60')
    deadline_s = time.monotonic() + 100.0       # two cores that others use, too
    while len(process_ids(str(tiny_model))) < 3:  # the demo, the estimator, the monitor
        assert time.monotonic() < deadline_s
        time.sleep(0.05)
    time.sleep(1.0)
    process.send_signal(number)
    process.communicate(timeout=60)
    deadline_s = time.monotonic() + 60.0
    while process_ids(str(tiny_model)):
        assert time.monotonic() < deadline_s, process_ids(str(tiny_model))
        time.sleep(0.05)


def test_missing_ros_names_the_command(monkeypatch):
    monkeypatch.setattr(demo, '_ROS_MODULES', ('rclpy_that_is_not_there', 'rclpy'))
    with pytest.raises(demo.DemoError, match='rclpy_that_is_not_there.*(pip install|interfaces)'):
        demo.check_ros()


def test_missing_model_names_the_remedy(tmp_path):
    with pytest.raises(demo.DemoError, match='no such file; train one'):
        demo.run_demo(['--model', str(tmp_path / 'no.onnx')])


@pytest.mark.parametrize('value, text', [
    (1.5, '1.5'), ("it's", "'it''s'"), ('[A, B]', '[A, B]'), (['a=1', 'b'], "['a=1', 'b']")])
def test_parameters_as_yaml(value, text):
    assert demo._as_yaml(value) == text
