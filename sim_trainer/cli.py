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

"""The command line: one function a subcommand, heavy imports inside it.

Exit codes: 0 done, 2 the user's error in one line, 130 interrupted, 1 a bug with its traceback.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
import json
import logging
import os
from pathlib import Path
import re
import sys

from sim_trainer import __version__
from sim_trainer.dataset.arguments import add_picture_commands
from sim_trainer.evaluation import command as evaluation
from sim_trainer.lab.arguments import add_lab_commands
from sim_trainer.options import load, positive, with_config

#: Several numbers, the first one negative.
_NUMBERS = re.compile(r'-[0-9.][-+0-9.eE]*(,[-+0-9.eE]+)+')
#: module that is missing -> the extra that brings it
_EXTRAS = {'torch': 'train', 'pybullet': 'train', 'pybullet_data': 'train', 'moderngl': 'train',
           'onnx': 'train', 'tqdm': 'train', 'matplotlib': 'train', 'scipy': 'train',
           'trimesh': 'train', 'rclpy': 'ros'}


def main(argv: list[str] | None = None) -> int:
    """Run one command and return its exit code."""
    parser = build_parser()
    arguments, rest = parser.parse_known_args(_joined(sys.argv[1:] if argv is None else argv))
    if rest and arguments.command != 'demo':
        parser.error(f'unrecognized arguments: {" ".join(rest)}')
    logging.basicConfig(level=logging.INFO, format='%(message)s', stream=sys.stderr)
    try:
        from dr_perception.core.errors import PerceptionError
        try:
            return arguments.run(arguments, rest) or 0
        except PerceptionError as error:
            print(f'error: {error}', file=sys.stderr)
            return 2
    except ModuleNotFoundError as error:
        name = (error.name or '').split('.')[0]
        if name in ('dr_perception', 'sim_trainer', ''):
            raise
        extra = _EXTRAS.get(name)
        remedy = (f"pip install 'dr_perception[{extra}]'" if extra else f'pip install {name}')
        print(f'error: {name} is not installed: {remedy} (from a checkout: pip install '
              f"'.[{extra or 'train'}]')", file=sys.stderr)
        return 2
    except BrokenPipeError:     # ``| head``: whoever reads has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:    # a full disk, a file where a folder should be
        if error.filename is None:
            raise
        print(f'error: {error.filename}: {error.strerror}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted; what was drawn stays, --resume goes on from there', file=sys.stderr)
        return 130


def _joined(argv: Sequence[str]) -> list[str]:
    """Write ``--pose -0.5,0,0.6`` as ``--pose=-0.5,0,0.6``.

    argparse takes the minus for that of an option. A single negative number needs no help.
    """
    joined: list[str] = []
    for text in argv:
        if _NUMBERS.fullmatch(text) and joined and joined[-1].startswith('--') and (
                '=' not in joined[-1]):
            joined[-1] += f'={text}'
        else:
            joined.append(text)
    return joined


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of every subcommand."""
    parser = argparse.ArgumentParser(
        prog='sim_trainer', description='Scene YAML in, domain-randomized simulation, '
        'model.onnx and report out.')
    parser.add_argument('--version', action='version', version=f'sim_trainer {__version__}')
    commands = parser.add_subparsers(dest='command', required=True, metavar='COMMAND')

    train = with_config(commands.add_parser(
        'train', help='draw pictures, train, export DIR/model.onnx'))
    train.add_argument('--output', type=Path, required=True, metavar='DIR')
    train.add_argument('--resume', action='store_true',
                       help='go on where an interrupted run of the same configuration stopped')
    train.set_defaults(run=_train)

    add_picture_commands(commands)

    bench = commands.add_parser(
        'bench', help='labelled pictures a second by stage, size and number of workers')
    bench.add_argument('config', nargs='?', default='config/tabletop.yaml', metavar='CONFIG')
    bench.add_argument('--set', action='append', default=[], metavar='KEY.PATH=VALUE')
    bench.add_argument('--count', type=positive, default=400, metavar='N',
                       help='pictures of each row of the table (default: 400)')
    bench.add_argument('--sizes', nargs='+', type=_size, default=[(224, 224), (640, 480)],
                       metavar='WxH')
    bench.add_argument('--workers', nargs='+', type=positive, metavar='N',
                       help='numbers of worker processes (default: 1 and one a core)')
    bench.add_argument('--json', type=Path, metavar='F', help='write the figures here too')
    bench.set_defaults(run=_bench)

    evaluate = commands.add_parser('evaluate', help='figures of a model on a BOP split')
    evaluation.add_arguments(evaluate)
    evaluate.set_defaults(run=lambda arguments, _: evaluation.run(arguments))

    from sim_trainer.calibration import command as calibration  # its options alone
    calibrate = commands.add_parser(
        'calibrate', help='where a real camera stands: from a tag, a board or marks')
    calibration.add_arguments(calibrate)
    calibrate.set_defaults(run=lambda arguments, _: calibration.run(arguments))

    from sim_trainer.real_gap import command as real_gap
    report = commands.add_parser(
        'report', help='what to expect of a model on real pictures, with or without truth')
    real_gap.add_arguments(report)
    report.set_defaults(run=lambda arguments, _: real_gap.run(arguments))

    ablate = commands.add_parser(
        'ablate', help="train with one factor changed at a time: the paper's ablations")
    ablate.add_argument('config', type=Path, metavar='CONFIG',
                        help='ablation YAML, e.g. config/ablation.yaml')
    ablate.add_argument('--output', type=Path, required=True, metavar='DIR')
    ablate.add_argument('--set', action='append', default=[], metavar='KEY.PATH=VALUE',
                        help='replace a value in every run; may be given several times')
    ablate.add_argument('--bop', type=Path, metavar='DIR',
                        help='measure on splits of this BOP data set too')
    ablate.add_argument('--splits', nargs='+', default=[], metavar='S')
    ablate.set_defaults(run=_ablate)

    add_lab_commands(commands)

    demo = commands.add_parser('demo', add_help=False,
                               help='simulated camera, pose estimator and monitor on real ROS 2')
    demo.set_defaults(run=_demo)
    return parser


def _size(text: str) -> tuple[int, int]:
    try:
        width_px, height_px = (int(part) for part in text.lower().split('x'))
    except ValueError:
        raise argparse.ArgumentTypeError(f'{text}: expected WIDTHxHEIGHT, e.g. 224x224') from None
    if not (64 <= width_px <= 4096 and 64 <= height_px <= 4096):
        raise argparse.ArgumentTypeError(f'{text}: expected 64...4096 px a side')
    return width_px, height_px


def _train(arguments: argparse.Namespace, _: list[str]) -> int:
    config = load(arguments)
    from sim_trainer.training.loop import Interrupted
    from sim_trainer.training.run import run_training
    try:
        path = run_training(config, arguments.output, arguments.resume)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 130
    if path is not None:
        print(path)
    return 0


def _bench(arguments: argparse.Namespace, _: list[str]) -> int:
    config = load(arguments)
    from sim_trainer.benchmark.pictures import format_bench, run_bench
    workers = arguments.workers or sorted({1, os.cpu_count() or 1})
    figures = run_bench(config, arguments.sizes, workers, arguments.count)
    print(format_bench(figures))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(figures, indent=1))
    return 0


def _ablate(arguments: argparse.Namespace, _: list[str]) -> int:
    from sim_trainer.ablation.plan import load_plan
    plan, full, runs = load_plan(arguments.config, arguments.set)
    from sim_trainer.ablation.report import format_table, write_figure
    from sim_trainer.ablation.run import run_ablation
    from sim_trainer.dataset.bop import BopSplit
    from sim_trainer.errors import ConfigurationError
    from sim_trainer.training.loop import Interrupted
    if bool(arguments.bop) != bool(arguments.splits):
        raise ConfigurationError('--bop and --splits go together: give the data set and its '
                                 'splits')
    splits = {name: BopSplit(arguments.bop, name) for name in arguments.splits}
    try:
        results = run_ablation(plan, full, runs, arguments.output, splits)
    except Interrupted as stop:
        print(stop, file=sys.stderr)
        return 130
    table = format_table(results)
    (arguments.output / 'ablation.md').write_text(table + '\n', encoding='utf-8')
    write_figure(results, arguments.output / 'ablation.png')
    print(table)
    return 0


def _demo(_: argparse.Namespace, rest: list[str]) -> int:
    from sim_trainer.demo import run_demo
    return run_demo(rest)
