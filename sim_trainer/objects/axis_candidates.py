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

"""Axes about which a convex hull may be symmetric, from its support function."""

from __future__ import annotations

from collections.abc import Iterator

from dr_perception.core.transforms import rotation_about, rotation_from_rotvec
import numpy as np
from scipy.optimize import least_squares
from scipy.spatial import cKDTree
from sim_trainer.objects.rotation_groups import any_normal, turn
from sim_trainer.objects.solids import even_directions

#: Axes of the grid (half a sphere; 4 degrees apart) and directions in which hulls are compared.
_GRID_AXES, _PROBES, _FINE_PROBES, _MOMENT_PROBES = 1200, 110, 200, 3000
#: Every group of rotations has an axis of one of these orders (or is about a principal axis).
_PRIMES = (2, 3, 5, 7)
#: Root mean square by which a turned hull may differ, part of its radius: on the grid, refined.
_COARSE, _FINE = 0.08, 0.02
#: Minima of the grid that are refined, for each order.
_MOST = 24
#: Axes within this angle (rad) are one.
_SAME_RAD = 0.05
#: Corners that stand for a hull on the grid, about.
_FEW = 250
#: Directions that are rotated and reached at once: bounds the memory.
_CHUNK = 20_000


def reach(corners: np.ndarray, directions: np.ndarray) -> np.ndarray:
    """How far (N,) a hull of corners (V, 3) reaches in directions (N, 3)."""
    return np.concatenate([(part @ corners.T).max(1) for part in
                           np.array_split(directions, max(1, len(directions) // _CHUNK))])


def candidate_axes(corners: np.ndarray) -> Iterator[np.ndarray]:
    """Axes (unit vectors) that are worth a look, the principal axes first, the grid's last.

    Args:
        corners: (V, 3) of the hull, about the centre that all symmetries keep.
    """
    radius = float(np.linalg.norm(corners, axis=1).max())
    few = corners[np.unique((even_directions(_FEW) @ corners.T).argmax(1))]
    principal = [_refined_principal(few, axis, radius) for axis in _moment_axes(corners)]
    yield from principal
    proposed = []
    for order in _PRIMES:
        proposed += [(cost, axis) for cost, axis in (
            _refined_axis(few, axis, order, radius) for axis in
            _grid_minima(few, order, radius)) if cost < _FINE]
    known = list(principal)
    for _, axis in sorted(proposed, key=lambda item: round(item[0], 6)):
        if all(abs(axis @ other) < np.cos(_SAME_RAD) for other in known):
            known.append(axis)
            yield axis


def _moment_axes(corners: np.ndarray) -> list[np.ndarray]:
    """Axes from the moments of the support function; every axis of three or more turns is one.

    Of the second moments, the axis that stands apart from the two others comes first: that is
    the axis of a prism or of a turned body. The first moment is along the axis of a body that
    has a top and a bottom, also where the second ones are all alike.
    """
    probes = even_directions(_MOMENT_PROBES)
    above = reach(corners, probes)
    above -= above.mean()
    values, vectors = np.linalg.eigh((probes * above[:, None]).T @ probes)
    lone = 0 if values[1] - values[0] > values[2] - values[1] else 2
    axes = [vectors[:, i] for i in (lone, *(i for i in (0, 1, 2) if i != lone))]
    mean = (probes * above[:, None]).sum(0)
    if np.linalg.norm(mean) > 1e-3 * np.abs(above).sum():
        axes.insert(1, mean / np.linalg.norm(mean))
    return axes


def refined_flips(corners: np.ndarray, axis: np.ndarray, order: int) -> list[np.ndarray]:
    """Axes normal to one of an order (n >= 2) about which half a turn fits the hull best."""
    probes = even_directions(_FINE_PROBES)
    before = reach(corners, probes)
    side = any_normal(axis)

    def difference(angle: float) -> np.ndarray:
        return reach(corners, probes @ turn(turn(axis, angle) @ side, np.pi).T) - before

    angles = np.linspace(0, np.pi / order, max(12, 120 // order), endpoint=False)
    costs = np.array([np.square(difference(angle)).mean() for angle in angles])
    minima = np.flatnonzero((costs <= np.roll(costs, 1)) & (costs <= np.roll(costs, -1)))
    flips = []
    for i in minima[np.argsort(costs[minima], kind='stable')][:4]:
        best = least_squares(lambda x: difference(x[0]), [angles[i]], diff_step=1e-4, max_nfev=12)
        flips.append(turn(axis, float(best.x[0])) @ side)
    return flips


def refined_group(corners: np.ndarray, rotations: np.ndarray) -> np.ndarray:
    """Return a finite group (G, 3, 3), turned as a whole so that it fits the hull best."""
    if len(rotations) == 1:
        return rotations
    probes = even_directions(_PROBES)
    before = reach(corners, probes)
    some = rotations[1:][:: max(1, len(rotations) // 12)]

    def difference(rotvec: np.ndarray) -> np.ndarray:
        W = rotation_from_rotvec(rotvec)
        turned = np.concatenate([probes @ (W @ R @ W.T).T for R in some])
        return reach(corners, turned) - np.tile(before, len(some))

    start = np.square(difference(np.zeros(3))).mean()
    best = least_squares(difference, np.zeros(3), diff_step=1e-4, x_scale=0.1, max_nfev=10)
    if np.linalg.norm(best.x) < 1e-5 or 2 * best.cost / len(best.fun) > 0.9 * start:
        return rotations            # exactly the frame's axes stay so
    W = rotation_from_rotvec(best.x)
    return W @ rotations @ W.T


def _grid_minima(corners: np.ndarray, order: int, radius: float) -> list[np.ndarray]:
    axes = even_directions(2 * _GRID_AXES)[:_GRID_AXES]
    # A corner on the grid's own axis must not decide; the probes are turned by an odd angle.
    probes = even_directions(_PROBES) @ rotation_about('x', 0.7).T
    before = reach(corners, probes)
    R = rotation_from_rotvec(axes * (2 * np.pi / order))
    turned = np.einsum('aij,pj->api', R, probes)
    after = reach(corners, turned.reshape(-1, 3)).reshape(len(axes), -1)
    cost = np.sqrt(np.square(after - before).mean(1)) / radius
    tree = cKDTree(np.concatenate([axes, -axes]))
    _, near = tree.query(axes, k=9)
    lowest = cost <= cost[near % len(axes)].min(1) + 1e-9
    chosen = np.flatnonzero(lowest & (cost < _COARSE))
    return [axes[i] for i in chosen[np.argsort(cost[chosen], kind='stable')][:_MOST]]


def _refined_axis(corners: np.ndarray, axis: np.ndarray, order: int, radius: float
                  ) -> tuple[float, np.ndarray]:
    """Return the axis nearby about which a turn by 1/order fits best, and its rms difference."""
    probes = even_directions(_FINE_PROBES)
    before = reach(corners, probes)
    u = any_normal(axis)
    v = np.cross(axis, u)

    def moved(x: np.ndarray) -> np.ndarray:
        tilted = axis + x[0] * u + x[1] * v
        return tilted / np.linalg.norm(tilted)

    def difference(x: np.ndarray) -> np.ndarray:
        return (reach(corners, probes @ turn(moved(x), 2 * np.pi / order).T) - before) / radius

    best = least_squares(difference, [0.0, 0.0], diff_step=1e-4, x_scale=0.1, max_nfev=15)
    return float(np.sqrt(np.square(best.fun).mean())), moved(best.x)


def _refined_principal(corners: np.ndarray, axis: np.ndarray, radius: float) -> np.ndarray:
    """Return a principal axis; where half a turn about it nearly fits, the one where it fits best.

    Probes are finitely many, so the moments of a symmetric hull point a little aside.
    """
    best = axis
    lowest = _FINE
    for order in _PRIMES:
        cost, refined = _refined_axis(corners, axis, order, radius)
        if cost < lowest and abs(refined @ axis) > np.cos(3 * _SAME_RAD):
            best, lowest = refined, cost
    return best
