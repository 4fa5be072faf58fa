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

"""A board's corners in a picture, and why they are not found."""

from __future__ import annotations

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import transform_points
import numpy as np
from sim_trainer.calibration.boards import BoardSpec, dictionary_names, open_dictionary, SIGMA_PX
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.points import ImagePoints
from sim_trainer.calibration.tag_edges import refine_corners

_CORNERS = ('top left', 'top right', 'bottom right', 'bottom left')
#: Tags of another dictionary that prove that it is the one.
_PROOF_TAGS = 2
_MIRRORED = ('the picture is mirrored: its tags are found in the mirror image; switch the flip '
             'off in the camera driver')
#: A tag needs about two pixels a cell.
_LEAST_CELL_PX = 2.0


def find_board(image_rgb: np.ndarray, spec: BoardSpec, T_base_board: np.ndarray,
               camera: PinholeCamera) -> ImagePoints:
    """Return the board's corners that a picture shows.

    Args:
        image_rgb: (H, W, 3) uint8.
        spec: of the board.
        T_base_board: (4, 4); see ``boards`` for the board's frame.
        camera: of the picture; its lens bends the tags' edges.

    Raises:
        CalibrationError: it is not there, with what to change.
    """
    grey = cv2.cvtColor(image_rgb, cv2.COLOR_RGB2GRAY)
    corners, ids = _tags(grey, spec.opencv_dictionary)
    if len(ids) == 0:
        raise CalibrationError(_why_nothing(grey, spec))
    corners = refine_corners(grey, corners, spec.cells, camera)
    if spec.single:
        names, points_m, pixels = _of_single(spec, corners, ids)
    elif spec.kind == 'charuco':
        names, points_m, pixels = _of_chessboard(grey, spec)
    else:
        names, points_m, pixels = _of_grid(spec, corners, ids)
    return ImagePoints(names, transform_points(T_base_board, points_m), pixels, SIGMA_PX)


def _tags(grey: np.ndarray, dictionary: cv2.aruco.Dictionary
          ) -> tuple[np.ndarray, np.ndarray]:
    """Corners (M, 4, 2) and ids (M,) of all tags, each id once."""
    parameters = cv2.aruco.DetectorParameters()
    parameters.cornerRefinementMethod = cv2.aruco.CORNER_REFINE_SUBPIX
    corners, ids, _ = cv2.aruco.ArucoDetector(dictionary, parameters).detectMarkers(grey)
    if ids is None:
        return np.zeros((0, 4, 2)), np.zeros(0, int)
    corners, ids = np.array(corners, float).reshape(-1, 4, 2), np.asarray(ids).ravel()
    single = np.array([np.count_nonzero(ids == i) == 1 for i in ids])
    return corners[single], ids[single]


def _of_single(spec: BoardSpec, corners: np.ndarray, ids: np.ndarray
               ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    found = ', '.join(map(str, sorted(ids)))
    if spec.first_id is None and len(ids) > 1:
        raise CalibrationError(f'the picture shows the tags {found}; say which one by --id')
    if spec.first_id is not None and spec.first_id not in ids:
        raise CalibrationError(f'tag {spec.first_id} is not in the picture; it shows {found}: '
                               'correct --id or the picture')
    i = 0 if spec.first_id is None else int(np.flatnonzero(ids == spec.first_id)[0])
    half = spec.size_m / 2
    points = np.array([[-half, half, 0], [half, half, 0], [half, -half, 0], [-half, -half, 0]])
    return tuple(f'tag {ids[i]} {corner}' for corner in _CORNERS), points, corners[i]


def _of_grid(spec: BoardSpec, corners: np.ndarray, ids: np.ndarray
             ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    board = spec.opencv_board()
    places = dict(zip(board.getIds().ravel().tolist(), board.getObjPoints()))
    mine = [i for i, tag in enumerate(ids) if int(tag) in places]
    if not mine:
        raise CalibrationError(
            f'the picture shows the tags {", ".join(map(str, sorted(ids)))} and none of the '
            f"board's, {min(places)}...{max(places)}; correct --id (the board's first tag) or "
            '--grid')
    names = tuple(f'tag {ids[i]} {corner}' for i in mine for corner in _CORNERS)
    points = np.concatenate([np.asarray(places[int(ids[i])]).reshape(4, 3) for i in mine])
    return names, spec.to_board_frame(points), corners[mine].reshape(-1, 2)


def _of_chessboard(grey: np.ndarray, spec: BoardSpec
                   ) -> tuple[tuple[str, ...], np.ndarray, np.ndarray]:
    board = spec.opencv_board()
    pixels, ids, _, tags = cv2.aruco.CharucoDetector(board).detectBoard(grey)
    count = 0 if ids is None else len(ids)
    if count < 4 and len(_tags(grey, spec.opencv_dictionary)[1]) < len(
            _tags(cv2.flip(grey, 1), spec.opencv_dictionary)[1]):
        raise CalibrationError(_MIRRORED)
    if count < 4:
        raise CalibrationError(
            f'{0 if tags is None else len(tags)} tags of the chessboard are found, and {count} of '
            f'its corners; check --grid ({spec.columns}x{spec.rows} squares, columns first), '
            '--marker-size-m and that the board is whole in the picture (boards printed by OpenCV '
            'before 4.6 with an even number of rows have another pattern: print it anew with '
            '--draw)')
    ids = ids.ravel()
    points = np.asarray(board.getChessboardCorners())[ids]
    return (tuple(f'corner {i}' for i in ids), spec.to_board_frame(points),
            np.asarray(pixels, float).reshape(-1, 2))


def _why_nothing(grey: np.ndarray, spec: BoardSpec) -> str:
    """Return what keeps tags from being found, by trying what usually does."""
    name = spec.dictionary_name
    if len(_tags(cv2.flip(grey, 1), spec.opencv_dictionary)[1]):
        return _MIRRORED
    if len(_tags(255 - grey, spec.opencv_dictionary)[1]):
        return ('the tags are found in the negative: print them black on white')
    for other in dictionary_names():
        _, ids = _tags(grey, open_dictionary(other))
        if len(ids) >= min(_PROOF_TAGS, spec.tag_count) and other != name and _telling(other):
            return (f'no tag of the dictionary {name}, but tags of {other} (ids '
                    f'{", ".join(map(str, sorted(ids)[:8]))}); give --dictionary {other}')
    larger = cv2.resize(grey, None, fx=3, fy=3, interpolation=cv2.INTER_CUBIC)
    if len(_tags(larger, spec.opencv_dictionary)[1]):
        return ('the tags are too small in the picture to be found; move the board nearer, print '
                f'it larger (a cell of at least {_LEAST_CELL_PX:g} pixels) or take a larger '
                'picture')
    light = float(grey.mean())
    remark = (f'; the picture is {"dark" if light < 60 else "bright"} (mean {light:.0f} of 255): '
              'change the exposure' if not 60 <= light <= 215 else '')
    return (f'no tag of the dictionary {name} is found; check --dictionary, that the tags are '
            'sharp, flat, lit without glare, at least 20 pixels wide and have a white margin'
            f'{remark}')


def _telling(name: str) -> bool:
    """Whether chance does not show this dictionary's tags: those of 4x4 cells are everywhere."""
    return not name.startswith(('APRILTAG_16', 'ARUCO_MIP')) and not name.endswith('_1000')
