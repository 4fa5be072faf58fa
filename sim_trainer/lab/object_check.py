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

"""``check`` of one object: what its mesh is, what the trainer makes of it, what to write."""

from __future__ import annotations

from dataclasses import dataclass
import logging
from pathlib import Path
import re

from dr_perception.core.objects import ObjectModel
import numpy as np
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.mesh_facts import mesh_facts, MeshFacts
from sim_trainer.lab.resting_chances import resting_chances, RestingChance
from sim_trainer.lab.units import guess_unit, UnitGuess
from sim_trainer.objects.catalogue import build_catalogue, found_symmetry
from sim_trainer.objects.found_symmetry import axis_text, FoundSymmetry
from sim_trainer.objects.mesh_file import (draw_geometry, largest_extent, load_mesh, MeshFile,
                                           up_rotation)
from sim_trainer.objects.symmetry_search import find_symmetry

logger = logging.getLogger(__name__)
#: An origin that lies aside of the box's middle axis by less than this part of its sides is kept.
_ORIGIN_ASIDE = 0.35
#: Poses that look alike may move the origin by so much: no more than they are wrong by anyhow.
_ORIGIN_MOVES_M = 0.002
#: Cosine between an axis and one that it is taken for.
_ALONG = 0.999
_SOLIDS = {'T': '12 rotations of the tetrahedron', 'O': '24 rotations of the cube',
           'I': '60 rotations of the icosahedron', 'C1': 'none',
           'ball': 'any rotation (a ball has no orientation: its rotation means nothing)'}


@dataclass(frozen=True, eq=False)
class ObjectCheck:
    """Everything that ``check`` knows of an object."""

    entry: ObjectConfig
    mesh: MeshFile
    model: ObjectModel
    facts: MeshFacts
    found: FoundSymmetry
    ways: list[RestingChance]
    guess: UnitGuess | None

    def lines(self) -> list[str]:
        """Return the report, one thing a line."""
        facts, found = self.facts, self.found
        size = ' x '.join(f'{1000 * value:.1f}' for value in facts.extents_m)
        unit = ''
        if self.guess is not None:
            unit = (f' in unit {self.entry.unit} ({self.guess.sureness}: {self.guess.reason})'
                    if self.guess.unit == self.entry.unit else
                    f' in unit {self.entry.unit}, as it was given ({self.guess.unit} is as '
                    f'possible: {self.guess.reason})' if self.guess.allows(self.entry.unit) else
                    f' in unit {self.entry.unit}, but {self.guess.unit} is likelier '
                    f'({self.guess.reason})')
        picture = ('no picture: it is drawn in every colour' if self.mesh.texture_rgb is None else
                   f'picture of {self.mesh.texture_rgb.shape[1]}x'
                   f'{self.mesh.texture_rgb.shape[0]} px on it')
        points = ', '.join('(' + ' '.join(f'{1000 * v + 0.0:.0f}' for v in point) + ')'
                           for point in self.model.keypoints_m)
        rests = ', '.join(f'{100 * way.chance:.0f} % with {axis_text(way.down)} down'
                          + (f' ({way.face_count} faces alike)' if way.face_count > 1 else '')
                          for way in self.ways[:6])
        lines = [
            f'{self.entry.name}: {size} mm (x, y, z){unit}',
            f'  origin     {_offset(facts.middle_m)} from the middle of the box, '
            f'{_offset(facts.mass_m)} from the centre of mass',
            f'  surface    {facts.face_count:,} triangles, '
            f'{"watertight" if facts.watertight else "not watertight"}, normals '
            f'{"inwards" if facts.inward else "outwards"}, {facts.double_faces} double, '
            f'{facts.flat_faces} without area; {picture}',
            f'  symmetry   {symmetry_text(found)}; copies stand off '
            f'{1000 * found.misfit_m:.2f} mm at most ({1000 * found.tolerance_m:.2g} mm allowed)',
            f'  keypoints  {len(self.model.keypoints_m)} (mm): {points}',
            f'  rests      {rests or "on no face stably: it is taken as standing upright"}']
        exact = len(self.model.symmetry.transforms)
        if self.entry.shape == 'mesh':
            lines.append(f'  YAML       - {yaml_entry(self.entry, found)}')
        elif exact != len(found.symmetry.transforms):
            lines.append(f'  trained    with the exact symmetry of the shape: {exact} poses')
        return lines + [f'  warning:   {text}' for text in self.warnings()]

    def warnings(self) -> list[str]:
        """Return what should be looked at, with its remedy."""
        found = list(self.facts.warnings()) if self.entry.shape == 'mesh' else []
        if self.guess is not None and not self.guess.allows(self.entry.unit):
            found.insert(0, f'unit {self.entry.unit} is unlikely: {self.guess.reason}; write '
                         f'unit: {self.guess.unit} if that is right')
        elif (self.guess is not None and self.guess.sureness == 'not sure'
              and self.guess.unit == self.entry.unit):
            found.insert(0, f'the unit is a guess: compare {self.facts.extents_m.max():.3g} m '
                         'with a ruler, and give --unit')
        round_about = [axis for axis, order in self.found.axes if order == 0]
        if round_about and not self.model.symmetry.continuous_about_z:
            found.append(f'round about {axis_text(round_about[0])}, not about z through the '
                         f'origin: {_upright(self.entry, round_about[0])}; until then 64 turns '
                         'stand for all')
        moved_m = max(float(np.linalg.norm(T[:3, 3])) for T in self.model.symmetry.transforms)
        if self.entry.shape == 'mesh' and moved_m > _ORIGIN_MOVES_M:
            found.append(f'poses that look the same have their origins {1000 * moved_m:.0f} mm '
                         'apart, and no picture tells which is meant: write origin: centre (poses '
                         'are then those of the middle), or a symmetry that leaves the origin '
                         'where it is')
        declared, number = self.model.symmetry.transforms, len(self.found.symmetry.transforms)
        if self.entry.shape == 'mesh' and self.entry.symmetry != 'auto' and (
                len(declared) != number):
            found.append(f'the YAML declares {len(declared)} symmetric poses, the search finds '
                         f'{number}; write {self.found.yaml_keys} if the search is right')
        return found


def check_object(entry: ObjectConfig) -> ObjectCheck:
    """Look at an object of a configuration.

    Raises:
        ConfigurationError: the mesh cannot be used.
    """
    model = build_catalogue((entry,))[0]
    mesh, guess = draw_geometry(entry), None
    if mesh is None:
        mesh = MeshFile(model.vertices_m, model.faces)
        found = find_symmetry(mesh.vertices_m, mesh.faces)
    else:
        found = found_symmetry(entry, mesh)
        try:
            guess = guess_unit(largest_extent(Path(entry.file)), Path(entry.file).suffix)
        except ConfigurationError:
            guess = None        # the unit was given, and load_mesh took the size
    return ObjectCheck(entry, mesh, model, mesh_facts(mesh), found, resting_chances(model), guess)


def entry_of_file(path: str | Path, unit: str | None = None, up: str | None = None,
                  name: str | None = None) -> ObjectConfig:
    """Return the entry of a scene YAML that fits a mesh file, with what is not said guessed.

    Raises:
        ConfigurationError: a mesh that cannot be used, or a size that no unit explains.
    """
    path = Path(path)
    largest = largest_extent(path)
    if unit is None:
        try:
            unit = guess_unit(largest, path.suffix).unit
        except ConfigurationError as error:
            raise ConfigurationError(f'{path}: {error}') from error
    name = name or object_name(path)
    centred = ObjectConfig(name, 'mesh', file=str(path), unit=unit, up='z', origin='centre',
                           symmetry='none')
    model = build_catalogue((centred,))[0]
    if up is None:
        up = _likely_up(model, path.suffix)
    return ObjectConfig(name, 'mesh', file=str(path), unit=unit, up=up,
                        origin=_likely_origin(path, unit, up))


def object_name(path: Path) -> str:
    """Return a name for topics and TF frames, from a file's name."""
    name = re.sub('[^a-z0-9]+', '_', path.stem.lower()).strip('_')
    return name if name[:1].isalpha() else f'object_{name}'.rstrip('_')


def symmetry_text(found: FoundSymmetry) -> str:
    """Return a group in words."""
    text = _group_text(found)
    if found.name != found.shape_name:
        text += f'; the shape alone has more ({found.shape_name}), its picture breaks it'
    return text


def yaml_entry(entry: ObjectConfig, found: FoundSymmetry | None = None) -> str:
    """Return the line of a scene YAML."""
    keys = [f'name: {entry.name}', 'shape: mesh', f'file: {yaml_text(entry.file)}']
    keys += [f'{key}: {getattr(entry, key)}' for key, default in (
        ('unit', 'm'), ('up', 'z'), ('origin', 'file')) if getattr(entry, key) != default]
    if entry.unit == 'm':
        keys.insert(3, 'unit: m')
    if found is not None:
        keys.append(found.yaml_keys)
    return '{' + ', '.join(keys) + '}'


def yaml_text(text: str) -> str:
    """Return a string as YAML takes it, in quotes where it needs them."""
    return text if re.fullmatch(r'[A-Za-z_./][\w./ -]*\w', text) else f'"{text}"'


def _group_text(found: FoundSymmetry) -> str:
    if found.name in _SOLIDS:
        return _SOLIDS[found.name]
    axis, order = found.axes[0]
    turns = 'any turn' if order == 0 else f'{order}-fold'
    flips = any(abs(other @ axis) < 0.1 for other, _ in found.axes[1:]) or (
        found.name == 'round, flips')
    return f'{turns} about {axis_text(axis)}' + (', and the flips' if flips else '')


def _offset(vector_m: np.ndarray) -> str:
    return f'({", ".join(f"{-1000 * v + 0.0:.1f}" for v in vector_m)}) mm'


def _likely_up(model: ObjectModel, suffix: str) -> str:
    """z, or y where it cannot stand on z, and for glTF, which has y up."""
    stable = {axis: bool((model.resting_downs @ down > 0.99).any())
              for axis, down in (('z', [0, 0, -1.0]), ('y', [0, -1.0, 0]))}
    if stable['z'] != stable['y']:
        return 'z' if stable['z'] else 'y'
    return 'y' if suffix.lower() == '.glb' else 'z'


def _upright(entry: ObjectConfig, axis: np.ndarray) -> str:
    """Return what makes an axis (3,) of the object frame the z axis through the origin."""
    if abs(axis[2]) > _ALONG:
        return 'write origin: centre'
    if entry.shape == 'mesh':
        in_file = np.abs(up_rotation(entry.up).T @ axis)
        if in_file.max() > _ALONG:
            return f'write up: {"xyz"[int(in_file.argmax())]} and origin: centre'
    return 'turn the mesh so that this axis is z'


def _likely_origin(path: Path, unit: str, up: str) -> str:
    """``file`` where it is well inside the object: then grasps are likely given in that frame."""
    vertices = load_mesh(path, unit).vertices_m
    middle = (vertices.min(0) + vertices.max(0)) / 2
    aside = np.abs(middle) / np.ptp(vertices, axis=0)
    height = 'xyz'.index(up)
    across = max(value for i, value in enumerate(aside) if i != height)
    return 'file' if across < _ORIGIN_ASIDE and aside[height] < 0.51 else 'centre'
