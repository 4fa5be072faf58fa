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

"""Stable resting faces of bodies: of primitives exactly, of scanned meshes up to small bumps."""

from __future__ import annotations

from dr_perception.core.objects import ObjectModel
import numpy as np
from scipy.spatial import ConvexHull, QhullError

#: Facets of a primitive are exact; this (deg) only joins the triangles of one flat face.
EXACT_DEG = 0.08
#: Facets of a scanned or finely tessellated mesh within this angle (deg) are one face.
SCAN_DEG = 4.0
#: Resting faces of a mesh; each is a starting point of the pose solver, so they cost time there.
MAX_FACES = 24
#: Sides of a round object that stand for all of them, as many as a primitive cylinder has.
ROUND_SIDES = 64
#: A round mesh keeps this many of its tilts (base, top, side, bevels).
MAX_TILTS = 6
#: A finer hull is made coarser first: its corners go to a grid of this many cells a side.
_MAX_HULL_VERTICES, _GRID = 1000, 100
#: Balancing on an edge is not resting: this part of the face's size is its margin, and so is what
#: tips over when it is tilted by half the angle within which facets are one face.
_MARGIN = 0.02
#: Cosine of directions that are one.
_SAME_FACE = 0.9999


def resting_faces(vertices_m: np.ndarray, merge_deg: float = EXACT_DEG,
                  most: int | None = None) -> tuple[np.ndarray, np.ndarray]:
    """Stable resting faces of the convex hull of a body of uniform density.

    Hull facets whose normals are nearly parallel count as one face. A face is stable when the
    centre of mass projects into its inside.

    Args:
        vertices_m: (V, 3).
        merge_deg: facets within this angle are one face.
        most: keep the faces that a thrown body is most likely to come to rest on (by their solid
            angle seen from the centre of mass); None keeps all.

    Returns:
        Down directions (R, 3) in the object frame, upright (-z) first where it is stable, and the
        origin's height (R,) above the plane, at which the lowest vertex touches it.
    """
    hull = coarse_hull(np.asarray(vertices_m, float))
    centre = hull_centre_of_mass(hull)
    corners = hull.points[hull.simplices]
    normals = hull.equations[:, :3]
    areas = np.linalg.norm(np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0]),
                           axis=1) / 2
    free = areas > 0
    cosine = np.cos(np.radians(merge_deg))
    found = []
    for seed in np.argsort(-areas.round(12), kind='stable'):
        if not free[seed]:
            continue
        members = free & (normals @ normals[seed] >= cosine)
        free &= ~members
        # The mean, because the largest facet of a bumpy face may be tilted itself.
        normal = (normals[members] * areas[members, None]).sum(0)
        normal /= np.linalg.norm(normal)
        face = corners[members].reshape(-1, 3)
        drop = max(float((hull.points @ normal).max() - centre @ normal), 1e-12)
        if _contains_projection(face, normal, centre, np.tan(np.radians(merge_deg / 2)) * drop):
            found.append((areas[members].sum() / drop ** 2, normal))
    if most is not None:
        found = sorted(found, key=lambda item: -item[0])[:most]
    found.sort(key=lambda item: tuple(item[1][[2, 0, 1]].round(6)))
    # Heights of the given vertices: the coarser hull must not let the body sink into the table.
    downs = np.array([normal for _, normal in found]).reshape(-1, 3)
    return downs, (downs @ np.asarray(vertices_m, float).T).max(1) if len(downs) else np.empty(0)


def tumbled_faces(model: ObjectModel) -> list[np.ndarray]:
    """Down directions (N, 3) of the faces other than the upright one, a list entry for each look.

    Faces that a symmetry maps onto each other look alike: a box has six, and three looks. Without
    this, a long prism would hardly ever stand on its end among its four sides.
    """
    downs = model.resting_downs
    symmetries = model.symmetry.transforms[:, :3, :3]
    upright = (symmetries @ [0.0, 0.0, -1.0] @ downs.T).max(0) > _SAME_FACE
    if model.symmetry.continuous_about_z:
        upright |= np.abs(downs[:, 2] + 1) < 1 - _SAME_FACE
    free = ~upright
    looks = []
    while free.any():
        first = downs[np.flatnonzero(free)[0]]
        alike = (symmetries @ first @ downs.T).max(0) > _SAME_FACE
        if model.symmetry.continuous_about_z:       # the sampled turns need not hit a side
            alike |= np.abs(downs[:, 2] - first[2]) < 1 - _SAME_FACE
        looks.append(downs[free & alike])
        free &= ~alike
    return looks


def round_resting_faces(vertices_m: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Stable resting faces of a body that is round about z, from its outline (distance, height).

    The outline is what remains of the bumps of a scan when the body is turned. A side is given
    as ``ROUND_SIDES`` directions of exactly one tilt, as those of a primitive.

    Returns:
        As ``resting_faces``.
    """
    vertices = np.asarray(vertices_m, float)
    radius, z = np.hypot(vertices[:, 0], vertices[:, 1]), vertices[:, 2]
    hull = ConvexHull(np.column_stack([np.append(radius, -radius), np.append(z, z)]))
    ring = hull.points[hull.vertices]               # counter-clockwise
    along = np.roll(ring, -1, 0) - ring
    angles = np.arctan2(-along[:, 0], along[:, 1])  # of the outward normal, from the radius to z
    lengths = np.linalg.norm(along, axis=1)
    height_m = _round_centre_height(ring)
    free = (lengths > 0) & (np.cos(angles) > -1e-9)     # the left half mirrors the right one
    found = []
    for seed in np.argsort(-lengths.round(12), kind='stable'):
        if not free[seed]:
            continue
        members = free & (np.abs(angles - angles[seed]) <= np.radians(SCAN_DEG))
        free &= ~members
        angle = float(np.average(angles[members], weights=lengths[members]))
        if np.pi / 2 - abs(angle) < np.radians(SCAN_DEG):
            angle = np.copysign(np.pi / 2, angle)       # a base, not a side
        normal = np.array([np.cos(angle), np.sin(angle)])
        ends = np.concatenate([ring[members], (ring + along)[members]])
        if abs(angle) == np.pi / 2:
            ends = np.concatenate([ends, ends * [-1, 1]])
        reach = ends @ [-normal[1], normal[0]]
        drop = max((ring @ normal).max() - height_m * normal[1], 1e-12)
        margin = max(_MARGIN * np.ptp(reach), np.tan(np.radians(SCAN_DEG / 2)) * drop)
        if reach.min() + margin < height_m * normal[0] < reach.max() - margin:
            found.append((np.ptp(reach) * max(np.cos(angle), 0.5) / drop, normal))
    found = sorted(found, key=lambda item: -item[0])[:MAX_TILTS]
    turns = 2 * np.pi * np.arange(ROUND_SIDES) / ROUND_SIDES
    downs = [np.column_stack([normal[0] * np.cos(turns), normal[0] * np.sin(turns),
                              np.full(ROUND_SIDES, normal[1])]) if normal[0] > 1e-9
             else np.array([[0, 0, np.sign(normal[1])]])
             for _, normal in sorted(found, key=lambda item: item[1][1])]
    heights = [np.full(len(down), (ring @ [np.hypot(*down[0, :2]), down[0, 2]]).max())
               for down in downs]
    if not downs:
        return np.empty((0, 3)), np.empty(0)
    return np.concatenate(downs), np.concatenate(heights)


def hull_centre_of_mass(hull: ConvexHull) -> np.ndarray:
    """Centre of mass (3,) of a convex hull of uniform density."""
    inner = hull.points[hull.vertices].mean(0)
    corners = hull.points[hull.simplices] - inner
    volumes = np.abs(np.linalg.det(corners))
    return inner + (corners.sum(1) / 4 * volumes[:, None]).sum(0) / volumes.sum()


def _round_centre_height(ring: np.ndarray) -> float:
    """Height of the centre of mass of the body that an outline (N, 2; distance, z) sweeps."""
    z = np.linspace(ring[:, 1].min(), ring[:, 1].max(), 513)
    upper = ring[ring[:, 0] >= 0]
    order = np.argsort(upper[:, 1], kind='stable')
    area = np.interp(z, upper[order, 1], upper[order, 0]) ** 2
    return float((area * z).sum() / max(area.sum(), 1e-300))


def coarse_hull(vertices: np.ndarray) -> ConvexHull:
    """Return the convex hull of vertices (V, 3), of not much more than a thousand corners."""
    hull = ConvexHull(vertices)
    if len(hull.vertices) <= _MAX_HULL_VERTICES:
        return hull
    points = hull.points[hull.vertices]
    # One corner a cell, the one farthest from the middle: flat faces stay flat.
    cells = np.floor((points - points.min(0)) / np.ptp(points, axis=0).max() * _GRID).astype(int)
    order = np.argsort(-np.linalg.norm(points - points.mean(0), axis=1), kind='stable')
    for grid in (_GRID, _GRID // 2, _GRID // 4, _GRID // 8):
        _, first = np.unique(cells[order] * grid // _GRID, axis=0, return_index=True)
        if len(first) <= _MAX_HULL_VERTICES:
            break
    return ConvexHull(points[order[first]])


def _contains_projection(members: np.ndarray, normal: np.ndarray, point: np.ndarray,
                         least_margin: float) -> bool:
    helper = np.eye(3)[int(np.argmin(np.abs(normal)))]
    u = np.cross(normal, helper)
    u /= np.linalg.norm(u)
    v = np.cross(normal, u)
    flat = np.stack([members @ u, members @ v], axis=1)
    projected = np.array([point @ u, point @ v])
    if (projected < flat.min(0)).any() or (projected > flat.max(0)).any():
        return False
    try:
        polygon = ConvexHull(flat)
    except QhullError:      # a sliver between two facets
        return False
    margin = max(_MARGIN * np.ptp(flat, axis=0).min(), least_margin)
    return bool((polygon.equations[:, :2] @ projected + polygon.equations[:, 2] < -margin).all())
