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

"""The demo: simulated camera, pose estimator and monitor as three processes, and a table.

The nodes run as plain processes everywhere, also where launch_ros is installed: so one command
works with ROS from PyPI and from apt alike. `ros2 launch dr_perception sim_demo.launch.py` is the
same for a ROS installation.
"""

from __future__ import annotations

import argparse
import contextlib
import ctypes
from dataclasses import dataclass, field
import importlib.util
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import IO

from dr_perception.core.errors import PerceptionError

_MODULES = {
    'camera': 'dr_perception.ros.demo.simulated_camera_node',
    'estimator': 'dr_perception.ros.pose_estimator_node',
    'monitor': 'dr_perception.ros.demo.monitor_node',
}
_ROS_MODULES = ('rclpy', 'sensor_msgs', 'vision_msgs', 'tf2_msgs', 'diagnostic_msgs',
                'lifecycle_msgs')
#: Longest wait (s) for the first detections beyond the demo's own duration.
_START_S = 120.0
_PR_SET_PDEATHSIG = 1


class DemoError(PerceptionError, RuntimeError):
    """The demo cannot run here; the message says what to install or to give."""


def build_parser() -> argparse.ArgumentParser:
    """Return the demo's options."""
    parser = argparse.ArgumentParser(
        prog='sim_trainer demo', description='Camera in, poses out, without a camera: drawn '
        'pictures go through the real ROS 2 node, and its poses are compared with the truth.')
    parser.add_argument('--duration', type=_positive, default=30.0, metavar='S',
                        help='seconds of detections (default: 30)')
    parser.add_argument('--scenes', type=int, default=0, metavar='N',
                        help='show so many scenes, again and again (default: ever new ones)')
    parser.add_argument('--model', type=Path, metavar='M',
                        help='model.onnx (default: the shipped models/tabletop.onnx)')
    parser.add_argument('--config', type=Path, metavar='YAML',
                        help='scene (default: the shipped config/tabletop.yaml)')
    parser.add_argument('--rate', type=_positive, default=15.0, metavar='HZ',
                        help='pictures a second (default: 15)')
    parser.add_argument('--scene-time', type=_positive, default=2.0, metavar='S',
                        help='seconds a scene is shown (default: 2)')
    parser.add_argument('--set', action='append', default=[], metavar='KEY.PATH=VALUE',
                        help='change the scene')
    parser.add_argument('--provider', default='CPUExecutionProvider', metavar='NAME',
                        help='execution provider (default: CPUExecutionProvider)')
    parser.add_argument('--json', type=Path, metavar='FILE', help='write the figures there, too')
    parser.add_argument('--verbose', action='store_true', help="show the nodes' own logs")
    return parser


def run_demo(argv: list[str]) -> int:
    """Run the demo; exit code 0 with a table, 1 when a node failed.

    Raises:
        DemoError: ROS or the model is not there; one line with the remedy.
    """
    options = build_parser().parse_args(argv)
    check_ros()
    root = Path(__file__).resolve().parents[1]
    model = options.model or _shipped(root, 'models/tabletop.onnx')
    config = options.config or _shipped(root, 'config/tabletop.yaml')
    for path, remedy in ((model, 'train one (python -m sim_trainer train config/tabletop.yaml '
                                 '--output runs/tabletop) and name it with --model'),
                         (config, 'name a scene with --config')):
        if not path.is_file():
            raise DemoError(f'{path}: there is no such file; {remedy}')
    environment = demo_environment(root, os.environ)
    print(f'- starting simulated camera, pose estimator and monitor '
          f'(ROS_DOMAIN_ID={environment["ROS_DOMAIN_ID"]}, this machine only)', flush=True)
    print(f'- model {model}, scene {config}: {options.rate:g} pictures of 640x480 a second, a new '
          f'scene every {options.scene_time:g} s', flush=True)
    with ProcessGroups(environment, options.verbose) as processes:
        processes.start('camera', _camera_parameters(options, config))
        processes.start('estimator', {
            'model': str(model), 'providers': f'[{options.provider}]'})
        processes.start('monitor', {
            'model': str(model), 'duration_s': float(options.duration),
            'json': str(options.json.resolve()) if options.json else ''},
            {'detections': '/pose_estimator/detections',
             'ground_truth': '/simulated_camera/ground_truth'})
        return processes.wait_for('monitor', options.duration + _START_S)


def check_ros() -> None:
    """Check that ROS can be imported, without importing it.

    Raises:
        DemoError: with the command that installs what is missing.
    """
    missing = [name for name in _ROS_MODULES if importlib.util.find_spec(name) is None]
    if not missing:
        return
    generated = not {'rclpy', 'sensor_msgs'} & set(missing)
    command = ('python -m dr_perception.ros.interfaces' if generated else
               "pip install '.[ros,demo]' && python -m dr_perception.ros.interfaces")
    raise DemoError(f'the demo needs ROS 2 ({", ".join(missing)} cannot be imported): source a '
                    f'ROS 2 installation, or: {command} (python3 -m sim_trainer.bootstrap demo '
                    'does it all)')


def demo_environment(root: Path, variables: dict[str, str]) -> dict[str, str]:
    """Environment of the nodes: a DDS domain of their own, room for pictures, this code."""
    environment = dict(variables)
    environment.setdefault('ROS_DOMAIN_ID', str(os.getpid() % 51 + 51))
    environment.setdefault('ROS_AUTOMATIC_DISCOVERY_RANGE', 'LOCALHOST')
    environment.setdefault('PYTHONUNBUFFERED', '1')
    profile = _shipped(root, 'config/fastdds_large_images.xml')
    if profile.is_file():
        environment.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(profile))
    # The nodes are started with -m: from a checkout that is not installed, too.
    paths = [str(root), *filter(None, [environment.get('PYTHONPATH')])]
    environment['PYTHONPATH'] = os.pathsep.join(paths)
    return environment


@dataclass
class ProcessGroups:
    """Processes, each the leader of its own group; all are gone after the `with` block.

    Attributes:
        environment: variables of the processes.
        is_verbose: show the logs of the nodes; else they appear only when one fails.
    """

    environment: dict[str, str]
    is_verbose: bool = False
    _running: dict[str, subprocess.Popen] = field(default_factory=dict)
    _logs: dict[str, IO[bytes]] = field(default_factory=dict)

    def __enter__(self) -> ProcessGroups:
        # SIGTERM takes the way of Ctrl-C, so that nobody is left behind.
        self._previous = signal.signal(signal.SIGTERM, _interrupt)
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.stop()
        finally:
            signal.signal(signal.SIGTERM, self._previous)

    def start(self, name: str, parameters: dict[str, object],
              remappings: dict[str, str] | None = None) -> None:
        """Start a node with parameters and remappings."""
        command = [sys.executable, '-m', _MODULES[name], '--ros-args']
        for key, value in parameters.items():
            command += ['-p', f'{key}:={_as_yaml(value)}']
        for source, target in (remappings or {}).items():
            command += ['-r', f'{source}:={target}']
        if not self.is_verbose and name != 'monitor':
            self._logs[name] = tempfile.TemporaryFile()
        self._running[name] = subprocess.Popen(
            command, env=self.environment, start_new_session=True, preexec_fn=_die_with_parent,
            stdout=self._logs.get(name), stderr=self._logs.get(name))

    def wait_for(self, name: str, timeout_s: float) -> int:
        """Wait until a process is done; returns its exit code, 1 when another one ended before.

        Raises:
            DemoError: it took longer than ``timeout_s``.
        """
        deadline_s = time.monotonic() + timeout_s
        while time.monotonic() < deadline_s:
            for other, process in self._running.items():
                code = process.poll()
                if code is not None and other == name:
                    return code
                if code is not None:
                    print(self._log_text(other), end='', file=sys.stderr)
                    print(f'error: the {other} ended with exit code {code}', file=sys.stderr)
                    return code if code in (1, 2) else 1
            time.sleep(0.1)
        raise DemoError(f'no detections for {timeout_s:.0f} s; run again with --verbose')

    def _log_text(self, name: str) -> str:
        log = self._logs.get(name)
        if log is None:
            return ''
        log.seek(0)
        return log.read().decode(errors='replace')

    def stop(self) -> None:
        """End all: SIGINT, then SIGTERM, then SIGKILL to what is left of each group."""
        for number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGTERM, 5.0),
                                   (signal.SIGKILL, 5.0)):
            for process in self._running.values():
                if process.poll() is None:
                    with contextlib.suppress(ProcessLookupError):
                        os.killpg(process.pid, number)
            deadline_s = time.monotonic() + patience_s
            for process in self._running.values():
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(max(deadline_s - time.monotonic(), 0.01))
            if all(process.poll() is not None for process in self._running.values()):
                break
        for process in self._running.values():  # a leader that is gone may leave others behind
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(process.pid, signal.SIGKILL)
        for log in self._logs.values():
            log.close()
        self._running, self._logs = {}, {}


def _camera_parameters(options: argparse.Namespace, config: Path) -> dict[str, object]:
    parameters = {'config': str(config), 'rate_hz': float(options.rate),
                  'scene_s': float(options.scene_time), 'scenes': options.scenes}
    if options.set:
        parameters['overrides'] = options.set
    return parameters


def _as_yaml(value: object) -> str:
    """Return a parameter's value as `-p` takes it: YAML, texts in quotes where they need them."""
    if isinstance(value, list):
        return '[' + ', '.join("'" + item.replace("'", "''") + "'" for item in value) + ']'
    if isinstance(value, str) and not value.startswith('['):
        return "'" + value.replace("'", "''") + "'"
    return str(value)


def _shipped(root: Path, relative: str) -> Path:
    """Return a shipped file: of the checkout, or of the installed package's share folder."""
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders = [root, *(Path(p) / 'share' / 'dr_perception' for p in (*prefixes, sys.prefix))]
    return next((f / relative for f in folders if (f / relative).is_file()), root / relative)


def _die_with_parent() -> None:
    """In the child: end when the demo is killed, and take SIGINT even if it was ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGINT)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def _positive(text: str) -> float:
    value = float(text)
    if not 0 < value < float('inf'):
        raise argparse.ArgumentTypeError(f'{text}: expected a positive number')
    return value
