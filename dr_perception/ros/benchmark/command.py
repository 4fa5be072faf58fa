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

"""`ros2 run dr_perception benchmark`: the performance table of this machine.

Exit codes: 0 done, 2 the user's error in one line, 130 interrupted, 1 a bug with its traceback.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import signal
import sys
from typing import Any

from dr_perception import __version__, PoseEstimator
from dr_perception.core.errors import PerceptionError
from dr_perception.core.resources import find_resource
from dr_perception.inference import machine
from dr_perception.inference.benchmark import measure_batch, measure_stages
from dr_perception.inference.provider_check import (require_provider, running_providers,
                                                    runtime_version)
from dr_perception.inference.session import OnnxNetwork
from dr_perception.ros.benchmark.errors import BenchmarkError
from dr_perception.ros.benchmark.pictures import (drawn_pictures, pictures_of_folder,
                                                  resized_pictures)
from dr_perception.ros.benchmark.table import as_markdown, Row
from dr_perception.ros.benchmark.transport import measure_transport

_SIZES = ((640, 480), (1280, 720), (1920, 1080))
_SHIPPED_MODEL = 'models/tabletop.onnx'


def build_parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog='benchmark', description='For each provider that runs the model and each image '
        'size: milliseconds by stage, frames a second without ROS and with it, stamp to poses, '
        'memory. Leave the machine alone meanwhile.')
    parser.add_argument('--model', type=Path, metavar='ONNX',
                        help='model file (default: the shipped models/tabletop.onnx)')
    parser.add_argument('--providers', type=_names, default=(), metavar='A,B',
                        help='execution providers (default: every one that runs the model)')
    parser.add_argument('--sizes', type=_sizes, default=_SIZES, metavar='WxH,WxH',
                        help='image sizes (default: 640x480,1280x720,1920x1080)')
    parser.add_argument('--repeat', type=_count, default=100, metavar='N',
                        help='pictures for each figure (default: 100)')
    parser.add_argument('--batch', type=int, choices=range(1, 65), default=4, metavar='N',
                        help='pictures of a batch, as of several cameras that share the network '
                        '(default: 4)')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help="measure with a folder's pictures (default: drawn ones, each with "
                        "the model's objects; time depends on how many are found)")
    parser.add_argument('--threads', type=int, choices=range(257), default=0, metavar='N',
                        help='CPU threads of the network (default: 0, one for each core)')
    parser.add_argument('--without-ros', action='store_true',
                        help='leave out the node and the transport')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures there, too')
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure, print the table and return the exit code."""
    options = build_parser().parse_args(argv)
    # SIGTERM takes the way of Ctrl-C, so that no process is left behind.
    previous = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        rows, measured = run_benchmark(options)
        print(as_markdown(rows, measured))
        if options.json:
            _write(options.json, {'measured': measured, 'rows': [r.as_dict() for r in rows]})
    except PerceptionError as problem:
        print(f'error: {problem}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    finally:
        signal.signal(signal.SIGTERM, previous)
    return 0


def run_benchmark(options: argparse.Namespace) -> tuple[list[Row], dict[str, str]]:
    """Every provider with every size, and what was measured on what.

    Raises:
        PerceptionError: the model, a provider, the pictures or ROS cannot be used.
    """
    if not options.without_ros:
        _require_ros()
    if options.json and not options.json.resolve().parent.is_dir():
        raise BenchmarkError(f'--json {options.json}: there is no such folder')
    path = options.model or find_resource(_SHIPPED_MODEL)
    contract = PoseEstimator.from_file(path).contract
    multiple_px = contract.input.multiple_px
    for name in options.providers:
        require_provider(path, name, multiple_px)
    providers = options.providers or running_providers(path, multiple_px)
    folder = pictures_of_folder(options.pictures) if options.pictures else None
    rows = []
    for provider in providers:
        estimator = PoseEstimator.from_file(path, [provider], options.threads)
        for width_px, height_px in options.sizes:
            print(f'{provider}, {width_px}x{height_px} ...', file=sys.stderr, flush=True)
            pictures = (drawn_pictures(contract, width_px, height_px) if folder is None
                        else resized_pictures(folder, contract, width_px, height_px))
            stages = measure_stages(estimator, pictures.images_rgb, pictures.camera,
                                    pictures.T_base_camera, options.repeat)
            batch_ms = measure_batch(OnnxNetwork(path, [provider], options.threads),
                                     pictures.images_rgb, pictures.camera, options.batch,
                                     options.repeat)
            transport = None if options.without_ros else measure_transport(
                path, provider, options.threads, pictures, options.repeat,
                stages.pictures_per_s)
            rows.append(Row(provider, width_px, height_px, stages, batch_ms, transport))
    estimator = PoseEstimator.from_file(path)
    return rows, {
        'machine': f'{machine.processor_name()}, {machine.usable_cores()} cores; '
                   f'{"; ".join(machine.gpu_names()) or "no NVIDIA GPU"}; load of the '
                   f'last minute {machine.load_average():.1f}, the benchmark included',
        'software': f'dr_perception {__version__}, ONNX Runtime {runtime_version()}, threads '
                    f'{options.threads or "one for each core"}',
        'model': f'{contract.name} (sha256 {estimator.model_sha256[:12]}), '
                 f'{len(contract.objects)} objects',
        'pictures': f'{pictures.description}; {options.repeat} for each figure, after a warm-up; '
                    'decoding and poses take longer the more objects are found',
        'batch': f'{options.batch} pictures in one run of the network, time for each',
        'with ROS': 'left out' if options.without_ros else (
            "the node and a camera in a process each; stamp to poses (arrived in the camera's "
            'process) at 30 pictures/s or 0.6 of frames/s without ROS, whichever is less; '
            'frames/s with more offered than it can take; rgb8, reliable, '
            'config/fastdds_large_images.xml')}


def _require_ros() -> None:
    from dr_perception.ros.doctor.versions import ros_problem
    problem = ros_problem()
    if problem:
        raise BenchmarkError(f"{problem}: source a ROS 2 installation, or: pip install '.[ros]' "
                             '&& python -m dr_perception.ros.interfaces; or leave ROS out with '
                             '--without-ros')


def _write(path: Path, figures: dict[str, Any]) -> None:
    try:
        path.write_text(json.dumps(figures, indent=2) + '\n', encoding='utf-8')
    except OSError as error:
        raise BenchmarkError(f'--json {path}: cannot be written ({error.strerror})') from error


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(',') if part.strip())
    if not names:
        raise argparse.ArgumentTypeError(f'{text!r}: expected names of execution providers, such '
                                         'as CUDAExecutionProvider,CPUExecutionProvider')
    return names


def _sizes(text: str) -> tuple[tuple[int, int], ...]:
    try:
        sizes = tuple((int(w), int(h)) for w, h in (part.split('x') for part in text.split(',')))
    except ValueError:
        sizes = ()
    if not sizes or not all(32 <= side <= 8192 for size in sizes for side in size):
        raise argparse.ArgumentTypeError(f'{text!r}: expected sizes such as 640x480,1280x720 '
                                         '(32 to 8192 px)')
    return sizes


def _count(text: str) -> int:
    value = int(text)
    if not 2 <= value <= 100_000:
        raise argparse.ArgumentTypeError(f'{text}: expected 2 to 100000')
    return value
