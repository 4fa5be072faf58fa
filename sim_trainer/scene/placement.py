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

"""Where things stand on the table: anywhere, close together, or in front of one another."""

from __future__ import annotations

from dataclasses import dataclass, field
import math

from dr_perception.core.transforms import make_transform, rotation_from_quat_xyzw
import numpy as np

#: Attempts to find room for a thing before it is left out.
TRIES = 30
GAP_M = 0.002


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """Return a rotation uniform over all of SO(3) (a normalized 4-D normal is uniform)."""
    return rotation_from_quat_xyzw(rng.normal(size=4))


@dataclass
class Table:
    """The workspace with the footprints (discs) of what already stands on it."""

    low_m: np.ndarray
    high_m: np.ndarray
    #: (3,) position of the camera
    camera_m: np.ndarray
    #: (x, y, radius) of each disc, metres; plain numbers, because there are few of them
    discs: list[tuple[float, float, float]] = field(default_factory=list)

    @property
    def toward_camera(self) -> np.ndarray:
        """Horizontal direction (2,) from the middle of the table to the camera."""
        away = self.camera_m[:2] - (self.low_m + self.high_m) / 2
        return away / max(float(np.linalg.norm(away)), 1e-9)

    def slope_to_camera(self, place_m: np.ndarray) -> float:
        """Rise per run of the line from a place (2,) on the table to the camera."""
        away = self.camera_m[:2] - place_m
        return float(self.camera_m[2]) / max(float(np.linalg.norm(away)), 1e-3)

    def find_room(self, rng: np.random.Generator, radius_m: float, crowded: bool,
                  in_front: bool = False) -> np.ndarray | None:
        """Return a free place (2,) for a disc, or None; it is taken at once.

        Args:
            rng: generator of this draw.
            radius_m: footprint.
            crowded: right beside a thing that already stands there.
            in_front: beside it on the camera's side, so that it hides the thing.
        """
        (x0, y0), (x1, y1) = self.low_m, self.high_m
        for _ in range(TRIES):
            if crowded and self.discs:
                x, y, other = self.discs[int(rng.integers(len(self.discs)))]
                angle = rng.uniform(-math.pi, math.pi)
                if in_front:
                    angle = self._bearing(x, y) + rng.normal(0, 0.4)
                reach = radius_m + other + GAP_M + rng.exponential(0.015)
                x, y = x + reach * math.cos(angle), y + reach * math.sin(angle)
            else:
                u, v = rng.random(2)
                x, y = x0 + u * (x1 - x0), y0 + v * (y1 - y0)
            if x0 <= x <= x1 and y0 <= y <= y1 and self._take(x, y, radius_m):
                return np.array([x, y])
        return None

    def take_in_front(self, rng: np.random.Generator, place_m: np.ndarray, hidden_radius_m: float,
                      radius_m: float) -> np.ndarray | None:
        """Return a free place (2,) between a thing and the camera, or None.

        It may be off the table's workspace: what hides things stands anywhere.
        """
        bearing = self._bearing(float(place_m[0]), float(place_m[1]))
        for _ in range(6):
            angle = bearing + rng.normal(0, 0.35)
            reach = radius_m + hidden_radius_m + GAP_M + rng.exponential(0.01)
            x = float(place_m[0]) + reach * math.cos(angle)
            y = float(place_m[1]) + reach * math.sin(angle)
            if self._take(x, y, radius_m):
                return np.array([x, y])
        return None

    def _bearing(self, x_m: float, y_m: float) -> float:
        """Direction (radians) of the camera, seen from a place."""
        return math.atan2(float(self.camera_m[1]) - y_m, float(self.camera_m[0]) - x_m)

    def _take(self, x: float, y: float, radius_m: float) -> bool:
        if any(math.hypot(x - a, y - b) <= radius_m + r + GAP_M for a, b, r in self.discs):
            return False
        self.discs.append((x, y, radius_m))
        return True


def footprint_radius(vertices_m: np.ndarray, R_base_body: np.ndarray) -> float:
    """Radius (m) of the disc round the origin that holds the body seen from above."""
    flat = vertices_m @ R_base_body[:2].T
    return float(np.sqrt((flat * flat).sum(1).max()))


def standing_pose(vertices_m: np.ndarray, R_base_body: np.ndarray, place: np.ndarray
                  ) -> np.ndarray:
    """``T_base_body`` with the lowest vertex on z = 0 at a place (2,) of the table."""
    lowest = float((vertices_m @ R_base_body[2]).min())
    return make_transform(R_base_body, [place[0], place[1], -lowest])
