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

"""One picture of what ``check`` found of an object: its sides, symmetries, resting poses."""

from __future__ import annotations

from collections.abc import Iterable

import cv2
from dr_perception.core.objects import ObjectModel
from dr_perception.core.resting import rotation_to_down
import numpy as np
from sim_trainer.lab.resting_chances import RestingChance
from sim_trainer.lab.splatting import draw_splats, PAPER, Splats, View, view_from
from sim_trainer.objects.found_symmetry import axis_text, FoundSymmetry
from sim_trainer.objects.mesh_file import MeshFile
from sim_trainer.objects.rotation_groups import turn
from sim_trainer.objects.surface import Surface

SIDE_PX, COLUMNS = 240, 6
_FONT, _INK = cv2.FONT_HERSHEY_SIMPLEX, (30, 30, 30)
_AXES_RGB = ((220, 30, 30), (20, 150, 40), (40, 80, 230))
_TABLE_RGB = (222, 214, 200)
_SYMMETRY_RGB, _KEYPOINT_RGB = (190, 20, 190), (240, 120, 0)
#: Stands off by nothing, by the tolerance, by three times that.
_HEAT = np.array([[0.45, 0.78, 0.48], [0.98, 0.85, 0.25], [0.90, 0.15, 0.12]])
#: The eye of the oblique views, from the object.
_OBLIQUE = np.array([-0.55, -1.0, 0.65])
_SIDES = (('from -y', (0, -1, 0)), ('from +x', (1, 0, 0)), ('from +y', (0, 1, 0)),
          ('from -x', (-1, 0, 0)), ('from above', (0, 0, 1)))


def object_sheet(mesh: MeshFile, model: ObjectModel, found: FoundSymmetry,
                 ways: Iterable[RestingChance]) -> np.ndarray:
    """Return a contact sheet (H, W, 3) uint8 RGB.

    Args:
        mesh: in the object frame, as it is drawn.
        model: the object as the trainer has it.
        found: its symmetry.
        ways: how it rests.
    """
    splats = Splats.of(mesh)
    low, high = mesh.vertices_m.min(0), mesh.vertices_m.max(0)
    middle = (low + high) / 2
    px_per_m = 0.80 * SIDE_PX / max(float(np.linalg.norm(high - low)), 1e-9)
    reach_m = 0.62 * float(np.ptp(mesh.vertices_m, axis=0).max())
    rows = [_sides(splats, model, found, middle, px_per_m, reach_m),
            _copies(mesh, splats, found, middle, px_per_m),
            _resting(splats, model, list(ways), middle, px_per_m)]
    return np.vstack([_row(panels) for panels in rows if panels])


def _sides(splats: Splats, model: ObjectModel, found: FoundSymmetry, middle: np.ndarray,
           px_per_m: float, reach_m: float) -> list[np.ndarray]:
    panels = []
    for text, direction in _SIDES:
        up = np.array([0, 1.0, 0]) if direction[2] else np.array([0, 0, 1.0])
        view = view_from(np.array(direction), up, middle, px_per_m, SIDE_PX)
        image = draw_splats(splats, view)
        _draw_axes(image, view, reach_m)
        panels.append(_captioned(image, text))
    view = view_from(_OBLIQUE, np.array([0, 0, 1.0]), middle, px_per_m, SIDE_PX)
    image = draw_splats(splats, view)
    for axis, order in found.axes[:13]:
        ends = found.centre_m + np.outer([-1.25, 1.25], axis) * reach_m
        a, b = view.project(ends)
        _line(image, a, b, _SYMMETRY_RGB, 1)
        _text(image, 'any' if order == 0 else str(order), b, _SYMMETRY_RGB)
    for i, point in enumerate(view.project(model.keypoints_m)):
        _dot(image, point, _KEYPOINT_RGB)
        _text(image, str(i), point + [3, -3], _KEYPOINT_RGB)
    panels.append(_captioned(image, f'keypoints, axes ({found.name})'))
    return panels


def _copies(mesh: MeshFile, splats: Splats, found: FoundSymmetry, middle: np.ndarray,
            px_per_m: float) -> list[np.ndarray]:
    """Draw turned copies, coloured by how far each place stands off the object itself."""
    surface = Surface(mesh.vertices_m, mesh.faces)
    nearest = surface.nearest(splats.points_m)
    tried = [(text, T, '') for text, T in generators(found)]
    tried += [(miss.text, miss.T, 'no: ') for miss in found.near_misses]
    view = view_from(_OBLIQUE, np.array([0, 0, 1.0]), middle, px_per_m, SIDE_PX)
    panels = []
    tried = tried[:COLUMNS - 1] + tried[-1:] if len(tried) > COLUMNS else tried
    for text, T, verdict in tried:
        stands_off_m = surface.misfit_m(T)
        by_picture = bool(verdict) and stands_off_m <= found.tolerance_m
        moved = surface.points_m @ T[:3, :3].T + T[:3, 3]
        apart = surface.distances_of(moved)[nearest] / found.tolerance_m
        colors = np.stack([np.interp(apart, [0, 1, 3], _HEAT[:, c]) for c in range(3)], axis=1)
        turned = Splats(splats.points_m @ T[:3, :3].T + T[:3, 3], splats.normals @ T[:3, :3].T,
                        splats.colors if by_picture else colors)
        image = draw_splats(turned, view)
        panels.append(_captioned(image, f'{verdict}{text}', 'the picture differs' if by_picture
                                 else f'stands off {1000 * stands_off_m:.2f} mm'))
    return panels


def generators(found: FoundSymmetry) -> list[tuple[str, np.ndarray]]:
    """Return turns that make up a group: words and transform of the least turn of each axis."""
    shown = []
    for axis, order in found.axes:
        R = turn(axis, 1.0 if order == 0 else 2 * np.pi / order)
        T = np.eye(4)
        T[:3, :3], T[:3, 3] = R, found.centre_m - R @ found.centre_m
        words = 'any turn' if order == 0 else f'1/{order} turn'
        shown.append((f'{words} about {axis_text(axis)}', T))
    return shown


def _resting(splats: Splats, model: ObjectModel, ways: list[RestingChance], middle: np.ndarray,
             px_per_m: float) -> list[np.ndarray]:
    panels = []
    for way in ways[:COLUMNS]:
        R = rotation_to_down(way.down)
        turned = Splats(splats.points_m @ R.T, splats.normals @ R.T, splats.colors)
        low = float(turned.points_m[:, 2].min())
        view = view_from(np.array([-0.45, -1.0, 0.22]), np.array([0, 0, 1.0]), R @ middle,
                         px_per_m, SIDE_PX)
        image = draw_splats(turned, view)
        centre = (turned.points_m.min(0) + turned.points_m.max(0)) / 2
        half = 0.62 * np.ptp(turned.points_m[:, :2], axis=0)
        square = np.array([[-1, -1], [1, -1], [1, 1], [-1, 1]]) * half + centre[:2]
        corners = view.project(np.column_stack([square, np.full(4, low)]))
        _fill_paper(image, corners)
        faces = f', {way.face_count} faces alike' if way.face_count > 1 else ''
        panels.append(_captioned(image, f'rests: {100 * way.chance:.0f} %{faces}'))
    return panels


def _fill_paper(image: np.ndarray, corners: np.ndarray) -> None:
    """Draw a table where nothing has been drawn yet."""
    table = np.zeros(image.shape[:2], np.uint8)
    cv2.fillConvexPoly(table, np.round(corners).astype(np.int32), 1)
    image[(table == 1) & (image == PAPER).all(2)] = _TABLE_RGB


def _row(panels: list[np.ndarray]) -> np.ndarray:
    blank = np.full((SIDE_PX, SIDE_PX, 3), PAPER, np.uint8)
    panels = panels[:COLUMNS] + [blank] * (COLUMNS - len(panels[:COLUMNS]))
    return np.hstack(panels)


def _captioned(image: np.ndarray, *lines: str) -> np.ndarray:
    for i, line in enumerate(lines):
        cv2.putText(image, line, (6, 15 + 15 * i), _FONT, 0.40, _INK, 1, cv2.LINE_AA)
    cv2.rectangle(image, (0, 0), (SIDE_PX - 1, SIDE_PX - 1), (200, 200, 200), 1)
    return image


def _draw_axes(image: np.ndarray, view: View, reach_m: float) -> None:
    ends = view.project(np.vstack([np.zeros(3), np.eye(3) * reach_m]))
    for tip, color, name in zip(ends[1:], _AXES_RGB, 'xyz'):
        if np.linalg.norm(tip - ends[0]) > 3:
            _line(image, ends[0], tip, color, 2)
            _text(image, name, tip + [2, -2], color)
    _dot(image, ends[0], _INK)


def _line(image: np.ndarray, a: np.ndarray, b: np.ndarray, color: tuple[int, int, int],
          thickness: int) -> None:
    start, end = (tuple(int(round(16 * float(np.clip(v, -2000, 2000)))) for v in p)
                  for p in (a, b))
    cv2.line(image, start, end, color, thickness, cv2.LINE_AA, 4)


def _dot(image: np.ndarray, at: np.ndarray, color: tuple[int, int, int]) -> None:
    cv2.circle(image, tuple(int(round(float(v))) for v in np.clip(at, -2000, 2000)), 3, color, -1,
               cv2.LINE_AA)


def _text(image: np.ndarray, text: str, at: np.ndarray, color: tuple[int, int, int]) -> None:
    place = (int(np.clip(at[0], 2, SIDE_PX - 24)), int(np.clip(at[1], 24, SIDE_PX - 4)))
    cv2.putText(image, text, place, _FONT, 0.38, (255, 255, 255), 3, cv2.LINE_AA)
    cv2.putText(image, text, place, _FONT, 0.38, color, 1, cv2.LINE_AA)
