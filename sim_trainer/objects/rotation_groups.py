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

"""Finite groups of rotations: turns about one axis, with flips, and those of the regular solids.

Convention:
    Names are Schoenflies': C1 nothing, Cn turns about one axis, Dn those and the flips, T, O, I
    the rotations of tetrahedron, cube and icosahedron. 'round' and 'round, flips' are
    continuous (C-infinity and D-infinity), 'ball' is every rotation.
"""

from __future__ import annotations

from dr_perception.core.transforms import rotation_angle, rotation_from_rotvec
import numpy as np

#: Name of a regular solid's group -> order of two axes that generate it, and the angle (rad)
#: between these. Source: Coxeter 1973, "Regular Polytopes", section 3.
SOLIDS = {'I': (5, np.arctan(2.0)), 'O': (4, np.pi / 2), 'T': (3, np.arccos(1 / 3))}
SIZES = {'I': 60, 'O': 24, 'T': 12}
#: Rotations this near (rad) are one.
_SAME_RAD = 0.03


def turn(axis: np.ndarray, angle_rad: float) -> np.ndarray:
    """Rotation (3x3) about a unit vector (3,)."""
    return rotation_from_rotvec(np.asarray(axis, float) * angle_rad)


def any_normal(axis: np.ndarray) -> np.ndarray:
    """Return a unit vector (3,) at a right angle to another; x for z, where there is a choice."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(axis[1]) < 0.9 else np.array([0.0, 0.0, 1.0])
    normal = np.cross(helper, axis)
    return normal / np.linalg.norm(normal)


def rotation_between(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Return the shortest rotation (3x3) that takes unit vector ``a`` (3,) to ``b``."""
    cross = np.cross(a, b)
    sine = np.linalg.norm(cross)
    if sine < 1e-9:
        return np.eye(3) if a @ b > 0 else turn(any_normal(a), np.pi)
    return rotation_from_rotvec(cross / sine * np.arctan2(sine, a @ b))


def cyclic(axis: np.ndarray, order: int) -> np.ndarray:
    """Return the turns (order, 3, 3) by 1/order about an axis, the identity first."""
    return np.stack([turn(axis, 2 * np.pi * i / order) for i in range(order)])


def dihedral(axis: np.ndarray, order: int, flip_axis: np.ndarray) -> np.ndarray:
    """Return the turns about an axis and as many flips (2 order, 3, 3) about axes normal to it."""
    turns = cyclic(axis, order)
    return np.concatenate([turns, turn(flip_axis, np.pi) @ turns])


def solid(name: str, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return the rotations (G, 3, 3) of a regular solid.

    Args:
        name: of ``SOLIDS``.
        first: an axis of its highest order.
        second: another; it says the direction alone, its angle to the first is set right.
    """
    order, angle_rad = SOLIDS[name]
    second = second if first @ second > 0 else -second
    side = second - (first @ second) * first
    side /= np.linalg.norm(side)
    exact = np.cos(angle_rad) * first + np.sin(angle_rad) * side
    generators = [turn(first, 2 * np.pi / order), turn(exact, 2 * np.pi / order)]
    found = [np.eye(3)]
    for R in found:                 # grows while it is walked through
        for generator in generators:
            product = generator @ R
            if index_of(product, np.stack(found)) is None:
                found.append(product)
    return np.stack(found)


def index_of(R: np.ndarray, rotations: np.ndarray) -> int | None:
    """Where a rotation (3x3) stands among others (G, 3, 3), or None."""
    angles = rotation_angle(np.swapaxes(rotations, 1, 2) @ R)
    nearest = int(np.argmin(angles))
    return nearest if angles[nearest] < _SAME_RAD else None


def closed_subset(rotations: np.ndarray, misfits: np.ndarray) -> np.ndarray:
    """Return indices of a subset of a group that is a group: elements leave, the worst first.

    Args:
        rotations: (G, 3, 3), a part of a group with the identity first.
        misfits: (G,) how badly each fits.
    """
    kept = list(range(len(rotations)))
    while True:
        members = rotations[kept]
        open_count = np.array([sum(index_of(R @ S, members) is None for S in members)
                               + (index_of(R.T, members) is None) for R in members])
        if not open_count.any():
            return np.array(kept)
        # The one most products of which leave the set; of these the one that fits worst.
        worst = max(range(1, len(kept)), key=lambda i: (open_count[i], misfits[kept[i]]))
        kept.pop(worst)


def axes_of(rotations: np.ndarray) -> list[tuple[np.ndarray, int]]:
    """Return the axes of a group (G, 3, 3): direction (3,) and order each, highest order first."""
    found: list[tuple[np.ndarray, list[float]]] = []
    for R in rotations[1:]:
        axis, angle = axis_angle(R)
        for known, angles in found:
            if abs(known @ axis) > np.cos(_SAME_RAD):
                angles.append(angle)
                break
        else:
            found.append((axis, [angle]))
    return sorted(((axis, len(angles) + 1) for axis, angles in found), key=lambda item: -item[1])


def axis_angle(R: np.ndarray) -> tuple[np.ndarray, float]:
    """Axis (3,), pointing up (or to +y, +x), and angle (0...pi) of a rotation other than 1."""
    values, vectors = np.linalg.eigh((R + R.T) / 2)
    axis = vectors[:, int(np.argmax(values))]
    axis = axis * np.sign(axis[np.flatnonzero(np.abs(axis) > 1e-6)[-1]])
    return axis, float(rotation_angle(R))


def group_name(rotations: np.ndarray) -> str:
    """Schoenflies' name of a finite group (G, 3, 3)."""
    axes = axes_of(rotations)
    if not axes:
        return 'C1'
    several = sum(order > 2 for _, order in axes) > 1
    if several:
        return {5: 'I', 4: 'O', 3: 'T'}.get(axes[0][1], f'D{axes[0][1]}')
    return f'{"D" if len(axes) > 1 else "C"}{axes[0][1]}'
