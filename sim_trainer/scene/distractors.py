"""Things on the table that are not to be localized."""

from __future__ import annotations

import numpy as np

from sim_trainer.objects import primitives

#: Distinct convex and concave shapes that worker processes keep; scales make them all different.
SHAPE_COUNT = 48


def distractor_meshes(seed: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Unit-sized meshes by name: solids of the catalogue's families and random ones."""
    meshes = {
        'distractor_box': primitives.convex_mesh(primitives.box_points((1, 1, 1))),
        'distractor_cylinder': primitives.convex_mesh(primitives.prism_points(0.5, 1, 40)),
        'distractor_cone': primitives.convex_mesh(primitives.cone_points(0.5, 1)),
        'distractor_sphere': primitives.convex_mesh(primitives.sphere_points(0.5)),
        'distractor_torus': primitives.torus_mesh(0.36, 0.14),
        'distractor_ring': primitives.torus_mesh(0.43, 0.07),
        'distractor_prism3': primitives.convex_mesh(primitives.prism_points(0.5, 1, 3)),
        'distractor_prism5': primitives.convex_mesh(primitives.prism_points(0.5, 1, 5)),
        'distractor_prism6': primitives.convex_mesh(primitives.prism_points(0.5, 1, 6)),
        'distractor_prism8': primitives.convex_mesh(primitives.prism_points(0.5, 1, 8)),
        'distractor_pyramid': primitives.convex_mesh(primitives.pyramid_points(1, 1)),
        'distractor_tetrahedron': primitives.convex_mesh(primitives.tetrahedron_points(1)),
    }
    for i in range(SHAPE_COUNT - len(meshes)):
        rng = np.random.default_rng([seed, 77, i])
        if i % 3 == 0:      # few corners: crystals
            points = rng.normal(0, 0.3, (int(rng.integers(5, 12)), 3))
            meshes[f'distractor_random{i}'] = primitives.convex_mesh(points)
        elif i % 3 == 1:    # lumps
            points = primitives.sphere_points(0.5)
            bumps = rng.normal(0, 1, (6, 3))
            radius = 1 + 0.35 * np.sin(points @ bumps.T * 4).mean(1) * 2
            _, faces = primitives.convex_mesh(points)
            vertices = primitives.convex_mesh(points)[0]
            radius = 1 + 0.7 * np.sin(vertices @ bumps.T * 3).mean(1)
            meshes[f'distractor_random{i}'] = (vertices * radius[:, None], faces)
        else:               # concave: two convex bodies joined
            a = primitives.convex_mesh(rng.normal(0, 0.18, (9, 3)) - [0.2, 0, 0])
            b = primitives.convex_mesh(rng.normal(0, 0.18, (9, 3)) + [0.2, 0, 0])
            meshes[f'distractor_random{i}'] = (np.vstack([a[0], b[0]]),
                                               np.vstack([a[1], b[1] + len(a[0])]))
    return meshes


def distractor_scale(rng: np.random.Generator, name: str) -> tuple[float, float, float]:
    """Size (m) of a distractor along its axes.

    Bodies of the catalogue's families stay away from the catalogue's proportions and sizes by
    chance alone (a 3-D box of exactly 5 cm is a cube): their odds of coming within 6 % of one are
    about 1 in 1,000.
    """
    size = float(np.exp(rng.uniform(np.log(0.015), np.log(0.12))))
    aspect = np.exp(rng.normal(0, 0.4, 3))
    if name in ('distractor_cylinder', 'distractor_cone', 'distractor_prism5',
                'distractor_prism6', 'distractor_prism8', 'distractor_prism3',
                'distractor_torus', 'distractor_ring'):
        aspect[1] = aspect[0]
    if name == 'distractor_sphere':
        aspect[:] = 1.0
    scale = np.clip(size * aspect, 0.006, 0.16)
    return tuple(float(s) for s in scale)
