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

"""The commands ``check`` and ``init`` and their options; heavy imports wait until one runs."""

from __future__ import annotations

import argparse
from pathlib import Path

_UNITS = ('m', 'mm', 'cm', 'in')
_UPS = ('z', 'y', 'x')


def add_lab_commands(commands: argparse._SubParsersAction) -> None:
    """Add both to the parser of the command line."""
    check = commands.add_parser('check', help='look at a mesh, or at all that a scene YAML names, '
                                'before training on it')
    add_check(check)
    check.set_defaults(run=_check)
    init = commands.add_parser('init', help='write a scene YAML for a new lab from a camera file '
                               'and meshes')
    add_init(init)
    init.set_defaults(run=_init)


def _check(arguments: argparse.Namespace, _: list[str]) -> int:
    from sim_trainer.lab.check import run_check
    return run_check(arguments)


def _init(arguments: argparse.Namespace, _: list[str]) -> int:
    from sim_trainer.lab.init import run_init
    return run_init(arguments)


def add_check(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``check``."""
    parser.add_argument('target', type=Path, metavar='CONFIG|MESH',
                        help='scene YAML, or a mesh: .obj, .stl, .ply, .glb, .urdf')
    parser.add_argument('--unit', choices=_UNITS,
                        help="unit of the mesh (default: guessed from the object's size)")
    parser.add_argument('--up', choices=_UPS,
                        help='axis of the mesh that points up (default: guessed)')
    parser.add_argument('--output', type=Path, metavar='DIR', default=Path('check'),
                        help='pictures go here (default: check)')
    parser.add_argument('--picture', type=Path, metavar='PHOTO',
                        help='a photograph by the camera of CONFIG, to compare with')
    parser.add_argument('--set', action='append', default=[], metavar='KEY.PATH=VALUE',
                        help='replace a value of the YAML; may be given several times')


def add_init(parser: argparse.ArgumentParser) -> None:
    """Add the options of ``init``."""
    parser.add_argument('--camera', required=True, metavar='FILE|NUMBERS|topic:NAME',
                        help='CameraInfo, ost.yaml or OpenCV YAML; fx,fy,cx,cy,width,height; or '
                        'topic:/camera/camera_info')
    parser.add_argument('--rectified', action='store_true',
                        help='the pictures will be rectified (image_rect): P without distortion')
    parser.add_argument('--object', action='append', required=True, metavar='MESH', dest='meshes',
                        help='.obj, .stl, .ply, .glb or .urdf; may be given several times')
    parser.add_argument('--unit', choices=_UNITS,
                        help="unit of the meshes (default: guessed from each one's size)")
    parser.add_argument('--up', choices=_UPS,
                        help='axis of the meshes that points up (default: guessed)')
    parser.add_argument('--pose', metavar='X,Y,Z,...', default=None,
                        help='of the camera in the base frame: x,y,z,look_x,look_y,look_z or '
                        'x,y,z,qx,qy,qz,qw of the optical frame')
    parser.add_argument('--plane-z-m', type=float, default=0.0, metavar='M',
                        help='height of the table top in the base frame (default: 0)')
    parser.add_argument('--name', metavar='N', help='of the lab (default: of the output file)')
    parser.add_argument('--output', type=Path, required=True, metavar='LAB.yaml')
    parser.add_argument('--force', action='store_true', help='replace an existing file')
