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

"""The command line of the replay.

Exit codes: 0 done, 2 the user's error in one line, 130 interrupted, 1 a bug with its traceback.
"""

from __future__ import annotations

import argparse
import logging
from pathlib import Path
import sys

from dr_perception.core.errors import PerceptionError
from dr_perception.core.message_values import clean_frame_id, transform_from_seven
from dr_perception.core.resources import find_resource

_DEFAULT_MODEL = 'models/tabletop.onnx'
#: What the extra ``replay`` brings: rosbags and what that imports.
_OF_EXTRA = ('rosbags', 'apsw', 'backports', 'lz4', 'ruamel', 'typing_extensions')


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every option."""
    parser = argparse.ArgumentParser(
        prog='python -m dr_perception.replay',
        description='Poses, an annotated video and a report from a recorded rosbag2; no ROS '
                    'needed.')
    parser.add_argument('bag', type=Path, metavar='BAG',
                        help='a rosbag2 folder, or one .mcap or .db3 file')
    parser.add_argument('--output', type=Path, required=True, metavar='DIR',
                        help='poses.csv, poses.jsonl, annotated.mp4, report.md and report.html '
                        'are written here')
    parser.add_argument('--model', type=Path, metavar='M',
                        help=f'the model.onnx (default: the shipped {_DEFAULT_MODEL})')
    parser.add_argument('--image-topic', metavar='T',
                        help='Image or CompressedImage topic (default: the only one that has a '
                        'CameraInfo beside it)')
    parser.add_argument('--camera-info-topic', metavar='T',
                        help='its CameraInfo topic (default: camera_info beside the images)')
    parser.add_argument('--base-frame', default='base_link', metavar='F',
                        help='frame whose plane z = 0 the objects stand on (default: base_link)')
    parser.add_argument('--camera-pose', nargs='+', metavar='X',
                        help='pose of the camera (optical frame) in the base frame: x y z in '
                        'metres, qx qy qz qw; before TF of the recording. Numbers such as -1e-5: '
                        'all seven in one pair of quotes')
    parser.add_argument('--rectified', action='store_true',
                        help='the images are rectified: P of the CameraInfo holds, without '
                        'distortion')
    parser.add_argument('--providers', nargs='+', default=['CPUExecutionProvider'], metavar='P',
                        help='ONNX Runtime execution providers, in order of preference (default: '
                        'CPUExecutionProvider)')
    parser.add_argument('--threads', type=_count_or_zero, default=0, metavar='N',
                        help='CPU threads of the network, 0: one a core (default: 0)')
    parser.add_argument('--start', type=_seconds, default=0.0, metavar='S',
                        help='begin so many seconds after the start of the recording')
    parser.add_argument('--duration', type=_seconds, metavar='S',
                        help='stop so many seconds later (default: at the end)')
    parser.add_argument('--every', type=_positive, default=1, metavar='N',
                        help='use only every N-th picture (default: 1)')
    parser.add_argument('--no-video', action='store_true', help='write no video')
    parser.add_argument('--min-score', type=_probability, default=0.0, metavar='P',
                        help="leave out what scores below this, 0...1 (default: 0, the model's "
                        'own threshold)')
    return parser


def main(argv: list[str] | None = None) -> int:
    """Replay a recording and return the exit code."""
    arguments = build_parser().parse_args(argv)
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    try:
        return _run(arguments)
    except PerceptionError as error:
        print(f'error: {" ".join(str(error).split())}', file=sys.stderr)
    except OSError as error:  # a full disk, a folder that may not be written
        print(f'error: {error.filename or arguments.output}: {error.strerror or error}',
              file=sys.stderr)
    except ModuleNotFoundError as error:
        name = (error.name or '').split('.')[0]
        if name not in _OF_EXTRA:
            raise
        print(f"error: {name} is not installed: pip install 'dr_perception[replay]' (from a "
              "checkout: pip install '.[replay]')", file=sys.stderr)
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    return 2


def _run(arguments: argparse.Namespace) -> int:
    from dr_perception.replay.replaying import replay, ReplayOptions
    summary = replay(ReplayOptions(
        arguments.bag, arguments.output, arguments.model or find_resource(_DEFAULT_MODEL),
        arguments.image_topic, arguments.camera_info_topic, clean_frame_id(arguments.base_frame),
        _camera_pose(arguments.camera_pose), arguments.rectified, tuple(arguments.providers),
        arguments.threads, arguments.start, arguments.duration, arguments.every,
        not arguments.no_video, arguments.min_score))
    print(f'{summary.record_count()} poses from {summary.used} pictures in {arguments.output}')
    return 130 if summary.is_interrupted else 0


class CameraPoseError(PerceptionError, ValueError):
    """``--camera-pose`` that is not a pose."""


def _camera_pose(words: list[str] | None):
    """``T_base_camera`` (4x4) of the option, or None."""
    if words is None:
        return None
    try:
        return transform_from_seven([float(w) for w in ' '.join(words).replace(',', ' ').split()])
    except ValueError as error:
        raise CameraPoseError(f'--camera-pose: {error}') from error


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1e9:
        raise argparse.ArgumentTypeError(f'{text} is not within 0 ... 1e9 seconds')
    return value


def _probability(text: str) -> float:
    value = float(text)
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f'{text} is not within 0 ... 1')
    return value


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text} is not 1 or more')
    return value


def _count_or_zero(text: str) -> int:
    value = int(text)
    if not 0 <= value <= 256:
        raise argparse.ArgumentTypeError(f'{text} is not within 0 ... 256')
    return value
