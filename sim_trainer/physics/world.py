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

"""The PyBullet world: settling objects and the arm's kinematics.

PyBullet leaks memory on repeated loads, so the client is opened anew every
``SETTLES_PER_CLIENT`` scenes.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
import time

from dr_perception.core.transforms import (make_transform, quat_xyzw_from_rotation,
                                           rotation_from_quat_xyzw)
import numpy as np
from sim_trainer.errors import ConfigurationError
from sim_trainer.physics.asset_folder import asset_folder
from sim_trainer.physics.quiet import import_pybullet
from sim_trainer.physics.rows import RowPool

SETTLES_PER_CLIENT = 500
#: Coarser than PyBullet's 1/240 s and 50 iterations: bodies come to rest as well (235 of 259
#: instead of 229, measured), in 40 % of the time.
STEP_S, SOLVER_ITERATIONS = 1 / 160, 20
#: A dropped object that still moves faster than this after the drop is taken out of the scene.
REST_SPEED_MPS = 0.01


@dataclass(frozen=True, eq=False)
class ArmLink:
    """Visual mesh of a link: vertices (V, 3, metres) and faces (F, 3), in the link's frame."""

    mesh_name: str
    vertices_m: np.ndarray
    faces: np.ndarray


class PhysicsWorld:
    """PyBullet with a table plane at z = 0 and, in a client of its own, an arm at the origin."""

    def __init__(self, arm_urdf: str | None = None) -> None:
        """Open the client and load the arm.

        Raises:
            ConfigurationError: the URDF cannot be found or loaded.
        """
        #: seconds spent in ``settle`` so far
        self.settle_s = 0.0
        self._settles = 0
        self._rows = RowPool()
        self._client = self._arm_client = -1
        self.arm_links: list[ArmLink] = []
        self._open()
        if arm_urdf:
            self._load_arm(arm_urdf)

    def _open(self) -> None:
        self._p = import_pybullet()
        self._client = self._p.connect(self._p.DIRECT)

    def _clear(self) -> None:
        """Empty the table, as in a new client.

        Without this a drop depends on those before it (the solver and the broad phase keep
        state), and a picture on the worker that draws it.
        """
        p, client = self._p, self._client
        p.resetSimulation(physicsClientId=client)
        p.setGravity(0, 0, -9.81, physicsClientId=client)
        p.setTimeStep(STEP_S, physicsClientId=client)
        p.setPhysicsEngineParameter(numSolverIterations=SOLVER_ITERATIONS,
                                    deterministicOverlappingPairs=1, physicsClientId=client)
        # A thick slab instead of a plane: thin things dropped fast do not tunnel through it.
        slab = p.createCollisionShape(p.GEOM_BOX, halfExtents=[2, 2, 0.5], physicsClientId=client)
        p.createMultiBody(0, slab, basePosition=[0, 0, -0.5], physicsClientId=client)

    def _load_arm(self, urdf: str) -> None:
        """Load the arm into a client of its own: falling bodies must not meet it."""
        folder = asset_folder()
        path = Path(urdf)
        path = path if path.is_file() or folder is None else folder / urdf
        if not path.is_file():
            raise ConfigurationError(
                f'arm_urdf: {urdf}: there is no such file, here or in pybullet_data; give a path, '
                'or null for no arm')
        self._arm_client = self._p.connect(self._p.DIRECT)
        try:
            self._arm = self._p.loadURDF(str(path), useFixedBase=True,
                                         physicsClientId=self._arm_client)
        except self._p.error as error:
            self.close()
            raise ConfigurationError(f'arm_urdf: {path}: PyBullet cannot load it: {error}'
                                     ) from error
        self._read_arm()

    def _read_arm(self) -> None:
        import trimesh

        p, client = self._p, self._arm_client
        self._joints = [i for i in range(p.getNumJoints(self._arm, physicsClientId=client))
                        if p.getJointInfo(self._arm, i, physicsClientId=client)[2]
                        in (p.JOINT_REVOLUTE, p.JOINT_PRISMATIC)]
        self._limits = np.array([p.getJointInfo(self._arm, i, physicsClientId=client)[8:10]
                                 for i in self._joints]).reshape(-1, 2)
        self._visuals = []
        links = []
        for shape in p.getVisualShapeData(self._arm, physicsClientId=client):
            link, kind, size, file, position, quat = shape[1:7]
            if kind != p.GEOM_MESH:
                continue
            mesh = trimesh.load(file.decode(), force='mesh', process=True)
            name = f'arm_{len(links)}'
            links.append(ArmLink(name, np.asarray(mesh.vertices) * size, np.asarray(mesh.faces)))
            # The visual's offset is given from the link's centre of mass frame.
            self._visuals.append((link, make_transform(rotation_from_quat_xyzw(quat), position)))
        self.arm_links = links

    def arm_poses(self, rng: np.random.Generator, joint_range: float = 1.0) -> list[np.ndarray]:
        """``T_base_mesh`` of every arm mesh at a random joint configuration.

        Args:
            rng: generator of this draw.
            joint_range: part of each joint's range that is used, round its middle.
        """
        p, client = self._p, self._arm_client
        low, high = self._limits.T
        free = low >= high
        low, high = np.where(free, -np.pi, low), np.where(free, np.pi, high)
        middle, half = (low + high) / 2, (high - low) / 2 * joint_range
        for joint, angle in zip(self._joints, rng.uniform(middle - half, middle + half)):
            p.resetJointState(self._arm, joint, angle, physicsClientId=client)
        poses = []
        for link, T_inertial_mesh in self._visuals:
            if link < 0:
                position, quat = p.getBasePositionAndOrientation(self._arm, client)
                inertial = p.getDynamicsInfo(self._arm, -1, physicsClientId=client)[3:5]
                T_base_com = make_transform(rotation_from_quat_xyzw(quat), position)
                T_com_frame = np.linalg.inv(make_transform(
                    rotation_from_quat_xyzw(inertial[1]), inertial[0]))
                poses.append(T_base_com @ T_com_frame @ T_inertial_mesh)
                continue
            state = p.getLinkState(self._arm, link, computeForwardKinematics=1,
                                   physicsClientId=client)
            T_base_link = make_transform(rotation_from_quat_xyzw(state[5]), state[4])
            poses.append(T_base_link @ T_inertial_mesh)
        return poses

    def settle(self, vertices_m: list[np.ndarray], poses: list[np.ndarray], steps: int = 160
               ) -> list[np.ndarray | None]:
        """Drop convex bodies and return where they came to rest.

        Args:
            vertices_m: corners (V, 3) of each body.
            poses: ``T_base_body`` of each body before the drop.
            steps: steps of ``STEP_S``.

        Returns:
            ``T_base_body`` of each; None for a body that still moves or fell off.
        """
        started_at = time.perf_counter()
        self._settles += 1
        if self._settles % SETTLES_PER_CLIENT == 0:
            self._p.disconnect(self._client)
            self._open()
        self._clear()
        p, client = self._p, self._client
        bodies = []
        for corners, T_base_body in zip(vertices_m, poses):
            shape = p.createCollisionShape(p.GEOM_MESH, vertices=self._rows.rows(corners),
                                           physicsClientId=client)
            body = p.createMultiBody(0.1, shape, basePosition=T_base_body[:3, 3].tolist(),
                                     baseOrientation=quat_xyzw_from_rotation(
                                         T_base_body[:3, :3]).tolist(),
                                     physicsClientId=client)
            p.changeDynamics(body, -1, lateralFriction=0.7, rollingFriction=2e-4,
                             spinningFriction=2e-4, linearDamping=0.1, angularDamping=0.3,
                             physicsClientId=client)
            bodies.append(body)
        for _ in range(steps):
            p.stepSimulation(physicsClientId=client)
        results: list[np.ndarray | None] = []
        for body in bodies:
            position, quat = p.getBasePositionAndOrientation(body, client)
            speed = np.linalg.norm(p.getBaseVelocity(body, client)[0])
            resting = speed < REST_SPEED_MPS and position[2] > 0
            results.append(make_transform(rotation_from_quat_xyzw(quat), position)
                           if resting else None)
        self.settle_s += time.perf_counter() - started_at
        return results

    def close(self) -> None:
        """Disconnect the clients."""
        for client in (self._client, self._arm_client):
            if client >= 0:
                self._p.disconnect(client)
        self._client = self._arm_client = -1
