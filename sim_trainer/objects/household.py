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

"""Toys and household things that come with PyBullet, made cheap to draw.

They are read where pybullet_data is installed, none is copied. Its licence is zlib; the duck's
own, in duck.dae beside it, is Sony's SCEA Shared Source License 1.0.

Left out of what is there: what is a box, ball, ring or wheel once its picture is gone (domino,
jenga, soccer ball, torus), for training draws such shapes, and the traffic cone, which is a cone
whenever something hides its foot.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sim_trainer.objects.decimation import decimated
from sim_trainer.objects.mesh_file import up_rotation
from sim_trainer.objects.solids import Mesh, unit_sized

#: Triangles of a body; drawing costs per triangle. With 300 the lego brick loses its studs.
MAX_FACES = 600
#: Name -> file below the folder of pybullet_data, and the axis that points up in it.
FILES = {
    'bunny': ('bunny.obj', 'y'),
    'duck': ('duck.obj', 'y'),
    'lego': ('lego/lego.obj', 'y'),
    'mug': ('objects/mug.obj', 'z'),
    'shape_sorter': ('toys/shape_sorter.obj', 'y'),
    'teddy': ('teddy2_VHACD_CHs.obj', 'y'),
    'tray': ('tray/tray_textured4.obj', 'z'),
}


def household_meshes(folder: Path) -> dict[str, Mesh]:
    """Unit-sized, centred, upright meshes of those ``FILES`` that are below ``folder``, by name.

    They need not be closed.
    """
    meshes = {}
    for name, (file, up) in FILES.items():
        if not (folder / file).is_file():
            continue
        vertices, faces = _shape((folder / file).read_text(encoding='utf-8'))
        meshes[name] = unit_sized(decimated(vertices @ up_rotation(up).T, faces, MAX_FACES))
    return meshes


def _shape(text: str) -> Mesh:
    """Vertices and triangles of an OBJ without its materials; polygons become fans."""
    vertices: list[list[str]] = []
    faces: list[tuple[int, int, int]] = []
    for line in text.splitlines():
        key, *values = line.split() or ['']
        if key == 'v':
            vertices.append(values[:3])
        elif key == 'f':
            # 'vertex/uv/normal', counted from 1
            corners = [int(value.split('/')[0]) - 1 for value in values]
            faces += [(corners[0], b, c) for b, c in zip(corners[1:], corners[2:])]
    return np.array(vertices, float), np.array(faces, np.int64)
