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

"""What the symmetry search found of an object, and the words and YAML keys for it."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.symmetry import Symmetry
import numpy as np


@dataclass(frozen=True, eq=False)
class NearMiss:
    """A turn that was tried and is no symmetry: what it is, its transform, its misfit (m)."""

    text: str
    T: np.ndarray
    misfit_m: float


@dataclass(frozen=True, eq=False)
class FoundSymmetry:
    """What the search found.

    Attributes:
        symmetry: the group, in the object frame.
        name: 'C1' none, 'Cn', 'Dn', 'T', 'O', 'I', 'round', 'round, flips' or 'ball'.
        shape_name: the same of the shape alone, without its picture.
        axes: direction (3,) and order of each axis; order 0 is continuous.
        centre_m: (3,) the point through which the axes go.
        misfit_m: how far the worst of the symmetric copies stands off.
        tolerance_m: how far it may.
        near_misses: the turns that came nearest to being one more symmetry.
    """

    symmetry: Symmetry
    name: str
    shape_name: str
    axes: tuple[tuple[np.ndarray, int], ...]
    centre_m: np.ndarray
    misfit_m: float
    tolerance_m: float
    near_misses: tuple[NearMiss, ...] = ()

    @property
    def yaml_keys(self) -> str:
        """The keys of a mesh in the scene YAML that declare this group."""
        along_z = [order for axis, order in self.axes if abs(axis[2]) > 1 - 1e-6]
        upright = bool(along_z) and np.abs(self.centre_m[:2]).max() < 1e-9
        first = self.axes[0][1] if self.axes else 1
        if self.name == 'C1':
            return 'symmetry: none'
        if not upright or self.name in ('T', 'O', 'I', 'ball') or along_z[0] != first:
            return 'symmetry: auto'
        turns = 'round_about_z: true' if first == 0 else f'turns_about_z: {first}'
        flips = [axis for axis, _ in self.axes if abs(axis[2]) < 1e-6]
        if not flips:
            return turns
        about_x = first == 0 or any(abs(axis[0]) > 1 - 1e-6 for axis in flips)
        return f'{turns}, flips: true' if about_x else 'symmetry: auto'


def axis_text(direction: np.ndarray) -> str:
    """Return a direction (3,) in words: 'x', '-x', 'y', ..., or its numbers."""
    unit = np.asarray(direction, float) / np.linalg.norm(direction)
    for name, axis in zip('xyz', np.eye(3)):
        if abs(unit @ axis) > 1 - 1e-6:
            return name if unit @ axis > 0 else f'-{name}'
    return f'({unit[0]:.2f}, {unit[1]:.2f}, {unit[2]:.2f})'
