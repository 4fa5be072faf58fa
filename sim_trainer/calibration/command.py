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

"""``python -m sim_trainer calibrate``: its options, and what it does with them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
import re

#: A board this near (m) to the table's height lies on it: boards have a thickness.
_ON_TABLE_M = 0.012
KINDS = ('aruco', 'apriltag', 'charuco', 'marks')


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options of the command."""
    parser.add_argument('pictures', nargs='*', type=Path, metavar='PICTURES',
                        help='of one camera and board (or marks), all standing still')
    parser.add_argument('--camera', metavar='CAMERA',
                        help='CameraInfo, ost.yaml or OpenCV YAML; fx,fy,cx,cy,width,height; '
                        'or topic:NAME')
    parser.add_argument('--board', choices=KINDS, required=True,
                        help='a tag or board of tags, a chessboard with tags, or marks')
    parser.add_argument('--size-m', type=float, metavar='M',
                        help="edge of a tag's black square, of charuco of a chessboard square")
    parser.add_argument('--grid', metavar='COLUMNSxROWS',
                        help='tags of a board, or squares of the chessboard (default: one tag)')
    parser.add_argument('--separation-m', type=float, metavar='M', help='between tags of a board')
    parser.add_argument('--marker-size-m', type=float, metavar='M',
                        help='tags in the chessboard (default: 0.75 of a square)')
    parser.add_argument('--id', type=int, metavar='N',
                        help="the tag, or the board's first tag (default: 0; one tag: any)")
    parser.add_argument('--dictionary', metavar='NAME',
                        help='as 5X5_100 or 36h11 (default: 4X4_50, of apriltag 36h11)')
    parser.add_argument('--board-at', type=float, nargs='+', default=[0.0, 0.0, 0.0],
                        metavar='N', help="pose of the board's middle in the base frame: X Y Z, X "
                        'Y Z YAW or X Y Z ROLL PITCH YAW; metres, degrees (default: the origin)')
    parser.add_argument('--board-sigma-m', type=float, default=0.001, metavar='M',
                        help='how well that position is measured (default: 0.001)')
    parser.add_argument('--board-sigma-deg', type=float, default=0.2, metavar='DEG',
                        help='how well that direction is measured (default: 0.2)')
    parser.add_argument('--marks', type=Path, metavar='FILE',
                        help='CSV or YAML with u_px, v_px, x_m, y_m, z_m (and name)')
    parser.add_argument('--marks-sigma-m', type=float, default=0.001, metavar='M',
                        help='how well each mark is measured (default: 0.001)')
    parser.add_argument('--plane-z-m', type=float, default=0.0, metavar='M',
                        help='height of the support in the base frame (default: 0)')
    parser.add_argument('--workspace', type=float, nargs=4, metavar=('X0', 'X1', 'Y0', 'Y1'),
                        help='where objects will stand, metres (default: what the points span)')
    parser.add_argument('--output', type=Path, metavar='DIR',
                        help='write overlay.png, camera.yaml and calibration.json here')
    parser.add_argument('--draw', type=Path, metavar='FILE.pdf|png',
                        help='draw the board for the printer, at its size')


def run(arguments: argparse.Namespace) -> int:
    """Calibrate, print, write."""
    import cv2
    import numpy as np
    from sim_trainer.calibration.calibrate import calibrate_camera, table_views
    from sim_trainer.calibration.overlay import draw_overlay
    from sim_trainer.calibration.result import BoardPlacement
    from sim_trainer.calibration.summary import json_of, text_of, yaml_of
    _check(arguments)
    if arguments.draw:
        return _draw(arguments)
    points, camera, image_rgb = _points(arguments)
    placement = None if arguments.board == 'marks' else BoardPlacement(
        arguments.board_sigma_m, float(np.radians(arguments.board_sigma_deg)),
        tuple(arguments.board_at[:3]))
    result = calibrate_camera(points, camera, placement, arguments.plane_z_m)
    views = table_views(result, arguments.workspace)
    print('\n'.join([text_of(result, views), *_remarks(arguments)]))
    print(f'\n{yaml_of(result)}', end='')
    if arguments.output:
        arguments.output.mkdir(parents=True, exist_ok=True)
        (arguments.output / 'camera.yaml').write_text(yaml_of(result), encoding='utf-8')
        (arguments.output / 'calibration.json').write_text(
            json.dumps(json_of(result, views), indent=1), encoding='utf-8')
        if image_rgb is not None:
            cv2.imwrite(str(arguments.output / 'overlay.png'), cv2.cvtColor(
                draw_overlay(image_rgb, result, views), cv2.COLOR_RGB2BGR))
    return 0


def _remarks(arguments: argparse.Namespace) -> list[str]:
    """Return what no picture can tell of the numbers that were given."""
    if arguments.board == 'marks':
        return []
    lines = [f'distances are as true as --size-m {arguments.size_m:g}: where the print measures '
             '1 % less, the camera is 1 % nearer']
    above_m = arguments.board_at[2] - arguments.plane_z_m
    if abs(above_m) > _ON_TABLE_M:
        lines.append(f'warning: the board lies {abs(above_m):.3f} m '
                     f'{"above" if above_m > 0 else "below"} the table (--board-at z '
                     f'{arguments.board_at[2]:g}, --plane-z-m {arguments.plane_z_m:g}); if it '
                     'lay on it, correct one of them')
    return lines


def _check(arguments: argparse.Namespace) -> None:
    from sim_trainer.calibration.errors import CalibrationError
    marks = arguments.board == 'marks'
    wanted = {'--marks FILE': arguments.marks} if marks else {'--size-m METRES':
                                                              arguments.size_m}
    if not arguments.draw:
        wanted['--camera CAMERA'] = arguments.camera
    if not marks and not arguments.draw:
        wanted['PICTURES'] = arguments.pictures
    for name, value in wanted.items():
        if value in (None, []):
            raise CalibrationError(f'calibrate --board {arguments.board} needs {name}')
    if marks and arguments.draw:
        raise CalibrationError('--draw: marks need no print')
    if arguments.draw and arguments.draw.suffix.lower() not in ('.pdf', '.png'):
        raise CalibrationError(f'--draw {arguments.draw}: expected a name that ends in .pdf or '
                               '.png')
    for name in ('board_sigma_m', 'board_sigma_deg', 'marks_sigma_m'):
        if not 0 <= getattr(arguments, name) < 10:
            raise CalibrationError(f'--{name.replace("_", "-")} {getattr(arguments, name):g}: '
                                   'expected a standard deviation, 0 or more (metres, degrees)')


def _spec(arguments: argparse.Namespace):
    from sim_trainer.calibration.boards import BoardSpec
    from sim_trainer.calibration.errors import CalibrationError
    columns, rows = 1, 1
    if arguments.grid:
        match = re.fullmatch(r'(\d{1,3})[xX](\d{1,3})', arguments.grid)
        if not match or '0' in match.groups():
            raise CalibrationError(f'--grid {arguments.grid}: expected COLUMNSxROWS, e.g. 7x5')
        columns, rows = map(int, match.groups())
    return BoardSpec(arguments.board, arguments.size_m, columns, rows, arguments.separation_m,
                     arguments.marker_size_m, arguments.id, arguments.dictionary)


def _points(arguments: argparse.Namespace):
    """Return the points, the camera and the first picture (None of marks without one)."""
    from sim_trainer.calibration.calibrate import board_pose, read_picture
    from sim_trainer.calibration.detection import find_board
    from sim_trainer.calibration.errors import CalibrationError
    from sim_trainer.calibration.marks import read_marks
    from sim_trainer.calibration.points import check_inside, merged
    from sim_trainer.lab.camera_topic import camera_of
    camera = camera_of(arguments.camera)
    if arguments.board == 'marks':
        points = read_marks(arguments.marks, arguments.marks_sigma_m)
        check_inside(points, camera.width_px, camera.height_px)
        images = [read_picture(path, camera) for path in arguments.pictures[:1]]
        return points, camera, images[0] if images else None
    spec, T_base_board = _spec(arguments), board_pose(arguments.board_at)
    found, first = [], None
    for path in arguments.pictures:
        image_rgb = read_picture(path, camera)
        first = image_rgb if first is None else first
        try:
            found.append((path.name, find_board(image_rgb, spec, T_base_board, camera)))
        except CalibrationError as error:
            raise CalibrationError(f'{path}: {error}') from error
    return merged(found), camera, first


def _draw(arguments: argparse.Namespace) -> int:
    from PIL import Image
    spec = _spec(arguments)
    image, px_per_m = spec.draw()
    arguments.draw.parent.mkdir(parents=True, exist_ok=True)
    dpi = px_per_m * 0.0254
    # Both formats keep the size on paper; PDF readers print it by themselves.
    Image.fromarray(image).save(arguments.draw, dpi=(dpi, dpi), resolution=dpi)
    print(f'{arguments.draw}: print it {1e3 * image.shape[1] / px_per_m:.1f} mm wide '
          f'({dpi:.1f} dpi, "actual size"), measure it, and give what you measure as --size-m')
    return 0
