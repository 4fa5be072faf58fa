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

"""The objects of a scene YAML: shapes and the keys each takes.

A primitive takes its dimensions in metres. A mesh takes a file and how to read it:
``{name: mug, shape: mesh, file: mug.obj, unit: mm, origin: centre}``. A relative ``file`` is
relative to the working directory, as ``arm_urdf`` is: a configuration is also built from plain
values (``--set``, a resolved configuration in a run's folder), which know no folder of their own.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dr_perception.core.objects import is_frame_name, is_object_name
import numpy as np
from sim_trainer.configuration.loader import shorten, to_float
from sim_trainer.errors import ConfigurationError

#: shape -> the dimensions it takes.
SHAPES = {
    'cone': ('radius_m', 'height_m'),
    'box': ('size_m',),
    'cylinder': ('radius_m', 'height_m'),
    'prism': ('circumradius_m', 'height_m', 'sides'),
    'pyramid': ('edge_m', 'height_m'),
    'tetrahedron': ('edge_m',),
    'mesh': ('file',),
}
#: What a mesh takes beside its file, and what it is when it is not given.
MESH_DEFAULTS = {'unit': 'm', 'up': 'z', 'origin': 'file', 'symmetry': 'auto',
                 'turns_about_z': 1, 'round_about_z': False, 'flips': False}
#: Twice this and things count as other ones: ``configuration.distractors.NEAREST_RATIO``.
MOST_SIZE_SPREAD = 0.04
#: unit of a mesh file -> metres.
UNITS_M = {'m': 1.0, 'mm': 0.001, 'cm': 0.01, 'in': 0.0254}
#: Axes of a mesh file that may point up.
UPS = ('z', 'y', 'x')


@dataclass(frozen=True)
class Subframes:
    """Named places on an object, such as grasps: ``{grasp_top: [x, y, z, qx, qy, qz, qw]}``.

    Attributes:
        poses: (name, seven numbers) of each: position in metres and quaternion in the object's
            frame.
    """

    poses: tuple[tuple[str, tuple[float, ...]], ...]

    @classmethod
    def from_yaml(cls, value: Any, where: str) -> Subframes:
        """Parse a mapping of names to seven numbers."""
        if not isinstance(value, dict):
            raise ConfigurationError(f'{where}: got {shorten(value)}; expected names with seven '
                                     'numbers each: {grasp_top: [x, y, z, qx, qy, qz, qw]}')
        return cls(tuple((name, cls._pose(name, numbers, f'{where}.{name}'))
                         for name, numbers in value.items()))

    @staticmethod
    def _pose(name: Any, numbers: Any, where: str) -> tuple[float, ...]:
        if not isinstance(name, str) or not is_frame_name(name):
            raise ConfigurationError(f'{where}: a name has letters, digits and underscores (it '
                                     'becomes a frame of the motion planner)')
        if not isinstance(numbers, (list, tuple)) or len(numbers) != 7:
            raise ConfigurationError(f'{where}: got {shorten(numbers)}; expected seven numbers x, '
                                     'y, z, qx, qy, qz, qw (metres, quaternion)')
        pose = tuple(to_float(number, where) for number in numbers)
        norm = float(np.linalg.norm(pose[3:]))
        if abs(norm - 1.0) > 0.01:
            raise ConfigurationError(f'{where}: the quaternion {shorten(list(pose[3:]))} has norm '
                                     f'{norm:.3g}; expected 1, in the order qx, qy, qz, qw')
        if max(map(abs, pose[:3])) > 2.0:
            raise ConfigurationError(f'{where}: position {shorten(list(pose[:3]))}; expected '
                                     'at most 2 m from the origin (metres; 50 mm is 0.050)')
        return pose

    def to_yaml(self) -> dict[str, list[float]]:
        """Return the inverse of ``from_yaml``."""
        return {name: list(pose) for name, pose in self.poses}


@dataclass(frozen=True)
class ObjectConfig:
    """An object to localize: a primitive with its dimensions, or a mesh file."""

    name: str
    shape: str
    radius_m: float | None = None
    circumradius_m: float | None = None
    height_m: float | None = None
    edge_m: float | None = None
    size_m: tuple[float, float, float] | None = None
    sides: int | None = None
    #: colour of the object, sRGB 0...1; left out: any, which finds it in every colour
    color: tuple[float, float, float] | None = None
    #: standard deviation of the colour: 0.05 well known, 0.2 roughly known; default 0.1
    color_spread: float | None = None
    #: standard deviation by which the real thing is larger or smaller than its model, along each
    #: axis, part of the size: 0 machined (default), 0.01 moulded, 0.03 cardboard
    size_spread: float | None = None
    #: mesh: path of an .obj, .stl, .ply, .glb or .urdf file (joints at zero, in metres)
    file: str | None = None
    #: mesh: unit of the file's numbers: m (default), mm, cm or in
    unit: str | None = None
    #: mesh: the file's axis that points up when the object stands: z (default), y (as in glTF), x
    up: str | None = None
    #: mesh: origin of the object frame: file (default; the file's own) or centre (of the bounding
    #: box)
    origin: str | None = None
    #: mesh: auto (found from shape and picture), none, or declared by the three keys below;
    #: default: declared where one of them is given, else auto
    symmetry: str | None = None
    #: mesh: looks the same after every 1/n turn about z (default 1: no symmetry)
    turns_about_z: int | None = None
    #: mesh: looks the same after any turn about z (default false)
    round_about_z: bool | None = None
    #: mesh: looks the same upside down, turned by 180 degrees about x at half height (default
    #: false)
    flips: bool | None = None
    #: named places such as grasps, in the object's frame; the planning_scene node passes them on
    subframes: Subframes | None = None

    def __post_init__(self) -> None:
        label = f'object {self.name!r}'
        if not is_object_name(self.name):
            raise ConfigurationError(f'{label}: a name has letters, digits and underscores and '
                                     'starts with a letter (it becomes a topic and a TF frame)')
        if self.shape not in SHAPES:
            raise ConfigurationError(f'{label}: unknown shape {self.shape!r}; expected one of '
                                     f'{", ".join(SHAPES)}')
        wanted = SHAPES[self.shape]
        allowed = wanted + (tuple(MESH_DEFAULTS) if self.shape == 'mesh' else ())
        for key in ('radius_m', 'circumradius_m', 'height_m', 'edge_m', 'size_m', 'sides', 'file',
                    *MESH_DEFAULTS):
            value = getattr(self, key)
            if key in wanted and value is None:
                raise ConfigurationError(f'{label}: shape {self.shape} needs {key}')
            if key not in allowed and value is not None:
                raise ConfigurationError(f'{label}: shape {self.shape} takes '
                                         f'{", ".join(allowed)}, not {key}')
            if value is None or not key.endswith('_m'):
                continue
            for length in np.atleast_1d(value):
                if not 0.002 <= length <= 2.0:
                    raise ConfigurationError(
                        f'{label}: {key} = {length:g} m; expected 0.002...2 m (metres, positive; '
                        '50 mm is 0.050)')
        if self.sides is not None and not 3 <= self.sides <= 64:
            raise ConfigurationError(f'{label}: sides = {self.sides}; expected 3...64')
        if self.color is not None and not all(0 <= value <= 1 for value in self.color):
            raise ConfigurationError(
                f'{label}: color = {", ".join(f"{value:g}" for value in self.color)}; expected '
                'red, green, blue of 0...1 (255 is 1)')
        if self.color_spread is not None and self.color is None:
            raise ConfigurationError(f'{label}: color_spread without color; give the colour that '
                                     'is known, or leave both out')
        if self.color is not None and self.color_spread is None:
            object.__setattr__(self, 'color_spread', 0.1)
        if self.color is not None and not 0 <= self.color_spread <= 1:
            raise ConfigurationError(f'{label}: color_spread = {self.color_spread:g}; expected '
                                     '0...1')
        if not 0 <= (self.size_spread or 0.0) <= MOST_SIZE_SPREAD:
            raise ConfigurationError(
                f'{label}: size_spread = {self.size_spread:g}; expected 0...{MOST_SIZE_SPREAD:g}, '
                'a part of the size (0.03: 3 %); what differs by more is another object')
        if self.shape == 'mesh':
            self._check_mesh(label)

    def _check_mesh(self, label: str) -> None:
        turns = ('turns_about_z', 'round_about_z', 'flips')
        if self.symmetry is None and any(getattr(self, key) is not None for key in turns):
            object.__setattr__(self, 'symmetry', 'declared')
        for key, default in MESH_DEFAULTS.items():
            if getattr(self, key) is None:
                object.__setattr__(self, key, default)
        for key, choices in (('unit', tuple(UNITS_M)), ('up', UPS),
                             ('origin', ('file', 'centre')),
                             ('symmetry', ('auto', 'none', 'declared'))):
            value = getattr(self, key)
            if value not in choices:
                raise ConfigurationError(f'{label}: {key} = {value!r}; expected one of '
                                         f'{", ".join(choices)}')
        if self.file.lower().endswith('.urdf') and self.unit != 'm':
            raise ConfigurationError(f'{label}: unit = {self.unit!r}; a URDF is in metres, and '
                                     'scales its meshes itself (scale="0.001 0.001 0.001")')
        if self.symmetry != 'declared':
            for key in turns:
                if getattr(self, key) != MESH_DEFAULTS[key]:
                    raise ConfigurationError(f'{label}: symmetry: {self.symmetry} and {key} '
                                             'contradict each other; leave one of them out')
        if not 1 <= self.turns_about_z <= 64:
            raise ConfigurationError(f'{label}: turns_about_z = {self.turns_about_z}; expected '
                                     '1...64 (round_about_z: true for a round object)')
        if self.round_about_z and self.turns_about_z > 1:
            raise ConfigurationError(f'{label}: round_about_z takes every turn in; leave '
                                     'turns_about_z out')
