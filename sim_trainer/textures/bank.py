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

"""All textures of a configuration: patterns, the user's pictures, the objects' own."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.objects.mesh_file import draw_geometry, MeshFile
from sim_trainer.rendering.patterns import make_patterns
from sim_trainer.sensor.procedural import procedural_pictures
from sim_trainer.textures.pictures import load_pictures

PICTURE_SIZE_PX = 256
#: Pictures of the user's folder that a run uses: 0.2 MB each on the graphics device.
MOST_PICTURES = 300
#: Backgrounds that are drawn where the user gives no pictures.
PROCEDURAL_BACKGROUNDS, BACKGROUND_SIZE_PX = 32, 160


class TextureBank:
    """Textures by number, as scene records name them.

    Attributes:
        user_count: the user's pictures; they have the numbers 0 ... user_count - 1.
        mesh_files: the objects that are drawn from a mesh file, by name.
        mesh_pictures: number of the picture of each of them that has one.
        background_count: pictures that can stand behind a scene.
    """

    def __init__(self, config: SceneConfig) -> None:
        """Read the files; patterns and backgrounds are made when they are asked for.

        Raises:
            ConfigurationError: the folder of pictures or a mesh cannot be used.
        """
        self._seed, textures = config.seed, config.randomization.textures
        self._families = textures.families
        pictures = np.zeros((0, PICTURE_SIZE_PX, PICTURE_SIZE_PX, 3), np.uint8)
        if textures.pictures:
            pictures = load_pictures(Path(textures.pictures), PICTURE_SIZE_PX, MOST_PICTURES,
                                     config.seed).pictures
        self.user_count = len(pictures)
        self.mesh_files: dict[str, MeshFile] = {}
        self.mesh_pictures: dict[str, int] = {}
        own = []
        for entry in config.objects:
            mesh = draw_geometry(entry)
            if mesh is None:
                continue
            self.mesh_files[entry.name] = mesh
            if mesh.uv is not None and mesh.texture_rgb is not None:
                self.mesh_pictures[entry.name] = self.user_count + len(own)
                own.append(cv2.resize(mesh.texture_rgb, (PICTURE_SIZE_PX,) * 2,
                                      interpolation=cv2.INTER_AREA)[None])
        self.pictures = np.concatenate([pictures, *own])
        self.background_count = self.user_count or PROCEDURAL_BACKGROUNDS
        self._backgrounds: np.ndarray | None = None

    def patterns(self) -> np.ndarray:
        """(L, S, S) uint8, numbered as ``Material.pattern``."""
        return make_patterns(self._seed, self._families)

    def backgrounds(self) -> np.ndarray:
        """(background_count, S, S, 3) uint8."""
        if self._backgrounds is None:
            self._backgrounds = (self.pictures[:self.user_count] if self.user_count else
                                 procedural_pictures(self._seed, PROCEDURAL_BACKGROUNDS,
                                                     BACKGROUND_SIZE_PX))
        return self._backgrounds
