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

"""The visual shapes of a URDF file, each at its place, with all joints at zero."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dr_perception.core.transforms import make_transform, rotation_from_quat_xyzw
import numpy as np
from sim_trainer.physics.quiet import import_pybullet


def urdf_scene(path: Path) -> Any:
    """Return a ``trimesh.Scene`` of a body's visual shapes in the frame of its base link, metres.

    Raises:
        ValueError: no body, a mesh that is not there, or a shape that has no volume.
    """
    import trimesh

    p = import_pybullet()
    solids = {      # their dimensions are metres, a length before a radius
        p.GEOM_SPHERE: lambda size: trimesh.creation.icosphere(radius=size[0]),
        p.GEOM_BOX: lambda size: trimesh.creation.box(extents=size),
        p.GEOM_CYLINDER: lambda size: trimesh.creation.cylinder(size[1], size[0]),
        p.GEOM_CAPSULE: lambda size: trimesh.creation.capsule(size[0], size[1]),
    }
    scene = trimesh.Scene()
    client = p.connect(p.DIRECT)
    try:
        try:
            body = p.loadURDF(str(path), physicsClientId=client)
        except p.error as error:
            raise ValueError('no body in it, or a mesh is missing that it names (the lines above '
                             'say which); it reads .obj, .stl and .dae') from error
        for _, link, kind, size, name, position, quaternion, _ in p.getVisualShapeData(
                body, physicsClientId=client):
            T = make_transform(rotation_from_quat_xyzw(np.array(quaternion)), position)
            if link >= 0:
                at, turned = p.getLinkState(body, link, physicsClientId=client)[4:6]
                T = make_transform(rotation_from_quat_xyzw(np.array(turned)), at) @ T
            if kind == p.GEOM_MESH:
                T = T @ np.diag([*size, 1.0])
                part = trimesh.load(name.decode(), force='scene', process=False)
                for node in part.graph.nodes_geometry:
                    inner, geometry = part.graph[node]
                    scene.add_geometry(part.geometry[geometry], transform=T @ inner)
            elif kind in solids:
                scene.add_geometry(solids[kind](size), transform=T)
            else:
                raise ValueError(f'a visual shape of kind {kind} (a plane?) has no volume')
    finally:
        p.disconnect(client)
    return scene
