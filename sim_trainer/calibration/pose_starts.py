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

"""Where the search for the camera's pose starts: PnP of all points, and of few at a time."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import make_transform, rotation_from_rotvec, transform_points
import numpy as np
from sim_trainer.calibration.points import ImagePoints

#: More starts than this many subsets of four points are drawn at random.
_MOST_SUBSETS = 210


def starts(points: ImagePoints, camera: PinholeCamera, limit_px: float
           ) -> Iterator[tuple[float, np.ndarray]]:
    """(score, T_camera_base): of all points, and of subsets of four that outliers spare.

    The score is a sum of squared pixels, no point counting more than ``limit_px``; less is better.
    """
    rays = camera.normalize(points.pixels)
    count = len(rays)
    subsets = [np.arange(count)]
    if count > 4:
        rng = np.random.default_rng(0)
        fours = (list(combinations(range(count), 4)) if count <= 10 else
                 [rng.choice(count, 4, replace=False) for _ in range(_MOST_SUBSETS)])
        subsets += [np.array(four) for four in fours[:_MOST_SUBSETS]]
    for subset in subsets:
        for T in _solutions(points.points_base_m[subset], rays[subset]):
            seen = camera.project(transform_points(T, points.points_base_m))
            squared = np.nan_to_num(((seen - points.pixels) ** 2).sum(1), nan=np.inf)
            yield float(np.minimum(squared, limit_px ** 2).sum()), T


def flipped(T: np.ndarray, points: ImagePoints) -> np.ndarray:
    """Return the pose that Necker's cube flips to: a board turned about its middle's view ray.

    Source: Schweighofer and Pinz, Robust pose estimation from a planar target, 2006.
    """
    middle = points.points_base_m.mean(0)
    ray = transform_points(T, middle[None])[0]
    ray /= np.linalg.norm(ray)
    # The plane's normal is mirrored at the view ray, the points keep their azimuth.
    normal = T[:3, :3] @ np.linalg.svd(points.points_base_m - middle)[2][2]
    axis = np.cross(normal, ray)
    if np.linalg.norm(axis) < 1e-9:
        return T
    angle = 2 * np.arctan2(np.linalg.norm(axis), normal @ ray)
    R = rotation_from_rotvec(axis / np.linalg.norm(axis) * angle) @ T[:3, :3]
    return make_transform(R, transform_points(T, middle[None])[0] - R @ middle)


def _solutions(points_m: np.ndarray, rays: np.ndarray) -> Iterator[np.ndarray]:
    """Return PnP solutions of undistorted points, both of a plane's where they lie in one."""
    middle = points_m.mean(0)
    spread = np.linalg.svd(points_m - middle)
    if spread[1][1] <= 0.02 * spread[1][0]:
        return
    flat = spread[1][2] <= 1e-4 * spread[1][0]
    frame = np.eye(4)
    if flat:        # IPPE wants the plane z = 0
        axes = spread[2] * [[1.0], [1.0], [np.linalg.det(spread[2])]]
        frame = make_transform(axes, -axes @ middle)
    places = transform_points(frame, points_m)
    method = cv2.SOLVEPNP_IPPE if flat else cv2.SOLVEPNP_SQPNP
    try:
        _, rotations, positions, _ = cv2.solvePnPGeneric(places, rays, np.eye(3), None,
                                                         flags=method)
    except cv2.error:       # degenerate subsets
        return
    for rotvec, t in zip(rotations, positions):
        if np.isfinite(rotvec).all() and np.isfinite(t).all():
            T = make_transform(rotation_from_rotvec(rotvec.ravel()), t.ravel())
            yield T @ frame
