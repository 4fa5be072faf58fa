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

"""What a renderer is: scene record in, picture and instance ids out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from sim_trainer.rendering.meshes import DrawMesh
from sim_trainer.scene.record import SceneRecord


class RendererUnavailableError(RuntimeError):
    """The renderer cannot run here; the message says which packages bring it."""


@dataclass(frozen=True, eq=False)
class Picture:
    """A drawn scene.

    Attributes:
        image_rgb: (H, W, 3) uint8, before the sensor's effects.
        instance_ids: (H, W) uint8; 0 background, i the i-th of ``SceneRecord.instances``.
        room_mask: (H, W) bool; floor, walls and what is beyond them, behind table and arm.
    """

    image_rgb: np.ndarray
    instance_ids: np.ndarray
    room_mask: np.ndarray


class Renderer(Protocol):
    """Draws scene records. Not safe to share between threads or processes."""

    name: str
    #: what draws: a GPU's name, or the CPU's
    device: str

    def add_mesh(self, name: str, mesh: DrawMesh) -> None:
        """Make a mesh known under the name that ``Body.mesh`` uses."""

    def draw(self, scene: SceneRecord) -> Picture:
        """Draw one scene at the size of its camera."""

    def close(self) -> None:
        """Free what the renderer holds."""
