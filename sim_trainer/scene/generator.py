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

"""Frame index in, scene record out: every randomizer with a generator of its own."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from dr_perception.core.objects import ObjectModel
import numpy as np
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.objects.decimation import decimated
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.rendering.meshes import draw_mesh, draw_mesh_file, DrawMesh
from sim_trainer.scene.arm import random_arm
from sim_trainer.scene.decals import with_decals
from sim_trainer.scene.distractors import DistractorLibrary
from sim_trainer.scene.lifting import lifted
from sim_trainer.scene.lighting import random_lighting
from sim_trainer.scene.materials import Painter, pictured, with_alike
from sim_trainer.scene.miscalibration import miscalibrated, told_view
from sim_trainer.scene.placement import Table
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.scene.record import Body, SceneRecord
from sim_trainer.scene.surroundings import random_surroundings
from sim_trainer.scene.things import TableSetter
from sim_trainer.scene.viewpoint import random_viewpoint, random_window
from sim_trainer.sensor.background import draw_background
from sim_trainer.sensor.effects import draw_sensor
from sim_trainer.textures.bank import TextureBank

#: Randomizers, as ``preview --only`` names them.
RANDOMIZERS = ('objects', 'distractors', 'textures', 'lighting', 'viewpoint', 'arm',
               'surroundings', 'background', 'sensor')
#: Triangles of a link of the arm: drawing costs time by the triangle on a CPU.
ARM_LINK_FACES = 400
#: The border of the workspace must not be the border of what was seen.
MARGIN_M = 0.02
#: Scenes that are tried before a workspace is called too small.
_TRIAL_SCENES = 12


def check_randomizers(names: Iterable[str] | None) -> None:
    """Raise a ConfigurationError for a name that is not one of ``RANDOMIZERS``."""
    for name in names or ():
        if name not in RANDOMIZERS:
            raise ConfigurationError(f'--only {name}: there is no such factor; expected some of '
                                     f'{", ".join(RANDOMIZERS)}')


class SceneGenerator:
    """Draws scene records of one configuration. Holds a physics client; one per process."""

    def __init__(self, config: SceneConfig) -> None:
        """Load meshes, textures and the arm.

        Raises:
            ConfigurationError: a file cannot be used, or the objects cannot be placed or seen.
        """
        self.config = config
        #: Scenes are made on a table at z = 0 and lifted to the height that it has in base.
        self._camera = config.camera.lowered(config.workspace.z_m)
        randomization = config.randomization
        self.catalogue: tuple[ObjectModel, ...] = build_catalogue(config.objects)
        self.textures = TextureBank(config)
        self._world = PhysicsWorld(config.arm_urdf)
        distractors = DistractorLibrary(randomization.distractors, config.seed, self.catalogue)
        self._setter = TableSetter(randomization.objects, self.catalogue, distractors,
                                   self._world,
                                   [entry.size_spread or 0.0 for entry in config.objects])
        self._painter = Painter(randomization.textures, config.seed, self.textures.user_count)
        self._colors = {entry.name: (entry.color, entry.color_spread) for entry in config.objects
                        if entry.color is not None}
        self._shapes: dict[str, tuple[np.ndarray, np.ndarray]] = {
            'unit_box': primitives.convex_mesh(primitives.box_points((1, 1, 1))),
            'unit_cylinder': primitives.convex_mesh(primitives.prism_points(0.5, 1, 32)),
            **distractors.meshes,
            **{model.name: (model.vertices_m, model.faces) for model in self.catalogue},
            **{link.mesh_name: decimated(link.vertices_m, link.faces, ARM_LINK_FACES)
               for link in self._world.arm_links},
        }
        workspace = config.workspace
        self.workspace_m = (workspace.x_m.low, workspace.x_m.high,
                            workspace.y_m.low, workspace.y_m.high)
        try:
            self._check_room()
            self._check_view()
        except ConfigurationError:
            self.close()
            raise

    @property
    def mesh_names(self) -> frozenset[str]:
        """Names of the meshes that scenes can hold."""
        return frozenset(self._shapes)

    def draw_meshes(self) -> dict[str, DrawMesh]:
        """Every mesh that scenes name, ready to draw."""
        meshes = {name: draw_mesh(vertices, faces)
                  for name, (vertices, faces) in self._shapes.items()}
        for name, mesh in self.textures.mesh_files.items():
            meshes[name] = draw_mesh_file(mesh)
        return meshes

    def scene(self, frame_index: int, whole_picture: bool = False,
              only: Iterable[str] | None = None) -> SceneRecord:
        """Return the scene of one frame; the same for the same configuration and index.

        Args:
            frame_index: 0, 1, ...
            whole_picture: draw the camera's whole picture instead of a window of it.
            only: names of ``RANDOMIZERS`` that change with the index; the others draw as in frame
                0. None: all change.
        """
        config, randomization = self.config, self.config.randomization

        def rng(name: str, randomizer: str | None = None) -> np.random.Generator:
            changes = only is None or (randomizer or name) in only
            return frame_rng(config.seed, frame_index if changes else 0, name)

        camera, T_base_camera = random_viewpoint(rng('viewpoint'), self._camera,
                                                 randomization.viewpoint)
        told, told_pose = None, None
        if config.calibration_error.acts:
            told_pose = T_base_camera
            T_base_camera, T_told_base, zoom = miscalibrated(
                rng('calibration_error', 'viewpoint'), told_pose,
                np.array(self._camera.look_at_m), config.calibration_error)
            camera = replace(camera, fx_px=camera.fx_px * zoom, fy_px=camera.fy_px * zoom)
        if not whole_picture:
            camera = random_window(rng('window', 'viewpoint'), camera, T_base_camera,
                                   self.workspace_m, config.frames)
        if told_pose is not None:
            told = told_view(camera, told_pose, T_told_base, zoom)
        lights, mood = random_lighting(rng('lighting'), randomization.lighting, self.workspace_m)
        bodies = random_surroundings(rng('surroundings'), randomization.surroundings,
                                     self.workspace_m,
                                     self._table(self._camera.T_base_camera).toward_camera)
        bodies += self._things(rng('objects'), rng('sizes', 'objects'), rng('distractors'),
                               T_base_camera)
        bodies += random_arm(rng('arm'), randomization.arm, self._world, T_base_camera,
                             self.workspace_m, config.workspace.z_m)
        background = draw_background(rng('background'), randomization.background,
                                     self.textures.background_count)
        painted = self._painted(rng('textures'), bodies)
        textures = randomization.textures
        if textures.enabled and not textures.count:
            painted = with_alike(rng('alike', 'textures'), painted, textures.alike, self._colors)
        record = SceneRecord(self._decalled(rng('decals', 'textures'), painted), lights,
                             camera=camera, T_base_camera=T_base_camera, background=background,
                             sensor=draw_sensor(rng('sensor'), randomization.sensor), told=told,
                             **mood)
        return lifted(record, config.workspace.z_m)

    @property
    def physics_s(self) -> float:
        """Seconds that physics took so far."""
        return self._world.settle_s

    def close(self) -> None:
        """Close the physics client."""
        self._world.close()

    def _table(self, T_base_camera: np.ndarray) -> Table:
        x0, x1, y0, y1 = self.workspace_m
        return Table(np.array([x0, y0]) - MARGIN_M, np.array([x1, y1]) + MARGIN_M,
                     T_base_camera[:3, 3])

    def _things(self, rng: np.random.Generator, size_rng: np.random.Generator,
                distractor_rng: np.random.Generator, T_base_camera: np.ndarray) -> list[Body]:
        table = self._table(T_base_camera)
        drop = self.config.randomization.objects.dropped.happens(rng)
        things = self._setter.objects(rng, table, size_rng)
        things += self._setter.others(distractor_rng, table, things)
        if drop and things:
            return self._setter.dropped(rng, things, (table.low_m + table.high_m) / 2)
        return [thing.body for thing in things]

    def _painted(self, rng: np.random.Generator, bodies: list[Body]) -> tuple[Body, ...]:
        arm = [self._painter.paint(rng, 'arm') for _ in range(2)]
        painted, links = [], 0
        for body in bodies:
            if body.kind == 'arm':
                # Two materials in turn: joints and shells.
                material, links = arm[links % 2], links + 1
            else:
                known = self._colors.get(body.object_name, (None, 0.0))
                material = self._painter.paint(rng, body.kind, *known)
            own = self.textures.mesh_pictures.get(body.object_name)
            if own is not None:
                material = pictured(material, own, rng)
            painted.append(replace(body, material=material))
        return tuple(painted)

    def _decalled(self, rng: np.random.Generator, bodies: tuple[Body, ...]) -> tuple[Body, ...]:
        chance = self.config.randomization.textures.decals
        if not chance.probability:
            return bodies
        return tuple(
            with_decals(rng, body, self._shapes[body.mesh][0])
            if body.kind in ('object', 'distractor') and chance.happens(rng) else body
            for body in bodies)

    def _check_room(self) -> None:
        """Objects that never find room would silently be missing from the training data."""
        wanted = round(self.config.randomization.objects.count.low)
        most = 0
        for trial in range(_TRIAL_SCENES):
            things = self._setter.objects(frame_rng(self.config.seed, trial, 'room'),
                                          self._table(self._camera.T_base_camera),
                                          frame_rng(self.config.seed, trial, 'sizes'))
            most = max(most, len(things))
            if most >= wanted:
                return
        x0, x1, y0, y1 = self.workspace_m
        raise ConfigurationError(
            f'only {most} of {wanted} objects find room in the workspace x {x0:g}...{x1:g}, '
            f'y {y0:g}...{y1:g} m ({_TRIAL_SCENES} scenes tried); enlarge the workspace or lower '
            'randomization.objects.count')

    def _check_view(self) -> None:
        """Refuse a nominal camera that sees no part of the workspace."""
        x0, x1, y0, y1 = self.workspace_m
        grid = np.stack([*np.meshgrid(np.linspace(x0, x1, 9), np.linspace(y0, y1, 9)),
                         np.full((9, 9), 0.02)], -1).reshape(-1, 3)
        config = self._camera
        R, t = config.T_base_camera[:3, :3], config.T_base_camera[:3, 3]
        pixels = config.camera.project((grid - t) @ R)
        inside = ((pixels >= -0.5) & (pixels < [config.width_px - 0.5, config.height_px - 0.5])
                  ).all(1)
        if not inside.any():
            raise ConfigurationError(
                f'camera: at {list(self.config.camera.position_m)} m, looking at '
                f'{list(self.config.camera.look_at_m)} m, it sees nothing of the '
                f'workspace x {x0:g}...{x1:g}, y {y0:g}...{y1:g} m; '
                'correct camera.position_m, camera.look_at_m or the workspace')
