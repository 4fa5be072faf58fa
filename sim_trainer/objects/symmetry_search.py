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

"""The rotations under which a mesh looks the same, found from its shape and its picture.

Every symmetry of a body is one of its convex hull. So axes are proposed by the hull's support
function (how far the hull reaches in a direction), whose second moments and whose minima over a
grid of axes are quick to compute, and decided by the surface itself: a turned copy must nowhere
stand off by more than the tolerance, and have the same colours where there is a picture.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import make_transform, rotvec_from_rotation
import numpy as np
from scipy.spatial import ConvexHull
from sim_trainer.objects.axis_candidates import candidate_axes, reach, refined_flips, refined_group
from sim_trainer.objects.found_symmetry import axis_text, FoundSymmetry, NearMiss
from sim_trainer.objects.resting import coarse_hull, hull_centre_of_mass
from sim_trainer.objects.rotation_groups import (any_normal, axes_of, closed_subset, cyclic,
                                                 dihedral, group_name, rotation_between, SIZES,
                                                 solid, SOLIDS, turn)
from sim_trainer.objects.solids import even_directions
from sim_trainer.objects.surface import Surface

#: A turned copy may stand off by this part of the largest extent: half a pixel of an object that
#: is 50 pixels wide. A prism of some twenty sides is then round.
TOLERANCE = 0.01
#: Samples of a continuous symmetry; reference/field practice is 64 (CosyPose, BOP toolkit).
CONTINUOUS_SAMPLES = 64
#: Highest order of an axis that is told from a continuous one.
_HIGHEST_ORDER = 36
#: Angles (rad) of no finite axis: what passes them all is round.
_ROUND_ANGLES = (0.37, 0.9, 1.71, 2.4, 2.9)
#: An axis within this angle of an axis of the object frame is that axis, where it fits as well.
_SNAP_DEG = 3.0
#: Directions in which hulls are compared.
_PROBES = 150
#: Beside axes that fit exactly (a CAD file), one that only half fits is meant to be different: a
#: box of 80 x 80 x 81.5 mm is no cube. A scan, where nothing fits exactly, uses all the tolerance.
_CLEAR = 0.5
#: A turn that stands off by more than so many tolerances is no near miss.
_NEAR_MISS = 8.0
#: Fits: how badly a transform (4x4) fits; up to 1 it is a symmetry.
Fits = Callable[[np.ndarray], float]


def find_symmetry(vertices_m: np.ndarray, faces: np.ndarray, uv: np.ndarray | None = None,
                  texture_rgb: np.ndarray | None = None, tolerance: float = TOLERANCE
                  ) -> FoundSymmetry:
    """Return the largest group of rotations that the search finds for a mesh.

    Args:
        vertices_m: (V, 3) in the object frame; not flat.
        faces: (F, 3) int.
        uv: (V, 2) and
        texture_rgb: (H, W, 3) uint8, as of ``MeshFile``; a picture can break a symmetry.
        tolerance: part of the largest extent by which a symmetric copy may stand off.
    """
    vertices = np.asarray(vertices_m, float)
    surface = Surface(vertices, faces, uv, texture_rgb)
    hull = coarse_hull(vertices[np.unique(faces)])
    search = _Search(surface, hull, tolerance * surface.size_m)
    shape = search.group(search.shape_fits)
    if surface.colors is None:
        return search.result(shape, shape)
    return search.result(search.painted(shape), shape)


@dataclass(frozen=True, eq=False)
class _Group:
    """Rotations (G, 3, 3); of a continuous group those of its flips, with its axis."""

    name: str
    rotations: np.ndarray
    axis: np.ndarray | None = None


class _Search:

    def __init__(self, surface: Surface, hull: ConvexHull, tolerance_m: float) -> None:
        self.surface, self.tolerance_m = surface, tolerance_m
        self.centre = self._snapped_centre(hull_centre_of_mass(hull))
        self.corners = hull.points[hull.vertices] - self.centre
        self.probes = even_directions(_PROBES)
        self.least = np.inf
        self.missed: list[tuple[float, np.ndarray]] = []

    def transform(self, R: np.ndarray) -> np.ndarray:
        return make_transform(R, self.centre - R @ self.centre)

    def shape_fits(self, R: np.ndarray) -> float:
        return self.surface.misfit_m(self.transform(R)) / self.tolerance_m

    def look_fits(self, R: np.ndarray) -> float:
        shape = self.shape_fits(R)
        return shape if shape > 1 else max(shape, self.surface.color_misfit(self.transform(R)))

    def group(self, fits: Fits) -> _Group:
        """Return the largest group that fits."""
        if self._is_ball(fits):
            return _Group('ball', np.eye(3)[None], np.array([0, 0, 1.0]))
        found: list[tuple[np.ndarray, int]] = []
        groups = [_Group('C1', np.eye(3)[None])]
        for axis in map(self._snapped_axis, candidate_axes(self.corners)):
            order = self._order(axis, fits)
            if order == 0:
                return self._round(axis, fits)
            if order > 1:
                found.append((axis, order))
        for axis, order in found[:12]:
            groups.append(_Group('C', cyclic(axis, order)))
            flip = self._flip(axis, order, fits)
            if flip is not None:
                groups.append(_Group('D', dihedral(axis, order, flip)))
        groups += self._solids(found)
        for group in sorted(groups, key=lambda g: -len(g.rotations)):
            rotations = refined_group(self.corners, group.rotations)
            limit = min(1.0, max(_CLEAR, 2 * self.least))
            if all(fits(R) <= limit for R in rotations[1:]):
                return _Group(group_name(rotations), rotations)
        return groups[0]

    def painted(self, shape: _Group) -> _Group:
        """Return the part of a group under which the colours stay, too."""
        if shape.axis is None:
            misfits = np.array([0.0] + [self.look_fits(R) for R in shape.rotations[1:]])
            fitting = np.flatnonzero(misfits <= 1)
            self.missed += [(m, R) for m, R in zip(misfits, shape.rotations) if m > 1]
            kept = fitting[closed_subset(shape.rotations[fitting], misfits[fitting])]
            return _Group(group_name(shape.rotations[kept]), shape.rotations[kept])
        best = _Group('C1', np.eye(3)[None])
        axes = [shape.axis] if shape.name != 'ball' else self._color_axes()
        for axis in axes:
            order = self._order(axis, self.look_fits)
            if order == 0:
                return self._round(axis, self.look_fits)
            flip = self._painted_flip(axis, order) if shape.name != 'round' else None
            rotations = cyclic(axis, order) if flip is None else dihedral(axis, order, flip)
            if len(rotations) > len(best.rotations):
                best = _Group(group_name(rotations), rotations)
        return best

    def result(self, group: _Group, shape: _Group) -> FoundSymmetry:
        symmetry = self._symmetry(group)
        some = symmetry.transforms[np.unique(np.linspace(
            0, len(symmetry.transforms) - 1, 60).astype(int))]
        axes = [] if group.axis is None else [(group.axis, 0)]
        axes += axes_of(group.rotations)
        return FoundSymmetry(
            symmetry, group.name, shape.name, tuple(axes), self.centre,
            max((self.surface.misfit_m(T) for T in some[1:]), default=0.0), self.tolerance_m,
            self._near_misses())

    def _symmetry(self, group: _Group) -> Symmetry:
        if group.axis is None:
            return Symmetry(np.stack([self.transform(R) for R in group.rotations]))
        turns = cyclic(group.axis, CONTINUOUS_SAMPLES)
        others = group.rotations
        if group.name == 'ball':
            # Any direction may be up: those to an icosahedron's corners stand for them.
            five = [axis for axis, order in axes_of(solid('I', *_icosahedron_axes()))
                    if order == 5]
            ends = [five[0], *(-axis for axis in five), *five[1:]]
            others = np.stack([rotation_between(ends[0], end) for end in ends])
        rotations = np.concatenate([other @ turns for other in others])
        about_z = (abs(group.axis[2]) > 1 - 1e-9 and np.abs(self.centre[:2]).max() < 1e-9)
        return Symmetry(np.stack([self.transform(R) for R in rotations]), bool(about_z))

    def _order(self, axis: np.ndarray, fits: Fits) -> int:
        """Order of an axis: 1 none, 0 continuous."""
        if all(fits(turn(axis, angle)) <= 1 for angle in _ROUND_ANGLES):
            return 0
        worst = {}
        for order in self._hull_orders(axis):
            angles = 2 * np.pi * np.arange(1, order // 2 + 1) / order
            misfit = 0.0
            for angle in angles[np.argsort(-angles % 0.7, kind='stable')]:
                misfit = max(misfit, fits(turn(axis, angle)))
                if misfit > 1:
                    break
            if misfit <= 1:
                worst[order] = misfit
            elif order in (2, 3, 4, 6):
                self.missed.append((misfit, turn(axis, 2 * np.pi / order)))
        least = min(worst.values(), default=np.inf)
        self.least = min(self.least, least)
        # A turn by another order is off by a part of a sector only: it fits, but not as well.
        return max((n for n, m in worst.items() if m <= max(_CLEAR, 2 * least)), default=1)

    def _hull_orders(self, axis: np.ndarray) -> list[int]:
        """Orders that the hull does not rule out: quick, and most are."""
        before = reach(self.corners, self.probes)
        limit = 3 * self.tolerance_m
        return [order for order in range(_HIGHEST_ORDER, 1, -1) if np.quantile(np.abs(reach(
            self.corners, self.probes @ turn(axis, 2 * np.pi / order).T) - before), 0.9) < limit]

    def _round(self, axis: np.ndarray, fits: Fits) -> _Group:
        flip = turn(any_normal(axis), np.pi)
        if fits(flip) <= 1:
            return _Group('round, flips', np.stack([np.eye(3), flip]), axis)
        self.missed.append((fits(flip), flip))
        return _Group('round', np.eye(3)[None], axis)

    def _flip(self, axis: np.ndarray, order: int, fits: Fits) -> np.ndarray | None:
        for flip_axis in refined_flips(self.corners, axis, order):
            flip_axis = self._snapped_axis(flip_axis)
            if abs(flip_axis @ axis) < 1e-6 and fits(turn(flip_axis, np.pi)) <= 1:
                return flip_axis
        return None

    def _painted_flip(self, axis: np.ndarray, order: int) -> np.ndarray | None:
        """Return the best flip of a round body with a picture: only its colours tell which."""
        side = any_normal(axis)
        angles = np.linspace(0, np.pi / order, max(2, 90 // order), endpoint=False)
        flips = [turn(axis, angle) @ side for angle in angles]
        misfits = [self.look_fits(turn(flip, np.pi)) for flip in flips]
        best = int(np.argmin(misfits))
        return flips[best] if misfits[best] <= 1 else None

    def _solids(self, found: list[tuple[np.ndarray, int]]) -> list[_Group]:
        groups = []
        for name, (order, angle_rad) in SOLIDS.items():
            axes = [axis for axis, n in found if n % order == 0]
            for i, first in enumerate(axes[:6]):
                for second in axes[i + 1:]:
                    between = np.arccos(np.clip(abs(first @ second), 0, 1))
                    if abs(between - angle_rad) < 0.06:
                        rotations = solid(name, first, second)
                        if len(rotations) == SIZES[name]:
                            groups.append(_Group(name, rotations))
                        break
        return groups

    def _is_ball(self, fits: Fits) -> bool:
        directions = even_directions(6)
        return all(fits(turn(axis, angle)) <= 1
                   for axis, angle in zip(directions, (0.9, 1.7, 2.4, 1.1, 2.9, 0.5)))

    def _color_axes(self) -> list[np.ndarray]:
        """Axes that a picture on a ball can have, from the moments of its brightness."""
        points = self.surface.points_m - self.centre
        weights = self.surface.colors.mean(1) - self.surface.colors.mean()
        units = points / np.linalg.norm(points, axis=1, keepdims=True)
        _, vectors = np.linalg.eigh((units * weights[:, None]).T @ units)
        mean = (units * weights[:, None]).sum(0)
        axes = [self._snapped_axis(axis) for axis in vectors.T]
        length = np.linalg.norm(mean)
        return axes + ([self._snapped_axis(mean / length)] if length > 1e-9 else [])

    def _snapped_axis(self, axis: np.ndarray) -> np.ndarray:
        nearest = int(np.argmax(np.abs(axis)))
        if abs(axis[nearest]) > np.cos(np.radians(_SNAP_DEG)):
            return np.eye(3)[nearest]
        return axis * np.sign(axis[np.flatnonzero(np.abs(axis) > 1e-6)[-1]])

    def _snapped_centre(self, centre: np.ndarray) -> np.ndarray:
        """Return the centre, on the axes of the object frame where it is all but there."""
        return np.where(np.abs(centre) < self.tolerance_m / 2, 0.0, centre)

    def _near_misses(self) -> tuple[NearMiss, ...]:
        """Return the best turns that are no symmetry, one of each angle; at least one."""
        if not self.missed:
            half_turns = [turn(axis, np.pi) for axis in np.eye(3)]
            self.missed = [(self.shape_fits(R), R) for R in half_turns]
        chosen: dict[int, NearMiss] = {}
        for misfit, R in sorted(self.missed, key=lambda item: item[0]):
            vector = rotvec_from_rotation(R)
            angle = round(np.degrees(np.linalg.norm(vector)))
            if misfit > 1 and angle not in chosen and (misfit < _NEAR_MISS or not chosen):
                T = self.transform(R)
                chosen[angle] = NearMiss(f'{angle} degrees about {axis_text(vector)}', T,
                                         self.surface.misfit_m(T))
        return tuple(list(chosen.values())[:3])


def _icosahedron_axes() -> tuple[np.ndarray, np.ndarray]:
    return np.array([0, 0, 1.0]), np.array([2.0, 0, 1.0]) / np.sqrt(5)
