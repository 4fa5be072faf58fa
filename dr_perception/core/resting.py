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

"""How an object can rest on a plane, prepared for the pose solver's coarse search."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import rotation_about, rotation_from_rotvec
import numpy as np

#: Yaw steps of the coarse search; the least-squares fit converges from 15 degrees with ease.
YAW_STEPS = 16
#: Sides of a round object that are tried; in between, any side is allowed.
ROUND_SIDES = 12


@dataclass(frozen=True, eq=False)
class Memory:
    """Lengths and addresses of arrays, and the arrays, which must live as long."""

    row: np.ndarray
    arrays: tuple[np.ndarray, ...]


@dataclass(frozen=True, eq=False)
class RestingPoses:
    """Resting faces (R) and starting rotations (S) of one object.

    Attributes:
        downs: (R, 3) object directions that point straight down.
        heights_m: (R,) of the origin above the plane.
        round_side: (R,) the object is round about z and lies on its side: any side will do.
        start_rotations: (S, 3, 3) ``R_base_object`` to try.
        start_points_m: (S, K, 3) the keypoints so turned.
        start_rest: (S,) resting face of each.
        group_begin: (G,) the first start of each of G hypotheses: a face, or all sides of a round
            object; a hypothesis' starts follow each other.
        start_heights_m: (S,).
    """

    downs: np.ndarray
    heights_m: np.ndarray
    round_side: np.ndarray
    start_rotations: np.ndarray
    start_points_m: np.ndarray
    start_rest: np.ndarray
    group_begin: np.ndarray
    start_heights_m: np.ndarray

    @cached_property
    def memory(self) -> Memory:
        """Where the loops in C find it (``compiled/plane_hypotheses.c``: ``Rest``)."""
        arrays = tuple(np.ascontiguousarray(array, kind) for array, kind in (
            (self.start_points_m, np.float64), (self.start_heights_m, np.float64),
            (self.start_rotations, np.float64), (self.start_rest, np.int64),
            (self.group_begin, np.int64), (self.downs, np.float64),
            (self.heights_m, np.float64), (self.round_side, np.bool_)))
        return Memory(np.array([len(self.start_rest), len(self.group_begin),
                                *(array.ctypes.data for array in arrays)], np.int64), arrays)

    def __getstate__(self) -> dict[str, np.ndarray]:
        """Leave the addresses behind: a copy's arrays lie elsewhere."""
        return {name: value for name, value in vars(self).items() if name != 'memory'}

    @classmethod
    def of(cls, model: ObjectModel) -> RestingPoses:
        """Return the resting poses of an object; upright on its origin where none is known."""
        downs, heights = model.resting_downs, model.resting_heights_m
        if len(downs) == 0:
            downs, heights = np.array([[0, 0, -1.0]]), np.array([-model.vertices_m[:, 2].min()])
        round_side = model.symmetry.continuous_about_z & (np.abs(downs[:, 2]) < 1 - 1e-6)
        groups = np.arange(len(downs))
        kept = np.ones(len(downs), bool)
        if round_side.any():
            # Sides at the same tilt are one hypothesis; an even subset of them starts the search.
            for tilt in np.unique(downs[round_side, 2].round(4)):
                members = np.flatnonzero(round_side & (np.abs(downs[:, 2] - tilt) < 1e-4))
                members = members[np.argsort(np.arctan2(downs[members, 1], downs[members, 0]))]
                groups[members] = members[0]
                kept[members] = False
                kept[members[::max(1, len(members) // ROUND_SIDES)]] = True
        yaws = [rotation_about('z', 2 * np.pi * i / YAW_STEPS) for i in range(YAW_STEPS)]
        index = np.flatnonzero(kept)
        index = index[np.argsort(groups[index], kind='stable')]
        rotations = np.stack([yaw @ rotation_to_down(downs[i]) for i in index for yaw in yaws])
        rest = np.repeat(index, YAW_STEPS)
        points = model.keypoints_m @ rotations.transpose(0, 2, 1)
        begin = np.flatnonzero(np.diff(groups[rest], prepend=-1))
        return cls(downs, heights, round_side, rotations, points, rest, begin, heights[rest])


def rotation_to_down(down: np.ndarray) -> np.ndarray:
    """Return a rotation R with ``R @ down == (0, 0, -1)`` for a unit vector (3,)."""
    target = np.array([0.0, 0.0, -1.0])
    axis = np.cross(down, target)
    sine, cosine = np.linalg.norm(axis), float(down @ target)
    if sine < 1e-9:
        return np.eye(3) if cosine > 0 else rotation_about('x', np.pi)
    return rotation_from_rotvec(axis / sine * np.arctan2(sine, cosine))
