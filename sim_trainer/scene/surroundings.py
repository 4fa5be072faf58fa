"""The table, the room and what stands about in it."""

from __future__ import annotations

import numpy as np

from dr_perception.core.transforms import make_transform, rotation_about
from sim_trainer.scene.materials import random_material
from sim_trainer.scene.record import Body


def random_surroundings(rng: np.random.Generator, workspace_m: tuple[float, float, float, float]
                        ) -> list[Body]:
    """Table (its top at z = 0), floor, walls and a few boxes in the room."""
    x0, x1, y0, y1 = workspace_m
    back, front = x0 - rng.uniform(0.08, 0.7), x1 + rng.uniform(0.1, 1.0)
    left, right = y0 - rng.uniform(0.08, 0.9), y1 + rng.uniform(0.08, 0.9)
    thickness = rng.uniform(0.02, 0.3)
    bodies = [_box((front - back, right - left, thickness),
                   ((front + back) / 2, (left + right) / 2, -thickness / 2), 0.0,
                   random_material(rng, (0.08, 1.2), 0.3))]
    floor = -rng.uniform(0.3, 0.95)
    bodies.append(_box((16, 16, 0.02), (0, 0, floor - 0.01), 0.0,
                       random_material(rng, (0.1, 2.0), 0.3)))
    wall_angle = rng.normal(0, 0.1)
    for centre, size in (((-rng.uniform(0.6, 3), 0, 0), (0.05, 12, 8)),
                         ((0, -rng.uniform(1.2, 4), 0), (12, 0.05, 8)),
                         ((0, rng.uniform(1.2, 4), 0), (12, 0.05, 8))):
        bodies.append(_box(size, centre, wall_angle, random_material(rng, (0.1, 2.0), 0.4)))
    for _ in range(int(rng.integers(0, 6))):
        size = rng.uniform(0.05, 0.7, 3)
        place = (rng.uniform(-1.8, back - 0.4), rng.uniform(-1.5, 1.5), floor + size[2] / 2)
        bodies.append(_box(size, place, rng.uniform(0, np.pi),
                           random_material(rng, (0.02, 0.5), 0.5)))
    if rng.random() < 0.4:
        # Flat things on the table (paper, tape, mats): marks that are not objects.
        for _ in range(int(rng.integers(1, 8))):
            size = (*rng.uniform(0.01, 0.18, 2), 0.0006)
            place = (rng.uniform(x0 - 0.05, x1 + 0.15), rng.uniform(y0, y1), 0.0003)
            bodies.append(_box(size, place, rng.uniform(0, np.pi),
                               random_material(rng, (0.01, 0.2), 0.6)))
    return bodies


def _box(size, centre, yaw_rad: float, material) -> Body:
    return Body('unit_box', make_transform(rotation_about('z', yaw_rad), centre),
                tuple(float(s) for s in size), material, casts_shadow=False)
