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

"""The table, the room and what stands about in it."""

from __future__ import annotations

from dataclasses import replace

from dr_perception.core.transforms import make_transform, rotation_about
import numpy as np
from sim_trainer.configuration.randomization import SurroundingsConfig
from sim_trainer.scene.materials import plain_material
from sim_trainer.scene.record import Body

#: Flat marks lie this far above each other: at one height they would flicker where they overlap.
_MARK_STEP_M = 0.00025
#: A table that ends at the workspace ends within this much of it.
_EDGE_M = 0.05


def random_surroundings(rng: np.random.Generator, config: SurroundingsConfig,
                        workspace_m: tuple[float, float, float, float],
                        toward_camera: np.ndarray) -> list[Body]:
    """Table (its top at z = 0), floor, walls and a few boxes in the room; not painted yet.

    The room lies where the camera looks: behind the workspace, left and right of it.

    Args:
        rng: decides everything.
        config: the law.
        workspace_m: x from, to, y from, to, in the base frame.
        toward_camera: (2,) horizontal direction from the workspace to the camera.
    """
    # The room is built for a camera on the side of +x and turned as a whole.
    angle = np.arctan2(toward_camera[1], toward_camera[0])
    quarters = int(np.round(angle / (np.pi / 2))) % 4
    workspace = workspace_m
    for _ in range(quarters):
        x0, x1, y0, y1 = workspace
        workspace = (y0, y1, -x1, -x0)
    bodies = _room(rng, config, workspace)
    if quarters:
        T = make_transform(rotation_about('z', quarters * np.pi / 2), np.zeros(3))
        bodies = [replace(body, T_base_body=T @ body.T_base_body) for body in bodies]
    return bodies


def _room(rng: np.random.Generator, config: SurroundingsConfig,
          workspace_m: tuple[float, float, float, float]) -> list[Body]:
    """Return the same for a camera on the side of +x."""
    x0, x1, y0, y1 = workspace_m
    middle = ((x0 + x1) / 2, (y0 + y1) / 2)
    if not config.enabled:
        return [_slab('table', x0 - 0.3, x1 + 0.4, y0 - 0.4, y1 + 0.4, 0.05),
                _box('room', (16, 16, 0.02), (*middle, -0.76), 0.0),
                *_walls((x0 - 1.8, y0 - 2.2, y1 + 2.2), middle, 0.0)]
    # Objects at an edge have floor and walls behind them, and an outline of other contrasts.
    margins = [rng.uniform(0, _EDGE_M) if config.table_edge.happens(rng)
               else config.table_margin_m.sample(rng) for _ in range(4)]
    back, front, left, right = x0 - margins[0], x1 + margins[1], y0 - margins[2], y1 + margins[3]
    bodies = [_slab('table', back, front, left, right, rng.uniform(0.02, 0.3))]
    floor = -rng.uniform(0.3, 0.95)
    bodies.append(_box('room', (16, 16, 0.02), (*middle, floor - 0.01), 0.0))
    bodies += _walls((x0 - rng.uniform(0.9, 3.3), y0 - rng.uniform(0.9, 3.7),
                      y1 + rng.uniform(0.9, 3.7)), middle, rng.normal(0, 0.1))
    for _ in range(config.boxes.sample_int(rng)):
        size = rng.uniform(0.05, 0.7, 3)
        place = (rng.uniform(x0 - 2.1, back - 0.4), rng.uniform(y0 - 1.2, y1 + 1.2),
                 floor + size[2] / 2)
        bodies.append(_box('room', size, place, rng.uniform(0, np.pi)))
    if config.marked.happens(rng):
        # Flat things on the table (paper, tape, mats): marks that are not objects.
        for i in range(config.marks.sample_int(rng)):
            top = (i + 2) * _MARK_STEP_M
            size = (*rng.uniform(0.01, 0.18, 2), top)
            place = (rng.uniform(x0 - 0.05, x1 + 0.15), rng.uniform(y0, y1), top / 2)
            bodies.append(_box('mark', size, place, rng.uniform(0, np.pi)))
    return bodies


def _walls(places_m: tuple[float, float, float], middle_m: tuple[float, float],
           turn_rad: float) -> list[Body]:
    """Return the wall behind at x, those on the left and right at y."""
    behind, left, right = places_m
    x, y = middle_m
    return [_box('room', size, centre, turn_rad) for centre, size in (
        ((behind, y, 0), (0.05, 12, 8)), ((x, left, 0), (12, 0.05, 8)),
        ((x, right, 0), (12, 0.05, 8)))]


def _slab(kind: str, x0: float, x1: float, y0: float, y1: float, thickness: float) -> Body:
    return _box(kind, (x1 - x0, y1 - y0, thickness),
                ((x0 + x1) / 2, (y0 + y1) / 2, -thickness / 2), 0.0)


def _box(kind: str, size, centre, yaw_rad: float) -> Body:
    return Body('unit_box', make_transform(rotation_about('z', yaw_rad), centre),
                tuple(float(s) for s in size), plain_material(kind), casts_shadow=False, kind=kind)
