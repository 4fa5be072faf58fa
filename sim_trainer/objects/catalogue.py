"""From shapes of the configuration to ``ObjectModel``s: symmetry, resting faces, keypoints."""

from __future__ import annotations

import itertools

import numpy as np
from scipy.spatial import ConvexHull

from dr_perception.core.objects import ObjectModel
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import make_transform, rotation_about
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.objects import primitives

#: Keypoints of every object: its origin and eight surface points.
KEYPOINT_COUNT = 9
#: Samples of a continuous symmetry; reference/field practice is 64 (CosyPose, BOP toolkit).
CONTINUOUS_SAMPLES = 64


def object_from_points(name: str, points_m: np.ndarray, *, round_about_z: bool = False,
                       flips: bool = False) -> ObjectModel:
    """An ``ObjectModel`` of a convex primitive.

    Args:
        name: catalogue name.
        points_m: (N, 3) corners.
        round_about_z: any rotation about z is a symmetry.
        flips: upside down is a symmetry too (only read for round objects).
    """
    vertices, faces = primitives.convex_mesh(points_m)
    symmetry = (_round_symmetry(flips) if round_about_z else finite_symmetry(vertices))
    downs, heights = resting_faces(vertices)
    return ObjectModel(name, vertices, faces, choose_keypoints(vertices, faces), symmetry, downs,
                       heights)


def _round_symmetry(flips: bool) -> Symmetry:
    turns = [rotation_about('z', 2 * np.pi * i / CONTINUOUS_SAMPLES)
             for i in range(CONTINUOUS_SAMPLES)]
    if flips:
        turns += [rotation_about('x', np.pi) @ turn for turn in turns]
    return Symmetry(np.stack([make_transform(R, np.zeros(3)) for R in turns]), True)


def finite_symmetry(vertices_m: np.ndarray, tolerance: float = 1e-4) -> Symmetry:
    """All rotations that map a set of vertices (V, 3) onto itself, about its centroid.

    Three independent vertices determine a rotation, so every ordered triple of the same mutual
    distances is tried; made for primitives of few vertices.
    """
    centroid = vertices_m.mean(0)
    points = vertices_m - centroid
    scale = np.linalg.norm(points, axis=1).max()
    limit = tolerance * scale
    triple = next(t for t in itertools.combinations(range(len(points)), 3)
                  if abs(np.linalg.det(points[list(t)])) > 1e-3 * scale ** 3)
    source = points[list(triple)]
    gram = source @ source.T
    found = []
    for candidate in itertools.permutations(range(len(points)), 3):
        target = points[list(candidate)]
        if np.abs(target @ target.T - gram).max() > limit * scale:
            continue
        R = np.linalg.solve(source, target).T
        if np.linalg.det(R) < 0:
            continue
        moved = points @ R.T
        distance = np.linalg.norm(moved[:, None] - points[None], axis=-1).min(1)
        if distance.max() < limit and not any(np.abs(R - S).max() < 1e-3 for S in found):
            found.append(R)
    found.sort(key=lambda R: -np.trace(R))
    found[0] = np.eye(3)
    return Symmetry(np.stack([make_transform(R, centroid - R @ centroid) for R in found]))


def resting_faces(vertices_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stable resting faces of a convex body of uniform density.

    Returns:
        Down directions (R, 3) in the object frame, upright (-z) first where it is stable, and the
        origin's height (R,) above the plane. A face is stable when the centre of mass projects
        into its inside.
    """
    hull = ConvexHull(vertices_m)
    centre = _hull_centre_of_mass(hull)
    downs: list[np.ndarray] = []
    heights: list[float] = []
    for normal_offset in np.unique(np.round(hull.equations, 6), axis=0):
        normal, offset = normal_offset[:3], normal_offset[3]
        if any(np.dot(normal, down) > 1 - 1e-6 for down in downs):
            continue
        members = vertices_m[np.abs(vertices_m @ normal + offset) < 1e-5]
        if _contains_projection(members, normal, centre):
            downs.append(normal)
            heights.append(-offset)
    order = sorted(range(len(downs)), key=lambda i: downs[i][2])
    return np.array([downs[i] for i in order]), np.array([heights[i] for i in order])


def _hull_centre_of_mass(hull: ConvexHull) -> np.ndarray:
    inner = hull.points[hull.vertices].mean(0)
    corners = hull.points[hull.simplices] - inner
    volumes = np.abs(np.linalg.det(corners))
    return inner + (corners.sum(1) / 4 * volumes[:, None]).sum(0) / volumes.sum()


def _contains_projection(members: np.ndarray, normal: np.ndarray, point: np.ndarray) -> bool:
    helper = np.eye(3)[int(np.argmin(np.abs(normal)))]
    u = np.cross(normal, helper)
    u /= np.linalg.norm(u)
    v = np.cross(normal, u)
    flat = np.stack([members @ u, members @ v], axis=1)
    polygon = ConvexHull(flat)
    projected = np.array([point @ u, point @ v])
    # 2 % of the face's size: balancing on an edge is not resting.
    margin = 0.02 * np.ptp(flat, axis=0).min()
    return bool((polygon.equations[:, :2] @ projected + polygon.equations[:, 2] < -margin).all())


def choose_keypoints(vertices_m: np.ndarray, faces: np.ndarray) -> np.ndarray:
    """Keypoints (KEYPOINT_COUNT, 3): the origin, then farthest-point samples of the surface.

    Vertices come first (corners are what an image shows sharply); edge midpoints fill up where an
    object has fewer corners.
    """
    midpoints = np.unique(np.round(np.concatenate(
        [(vertices_m[faces[:, i]] + vertices_m[faces[:, (i + 1) % 3]]) / 2 for i in range(3)]),
        7), axis=0)
    chosen = [vertices_m[int(np.argmax(np.linalg.norm(vertices_m, axis=1).round(7)))]]
    for pool in (vertices_m, midpoints):
        while len(chosen) < KEYPOINT_COUNT - 1:
            distance = np.linalg.norm(pool[:, None] - np.array(chosen)[None], axis=-1).min(1)
            if distance.max() < 1e-4:
                break
            chosen.append(pool[int(np.argmax(distance.round(7)))])
    return np.vstack([np.zeros(3), chosen])


def build_catalogue(objects: tuple[ObjectConfig, ...]) -> tuple[ObjectModel, ...]:
    """The catalogue of a configuration, in its order."""
    return tuple(_build_object(entry) for entry in objects)


def _build_object(entry: ObjectConfig) -> ObjectModel:
    if entry.shape == 'cone':
        return object_from_points(entry.name, primitives.cone_points(
            entry.radius_m, entry.height_m), round_about_z=True)
    if entry.shape == 'cylinder':
        points = primitives.prism_points(entry.radius_m, entry.height_m, primitives.CIRCLE_SIDES)
        return object_from_points(entry.name, points, round_about_z=True, flips=True)
    points = {
        'box': lambda: primitives.box_points(entry.size_m),
        'prism': lambda: primitives.prism_points(entry.circumradius_m, entry.height_m,
                                                 entry.sides),
        'pyramid': lambda: primitives.pyramid_points(entry.edge_m, entry.height_m),
        'tetrahedron': lambda: primitives.tetrahedron_points(entry.edge_m),
    }[entry.shape]()
    return object_from_points(entry.name, points)
