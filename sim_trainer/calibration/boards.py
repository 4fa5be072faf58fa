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

"""Boards of ArUco or AprilTag markers and chessboards with markers, found by OpenCV.

Convention:
    The board's frame has its origin in the middle of the printed pattern, x to the right and y up
    as ``draw`` prints it, z out of the paper towards whoever looks at it. A board that lies on the
    table unturned has the axes of the base frame. (OpenCV's own boards have y down and z into the
    paper, its single markers y up.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from sim_trainer.calibration.errors import CalibrationError

#: What ``--board`` takes, besides marks -> dictionary where none is named.
DEFAULT_DICTIONARY = {'aruco': '4X4_50', 'apriltag': 'APRILTAG_36H11', 'charuco': '4X4_50'}
#: Of a corner, print and light included (0.02 px in pictures without any of that).
SIGMA_PX = 0.1
#: A side of the printed board, px a metre.
_PRINT_PX_PER_M = 8000
_MAX_PRINT_PX = 8000
_APRILTAGS = ('16H5', '25H9', '36H10', '36H11')


@dataclass(frozen=True)
class BoardSpec:
    """A printed board.

    Attributes:
        kind: aruco, apriltag or charuco.
        size_m: edge of a tag (its black square), or of a square of the chessboard.
        columns, rows: tags, or squares of the chessboard; 1 x 1 is a single tag.
        separation_m: between the tags of a board.
        marker_size_m: edge of the tags inside the chessboard; None: 0.75 of its squares.
        first_id: of the board's first tag; None: 0, and for a single tag any that is there.
        dictionary: as OpenCV's names without DICT_; None: ``DEFAULT_DICTIONARY``.
    """

    kind: str
    size_m: float
    columns: int = 1
    rows: int = 1
    separation_m: float | None = None
    marker_size_m: float | None = None
    first_id: int | None = None
    dictionary: str | None = None

    def __post_init__(self) -> None:
        if not 0.002 <= self.size_m <= 3:
            raise CalibrationError(f'--size-m {self.size_m:g}: expected the edge of a '
                                   f'{"square" if self.kind == "charuco" else "tag"} in metres '
                                   '(0.002...3), not millimetres')
        if self.kind == 'charuco':
            if min(self.columns, self.rows) < 2 or max(self.columns, self.rows) < 3:
                raise CalibrationError('--board charuco: give the squares of the chessboard, '
                                       'e.g. --grid 7x5')
            if not 0 < self.inner_size_m < self.size_m:
                raise CalibrationError(f'--marker-size-m {self.inner_size_m:g}: expected less '
                                       f'than the square, {self.size_m:g} m')
        elif self.single == (self.separation_m is not None):
            missing = '--grid COLUMNSxROWS' if self.single else '--separation-m METRES'
            raise CalibrationError(f'{missing} is missing: a board of several tags needs --grid '
                                   'and --separation-m, a single tag neither')
        elif self.separation_m is not None and self.separation_m <= 0:
            raise CalibrationError(f'--separation-m {self.separation_m:g}: expected metres above '
                                   '0')
        marker_count = len(self.opencv_dictionary.bytesList)
        if (self.first_id or 0) < 0 or (self.first_id or 0) + self.tag_count > marker_count:
            raise CalibrationError(f'the dictionary {self.dictionary_name} has the ids 0...'
                                   f'{marker_count - 1}, which are too few for {self.tag_count} '
                                   f'tags from --id {self.first_id or 0}; name a larger '
                                   '--dictionary')

    @property
    def single(self) -> bool:
        """One tag alone."""
        return self.columns * self.rows == 1

    @property
    def tag_count(self) -> int:
        """Tags on the board."""
        cells = self.columns * self.rows
        return cells // 2 if self.kind == 'charuco' else cells

    @property
    def inner_size_m(self) -> float:
        """Edge of a tag."""
        if self.kind != 'charuco':
            return self.size_m
        return 0.75 * self.size_m if self.marker_size_m is None else self.marker_size_m

    @property
    def cells(self) -> int:
        """Cells of a tag's side, the black frame included."""
        return self.opencv_dictionary.markerSize + 2

    @property
    def dictionary_name(self) -> str:
        """Return OpenCV's name without DICT_."""
        name = (self.dictionary or DEFAULT_DICTIONARY[self.kind]).upper().removeprefix('DICT_')
        name = name.removeprefix('TAG')
        if name in _APRILTAGS:
            return f'APRILTAG_{name}'
        return name

    @property
    def opencv_dictionary(self) -> cv2.aruco.Dictionary:
        """The predefined dictionary."""
        return open_dictionary(self.dictionary_name)

    def opencv_board(self) -> cv2.aruco.Board:
        """Return the board, with OpenCV's frame."""
        first = self.first_id or 0
        ids = np.arange(first, first + self.tag_count)
        if self.kind == 'charuco':
            return cv2.aruco.CharucoBoard((self.columns, self.rows), self.size_m,
                                          self.inner_size_m, self.opencv_dictionary, ids)
        return cv2.aruco.GridBoard((self.columns, self.rows), self.size_m,
                                   self.separation_m or self.size_m, self.opencv_dictionary, ids)

    def to_board_frame(self, points_m: np.ndarray) -> np.ndarray:
        """Points (N, 3) of OpenCV's board frame in ours."""
        middle = np.asarray(self.opencv_board().getRightBottomCorner()) / 2
        return (np.asarray(points_m, float).reshape(-1, 3) - middle) * [1, -1, -1]

    def draw(self) -> tuple[np.ndarray, float]:
        """Return the board (H, W) uint8 to print, with a white margin, and its pixels a metre."""
        width_m, height_m = np.asarray(self.opencv_board().getRightBottomCorner())[:2]
        scale = min(_PRINT_PX_PER_M, _MAX_PRINT_PX / max(width_m, height_m))
        tag_px = scale * self.inner_size_m
        margin_px = round(tag_px / 4)
        size = round(width_m * scale), round(height_m * scale)
        if self.single:
            inner = cv2.aruco.generateImageMarker(self.opencv_dictionary, self.first_id or 0,
                                                  round(tag_px))
        else:
            inner = self.opencv_board().generateImage(size)
        return cv2.copyMakeBorder(inner, margin_px, margin_px, margin_px, margin_px,
                                  cv2.BORDER_CONSTANT, value=255), scale


def open_dictionary(name: str) -> cv2.aruco.Dictionary:
    """One of OpenCV's predefined dictionaries.

    Raises:
        CalibrationError: there is none of that name, or OpenCV is too old.
    """
    if not hasattr(cv2.aruco, 'ArucoDetector'):
        raise CalibrationError(f'OpenCV {cv2.__version__} is too old for boards; pip install '
                               "'opencv-python-headless>=4.8'")
    known = dictionary_names()
    if name not in known:
        raise CalibrationError(f'--dictionary {name}: not known; expected one of '
                               f'{", ".join(known)}')
    return cv2.aruco.getPredefinedDictionary(getattr(cv2.aruco, f'DICT_{name}'))


def dictionary_names() -> list[str]:
    """Names without DICT_, in alphabetical order."""
    # Those in lower case are the same ones again.
    return sorted(name[5:] for name in dir(cv2.aruco) if name.startswith('DICT_')
                  and name.isupper())
