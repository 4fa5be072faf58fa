"""Where things stand on the table: alone, crowded, on any stable face, or dropped by physics."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from dr_perception.core.transforms import make_transform, rotation_from_quat_xyzw

#: Attempts to find room for a thing before it is left out.
TRIES = 30
GAP_M = 0.002


def random_rotation(rng: np.random.Generator) -> np.ndarray:
    """A rotation uniform over all of SO(3) (a normalized 4-D normal is uniform)."""
    return rotation_from_quat_xyzw(rng.normal(size=4))


@dataclass
class Table:
    """The workspace with the footprints (discs) of what already stands on it."""

    low_m: np.ndarray
    high_m: np.ndarray
    toward_camera: np.ndarray
    discs: list[tuple[np.ndarray, float]] = field(default_factory=list)

    def find_room(self, rng: np.random.Generator, radius_m: float, crowded: bool,
                  in_front: bool = False) -> np.ndarray | None:
        """A free place (2,) for a disc, or None; it is taken at once.

        Args:
            rng: generator of this draw.
            radius_m: footprint.
            crowded: right beside a thing that already stands there.
            in_front: beside it on the camera's side, so that it hides the thing.
        """
        for _ in range(TRIES):
            if crowded and self.discs:
                centre, other = self.discs[int(rng.integers(len(self.discs)))]
                angle = rng.uniform(-np.pi, np.pi)
                if in_front:
                    angle = np.arctan2(*self.toward_camera[::-1]) + rng.normal(0, 0.4)
                reach = radius_m + other + GAP_M + rng.exponential(0.015)
                place = centre + reach * np.array([np.cos(angle), np.sin(angle)])
            else:
                place = rng.uniform(self.low_m, self.high_m)
            inside = (place >= self.low_m).all() and (place <= self.high_m).all()
            if inside and all(np.linalg.norm(place - c) > radius_m + r + GAP_M
                              for c, r in self.discs):
                self.discs.append((place, radius_m))
                return place
        return None


def footprint_radius(vertices_m: np.ndarray, R_base_body: np.ndarray) -> float:
    """Radius (m) of the disc round the origin that holds the body seen from above."""
    return float(np.linalg.norm((vertices_m @ R_base_body.T)[:, :2], axis=1).max())


def standing_pose(vertices_m: np.ndarray, R_base_body: np.ndarray, place: np.ndarray
                  ) -> np.ndarray:
    """``T_base_body`` with the lowest vertex on z = 0 at a place (2,) of the table."""
    lowest = float((vertices_m @ R_base_body[2]).min())
    return make_transform(R_base_body, [place[0], place[1], -lowest])
