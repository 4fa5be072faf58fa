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

"""``python -m sim_trainer report``: a model on a user's own pictures."""

from __future__ import annotations

import argparse
from dataclasses import replace
from datetime import datetime
import json
from pathlib import Path

#: Fresh training pictures that are drawn to compare with.
DRAWN = 24


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('--model', type=Path, required=True, metavar='M')
    parser.add_argument('--pictures', type=Path, required=True, metavar='DIR|BAG',
                        help='a folder of pictures in the order of taking, a rosbag2 recording, '
                        'or with --truth a BOP data set')
    parser.add_argument('--truth', metavar='SPLIT', help='split of the data set: with truth')
    parser.add_argument('--camera', metavar='CAMERA',
                        help='CameraInfo, ost.yaml or OpenCV YAML; fx,fy,cx,cy,width,height; '
                        'or topic:NAME; '
                        'default: of --config; recordings and BOP data sets have their own')
    parser.add_argument('--calibration', type=Path, metavar='JSON',
                        help='calibration.json of calibrate: where the camera stands; default: '
                        'of TF in a recording, of a BOP data set itself, else of --config; '
                        'neither: no support plane')
    parser.add_argument('--base-frame', default='base_link', metavar='F',
                        help='recording: frame whose plane z = 0 the objects stand on (default: '
                        'base_link)')
    parser.add_argument('--image-topic', metavar='T', help='recording: default: guessed')
    parser.add_argument('--camera-info-topic', metavar='T', help='recording: default: guessed')
    parser.add_argument('--every', type=int, default=1, metavar='N',
                        help='recording: use every N-th picture (default: 1)')
    parser.add_argument('--config', type=Path, metavar='CONFIG',
                        help="the model's scene YAML: fresh training pictures to compare with")
    parser.add_argument('--drawn', type=int, default=DRAWN, metavar='N',
                        help=f'how many of these (default: {DRAWN})')
    parser.add_argument('--output', type=Path, required=True, metavar='DIR',
                        help='report.html, report.md and report.json')


def run(arguments: argparse.Namespace) -> int:
    """Examine, compare, write."""
    from dr_perception.inference.session import OnnxNetwork
    from sim_trainer.configuration.schema import load_config
    from sim_trainer.errors import ConfigurationError
    from sim_trainer.evaluation.heldout import held_out_pictures
    from sim_trainer.real_gap.examined import examine
    from sim_trainer.real_gap.gap_report import figures, GapReport, html, markdown, sentences
    config = load_config(arguments.config) if arguments.config else None
    if arguments.drawn < 0:
        raise ConfigurationError(f'--drawn {arguments.drawn}: expected 0 or more')
    if arguments.every < 1:
        raise ConfigurationError(f'--every {arguments.every}: expected 1 or more')
    pictures = (_pictures_with_truth(arguments, config) if arguments.truth else
                _own_pictures(arguments, config))
    network = OnnxNetwork(arguments.model)
    real = examine(network.contract, network, pictures, 'examining')
    drawn = examine(network.contract, network, held_out_pictures(config, arguments.drawn),
                    'comparing') if config and arguments.drawn else []
    report = GapReport(network.contract, real, drawn, bool(arguments.truth))
    arguments.output.mkdir(parents=True, exist_ok=True)
    for name, text in (('report.html', html(report, datetime.now())),
                       ('report.md', markdown(report)),
                       ('report.json', json.dumps(figures(report), indent=1))):
        (arguments.output / name).write_text(text, encoding='utf-8')
    print('\n'.join(sentences(report)))
    print(arguments.output / 'report.html')
    return 0


def _pictures_with_truth(arguments: argparse.Namespace, config):
    from sim_trainer.dataset.bop import BopSplit
    given = read_pose(arguments.calibration) if arguments.calibration else None
    elsewhere = config.camera.T_base_camera if config else None
    for picture in BopSplit(arguments.pictures, arguments.truth):
        own = picture.T_base_camera
        yield replace(picture, T_base_camera=given if given is not None else
                      own if own is not None else elsewhere)


def _own_pictures(arguments: argparse.Namespace, config):
    from sim_trainer.errors import ConfigurationError
    from sim_trainer.lab.camera_topic import camera_of
    from sim_trainer.real_gap.examined import folder_pictures
    from sim_trainer.real_gap.recorded import is_recording, RecordedPictures
    if is_recording(arguments.pictures):
        if arguments.camera:
            raise ConfigurationError('--camera: a recording has its own CameraInfo; leave it out')
        given = read_pose(arguments.calibration) if arguments.calibration else None
        return RecordedPictures(arguments.pictures, given, arguments.base_frame,
                                arguments.image_topic, arguments.camera_info_topic,
                                arguments.every)
    if arguments.camera:
        camera = camera_of(arguments.camera)
    elif config:
        camera = config.camera.camera
    else:
        raise ConfigurationError('report without --truth needs --camera CAMERA or --config CONFIG')
    T_base_camera = config.camera.T_base_camera if config else None
    if arguments.calibration:
        T_base_camera = read_pose(arguments.calibration)
    return folder_pictures(arguments.pictures, camera, T_base_camera)


def read_pose(path: Path):
    """T_base_camera (4x4) of a calibration.json.

    Raises:
        ConfigurationError: it holds none.
    """
    from dr_perception.core.transforms import check_transform
    from sim_trainer.dataset.bop import read_json
    from sim_trainer.errors import ConfigurationError
    try:
        return check_transform(read_json(path).get('T_base_camera'), 'T_base_camera')
    except (ValueError, TypeError) as error:
        raise ConfigurationError(f'{path}: {error}; expected the calibration.json that '
                                 'calibrate --output writes') from error
