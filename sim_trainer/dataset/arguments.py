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

"""``render``, ``redraw`` and ``preview``: the commands that draw pictures."""

from __future__ import annotations

import argparse
from pathlib import Path

from sim_trainer.options import load, positive, with_config


def add_picture_commands(commands: argparse._SubParsersAction) -> None:
    """Add their parsers."""
    render = with_config(commands.add_parser('render', help='write pictures as a BOP data set'))
    render.add_argument('--count', type=positive, required=True, metavar='N')
    render.add_argument('--output', type=Path, required=True, metavar='DIR')
    render.add_argument('--split', default='train', help='folder below DIR/test (default: train)')
    render.add_argument('--jpeg', type=_quality, metavar='QUALITY',
                        help='write JPEG of quality 1...100 instead of PNG')
    render.set_defaults(run=_render)

    redraw = commands.add_parser('redraw', help='draw the pictures of a data set again, from '
                                 'its scene records, and compare')
    redraw.add_argument('dataset', type=Path, metavar='DATASET', help='what render wrote')
    redraw.add_argument('--output', type=Path, required=True, metavar='DIR')
    redraw.add_argument('--only', type=int, nargs='+', metavar='ID',
                        help='these pictures alone (default: all)')
    redraw.set_defaults(run=_redraw)

    preview = with_config(commands.add_parser(
        'preview', help='a contact sheet of training pictures with their labels'))
    preview.add_argument('--count', type=positive, default=12, metavar='N')
    preview.add_argument('--only', nargs='+', metavar='FACTOR',
                         help='let only these change from picture to picture: objects, '
                         'distractors, textures, lighting, viewpoint, arm, surroundings, '
                         'background, sensor')
    preview.add_argument('--stress', metavar='SPLIT',
                         help='pictures of a stress split instead: textures, lighting, sensor, '
                         'distractors, clutter, everything')
    preview.add_argument('--output', type=Path, required=True, metavar='SHEET.png')
    preview.set_defaults(run=_preview)


def _quality(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 100:
        raise argparse.ArgumentTypeError(f'{text}: expected 1...100')
    return value


def _render(arguments: argparse.Namespace, _: list[str]) -> int:
    config = load(arguments)
    from sim_trainer.dataset.bop_writer import BopWriter
    from sim_trainer.evaluation.heldout import simulated_pictures
    from sim_trainer.objects.catalogue import build_catalogue
    with BopWriter(arguments.output, arguments.split, build_catalogue(config.objects), config,
                   arguments.jpeg) as writer:
        for picture in simulated_pictures(config, arguments.count):
            writer.add(picture)
    print(arguments.output)
    return 0


def _redraw(arguments: argparse.Namespace, _: list[str]) -> int:
    from sim_trainer.dataset.redraw import redraw
    print(redraw(arguments.dataset, arguments.output, arguments.only))
    return 0


def _preview(arguments: argparse.Namespace, _: list[str]) -> int:
    config = load(arguments)
    from sim_trainer.evaluation.annotation import annotated, write_sheet
    from sim_trainer.evaluation.heldout import simulated_pictures
    from sim_trainer.objects.catalogue import build_catalogue
    from sim_trainer.scene.generator import check_randomizers
    check_randomizers(arguments.only)
    if arguments.stress:
        from sim_trainer.validation.stress import stress_config
        config = stress_config(config, arguments.stress)
    catalogue = build_catalogue(config.objects)
    arguments.output.parent.mkdir(parents=True, exist_ok=True)
    write_sheet([annotated(picture, [], catalogue)
                 for picture in simulated_pictures(config, arguments.count, only=arguments.only)],
                arguments.output)
    print(arguments.output)
    return 0
