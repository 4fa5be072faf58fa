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

"""Mesh files of the user: OBJ, STL, PLY, GLB and URDF in metres, with the picture on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
import math
from pathlib import Path
from typing import Any

from dr_perception.core.transforms import rotation_about
import numpy as np
from scipy.spatial import ConvexHull, QhullError
from sim_trainer.configuration.objects import ObjectConfig, UNITS_M
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects.mesh_texture import joined_texture, TexturedPart
from sim_trainer.physics.urdf_file import urdf_scene

SUFFIXES = ('.obj', '.stl', '.ply', '.glb', '.urdf')
SMALLEST_EXTENT_M, LARGEST_EXTENT_M = 0.004, 3.0
#: Drawing and settling stay fast, and a scan keeps every detail that a camera can see.
MAX_FACES = 200_000
#: A text OBJ of ``MAX_FACES`` has some 20 MB, a GLB with its picture seldom more.
MAX_FILE_BYTES = 500 << 20
#: Volume of the convex hull over the cube of the largest extent; a sheet of paper has 2e-4.
_FLAT = 1e-5
#: A binary STL: 80 bytes of text, the number of triangles, 50 bytes each.
_STL_HEADER_BYTES, _STL_TRIANGLE_BYTES = 84, 50
_UNIT_NAMES = {'m': 'metres', 'mm': 'millimetres', 'cm': 'centimetres', 'in': 'inches'}
#: An object that a tabletop scene is likely to hold; used to guess the unit that was meant.
_LIKELY_M = (0.01, 1.0)


@dataclass(frozen=True, eq=False)
class MeshFile:
    """A triangle mesh as its file holds it, in metres.

    Convention:
        ``uv`` (0, 0) is the bottom left corner of the picture, v up, as in OBJ and OpenGL (GLB
        files, where v points down, are turned over when read). ``texture_rgb`` has its top row
        first, so (u, v) is at column ``u W - 0.5`` and row ``(1 - v) H - 0.5``; a renderer that
        uploads rows bottom first must turn the picture over.

    Attributes:
        vertices_m: (V, 3) float64. Vertices are not joined over seams: one place may have
            several, each with its own ``uv``.
        faces: (F, 3) int64, as the file winds them (mirrored parts are wound back).
        uv: (V, 2) float32, or None where the file has no picture.
        texture_rgb: (H, W, 3) uint8, or None.
    """

    vertices_m: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None = None
    texture_rgb: np.ndarray | None = None


def draw_geometry(entry: ObjectConfig) -> MeshFile | None:
    """Return the full mesh of an object in its object frame, to be drawn; None for a primitive.

    Raises:
        ConfigurationError: as ``load_mesh``, or an origin far outside the mesh.
    """
    if entry.shape != 'mesh':
        return None
    mesh = load_mesh(entry.file, entry.unit)
    vertices = mesh.vertices_m @ up_rotation(entry.up).T
    low, high = vertices.min(0), vertices.max(0)
    if entry.origin == 'centre':
        vertices = vertices - (low + high) / 2
    elif (outside := float(np.maximum(low, -high).max())) > (high - low).max() / 2:
        raise ConfigurationError(f"{entry.file}: the file's origin lies {outside:.3g} m outside "
                                 f'the mesh of object {entry.name!r}; write origin: centre')
    return replace(mesh, vertices_m=vertices)


def up_rotation(up: str) -> np.ndarray:
    """Return the rotation (3x3) that turns an axis of the file, one of ``UPS``, upwards (z)."""
    return {'x': rotation_about('y', -np.pi / 2), 'y': rotation_about('x', np.pi / 2),
            'z': np.eye(3)}[up]


def load_mesh(path: str | Path, unit: str = 'm') -> MeshFile:
    """Read a mesh file; all parts of a scene are joined at their places.

    Args:
        path: .obj, .stl, .ply, .glb, or .urdf with all joints at zero; relative to the working
            directory.
        unit: unit of the file's numbers, a key of ``UNITS_M``.

    Raises:
        ConfigurationError: missing, unreadable, no triangles, too many of them, not finite, flat,
            or of a size that no object on a table has.
    """
    path = Path(path)
    parts = _read_parts(path)
    counts = [len(part.vertices) for part in parts]
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    vertices = np.concatenate([part.vertices for part in parts])
    faces = np.concatenate([part.faces + start for part, start in zip(parts, starts)])
    if len(faces) > MAX_FACES:
        raise ConfigurationError(f'{path}: {len(faces):,} triangles, at most {MAX_FACES:,} are '
                                 "taken; decimate the mesh first (Blender's Decimate modifier, or "
                                 "MeshLab's quadric edge collapse)")
    if not np.isfinite(vertices).all():
        raise ConfigurationError(f'{path}: {int((~np.isfinite(vertices)).any(1).sum())} vertices '
                                 'are not finite numbers; export the mesh again')
    used = np.unique(faces)
    _check_size(path, vertices[used], unit)
    uv, texture = joined_texture(path, parts)
    index = np.zeros(len(vertices), np.int64)
    index[used] = np.arange(len(used))
    return MeshFile(vertices[used] * UNITS_M[unit], index[faces],
                    None if uv is None else uv[used].astype(np.float32), texture)


def largest_extent(path: str | Path) -> float:
    """Return the largest extent of a mesh file in its own unit, whatever that is.

    Raises:
        ConfigurationError: missing, unreadable, without triangles, or not finite.
    """
    path = Path(path)
    vertices = np.concatenate([part.vertices[np.unique(part.faces)]
                               for part in _read_parts(path)])
    if not np.isfinite(vertices).all():
        raise ConfigurationError(f'{path}: {int((~np.isfinite(vertices)).any(1).sum())} vertices '
                                 'are not finite numbers; export the mesh again')
    largest = float(np.ptp(vertices, axis=0).max())
    if largest == 0:
        raise ConfigurationError(f'{path}: all vertices are at one place; export the mesh again')
    return largest


def _read_parts(path: Path) -> list[TexturedPart]:
    """Return the parts of a file that have triangles, each at its place, in the file's unit."""
    if path.is_dir():
        raise ConfigurationError(f'{path}: is a folder; give the path of a mesh in it')
    if not path.is_file():
        raise ConfigurationError(f'{path}: there is no such file; give the path of a mesh '
                                 '(relative paths start at the working directory)')
    if path.suffix.lower() not in SUFFIXES:
        raise ConfigurationError(f'{path}: a mesh file ends in one of {", ".join(SUFFIXES)}; '
                                 f'export it as one of these instead of {path.suffix!r}')
    if path.stat().st_size > MAX_FILE_BYTES:
        raise ConfigurationError(f'{path}: {path.stat().st_size >> 20} MB, at most '
                                 f'{MAX_FILE_BYTES >> 20} MB are read; decimate the mesh first')
    import trimesh

    _check_whole(path)
    try:
        # process=False: joining vertices would tear the picture at its seams.
        scene = (urdf_scene(path) if path.suffix.lower() == '.urdf' else
                 trimesh.load(str(path), force='scene', process=False))
    except Exception as error:  # the readers raise whatever a broken file trips over
        reason = ' '.join(str(error).split()) or type(error).__name__
        raise ConfigurationError(f'{path}: cannot be read as {path.suffix[1:].upper()}: '
                                 f'{reason[:200]}; export the mesh again') from error
    parts = []
    for node in sorted(scene.graph.nodes_geometry):
        transform, name = scene.graph[node]
        part = _part(scene.geometry[name], np.asarray(transform, float))
        if part is not None:
            parts.append(part)
    if not parts:
        raise ConfigurationError(f'{path}: has no triangles (a point cloud, or an empty file?); '
                                 'export a surface')
    return parts


def _check_whole(path: Path) -> None:
    """Refuse a binary STL that is cut short; the reader takes it for text and says so."""
    if path.suffix.lower() != '.stl':
        return
    with open(path, 'rb') as file:
        head = file.read(_STL_HEADER_BYTES)
    if len(head) < _STL_HEADER_BYTES or head.isascii() and head.lstrip().startswith(b'solid'):
        return
    count = int.from_bytes(head[-4:], 'little')
    expected, size = _STL_HEADER_BYTES + _STL_TRIANGLE_BYTES * count, path.stat().st_size
    if size < expected:
        raise ConfigurationError(f'{path}: cannot be read as STL: cut short ({count:,} triangles '
                                 f'take {expected:,} bytes, the file has {size:,}); copy or '
                                 'export it again')


def _part(geometry: Any, transform: np.ndarray) -> TexturedPart | None:
    faces = getattr(geometry, 'faces', None)
    if faces is None or len(faces) == 0:
        return None
    vertices = np.asarray(geometry.vertices, float)
    faces = np.asarray(faces, np.int64)
    if faces.min() < 0 or faces.max() >= len(vertices):
        raise ValueError(f'a triangle names vertex {faces.max()} of {len(vertices)}')
    if np.linalg.det(transform[:3, :3]) < 0:
        faces = faces[:, ::-1]
    uv = getattr(geometry.visual, 'uv', None)
    if uv is not None and (np.shape(uv) != (len(vertices), 2) or not np.isfinite(uv).all()):
        uv = None
    return TexturedPart(vertices @ transform[:3, :3].T + transform[:3, 3], faces,
                        None if uv is None else np.asarray(uv, float),
                        getattr(geometry.visual, 'material', None))


def _check_size(path: Path, vertices: np.ndarray, unit: str) -> None:
    largest = float(np.ptp(vertices, axis=0).max())
    extent_m = largest * UNITS_M[unit]
    if not SMALLEST_EXTENT_M <= extent_m <= LARGEST_EXTENT_M:
        raise ConfigurationError(
            f'{path}: the largest extent is {extent_m:.3g} m; expected {SMALLEST_EXTENT_M:g}...'
            f'{LARGEST_EXTENT_M:g} m; {_unit_hint(largest, unit)}')
    try:
        volume = ConvexHull((vertices - vertices.mean(0)) / largest).volume
    except QhullError:      # fewer than four points, or all in one plane
        volume = 0.0
    if volume < _FLAT:
        raise ConfigurationError(f'{path}: the mesh is flat (it has no volume); an object needs '
                                 'some thickness')


def _unit_hint(largest: float, unit: str) -> str:
    likely = [other for other in ('mm', 'cm', 'in', 'm') if other != unit
              and _LIKELY_M[0] <= largest * UNITS_M[other] <= _LIKELY_M[1]]
    if not likely or not math.isfinite(largest):
        return 'scale the mesh to its true size'
    first = f'if the file is in {_UNIT_NAMES[likely[0]]} write unit: {likely[0]}'
    return first + ''.join(f', in {_UNIT_NAMES[other]} unit: {other}' for other in likely[1:])
