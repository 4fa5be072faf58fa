"""Frame index in, scene record out: every randomizer with a generator of its own."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from dr_perception.core.objects import ObjectModel
from dr_perception.core.resting import rotation_to_down
from dr_perception.core.transforms import make_transform, rotation_about
from sim_trainer.configuration.distractors import DistractorConfig
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.physics.world import PhysicsWorld
from sim_trainer.rendering.meshes import DrawMesh, draw_mesh
from sim_trainer.scene.distractors import DistractorLibrary
from sim_trainer.scene.lighting import random_lighting
from sim_trainer.scene.materials import random_material
from sim_trainer.scene.placement import (Table, footprint_radius, random_rotation,
                                         standing_pose)
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.scene.record import Body, SceneRecord
from sim_trainer.scene.surroundings import random_surroundings
from sim_trainer.scene.viewpoint import random_viewpoint, random_window

#: The arm must leave this much room (m) round the camera, or it fills the picture.
CAMERA_CLEARANCE_M = 0.35


class SceneGenerator:
    """Draws scene records of one configuration. Holds a physics client; one per process."""

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self.catalogue: tuple[ObjectModel, ...] = build_catalogue(config.objects)
        self._world = PhysicsWorld(config.arm_urdf)
        self._distractors = DistractorLibrary(DistractorConfig(), config.seed, self.catalogue)
        self._shapes: dict[str, tuple[np.ndarray, np.ndarray]] = {
            'unit_box': primitives.convex_mesh(primitives.box_points((1, 1, 1))),
            'unit_cylinder': primitives.convex_mesh(primitives.prism_points(0.5, 1, 48)),
            **self._distractors.meshes,
            **{model.name: (model.vertices_m, model.faces) for model in self.catalogue},
            **{link.mesh_name: (link.vertices_m, link.faces) for link in self._world.arm_links},
        }
        workspace = config.workspace
        self.workspace_m = (workspace.x_m.low, workspace.x_m.high,
                            workspace.y_m.low, workspace.y_m.high)

    def draw_meshes(self) -> dict[str, DrawMesh]:
        """Every mesh that scenes name, ready to draw."""
        return {name: draw_mesh(vertices, faces)
                for name, (vertices, faces) in self._shapes.items()}

    def scene(self, frame_index: int, whole_picture: bool = False) -> SceneRecord:
        """The scene of one frame; the same for the same configuration and index.

        Args:
            frame_index: 0, 1, ...
            whole_picture: draw the camera's whole picture instead of a window of it.
        """
        config, randomization = self.config, self.config.randomization

        def rng(name: str) -> np.random.Generator:
            return frame_rng(config.seed, frame_index, name)

        camera, T_base_camera = random_viewpoint(rng('viewpoint'), config.camera, randomization)
        if not whole_picture:
            camera = random_window(rng('window'), camera, T_base_camera, self.workspace_m,
                                   config.frames)
        lights, mood = random_lighting(rng('lighting'), randomization)
        bodies = random_surroundings(rng('surroundings'), self.workspace_m)
        bodies += self._things(rng('objects'), T_base_camera)
        bodies += self._arm(rng('arm'), T_base_camera)
        return SceneRecord(tuple(bodies), lights, camera=camera, T_base_camera=T_base_camera,
                           **mood)

    def close(self) -> None:
        """Close the physics client."""
        self._world.close()

    def _things(self, rng: np.random.Generator, T_base_camera: np.ndarray) -> list[Body]:
        randomization = self.config.randomization
        x0, x1, y0, y1 = self.workspace_m
        middle = np.array([(x0 + x1) / 2, (y0 + y1) / 2])
        toward = T_base_camera[:2, 3] - middle
        # 2 cm beyond the workspace: its border must not be the border of what was seen.
        table = Table(np.array([x0, y0]) - 0.02, np.array([x1, y1]) + 0.02,
                      toward / np.linalg.norm(toward))
        crowded = rng.random() < randomization.crowded_probability
        count = randomization.object_count.sample_int(rng)
        # Each kind at most once while there are kinds left; beyond that, again.
        kinds = np.concatenate([rng.permutation(len(self.catalogue)) for _ in range(
            -(-max(count, 1) // len(self.catalogue)))])[:count]
        if len(kinds) > 2 and rng.random() < 0.15:
            kinds[0] = kinds[1]         # several of one kind, now and then
        order = [('object', self.catalogue[int(k)].name) for k in kinds]
        order += [('distractor', '')] * randomization.distractor_count.sample_int(rng)
        rng.shuffle(order)
        drop = rng.random() < randomization.physics_probability
        models = {model.name: model for model in self.catalogue}
        placed: list[Body] = []
        corners: list[np.ndarray] = []
        for role, name in order:
            scale = (1.0, 1.0, 1.0)
            if role == 'distractor':
                name, scale = self._distractors.draw(rng)
            vertices = self._shapes[name][0]
            if role == 'object':
                R = self._object_rotation(rng, models[name])
                material = random_material(rng, (0.01, 0.15), 0.55)
            else:
                R = (random_rotation(rng) if rng.random() < 0.3
                     else rotation_about('z', rng.uniform(-np.pi, np.pi)))
                material = random_material(rng, (0.01, 0.15), 0.5)
            sized = vertices * scale
            near = crowded and rng.random() < 0.8
            place = table.find_room(rng, footprint_radius(sized, R), near,
                                    in_front=role == 'distractor' and rng.random() < 0.5)
            if place is None:
                continue
            pose = standing_pose(sized, R, place)
            if drop:
                pose[2, 3] += rng.uniform(0.02, 0.15)
                pose[:3, :3] = pose[:3, :3] @ random_rotation(rng)
                pose[:2, 3] = middle + (pose[:2, 3] - middle) * 0.6
            placed.append(Body(name, pose, scale, material, name if role == 'object' else ''))
            corners.append(sized)
        if drop:
            return self._settled(placed, corners)
        return placed

    def _object_rotation(self, rng: np.random.Generator, model: ObjectModel) -> np.ndarray:
        yaw = rotation_about('z', rng.uniform(-np.pi, np.pi))
        if rng.random() < self.config.randomization.tumbled_probability:
            down = model.resting_downs[int(rng.integers(len(model.resting_downs)))]
            return yaw @ rotation_to_down(down)
        return yaw

    def _settled(self, bodies: list[Body], corners: list[np.ndarray]) -> list[Body]:
        rest = self._world.settle(corners, [body.T_base_body for body in bodies])
        return [replace(body, T_base_body=pose) for body, pose in zip(bodies, rest)
                if pose is not None]

    def _arm(self, rng: np.random.Generator, T_base_camera: np.ndarray) -> list[Body]:
        draw = rng.random()
        if draw >= self.config.randomization.arm_probability or not self._world.arm_links:
            if draw > 0.85:     # a bare column: other people's robots
                radius, height = rng.uniform(0.06, 0.2), rng.uniform(0.3, 1.5)
                pose = make_transform(np.eye(3), [rng.uniform(-0.1, 0.08), rng.uniform(-0.1, 0.1),
                                                  height / 2])
                return [Body('unit_cylinder', pose, (radius, radius, height),
                             random_material(rng, (0.02, 0.5), 0.5))]
            return []
        for _ in range(8):
            poses = self._world.arm_poses(rng)
            places = np.array([pose[:3, 3] for pose in poses])
            low = ((places[:, 2] < 0.25) & (places[:, 0] > 0.15)).any()
            near = np.linalg.norm(places - T_base_camera[:3, 3], axis=1).min()
            if not low and near > CAMERA_CLEARANCE_M:
                break
        else:
            return []
        palette = [random_material(rng, (0.02, 0.4), 0.7) for _ in range(2)]
        return [Body(link.mesh_name, pose, (1.0, 1.0, 1.0), palette[i % 2])
                for i, (link, pose) in enumerate(zip(self._world.arm_links, poses))]
