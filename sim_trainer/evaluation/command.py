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

"""``python -m sim_trainer evaluate``: a model on a BOP split."""

from __future__ import annotations

import argparse
import json
from pathlib import Path


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('--model', type=Path, required=True, metavar='M')
    parser.add_argument('--bop', type=Path, required=True, metavar='DIR')
    parser.add_argument('--split', required=True, metavar='S')
    parser.add_argument('--json', type=Path, metavar='F', help='write the figures here too')
    parser.add_argument('--pictures', type=Path, metavar='DIR',
                        help='write annotated pictures here: truth green, found red')
    parser.add_argument('--least-visible', type=float, default=0.3, metavar='PART',
                        help='ask for objects seen at least this much (default: 0.3)')
    parser.add_argument('--without-base', action='store_true',
                        help='do not use the camera pose of the data set: no support plane')
    parser.add_argument('--providers', nargs='+', default=['CPUExecutionProvider'])


def run(arguments: argparse.Namespace) -> int:
    """Measure, print, write."""
    from sim_trainer.dataset.bop import BopSplit
    from sim_trainer.errors import DatasetError
    from sim_trainer.evaluation.annotation import write_annotated
    from sim_trainer.evaluation.evaluate import evaluate, open_estimator
    from sim_trainer.evaluation.report import format_table
    split = BopSplit(arguments.bop, arguments.split)
    if not len(split):
        raise DatasetError(f'{split.folder}: has no pictures; give another split')
    estimator = open_estimator(arguments.model, arguments.providers)
    folder, objects = arguments.pictures, estimator.contract.objects
    report = evaluate(
        estimator, split, arguments.least_visible, not arguments.without_base, folder and (
            lambda picture, found: write_annotated(folder, picture, found, objects)))
    report = {'model': str(arguments.model), 'bop': str(arguments.bop),
              'split': arguments.split, **report}
    print(format_table(report, f'{arguments.model.name} on {arguments.split}'))
    if arguments.json:
        arguments.json.parent.mkdir(parents=True, exist_ok=True)
        arguments.json.write_text(json.dumps(report, indent=1))
    return 0
