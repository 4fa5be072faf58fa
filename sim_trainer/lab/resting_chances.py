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

"""How likely a thrown object comes to rest on each of its stable faces."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.objects import ObjectModel
import numpy as np
from scipy.spatial import cKDTree, ConvexHull
from sim_trainer.objects.resting import coarse_hull, hull_centre_of_mass
from sim_trainer.objects.solids import even_directions

#: Directions from which the object starts to roll.
_STARTS = 6000
_NEIGHBOURS = 7


@dataclass(frozen=True, eq=False)
class RestingChance:
    """A way to lie: direction down in the object frame (3,), its chance, faces that look so."""

    down: np.ndarray
    chance: float
    face_count: int


def resting_chances(model: ObjectModel) -> list[RestingChance]:
    """Return how an object rests, the likeliest first; what looks alike counts together.

    From every direction the body rolls the way its centre of mass sinks fastest, without swing.

    Source: Goldberg et al. 1999, "Part pose statistics: estimators and experiments", section 3.
    """
    downs = model.resting_downs
    if not len(downs):
        return []
    chances = face_chances(model.vertices_m, downs)
    rotations = model.symmetry.transforms[:, :3, :3]
    free = np.ones(len(downs), bool)
    ways = []
    for seed in np.argsort(-chances.round(9), kind='stable'):
        if not free[seed]:
            continue
        alike = free & ((rotations @ downs[seed] @ downs.T).max(0) > 0.999)
        if model.symmetry.continuous_about_z:
            alike |= free & (np.abs(downs[:, 2] - downs[seed][2]) < 1e-3)
        ways.append(RestingChance(downs[seed], float(chances[alike].sum()), int(alike.sum())))
        free &= ~alike
    return sorted(ways, key=lambda way: -way.chance)


def face_chances(vertices_m: np.ndarray, downs: np.ndarray) -> np.ndarray:
    """Chance (R,) of each resting direction (R, 3); they add up to 1."""
    hull: ConvexHull = coarse_hull(np.asarray(vertices_m, float))
    corners = hull.points[hull.vertices] - hull_centre_of_mass(hull)
    directions = np.vstack([even_directions(_STARTS), downs])
    height = np.concatenate([(part @ corners.T).max(1)
                             for part in np.array_split(directions, 16)])
    height[_STARTS:] -= 1e-9        # a resting direction is the bottom of its basin
    _, near = cKDTree(directions).query(directions, k=_NEIGHBOURS)
    lower = near[np.arange(len(near)), height[near].argmin(1)]
    while True:
        further = lower[lower]
        if (further == lower).all():
            break
        lower = further
    # Where bumps hold it up, it goes to the nearest face after all.
    _, face = cKDTree(downs).query(directions[lower[:_STARTS]])
    return np.bincount(face, minlength=len(downs)) / _STARTS
