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

"""Meshes as users have them: three units, three formats, one with a picture; camera files."""

import numpy as np
from PIL import Image
import pytest
import trimesh


def write_mug(folder):
    """Write a mug in millimetres, STL."""
    cup = trimesh.creation.revolve([[0, 0], [30, 0], [32, 70], [28, 70], [26, 6], [0, 6]])
    handle = trimesh.creation.box([24, 8, 40])
    handle.apply_translation([40, 0, 38])
    trimesh.util.concatenate([cup, handle]).export(folder / 'mug.stl')


def write_carton(folder):
    """Write a carton in centimetres with a picture, OBJ: its red lid forbids flips."""
    box = trimesh.creation.box([8, 5, 12])
    corners = box.vertices[box.faces].reshape(-1, 3)
    top = np.repeat(box.face_normals[:, 2] > 0.5, 3)
    uv = np.column_stack([np.where(top, 0.75, 0.25), np.full(len(corners), 0.5)])
    picture = np.full((16, 16, 3), 220, np.uint8)
    picture[:, 8:] = (200, 20, 20)
    made = trimesh.Trimesh(corners, np.arange(len(corners)).reshape(-1, 3), process=False)
    made.visual = trimesh.visual.TextureVisuals(
        uv=uv, material=trimesh.visual.material.SimpleMaterial(image=Image.fromarray(picture)))
    made.export(folder / 'carton.obj')


def write_can(folder):
    """Write a can in metres with y up, GLB."""
    can = trimesh.creation.cylinder(0.03, 0.1, sections=64)
    can.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    can.export(folder / 'can.glb')


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """Return a working directory with the three meshes."""
    for write in (write_mug, write_carton, write_can):
        write(tmp_path)
    monkeypatch.chdir(tmp_path)
    return tmp_path
