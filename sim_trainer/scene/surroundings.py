"""The table, the room and what stands about in it."""

from __future__ import annotations

import numpy as np

from dr_perception.core.transforms import make_transform, rotation_about
from sim_trainer.configuration.randomization import SurroundingsConfig
from sim_trainer.scene.materials import plain_material
from sim_trainer.scene.record import Body

#: Flat marks lie this far above each other: at one height they would flicker where they overlap.
_MARK_STEP_M = 0.00025


def random_surroundings(rng: np.random.Generator, config: SurroundingsConfig,
                        workspace_m: tuple[float, float, float, float]) -> list[Body]:
    """Table (its top at z = 0), floor, walls and a few boxes in the room; not painted yet."""
    x0, x1, y0, y1 = workspace_m
    if not config.enabled:
        return [_slab('table', x0 - 0.3, x1 + 0.4, y0 - 0.4, y1 + 0.4, 0.05),
                _box('room', (16, 16, 0.02), (0, 0, -0.76), 0.0),
                *_walls((1.5, 2.5, 2.5), 0.0)]
    back, front = x0 - rng.uniform(0.08, 0.7), x1 + rng.uniform(0.1, 1.0)
    left, right = y0 - rng.uniform(0.08, 0.9), y1 + rng.uniform(0.08, 0.9)
    bodies = [_slab('table', back, front, left, right, rng.uniform(0.02, 0.3))]
    floor = -rng.uniform(0.3, 0.95)
    bodies.append(_box('room', (16, 16, 0.02), (0, 0, floor - 0.01), 0.0))
    bodies += _walls((rng.uniform(0.6, 3), rng.uniform(1.2, 4), rng.uniform(1.2, 4)),
                     rng.normal(0, 0.1))
    for _ in range(config.boxes.sample_int(rng)):
        size = rng.uniform(0.05, 0.7, 3)
        place = (rng.uniform(-1.8, back - 0.4), rng.uniform(-1.5, 1.5), floor + size[2] / 2)
        bodies.append(_box('room', size, place, rng.uniform(0, np.pi)))
    if config.marked.happens(rng):
        # Flat things on the table (paper, tape, mats): marks that are not objects.
        for i in range(config.marks.sample_int(rng)):
            top = (i + 2) * _MARK_STEP_M
            size = (*rng.uniform(0.01, 0.18, 2), top)
            place = (rng.uniform(x0 - 0.05, x1 + 0.15), rng.uniform(y0, y1), top / 2)
            bodies.append(_box('mark', size, place, rng.uniform(0, np.pi)))
    return bodies


def _walls(distances_m: tuple[float, float, float], turn_rad: float) -> list[Body]:
    behind, left, right = distances_m
    return [_box('room', size, centre, turn_rad) for centre, size in (
        ((-behind, 0, 0), (0.05, 12, 8)), ((0, -left, 0), (12, 0.05, 8)),
        ((0, right, 0), (12, 0.05, 8)))]


def _slab(kind: str, x0: float, x1: float, y0: float, y1: float, thickness: float) -> Body:
    return _box(kind, (x1 - x0, y1 - y0, thickness),
                ((x0 + x1) / 2, (y0 + y1) / 2, -thickness / 2), 0.0)


def _box(kind: str, size, centre, yaw_rad: float) -> Body:
    return Body('unit_box', make_transform(rotation_about('z', yaw_rad), centre),
                tuple(float(s) for s in size), plain_material(kind), casts_shadow=False, kind=kind)
