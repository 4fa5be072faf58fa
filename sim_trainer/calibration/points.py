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

"""What every kind of calibration gives: points of known place and where a picture shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sim_trainer.calibration.errors import CalibrationError

#: Points nearer to one line than this part of their extent along it lie on it.
_LINE_PART = 0.02
#: A static camera's corners do not wander by more than this (px) from picture to picture.
MOVED_PX = 1.5


@dataclass(frozen=True, eq=False)
class ImagePoints:
    """N points.

    Attributes:
        names: (N,) for people, as 'tag 3 corner 2'.
        points_base_m: (N, 3) in the base frame.
        pixels: (N, 2); pixel centres are at integers.
        sigma_px: standard deviation of ``pixels`` per axis, as the kind of point lets expect.
        sigma_m: standard deviation of each point's place by itself, per axis: of marks that were
            measured one by one. A board's points share their error (``BoardPose``).
    """

    names: tuple[str, ...]
    points_base_m: np.ndarray
    pixels: np.ndarray
    sigma_px: float
    sigma_m: float = 0.0

    def take(self, index: np.ndarray) -> ImagePoints:
        """Return the points of an index or mask array."""
        return ImagePoints(tuple(np.array(self.names)[index]), self.points_base_m[index],
                           self.pixels[index], self.sigma_px, self.sigma_m)


def check_points(points: ImagePoints) -> None:
    """Raise a CalibrationError where no pose can come from the points."""
    count = len(points.names)
    if count < 4:
        raise CalibrationError(f'{count} points are too few for a camera pose; give at least 4, '
                               'better 6 to 12, spread over the workspace')
    if not (np.isfinite(points.points_base_m).all() and np.isfinite(points.pixels).all()):
        raise CalibrationError('the points hold NaN or infinity; correct their numbers')
    for values, what in ((points.points_base_m, 'in the base frame'),
                         (points.pixels, 'in the picture')):
        spread = np.linalg.svd(values - values.mean(0), compute_uv=False)
        if spread[1] <= _LINE_PART * spread[0]:
            raise CalibrationError(f'all {count} points lie on one line {what}; add points beside '
                                   'that line: the corners of a rectangle are best')


def check_inside(points: ImagePoints, width_px: int, height_px: int) -> None:
    """Raise a CalibrationError for a point outside of the picture."""
    for name, (u, v) in zip(points.names, points.pixels):
        if not (-0.5 <= u <= width_px - 0.5 and -0.5 <= v <= height_px - 0.5):
            raise CalibrationError(f'{name}: ({u:g}, {v:g}) px lies outside of the picture of '
                                   f'{width_px}x{height_px} px; give pixels of this resolution, '
                                   'or the camera of the picture that was measured in')


def merged(pictures: Sequence[tuple[str, ImagePoints]]) -> ImagePoints:
    """One set from several pictures of a camera, board and marks that all stand still.

    Each point's median: noise goes down, what the lens and the light do to all pictures stays.

    Args:
        pictures: name and points of each, at least one; a picture may lack points of others.

    Raises:
        CalibrationError: points moved between the pictures.
    """
    first = pictures[0][1]
    seen: dict[str, list[tuple[str, np.ndarray]]] = {}
    places: dict[str, np.ndarray] = {}
    for picture, points in pictures:
        for name, place, pixel in zip(points.names, points.points_base_m, points.pixels):
            seen.setdefault(name, []).append((picture, pixel))
            places[name] = place
    pixels = {name: np.median([pixel for _, pixel in all_of_it], axis=0)
              for name, all_of_it in seen.items()}
    moves = sorted((float(np.median([np.linalg.norm(pixel - pixels[name])
                                     for name, all_of_it in seen.items()
                                     for where, pixel in all_of_it if where == picture])), picture)
                   for picture, _ in pictures)
    if moves[-1][0] > MOVED_PX:
        raise CalibrationError(
            f'{moves[-1][1]}: the points lie {moves[-1][0]:.1f} px from those of the other '
            'pictures; camera and board must stand still: leave this picture out or take them '
            'anew')
    names = tuple(seen)
    return ImagePoints(names, np.array([places[name] for name in names]),
                       np.array([pixels[name] for name in names]), first.sigma_px, first.sigma_m)
