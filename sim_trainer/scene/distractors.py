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

"""Things on the table that are not to be localized.

None of them may pass for an object of the catalogue: a label would be missing. So every drawn
size is compared with every object by its three principal lengths (root mean square distances of
the convex hull's volume from its middle, along its principal axes). They do not change with the
pose, with a symmetry, or when the axes of a box are swapped; when they differ, so does the body.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
import logging
import zlib

from dr_perception.core.objects import ObjectModel
import numpy as np
from scipy.spatial import ConvexHull
from sim_trainer.configuration.distractors import DistractorConfig, NEAREST_RATIO
from sim_trainer.objects import primitives, solids
from sim_trainer.objects.decimation import decimated
from sim_trainer.objects.household import household_meshes
from sim_trainer.objects.random_urdfs import random_urdf_meshes
from sim_trainer.objects.solids import Mesh, unit_sized
from sim_trainer.physics.asset_folder import asset_folder

logger = logging.getLogger(__name__)

CONVEX_COUNT, CONCAVE_COUNT, URDF_COUNT = 16, 28, 60
#: Most triangles of a distractor; drawing on a CPU costs per triangle.
MAX_FACES = 300
_TRIES = 40
#: Bodies that stay round: their x and y have one scale.
_ROUND = ('cylinder', 'cone', 'torus', 'ring', 'prism3', 'prism5', 'prism6', 'prism8')


class DistractorLibrary:
    """The meshes of all distractors, and the law by which one is drawn.

    Attributes:
        meshes: vertices (V, 3) and faces (F, 3) by name, 'distractor_' first; unit-sized, or in
            metres for near misses. Times the drawn scale, they are metres.
    """

    def __init__(self, config: DistractorConfig, seed: int, catalogue: Sequence[ObjectModel]
                 ) -> None:
        """Make the meshes; the same for the same arguments."""
        self.config = config
        self._models = {f'distractor_near_{model.name}': model for model in catalogue}
        self._lengths_m = np.array([_principal_lengths(_spread_of(model.vertices_m), (1, 1, 1))
                                    for model in catalogue]).reshape(-1, 3)
        self.meshes: dict[str, Mesh] = {}
        self._names: list[list[str]] = []
        weights = []
        makers: dict[str, Callable[[np.random.Generator], dict[str, Mesh]]] = {
            'primitives': lambda rng: _primitives(), 'convex': _convex, 'concave': _concave,
            'near_misses': lambda rng: _near_misses(self._models), 'random_urdfs': _random_urdfs,
            'household': lambda rng: _household()}
        for kind, weight in zip(config.kinds, config.weights or [1.0] * len(config.kinds)):
            # A generator for each kind: leaving one out does not change the others.
            made = makers[kind](np.random.default_rng([seed, zlib.crc32(kind.encode())]))
            if made:
                self.meshes.update(made)
                self._names.append(list(made))
                weights.append(weight)
        self._spreads = {name: _spread_of(mesh[0]) for name, mesh in self.meshes.items()}
        self._chances = np.array(weights) / sum(weights) if sum(weights) else None

    def draw(self, rng: np.random.Generator) -> tuple[str, tuple[float, float, float]]:
        """Name of a mesh and its scale along x, y, z."""
        if self._chances is None:
            raise ValueError('none of the kinds of distractors has a mesh')
        for _ in range(_TRIES):
            names = self._names[int(rng.choice(len(self._names), p=self._chances))]
            name = names[int(rng.integers(len(names)))]
            scale = (self._near_scale(rng, self._models[name]) if name in self._models
                     else self._free_scale(rng, name))
            if not self.resembles(name, scale):
                break
        else:   # a catalogue without gaps: larger than all of it
            largest = _principal_lengths(self._spreads[name], scale).max()
            scale = np.asarray(scale) * (1 + 2 * NEAREST_RATIO) * self._lengths_m.max() / largest
        return name, tuple(float(s) for s in scale)

    def resembles(self, name: str, scale: tuple[float, float, float]) -> bool:
        """Within ``NEAREST_RATIO`` of an object of the catalogue in every principal length."""
        if not len(self._lengths_m):
            return False
        ratio = _principal_lengths(self._spreads[name], scale) / self._lengths_m
        return bool((np.abs(ratio - 1) <= NEAREST_RATIO).all(1).any())

    def _free_scale(self, rng: np.random.Generator, name: str) -> np.ndarray:
        low, high = self.config.size_m.low, self.config.size_m.high
        kind = name.removeprefix('distractor_')
        size = np.exp(rng.uniform(np.log(low), np.log(high)))
        # aspect: log-normal; primitives 0.4, whatever has a look of its own 0.15
        aspect = np.exp(rng.normal(0, 0.4 if kind in _PRIMITIVES else 0.15, 3))
        if kind in _ROUND:
            aspect[1] = aspect[0]
        if kind == 'sphere':
            aspect[:] = 1.0
        return np.clip(size * aspect, 0.4 * low, 1.35 * high)

    def _near_scale(self, rng: np.random.Generator, model: ObjectModel) -> np.ndarray:
        def factor() -> float:
            ratio = self.config.near_miss_ratio.sample(rng)
            return 1 + ratio if rng.random() < 0.5 else 1 - ratio

        scale = np.ones(3)
        mode = ('uniform', 'axial', 'radial', 'both', 'each')[int(rng.integers(5))]
        if mode == 'each' and (not model.symmetry.continuous_about_z or rng.random() < 0.3):
            changed = rng.random(3) < 0.6
            changed[int(rng.integers(3))] = True
            return np.where(changed, [factor() for _ in range(3)], 1.0)
        if mode == 'uniform':
            scale[:] = factor()
        if mode in ('axial', 'both', 'each'):
            scale[2] = factor()
        if mode in ('radial', 'both', 'each'):
            scale[:2] = factor()
        return scale


#: Unit-sized bodies of the families that catalogues are made of.
_PRIMITIVES: dict[str, Callable[[], Mesh]] = {
    'box': lambda: primitives.convex_mesh(primitives.box_points((1, 1, 1))),
    'cylinder': lambda: primitives.convex_mesh(primitives.prism_points(0.5, 1, 40)),
    'cone': lambda: primitives.convex_mesh(primitives.cone_points(0.5, 1)),
    'sphere': lambda: primitives.convex_mesh(0.5 * solids.even_directions(150)),
    'torus': lambda: solids.revolved(_circle(0.36, 0.14, 9), 16),
    'ring': lambda: solids.revolved(_circle(0.43, 0.07, 6), 24),
    **{f'prism{n}': lambda n=n: primitives.convex_mesh(primitives.prism_points(0.5, 1, n))
       for n in (3, 5, 6, 8)},
    'pyramid': lambda: primitives.convex_mesh(primitives.pyramid_points(1, 1)),
    'tetrahedron': lambda: primitives.convex_mesh(primitives.tetrahedron_points(1)),
}


def _circle(radius: float, tube_radius: float, sides: int) -> np.ndarray:
    angle = 2 * np.pi * np.arange(sides) / sides
    return np.stack([radius + tube_radius * np.cos(angle), tube_radius * np.sin(angle)], axis=1)


def _primitives() -> dict[str, Mesh]:
    return {f'distractor_{name}': make() for name, make in _PRIMITIVES.items()}


def _near_misses(models: dict[str, ObjectModel]) -> dict[str, Mesh]:
    meshes = {}
    for name, model in models.items():
        vertices, faces = model.vertices_m, model.faces
        if len(faces) > MAX_FACES:
            vertices, faces = decimated(vertices, faces, MAX_FACES)
        # Footprints are discs round the origin, so the origin goes to the middle.
        meshes[name] = vertices - (vertices.min(0) + vertices.max(0)) / 2, faces
    return meshes


def _convex(rng: np.random.Generator) -> dict[str, Mesh]:
    return {f'distractor_convex{i}': unit_sized((solids.crystal, solids.lump)[i % 2](rng))
            for i in range(CONVEX_COUNT)}


def _concave(rng: np.random.Generator) -> dict[str, Mesh]:
    turned = (solids.cup, solids.tube, solids.mug, solids.spindle, solids.star_prism,
              solids.two_bodies, solids.tray)
    made = {}
    for i in range(CONCAVE_COUNT):
        if i % 2:
            name, rows = list(solids.BLOCKS.items())[i // 2 % len(solids.BLOCKS)]
            mesh = solids.block(rows, rng)
        else:
            make = turned[i // 2 % len(turned)]
            name, mesh = make.__name__, make(rng)
        made[f'distractor_{name}{i}'] = unit_sized(mesh)
    return made


def _random_urdfs(rng: np.random.Generator) -> dict[str, Mesh]:
    folder = asset_folder()
    made = {} if folder is None else random_urdf_meshes(folder / 'random_urdfs', URDF_COUNT, rng)
    return _from_pybullet('random_urdfs', 'urdf', made)


def _household() -> dict[str, Mesh]:
    folder = asset_folder()
    return _from_pybullet('household', 'household_',
                          {} if folder is None else household_meshes(folder))


def _from_pybullet(kind: str, prefix: str, made: dict[str, Mesh]) -> dict[str, Mesh]:
    if not made:
        logger.warning('pybullet_data has no %s; this kind of distractors is left out '
                       '(pip install pybullet brings them)', kind)
    return {f'distractor_{prefix}{name}': mesh for name, mesh in made.items()}


def _spread_of(vertices: np.ndarray) -> np.ndarray:
    """Covariance (3, 3) of the volume of the convex hull."""
    hull = ConvexHull(vertices)
    inner = hull.points[hull.vertices].mean(0)
    corners = hull.points[hull.simplices] - inner
    volumes = np.abs(np.linalg.det(corners))
    total = corners.sum(1)
    # A tetrahedron at the origin: E[x x^T] = (sum of c c^T + s s^T) / 20, s the corners' sum.
    second = (np.einsum('nki,nkj->nij', corners, corners)
              + total[:, :, None] * total[:, None]) / 20
    mean = (total / 4 * volumes[:, None]).sum(0) / volumes.sum()
    return (second * volumes[:, None, None]).sum(0) / volumes.sum() - np.outer(mean, mean)


def _principal_lengths(covariance: np.ndarray, scale: tuple[float, float, float]) -> np.ndarray:
    scaled = covariance * np.outer(scale, scale)
    return np.sqrt(np.maximum(np.linalg.eigvalsh(scaled), 1e-18))
