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

"""What stands on the table: objects and distractors, placed one by one or dropped together."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from dr_perception.core.objects import ObjectModel
from dr_perception.core.resting import rotation_to_down
from dr_perception.core.transforms import rotation_about
import numpy as np
from scipy.spatial import ConvexHull
from sim_trainer.configuration.randomization import PlacementConfig
from sim_trainer.objects.resting import tumbled_faces
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.scene.distractors import DistractorLibrary
from sim_trainer.scene.materials import plain_material
from sim_trainer.scene.placement import footprint_radius, random_rotation, standing_pose, Table
from sim_trainer.scene.record import Body

#: Corners of a body in physics: a cylinder of 64 sides rolls no better than one of 16.
HULL_CORNERS = 48
#: What stands before an object hides it up to this part of its height, and is no higher than that.
HIDDEN_SHARE, TALLEST_M = (0.1, 1.0), 0.25
#: It is at least so wide, in widths of the object.
_HIDING_WIDTH = (0.4, 1.1)
#: No real thing differs from its model by more standard deviations.
_MOST_DEVIATIONS = 2.0
#: Of the things of a crowded scene, the part that stands close to another.
_CLOSE = 0.8


@dataclass(frozen=True, eq=False)
class _Thing:
    body: Body
    corners_m: np.ndarray       # (V, 3) in its own frame, scaled
    place: np.ndarray
    radius_m: float


class TableSetter:
    """Sets the table of a scene."""

    def __init__(self, config: PlacementConfig, catalogue: tuple[ObjectModel, ...],
                 distractors: DistractorLibrary, world: PhysicsWorld,
                 size_spreads: Sequence[float]) -> None:
        self._config, self._catalogue = config, catalogue
        self._size_spreads = size_spreads
        self._distractors, self._world = distractors, world
        self._vertices = {**{name: mesh[0] for name, mesh in distractors.meshes.items()},
                          **{model.name: model.vertices_m for model in catalogue}}
        self._hulls: dict[str, np.ndarray] = {}
        self._tumbled = {model.name: tumbled_faces(model) for model in catalogue}

    def objects(self, rng: np.random.Generator, table: Table, size_rng: np.random.Generator
                ) -> list[_Thing]:
        """Objects on their faces; those that found room.

        Args:
            rng: decides which, where and how they lie.
            table: to be set.
            size_rng: decides by how much each differs from its model (``size_spread``).
        """
        config, catalogue = self._config, self._catalogue
        crowded = config.crowded.happens(rng)
        count = config.count.sample_int(rng)
        # Each kind at most once while there are kinds left; beyond that, again.
        kinds = np.concatenate([rng.permutation(len(catalogue)) for _ in range(
            -(-max(count, 1) // len(catalogue)))])[:count]
        if config.repeated.happens(rng) and len(kinds) > 2:
            kinds[0] = kinds[1]
        things = []
        for kind in kinds:
            model = catalogue[int(kind)]
            R = self._rotation(rng, model)
            near = crowded and rng.random() < _CLOSE
            scale = _as_built(size_rng, model, self._size_spreads[int(kind)])
            thing = _put(rng, table, model.name, 'object', model.vertices_m * scale, scale, R,
                         near)
            if thing is not None:
                things.append(thing)
        return things

    def others(self, rng: np.random.Generator, table: Table, objects: list[_Thing]
               ) -> list[_Thing]:
        """Distractors; some right in front of an object, tall enough to hide part of it."""
        crowded = self._config.crowded.happens(rng)
        things = []
        for thing in objects:
            if self._config.hidden.happens(rng):
                things.append(self._hiding(rng, table, thing))
        # The number that was asked for holds for all distractors: 0 means none at all.
        count = self._distractors.config.count.sample_int(rng)
        things = [thing for thing in things if thing is not None][:count]
        for _ in range(count - len(things)):
            name, scale = self._distractors.draw(rng)
            R = (random_rotation(rng) if rng.random() < 0.3
                 else rotation_about('z', rng.uniform(-np.pi, np.pi)))
            near = crowded and rng.random() < _CLOSE
            corners = self._distractors.meshes[name][0] * scale
            thing = _put(rng, table, name, 'distractor', corners, scale, R, near,
                         in_front=rng.random() < 0.5)
            if thing is not None:
                things.append(thing)
        return things

    def dropped(self, rng: np.random.Generator, things: list[_Thing], middle_m: np.ndarray
                ) -> list[Body]:
        """Let the things fall round the middle (2,) of the table; return what came to rest."""
        poses = []
        for thing in things:
            pose = thing.body.T_base_body.copy()
            pose[2, 3] += rng.uniform(0.02, 0.15)
            pose[:3, :3] = pose[:3, :3] @ random_rotation(rng)
            pose[:2, 3] = middle_m + (pose[:2, 3] - middle_m) * 0.6
            poses.append(pose)
        rest = self._world.settle([thing.corners_m[self._hull(thing)] for thing in things], poses)
        return [replace(thing.body, T_base_body=pose) for thing, pose in zip(things, rest)
                if pose is not None]

    def _hull(self, thing: _Thing) -> np.ndarray:
        """Return indices of the corners that stand for a thing's convex hull in physics."""
        # Scaling along the axes keeps a hull's corners, so one choice serves all scales of a mesh;
        # it is made from the mesh itself, because the scale seen first differs between workers.
        name = thing.body.mesh
        if name not in self._hulls:
            self._hulls[name] = hull_corners(self._vertices[name], HULL_CORNERS)
        return self._hulls[name]

    def _hiding(self, rng: np.random.Generator, table: Table, hidden: _Thing) -> _Thing | None:
        name, scale = self._distractors.draw(rng)
        vertices = self._distractors.meshes[name][0]
        R = rotation_about('z', rng.uniform(-np.pi, np.pi))
        wider = max(1.0, rng.uniform(*_HIDING_WIDTH) * hidden.radius_m
                    / footprint_radius(vertices * scale, R))
        scale = (scale[0] * wider, scale[1] * wider, scale[2])
        radius = footprint_radius(vertices * scale, R)
        place = table.take_in_front(rng, hidden.place, hidden.radius_m, radius)
        if place is None:
            return None
        # As high as the line of sight to that height of the object.
        top_m = float(np.max(hidden.corners_m @ hidden.body.T_base_body[2, :3])
                      + hidden.body.T_base_body[2, 3])
        reach_m = float(np.linalg.norm(place - hidden.place))
        wanted_m = min(rng.uniform(*HIDDEN_SHARE) * top_m
                       + reach_m * table.slope_to_camera(hidden.place), TALLEST_M)
        stretch = wanted_m / max(np.ptp(vertices[:, 2]) * scale[2], 1e-6)
        taller = (scale[0], scale[1], float(scale[2] * np.clip(stretch, 0.2, 8.0)))
        while self._distractors.resembles(name, taller):
            taller = (*taller[:2], 1.2 * taller[2])
        scale = taller
        corners = vertices * scale
        return _Thing(Body(name, standing_pose(corners, R, place), scale,
                           plain_material('distractor'), kind='distractor'),
                      corners, place, radius)

    def _rotation(self, rng: np.random.Generator, model: ObjectModel) -> np.ndarray:
        yaw = rotation_about('z', rng.uniform(-np.pi, np.pi))
        looks = self._tumbled[model.name]
        if self._config.tumbled.happens(rng) and looks:
            downs = looks[int(rng.integers(len(looks)))]
            return yaw @ rotation_to_down(downs[int(rng.integers(len(downs)))])
        return yaw


def _as_built(rng: np.random.Generator, model: ObjectModel, spread: float
              ) -> tuple[float, float, float]:
    """Scale along x, y, z of one real thing against its model; what is round stays round."""
    x, y, z = 1 + spread * np.clip(rng.normal(size=3), -_MOST_DEVIATIONS, _MOST_DEVIATIONS)
    return float(x), float(x if model.symmetry.continuous_about_z else y), float(z)


def _put(rng: np.random.Generator, table: Table, name: str, kind: str, corners_m: np.ndarray,
         scale: tuple[float, ...], R: np.ndarray, near: bool, in_front: bool = False
         ) -> _Thing | None:
    radius = footprint_radius(corners_m, R)
    place = table.find_room(rng, radius, near, in_front)
    if place is None:
        return None
    body = Body(name, standing_pose(corners_m, R, place), tuple(float(s) for s in scale),
                plain_material(kind), name if kind == 'object' else '', kind=kind)
    return _Thing(body, corners_m, place, radius)


def hull_corners(vertices_m: np.ndarray, most: int) -> np.ndarray:
    """Return indices of at most ``most`` vertices (V, 3) that span the convex hull best."""
    corners = ConvexHull(vertices_m).vertices
    if len(corners) <= most:
        return np.sort(corners)
    points = vertices_m[corners]
    chosen = [int(np.argmax(np.linalg.norm(points - points.mean(0), axis=1)))]
    distance = np.linalg.norm(points - points[chosen[0]], axis=1)
    while len(chosen) < most:
        chosen.append(int(np.argmax(distance)))
        distance = np.minimum(distance, np.linalg.norm(points - points[chosen[-1]], axis=1))
    return np.sort(corners[chosen])
