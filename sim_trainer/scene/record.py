"""The drawn scene: frozen values from which a picture can be drawn again.

Frames: everything is in ``base`` (x forward, z up, table top at z = 0), metres. Colours are sRGB
0...1, light intensities linear.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from dr_perception.core.camera import PinholeCamera


@dataclass(frozen=True)
class Material:
    """How a surface looks: two colours mixed by a pattern, and how it reflects."""

    color_a: tuple[float, float, float]
    color_b: tuple[float, float, float]
    pattern: int
    pattern_scale_m: float
    pattern_angle_rad: float
    pattern_offset: tuple[float, float]
    grain: int
    grain_strength: float
    roughness: float
    metalness: float
    specular: float


@dataclass(frozen=True)
class Body:
    """A mesh in the scene. ``object_name`` is '' for everything that is not to be localized."""

    mesh: str
    T_base_body: np.ndarray
    scale: tuple[float, float, float]
    material: Material
    object_name: str = ''
    casts_shadow: bool = True


@dataclass(frozen=True)
class Light:
    """A lamp at a position; ``softness_m`` is the width of its shadow's edge on the table."""

    position_m: tuple[float, float, float]
    color: tuple[float, float, float]
    softness_m: float


@dataclass(frozen=True)
class SceneRecord:
    """One scene. The first two lights cast shadows."""

    bodies: tuple[Body, ...]
    lights: tuple[Light, ...]
    sky_color: tuple[float, float, float]
    ground_color: tuple[float, float, float]
    occlusion_strength: float
    exposure: float
    camera: PinholeCamera
    T_base_camera: np.ndarray

    @property
    def instances(self) -> tuple[Body, ...]:
        """The bodies to be localized, in the order of their instance ids 1, 2, ..."""
        return tuple(body for body in self.bodies if body.object_name)
