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

"""The node with ROS transport: the real node in one process, a camera in another.

Both run in a DDS domain of their own on this machine alone: the poses of a picture that nobody
took must not reach a robot.
"""

from __future__ import annotations

from collections.abc import Iterator
import contextlib
import ctypes
from dataclasses import asdict, dataclass
import json
import os
from pathlib import Path
import signal
import subprocess
import sys
import tempfile
import time
from typing import Any, IO

from dr_perception.core.resources import find_resource
from dr_perception.core.transforms import quat_xyzw_from_rotation
from dr_perception.inference import machine
from dr_perception.inference.benchmark import NETWORK
from dr_perception.ros.benchmark.errors import BenchmarkError
from dr_perception.ros.benchmark.pictures import Pictures
import numpy as np

#: The step of the node's report that is the sum of the others.
LATENCY = 'latency'
_NAMESPACE = '/dr_perception_benchmark'
_NODE = 'dr_perception.ros.pose_estimator_node'
_CAMERA = 'dr_perception.ros.benchmark.camera_process'
_DDS_PROFILE = 'config/fastdds_large_images.xml'
#: A first TensorRT engine takes minutes to build.
START_TIMEOUT_S = 600.0
#: Rate that latency is measured at: a usual camera's, or what leaves the node some room.
_CAMERA_RATE_HZ, _EASY_PART = 30.0, 0.6
#: Pictures are offered this much faster than the estimator alone takes them.
_FULL_PART = 1.5
#: Results that make a rate.
_LEAST_RESULTS = 2
_PR_SET_PDEATHSIG = 1


@dataclass(frozen=True)
class TransportTimes:
    """Figures of the node in ROS.

    Attributes:
        rate_hz: results a second while more pictures are offered than it can take.
        p50_ms, p95_ms: from the image's stamp to the arrival of its poses in the camera's
            process, at ``steady_rate_hz``: publishing, and the way of the small result back.
        steady_rate_hz: pictures a second that were sent for the latency.
        steps_ms: median and p95 ('p50', 'p95') of each step in the node, of that stream: by its
            own report; 'latency' is the whole, from the stamp until the poses are published.
        results, sent: of that stream; the rest was dropped for newer ones.
        rss_mb: resident memory of the node at the end; None where it is not known.
        gpu_mb: GPU memory of the node by nvidia-smi; None where it is not known.
    """

    rate_hz: float
    p50_ms: float
    p95_ms: float
    steady_rate_hz: float
    steps_ms: dict[str, dict[str, float]]
    results: int
    sent: int
    rss_mb: float | None
    gpu_mb: float | None

    @property
    def outside_network_ms(self) -> float:
        """From the stamp until the poses are published, without the network: medians."""
        return self.steps_ms[LATENCY]['p50'] - self.steps_ms[NETWORK]['p50']


def measure_transport(model: Path, provider: str, threads: int, pictures: Pictures,
                      repeat: int, estimator_rate_hz: float) -> TransportTimes:
    """Start the node and a camera, stream twice, and end both.

    Args:
        model, provider, threads: parameters of the node.
        pictures: to send.
        repeat: pictures of the stream for the latency, and results of the one for the rate.
        estimator_rate_hz: pictures a second of the estimator alone; decides the rates.

    Raises:
        BenchmarkError: a process ended early, or gave nothing; with the node's last line.
    """
    steady_rate_hz = min(_CAMERA_RATE_HZ, _EASY_PART * estimator_rate_hz)
    environment = _environment()
    with tempfile.TemporaryDirectory() as folder:
        np.save(Path(folder) / 'pictures.npy', pictures.images_rgb)
        plan = {'pictures': str(Path(folder) / 'pictures.npy'), 'namespace': _NAMESPACE,
                'camera': asdict(pictures.camera), 'count': repeat,
                'least_results': _LEAST_RESULTS, 'steady_rate_hz': steady_rate_hz,
                'full_rate_hz': _FULL_PART * estimator_rate_hz, 'timeout_s': START_TIMEOUT_S}
        with _process([_NODE, *_node_arguments(model, provider, threads, pictures)],
                      environment) as (node, node_log), _process(
                          [_CAMERA, json.dumps(plan)], environment) as (camera, camera_log):
            figures = _wait(node, node_log, camera, camera_log)
            rss_mb, gpu_mb = machine.resident_mb(node.pid), machine.gpu_memory_mb(node.pid)
    steady, full = figures['steady'], figures['full']
    results = min(steady['results'], full['results'])
    if not figures['steps']:
        raise BenchmarkError('the node published no /diagnostics after the pictures: leave the '
                             'machine to the benchmark')
    if results < _LEAST_RESULTS:
        raise BenchmarkError(f'only {results} of {repeat} pictures came back as poses: leave the '
                             'machine to the benchmark, or use a larger --repeat')
    return TransportTimes(full['rate_hz'], steady['p50_ms'], steady['p95_ms'], steady_rate_hz,
                          figures['steps'], steady['results'], steady['sent'], rss_mb, gpu_mb)


def _node_arguments(model: Path, provider: str, threads: int, pictures: Pictures) -> list[str]:
    T = pictures.T_base_camera
    pose = ', '.join(f'{value:.9f}' for value in (
        *T[:3, 3], *quat_xyzw_from_rotation(T[:3, :3])))
    # Reliable: of large best-effort pictures DDS loses some, and less work looks faster.
    values = {'model': f"'{model.resolve()}'", 'providers': f'[{provider}]',
              'strict_provider': 'true', 'threads': str(threads), 'camera_pose': f'[{pose}]',
              'image_reliability': 'reliable', 'max_image_age_s': '0.0'}
    return ['--ros-args', '-r', f'__ns:={_NAMESPACE}',
            *(item for name, value in values.items() for item in ('-p', f'{name}:={value}'))]


def _environment() -> dict[str, str]:
    environment = {**os.environ, 'ROS_DOMAIN_ID': str(os.getpid() % 51 + 51),
                   'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST', 'PYTHONUNBUFFERED': '1'}
    profile = find_resource(_DDS_PROFILE)
    if profile.is_file():
        environment.setdefault('FASTRTPS_DEFAULT_PROFILES_FILE', str(profile))
    # The processes are started with -m: from a checkout that is not installed, too.
    root = str(Path(__file__).resolve().parents[3])
    environment['PYTHONPATH'] = os.pathsep.join(
        [root, *filter(None, [environment.get('PYTHONPATH')])])
    return environment


@contextlib.contextmanager
def _process(command: list[str], environment: dict[str, str]
             ) -> Iterator[tuple[subprocess.Popen, IO[bytes]]]:
    """Return a Python module as a process that is gone after the block, and its output."""
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, '-m', *command], env=environment, stdout=log,
                                   stderr=subprocess.STDOUT, start_new_session=True,
                                   preexec_fn=_end_with_parent)
        try:
            yield process, log
        finally:
            for number, patience_s in ((signal.SIGINT, 10.0), (signal.SIGKILL, 10.0)):
                if process.poll() is None:
                    process.send_signal(number)
                    with contextlib.suppress(subprocess.TimeoutExpired):
                        process.wait(patience_s)


def _end_with_parent() -> None:
    """In the child: end when the benchmark was killed, and take SIGINT even if it was ignored."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    with contextlib.suppress(OSError, AttributeError):  # Linux only
        # A SIGINT that arrives while Python still starts may be lost.
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _wait(node: subprocess.Popen, node_log: IO[bytes], camera: subprocess.Popen,
          camera_log: IO[bytes]) -> dict[str, Any]:
    """Return what the camera printed.

    Raises:
        BenchmarkError: one of them ended too early.
    """
    while camera.poll() is None:
        if node.poll() is not None:
            raise BenchmarkError(f'the node ended with exit code {node.returncode}: '
                                 f'{_last_line(node_log)}')
        time.sleep(0.05)
    text = _last_line(camera_log)
    if camera.returncode != 0 or not text.startswith('{'):
        raise BenchmarkError(f"the camera's process ended with exit code {camera.returncode}: "
                             f'{text}')
    figures = json.loads(text)
    if 'problem' in figures:
        raise BenchmarkError(f'{figures["problem"]}: {_last_line(node_log)}')
    return figures


def _last_line(log: IO[bytes]) -> str:
    log.seek(0)
    lines = [line.strip() for line in log.read().decode(errors='replace').splitlines()]
    return next((line for line in reversed(lines) if line), 'it printed nothing')
