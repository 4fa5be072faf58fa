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

"""From shapes of the configuration to ``ObjectModel``s: symmetry, resting faces, keypoints."""

from __future__ import annotations

import dataclasses
import hashlib
import itertools
import logging

from dr_perception.core.objects import ObjectModel
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import make_transform, rotation_about, rotation_from_quat_xyzw
import numpy as np
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects import primitives
from sim_trainer.objects.decimation import decimated
from sim_trainer.objects.found_symmetry import FoundSymmetry
from sim_trainer.objects.mesh_file import draw_geometry, MeshFile
from sim_trainer.objects.resting import MAX_FACES, resting_faces, round_resting_faces, SCAN_DEG
from sim_trainer.objects.symmetry_search import CONTINUOUS_SAMPLES, find_symmetry

logger = logging.getLogger(__name__)

#: Found symmetries that are remembered: the search takes up to a minute.
_REMEMBERED = 64
_found: dict[tuple[ObjectConfig, str], FoundSymmetry] = {}
#: Keypoints of every object: its origin and eight surface points.
KEYPOINT_COUNT = 9
#: Triangles (twice the vertices) of a mesh in the catalogue and so in the model's metadata.
CATALOGUE_FACES = 3600
#: A mesh turned by its declared symmetry may stand out by this part of its largest extent.
_SYMMETRY_TOLERANCE = 0.1


def object_from_points(name: str, points_m: np.ndarray, *, round_about_z: bool = False,
                       flips: bool = False) -> ObjectModel:
    """Return an ``ObjectModel`` of a convex primitive.

    Args:
        name: catalogue name.
        points_m: (N, 3) corners.
        round_about_z: any rotation about z is a symmetry.
        flips: upside down is a symmetry too (only read for round objects).
    """
    vertices, faces = primitives.convex_mesh(points_m)
    symmetry = (_round_symmetry(flips) if round_about_z else finite_symmetry(vertices))
    downs, heights = resting_faces(vertices)
    return ObjectModel(name, vertices, faces, choose_keypoints(vertices, faces), symmetry, downs,
                       heights)


def _round_symmetry(flips: bool) -> Symmetry:
    turns = [rotation_about('z', 2 * np.pi * i / CONTINUOUS_SAMPLES)
             for i in range(CONTINUOUS_SAMPLES)]
    if flips:
        turns += [rotation_about('x', np.pi) @ turn for turn in turns]
    return Symmetry(np.stack([make_transform(R, np.zeros(3)) for R in turns]), True)


def finite_symmetry(vertices_m: np.ndarray, tolerance: float = 1e-4) -> Symmetry:
    """All rotations that map a set of vertices (V, 3) onto itself, about its centroid.

    Three independent vertices determine a rotation, so every ordered triple of the same mutual
    distances is tried; made for primitives of few vertices.
    """
    centroid = vertices_m.mean(0)
    points = vertices_m - centroid
    scale = np.linalg.norm(points, axis=1).max()
    limit = tolerance * scale
    triple = next(t for t in itertools.combinations(range(len(points)), 3)
                  if abs(np.linalg.det(points[list(t)])) > 1e-3 * scale ** 3)
    source = points[list(triple)]
    gram = source @ source.T
    found = []
    for candidate in itertools.permutations(range(len(points)), 3):
        target = points[list(candidate)]
        if np.abs(target @ target.T - gram).max() > limit * scale:
            continue
        R = np.linalg.solve(source, target).T
        if np.linalg.det(R) < 0:
            continue
        moved = points @ R.T
        distance = np.linalg.norm(moved[:, None] - points[None], axis=-1).min(1)
        if distance.max() < limit and not any(np.abs(R - S).max() < 1e-3 for S in found):
            found.append(R)
    found.sort(key=lambda R: -np.trace(R))
    found[0] = np.eye(3)
    return Symmetry(np.stack([make_transform(R, centroid - R @ centroid) for R in found]))


def choose_keypoints(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Keypoints (KEYPOINT_COUNT, 3): the origin, then farthest-point samples of the surface.

    Vertices come first (corners are what an image shows sharply); edge midpoints fill up where an
    object has fewer corners.
    """
    chosen = [vertices_m[int(np.argmax(np.linalg.norm(vertices_m, axis=1).round(7)))]]
    for pool_of in (lambda: vertices_m, lambda: _midpoints(vertices_m, faces)):
        if len(chosen) == KEYPOINT_COUNT - 1:
            break
        pool = pool_of()
        distance = np.full(len(pool), np.inf)
        for point in chosen:
            distance = np.minimum(distance, np.linalg.norm(pool - point, axis=1))
        while len(chosen) < KEYPOINT_COUNT - 1 and distance.max() >= 1e-4:
            chosen.append(pool[int(np.argmax(distance.round(7)))])
            distance = np.minimum(distance, np.linalg.norm(pool - chosen[-1], axis=1))
    return np.vstack([np.zeros(3), chosen])


def _midpoints(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    return np.unique(np.round(np.concatenate(
        [(vertices_m[faces[:, i]] + vertices_m[faces[:, (i + 1) % 3]]) / 2 for i in range(3)]),
        7), axis=0)


def build_catalogue(objects: tuple[ObjectConfig, ...]) -> tuple[ObjectModel, ...]:
    """Return the catalogue of a configuration, in its order.

    Raises:
        ConfigurationError: a mesh file that cannot be used.
    """
    return tuple(dataclasses.replace(_build_object(entry), subframes=_subframes(entry))
                 for entry in objects)


def _subframes(entry: ObjectConfig) -> dict[str, np.ndarray]:
    poses = entry.subframes.poses if entry.subframes else ()
    return {name: make_transform(rotation_from_quat_xyzw(np.array(pose[3:])), pose[:3])
            for name, pose in poses}


def _build_object(entry: ObjectConfig) -> ObjectModel:
    if entry.shape == 'mesh':
        return _mesh_object(entry)
    if entry.shape == 'cone':
        return object_from_points(entry.name, primitives.cone_points(
            entry.radius_m, entry.height_m), round_about_z=True)
    if entry.shape == 'cylinder':
        points = primitives.prism_points(entry.radius_m, entry.height_m, primitives.CIRCLE_SIDES)
        return object_from_points(entry.name, points, round_about_z=True, flips=True)
    points = {
        'box': lambda: primitives.box_points(entry.size_m),
        'prism': lambda: primitives.prism_points(entry.circumradius_m, entry.height_m,
                                                 entry.sides),
        'pyramid': lambda: primitives.pyramid_points(entry.edge_m, entry.height_m),
        'tetrahedron': lambda: primitives.tetrahedron_points(entry.edge_m),
    }[entry.shape]()
    return object_from_points(entry.name, points)


def _mesh_object(entry: ObjectConfig) -> ObjectModel:
    """Return a mesh with as many triangles as the metadata can carry; the full one is drawn."""
    full = draw_geometry(entry)
    vertices, faces = decimated(full.vertices_m, full.faces, CATALOGUE_FACES)
    if entry.symmetry == 'auto':
        symmetry = found_symmetry(entry, full).symmetry
    else:       # 'none' is a turn by 1/1
        symmetry = declared_symmetry(entry, vertices)
    # Keypoints and heights of the full mesh: that is what the pictures show.
    downs, heights = (round_resting_faces(full.vertices_m) if symmetry.continuous_about_z else
                      resting_faces(full.vertices_m, SCAN_DEG, MAX_FACES))
    return ObjectModel(entry.name, vertices, faces, choose_keypoints(full.vertices_m, full.faces),
                       symmetry, downs, heights)


def found_symmetry(entry: ObjectConfig, mesh: MeshFile) -> FoundSymmetry:
    """Return the symmetry group that a mesh is found to have; remembered in this process.

    Args:
        entry: of the object, for the message that tells what was found.
        mesh: ``draw_geometry`` of it.
    """
    content = hashlib.sha256()      # of the picture on it, too, which breaks symmetries
    for array in (mesh.vertices_m, mesh.faces, mesh.uv, mesh.texture_rgb):
        content.update(b'' if array is None else np.ascontiguousarray(array).tobytes())
    key = entry, content.hexdigest()
    if key not in _found:
        while len(_found) >= _REMEMBERED:
            _found.pop(next(iter(_found)))
        _found[key] = _search(entry, mesh)
    return _found[key]


def _search(entry: ObjectConfig, mesh: MeshFile) -> FoundSymmetry:
    found = find_symmetry(mesh.vertices_m, mesh.faces, mesh.uv, mesh.texture_rgb)
    logger.info('object %r: symmetry found: %s (python -m sim_trainer check %s draws it)',
                entry.name, found.name, entry.file)
    return found


def declared_symmetry(entry: ObjectConfig, vertices_m: np.ndarray) -> Symmetry:
    """Return the symmetry group that a mesh object declares.

    Turns are about the z axis of the object frame; upside down is half a turn about the parallel
    to x at half height, so it may move the origin.

    Raises:
        ConfigurationError: the mesh, turned so, looks clearly different.
    """
    turns = CONTINUOUS_SAMPLES if entry.round_about_z else entry.turns_about_z
    transforms = [make_transform(rotation_about('z', 2 * np.pi * i / turns), np.zeros(3))
                  for i in range(turns)]
    middle = (vertices_m[:, 2].min() + vertices_m[:, 2].max()) / 2
    flip = make_transform(rotation_about('x', np.pi), [0, 0, 2 * middle])
    size = float(np.ptp(vertices_m, axis=0).max())
    generators = [('flips', flip)] if entry.flips else []
    if turns > 1:
        key = 'round_about_z' if entry.round_about_z else 'turns_about_z'
        # The first alone would be a few degrees of a fine division, which no outline shows.
        generators += [(key, transforms[i]) for i in sorted({1, max(1, turns // 8),
                                                             max(1, turns // 4)})]
    for key, T in generators:
        apart = _outline_difference(vertices_m, T)
        if apart > _SYMMETRY_TOLERANCE * size:
            raise ConfigurationError(
                f'object {entry.name!r}: {key} is declared, but so turned the mesh stands out by '
                f'{1000 * apart:.3g} mm; write origin: centre where its axis is not the z axis '
                f'of the file, up: y where the file has y up, or leave {key} out')
    if entry.flips:
        transforms += [flip @ T for T in transforms]
    return Symmetry(np.stack(transforms), bool(entry.round_about_z))


def _outline_difference(vertices_m: np.ndarray, T: np.ndarray) -> float:
    """How far (m) a body's convex hull and the moved one stand out of each other at most."""
    steps = np.arange(400)
    z = 1 - (2 * steps + 1) / len(steps)
    angle = steps * np.pi * (3 - np.sqrt(5))        # Fibonacci's sphere: evenly spread directions
    radius = np.sqrt(1 - z ** 2)
    directions = np.stack([radius * np.cos(angle), radius * np.sin(angle), z])
    moved = vertices_m @ T[:3, :3].T + T[:3, 3]
    return float(np.abs((vertices_m @ directions).max(0) - (moved @ directions).max(0)).max())
