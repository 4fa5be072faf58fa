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

"""The drawn scene: frozen values from which a picture can be drawn again.

Frames: everything is in ``base`` (x forward, z up, table top at z = 0), metres. Colours are sRGB
0...1, light intensities linear.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from dr_perception.core.camera import PinholeCamera
import numpy as np
from sim_trainer.scene.miscalibration import ToldView
from sim_trainer.sensor.background import BackgroundDraw
from sim_trainer.sensor.effects import SensorDraw


@dataclass(frozen=True, eq=False)
class Decal:
    """Tape, a label or print: colours the part of a surface that lies in a box.

    Attributes:
        box_from_body: (3, 4), metres of the body -> coordinates of the box, which are -1...1
            inside.
        color: of it.
        opacity: 1 hides what is below it.
        pattern: number of the pattern that thins it, as print does; -1 for none.
        pattern_scale_m: one repeat of that.
    """

    box_from_body: np.ndarray
    color: tuple[float, float, float]
    opacity: float
    pattern: int = -1
    pattern_scale_m: float = 0.01


@dataclass(frozen=True)
class Material:
    """How a surface looks: two colours mixed by a pattern, and how it reflects.

    ``picture`` is the number of a picture that colours the surface instead of the pattern, tinted
    by ``color_a``; -1 for none. ``decals`` lie on top, the last one highest.
    """

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
    picture: int = -1
    decals: tuple[Decal, ...] = ()


#: What a body is in the scene.
KINDS = ('object', 'distractor', 'mark', 'arm', 'table', 'room')


@dataclass(frozen=True)
class Body:
    """A mesh in the scene. ``object_name`` is '' for everything that is not to be localized."""

    mesh: str
    T_base_body: np.ndarray
    scale: tuple[float, float, float]
    material: Material
    object_name: str = ''
    casts_shadow: bool = True
    kind: str = 'object'


@dataclass(frozen=True)
class Light:
    """A lamp at a position.

    Attributes:
        position_m: in base.
        color: linear intensity at 1 m.
        softness_m: width of its shadow's edge on the table; the lamp's size decides it.
        target_m: the point it is turned to; of interest for spots alone.
        beam_deg: full angle of the beam; 360 shines all round.
        specular: strength of its highlights, 1 for the material's own.
        shadow: how much of its light is missing in its shadow, 0...1. Of the first two lights
            only: the others throw none.
    """

    position_m: tuple[float, float, float]
    color: tuple[float, float, float]
    softness_m: float
    target_m: tuple[float, float, float] = (0.0, 0.0, 0.0)
    beam_deg: float = 360.0
    specular: float = 1.0
    shadow: float = 1.0


@dataclass(frozen=True)
class Reflected:
    """What stands round the scene, as smooth surfaces mirror it: light and dark parts of a room.

    Attributes:
        pattern: number of the pattern that makes them.
        repeats: of the pattern, all the way round.
        turn: by which part of a full circle it is turned about z, 0...1.
        contrast: 0 an even room, 1 windows in the dark.
    """

    pattern: int
    repeats: int
    turn: float
    contrast: float


#: Half the height (m) of what usually stands on the table.
_MIDDLE_HEIGHT_M = 0.05


@dataclass(frozen=True)
class LitArea:
    """The part of the table that lamps stand round and that shadows fall on.

    Attributes:
        centre_m: the middle of the workspace on the table, in base.
        reach_m: half the width of the square round it that shadow maps cover.
    """

    centre_m: tuple[float, float, float] = (0.5, 0.0, 0.0)
    reach_m: float = 0.62

    @property
    def middle_m(self) -> np.ndarray:
        """The middle (3,) of what stands there, in base: shadow maps look at it."""
        return np.array(self.centre_m) + [0.0, 0.0, _MIDDLE_HEIGHT_M]


@dataclass(frozen=True)
class SceneRecord:
    """One scene. The first two lights can throw shadows.

    ``background`` is the picture that stands behind the scene, ``sensor`` what lens, sensor and
    camera software do to the drawn picture; None for neither. ``told`` is the view that a
    calibration with errors tells; None where it is without. ``reflected`` None is an even room.
    Records from before ``lit_area`` was written are of the area that it is by default.
    """

    bodies: tuple[Body, ...]
    lights: tuple[Light, ...]
    sky_color: tuple[float, float, float]
    ground_color: tuple[float, float, float]
    occlusion_strength: float
    exposure: float
    camera: PinholeCamera
    T_base_camera: np.ndarray
    background: BackgroundDraw | None = None
    sensor: SensorDraw | None = None
    told: ToldView | None = field(default=None, metadata={'optional': True})
    reflected: Reflected | None = field(default=None, metadata={'optional': True})
    lit_area: LitArea = field(default=LitArea(), metadata={'optional': True})

    @property
    def instances(self) -> tuple[Body, ...]:
        """The bodies to be localized, in the order of their instance ids 1, 2, ..."""
        return tuple(body for body in self.bodies if body.object_name)
