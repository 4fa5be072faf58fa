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

"""`ros2 run dr_perception doctor`: what is there, what works, and what to do about the rest.

Exit codes: 0 nothing is wrong (also with warnings), 3 at least one finding is an ERROR, 2 an
option that cannot be used (one line), 130 interrupted, 1 a bug with its traceback.
"""

from __future__ import annotations

import argparse
import sys

from dr_perception.core.errors import PerceptionError
from dr_perception.ros.doctor import model, report, versions
from dr_perception.ros.doctor.findings import Section


def build_parser() -> argparse.ArgumentParser:
    """Return the options."""
    parser = argparse.ArgumentParser(
        prog='doctor', description='One paste for a bug report: versions, providers, model, '
        'topics, CameraInfo, TF, time per stage and the running node, each with what is wrong '
        'and what to do. Needs no camera and no running node.',
        epilog='Exit code 0 nothing is wrong (warnings allowed), 3 an ERROR was found, 2 an '
        'option that cannot be used, 1 a bug.')
    parser.add_argument('--image', default='', metavar='TOPIC',
                        help='image topic (default: what a running pose_estimator reads, else '
                        'every image topic)')
    parser.add_argument('--camera-info', default='', metavar='TOPIC',
                        help='its CameraInfo (default: beside the image)')
    parser.add_argument('--base-frame', default='base_link', metavar='FRAME',
                        help='frame that the objects stand in (default: base_link)')
    parser.add_argument('--model', default='', metavar='ONNX',
                        help='model file (default: the shipped models/tabletop.onnx)')
    parser.add_argument('--seconds', type=_seconds, default=5.0, metavar='S',
                        help='how long to listen, once another node was found (default: 5)')
    parser.add_argument('--providers', type=_names, default=(), metavar='A,B',
                        help='execution providers that must run the model (default: each '
                        'installed one is tried)')
    parser.add_argument('--json', action='store_true', help='print JSON in place of markdown')
    return parser


def main(argv: list[str] | None = None) -> int:
    """Examine, print the report and return the exit code."""
    options = build_parser().parse_args(argv)
    try:
        sections = examine(options)
    except PerceptionError as problem:
        print(f'error: {problem}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted', file=sys.stderr)
        return 130
    print((report.as_json if options.json else report.as_markdown)(sections))
    return report.exit_code(sections)


def examine(options: argparse.Namespace) -> list[Section]:
    """Every section, in order; a part that is not installed leaves its sections short.

    Raises:
        PerceptionError: an option that cannot be used.
    """
    model_section, model_in_use = model.inspect(options.model)
    # Then the graph: the sections that compute would make the doctor deaf meanwhile.
    estimator = model_in_use.estimator
    graph = _graph_sections(
        options, 0.0 if estimator is None else estimator.contract.support_plane_z_m)
    sections = [versions.inspect()]
    providers_section, stages_section = Section('Execution providers'), Section('Time per stage')
    try:
        from dr_perception.ros.doctor import providers, stages
    except ImportError:
        for section in (providers_section, stages_section):
            section.skip('numpy, OpenCV or ONNX Runtime is missing, see the section Versions')
    else:
        providers_section, running = providers.inspect(model_in_use, options.providers)
        stages_section = stages.inspect(model_in_use, running)
    return [*sections, providers_section, model_section, *graph[:3], stages_section, *graph[3:]]


def _graph_sections(options: argparse.Namespace, plane_z_m: float) -> list[Section]:
    """Topics, CameraInfo, TF and the running node."""
    if versions.ros_problem():
        return [Section(title).skip('ROS 2 cannot be imported, see the section Versions')
                for title in ('Image topics', 'CameraInfo', 'TF', 'Running pose_estimator')]
    from dr_perception.ros.doctor import camera_info, frames, node_status, topics
    from dr_perception.ros.doctor.graph_watch import watch
    seen = watch(options.image, options.camera_info, options.seconds)
    return [topics.inspect(seen), camera_info.inspect(seen),
            frames.inspect(seen, options.base_frame, plane_z_m), node_status.inspect(seen)]


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value <= 3600:
        raise argparse.ArgumentTypeError(f'{text}: expected seconds, more than 0, at most 3600')
    return value


def _names(text: str) -> tuple[str, ...]:
    names = tuple(part.strip() for part in text.split(',') if part.strip())
    if not names:
        raise argparse.ArgumentTypeError(f'{text!r}: expected names of execution providers, such '
                                         'as CUDAExecutionProvider,CPUExecutionProvider')
    return names
