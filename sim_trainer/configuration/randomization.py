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

"""The laws of the randomizers: one section of the scene YAML each, every key with its meaning.

What a section leaves out has the default given here. ``enabled: false`` turns a factor off: its
nominal value is then in every picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from sim_trainer.configuration.distractors import DistractorConfig
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.sensor import BackgroundConfig, SensorConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.rendering.patterns import FAMILIES, HELD_OUT_FAMILIES
from sim_trainer.rendering.shaders import MAX_LIGHTS


def _within(name: str, law: Range, low: float, high: float, unit: str = '') -> None:
    if law.low < low or law.high > high:
        raise ConfigurationError(f'randomization.{name}: [{law.low:g}, {law.high:g}]; expected '
                                 f'values of {low:g}...{high:g}{unit and " " + unit}')


@dataclass(frozen=True)
class PlacementConfig:
    """The objects to localize: how many, and how they stand."""

    #: objects in one picture, each kind once while there are kinds left
    count: Range = Range(2, 8)
    #: chance that an object lies on another of its stable faces instead of upright
    tumbled: Chance = Chance(0.25)
    #: chance that all is dropped and settles by physics: leaning, on each other
    dropped: Chance = Chance(0.1)
    #: chance that things stand close together, so that they hide each other
    crowded: Chance = Chance(0.4)
    #: chance that an object gets a tall thing right between it and the camera
    hidden: Chance = Chance(0.25)
    #: chance that one kind is there twice
    repeated: Chance = Chance(0.15)

    def __post_init__(self) -> None:
        _within('objects.count', self.count, 0, 100)


@dataclass(frozen=True)
class TextureConfig:
    """Colours, patterns and how surfaces reflect."""

    #: false: plain colours, the same in every picture
    enabled: bool = True
    #: distinct textures in all pictures; 0 for no limit
    count: int = 0
    #: pattern families. The paper's: flat, gradient, checker. marble, terrazzo and weave are kept
    #: for validation unless named here
    families: tuple[str, ...] = tuple(FAMILIES)
    #: chance that an object or distractor has one colour without a pattern
    plain: Chance = Chance(0.5)
    #: the same for table, floor and walls
    plain_surroundings: Chance = Chance(0.3)
    #: folder of pictures (jpg, png, ...) that surfaces are covered with as well
    pictures: str | None = None
    #: chance that a surface shows one of these pictures
    pictured: Chance = Chance(0.25)
    #: 0 a mirror, 1 chalk
    roughness: Range = Range(0.12, 1.0)
    #: chance of a metal, and how metallic it is
    metal: Chance = Chance(0.15)
    metalness: Range = Range(0.5, 1.0)
    #: strength of reflections of what is not metal
    specular: Range = Range(0.0, 1.0)
    #: chance that an object or distractor has nearly the colours of the table or of another one:
    #: white parts on a white table. Not of objects whose colour is given
    alike: Chance = Chance(0.15)
    #: chance that an object or distractor carries tape, labels or print (OpenGL only)
    decals: Chance = Chance(0.0)

    def __post_init__(self) -> None:
        if self.count < 0:
            raise ConfigurationError(f'randomization.textures.count: {self.count}; expected 1 or '
                                     'more, or 0 for no limit')
        known = (*FAMILIES, *HELD_OUT_FAMILIES)
        if not self.families:
            raise ConfigurationError('randomization.textures.families: the list is empty; '
                                     f'expected some of {", ".join(known)}')
        for family in self.families:
            if family not in known:
                raise ConfigurationError(f'randomization.textures.families: unknown family '
                                         f'{family!r}; expected some of {", ".join(known)}')
        _within('textures.roughness', self.roughness, 0.02, 1)
        _within('textures.metalness', self.metalness, 0, 1)
        _within('textures.specular', self.specular, 0, 2)


@dataclass(frozen=True)
class LightingConfig:
    """Lamps, their shadows, and the light of the room."""

    #: false: one white lamp above the table, the same in every picture
    enabled: bool = True
    #: number of lamps
    count: Range = Range(1, 4)
    #: distance of the lamps from the workspace
    distance_m: Range = Range(0.6, 2.5)
    #: height of the lamps over the table, seen from the workspace
    elevation_deg: Range = Range(17, 80)
    #: part of the light that comes from the room instead of the lamps
    ambient_share: Range = Range(0.08, 0.6)
    #: saturation of the lamps' colour: 0 white, warm or cold
    saturation: Range = Range(0.0, 0.35)
    #: chance that a lamp is a spot, and the full angle of its beam
    spot: Chance = Chance(0.2)
    beam_deg: Range = Range(25, 90)
    #: strength of highlights, times the material's own
    specular: Range = Range(0.4, 1.6)
    #: chance that a lamp throws a shadow (the first two lamps can), and how dark it is
    shadow: Chance = Chance(0.9)
    shadow_strength: Range = Range(0.5, 1.0)
    #: width of a shadow's edge: small lamps throw hard shadows
    softness_m: Range = Range(0.002, 0.03)
    #: darkness under and beside things, where the room's light does not reach
    occlusion: Range = Range(0.2, 0.9)
    #: chance that there is a room to be mirrored by smooth surfaces, and how much its parts differ
    reflections: Chance = Chance(0.7)
    reflection_contrast: Range = Range(0.3, 1.0)
    #: exposure of the drawing, powers of two round a mid-grey picture
    exposure_stops: Range = Range(-1.3, 1.0)

    def __post_init__(self) -> None:
        if not 1 <= self.count.low <= self.count.high <= MAX_LIGHTS:
            raise ConfigurationError(
                f'randomization.lighting.count: [{self.count.low:g}, {self.count.high:g}]; '
                f'expected 1...{MAX_LIGHTS} lamps')
        _within('lighting.distance_m', self.distance_m, 0.2, 20, 'm')
        _within('lighting.elevation_deg', self.elevation_deg, 1, 90, 'degrees')
        _within('lighting.beam_deg', self.beam_deg, 5, 180, 'degrees')
        for name in ('ambient_share', 'saturation', 'shadow_strength', 'occlusion',
                     'reflection_contrast'):
            _within(f'lighting.{name}', getattr(self, name), 0, 1)
        _within('lighting.specular', self.specular, 0, 10)
        _within('lighting.softness_m', self.softness_m, 0, 0.2, 'm')
        _within('lighting.exposure_stops', self.exposure_stops, -6, 6, 'stops')


@dataclass(frozen=True)
class ViewpointConfig:
    """The camera's pose and lens round the nominal ones. Source: Tobin et al. 2017, III-B."""

    #: false: the nominal camera in every picture
    enabled: bool = True
    #: position, uniform in a box of these sides round the nominal
    box_m: tuple[float, float, float] = (0.26, 0.26, 0.20)
    #: the view direction is turned by up to this up, down, left and right
    turn_deg: float = 6.0
    #: the picture is turned by up to this about the view direction
    roll_deg: float = 6.0
    #: focal length scaled by up to this part
    zoom: float = 0.05

    def __post_init__(self) -> None:
        if min(self.box_m) < 0 or max(self.box_m) > 5:
            raise ConfigurationError(f'randomization.viewpoint.box_m: {list(self.box_m)}; '
                                     'expected sides of 0...5 m')
        for name, high in (('turn_deg', 60), ('roll_deg', 180), ('zoom', 0.9)):
            if not 0 <= getattr(self, name) <= high:
                raise ConfigurationError(f'randomization.viewpoint.{name}: '
                                         f'{getattr(self, name):g}; expected 0...{high:g}')


@dataclass(frozen=True)
class ArmConfig:
    """The robot in the picture."""

    #: chance that the arm stands in the scene
    present: Chance = Chance(0.6)
    #: chance of a bare column where there is no arm: other people's robots
    column: Chance = Chance(0.3)
    #: part of each joint's range that is used, round its middle
    joint_range: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.joint_range <= 1:
            raise ConfigurationError(f'randomization.arm.joint_range: {self.joint_range:g}; '
                                     'expected 0...1')


@dataclass(frozen=True)
class SurroundingsConfig:
    """Table, floor, walls and what else stands in the room."""

    #: false: a table of fixed size, floor and walls, nothing else
    enabled: bool = True
    #: how far the table goes on beyond the workspace, on each side; metres
    table_margin_m: Range = Range(0.0, 0.9)
    #: chance, for each side, that it ends right there instead: within 5 cm
    table_edge: Chance = Chance(0.2)
    #: boxes in the room
    boxes: Range = Range(0, 5)
    #: chance of flat things on the table (paper, tape, mats), and how many
    marked: Chance = Chance(0.4)
    marks: Range = Range(1, 7)

    def __post_init__(self) -> None:
        _within('surroundings.table_margin_m', self.table_margin_m, 0, 5)
        _within('surroundings.boxes', self.boxes, 0, 50)
        _within('surroundings.marks', self.marks, 0, 50)


@dataclass(frozen=True)
class RandomizationConfig:
    """What changes from picture to picture, one randomizer a key."""

    objects: PlacementConfig = field(default_factory=PlacementConfig)
    distractors: DistractorConfig = field(default_factory=DistractorConfig)
    textures: TextureConfig = field(default_factory=TextureConfig)
    lighting: LightingConfig = field(default_factory=LightingConfig)
    viewpoint: ViewpointConfig = field(default_factory=ViewpointConfig)
    arm: ArmConfig = field(default_factory=ArmConfig)
    surroundings: SurroundingsConfig = field(default_factory=SurroundingsConfig)
    background: BackgroundConfig = field(default_factory=BackgroundConfig)
    sensor: SensorConfig = field(default_factory=SensorConfig)
