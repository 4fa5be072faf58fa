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

"""Random materials: colours, pattern or picture, roughness, metalness."""

from __future__ import annotations

from collections.abc import Container
import colorsys
from dataclasses import replace
import zlib

import numpy as np
from sim_trainer.configuration.laws import Chance
from sim_trainer.configuration.randomization import TextureConfig
from sim_trainer.rendering.patterns import PATTERN_COUNT
from sim_trainer.scene.record import Body, Material

_STREAM = zlib.crc32(b'texture')
#: Least and largest repeat (m) of the pattern on each kind of body.
PATTERN_SCALE_M = {'object': (0.01, 0.15), 'distractor': (0.01, 0.15), 'mark': (0.01, 0.2),
                   'arm': (0.02, 0.4), 'table': (0.08, 1.2), 'room': (0.1, 2.0)}
#: Colours of a scene without randomized textures.
_NOMINAL = {'object': (0.75, 0.35, 0.2), 'distractor': (0.25, 0.45, 0.65),
            'mark': (0.9, 0.9, 0.9), 'arm': (0.9, 0.5, 0.1), 'table': (0.6, 0.55, 0.5),
            'room': (0.7, 0.7, 0.7)}


def plain_material(kind: str) -> Material:
    """Return the nominal material of a kind of body."""
    color = _NOMINAL[kind]
    return Material(color, color, 0, 0.1, 0.0, (0.0, 0.0), 0, 0.0, 0.6, 0.0, 0.5)


class Painter:
    """Draws materials by the law of a configuration."""

    def __init__(self, config: TextureConfig, seed: int, picture_count: int) -> None:
        """Take a law.

        Args:
            config: the law.
            seed: decides the textures where their number is limited.
            picture_count: the user's pictures, numbered from 0.
        """
        self._config, self._seed, self._picture_count = config, seed, picture_count

    def paint(self, rng: np.random.Generator, kind: str,
              color: tuple[float, float, float] | None = None, spread: float = 0.0) -> Material:
        """Return a material for a body.

        Args:
            rng: decides.
            kind: of ``record.KINDS``.
            color: what is known of its colour, sRGB 0...1.
            spread: standard deviation of that.
        """
        material = self._any(rng, kind)
        return material if color is None else _recolored(rng, material, color, spread)

    def _any(self, rng: np.random.Generator, kind: str) -> Material:
        if not self._config.enabled:
            return plain_material(kind)
        if self._config.count:
            texture = int(rng.integers(self._config.count))
            rng = np.random.default_rng([self._seed, _STREAM, texture])
        return self._draw(rng, kind)

    def _draw(self, rng: np.random.Generator, kind: str) -> Material:
        config = self._config
        surroundings = kind in ('table', 'room')
        color_a = random_color(rng)
        if (config.plain_surroundings if surroundings else config.plain).happens(rng):
            color_b = color_a
        elif rng.random() < 0.5:
            # Close tones: wood, stone, cloth. The paper's two independent colours are the rest.
            shift = rng.uniform(-0.25, 0.25) + rng.normal(0, 0.05, 3)
            color_b = tuple(float(c) for c in np.clip(np.array(color_a) + shift, 0, 1))
        else:
            color_b = random_color(rng)
        low, high = np.log(PATTERN_SCALE_M[kind])
        material = Material(
            color_a, color_b, int(rng.integers(PATTERN_COUNT)),
            float(np.exp(rng.uniform(low, high))), float(rng.uniform(0, np.pi)),
            tuple(float(c) for c in rng.random(2)), int(rng.integers(PATTERN_COUNT)),
            float(rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.0),
            config.roughness.sample(rng),
            config.metalness.sample(rng) if config.metal.happens(rng) else 0.0,
            config.specular.sample(rng))
        if self._picture_count and config.pictured.happens(rng):
            return pictured(material, int(rng.integers(self._picture_count)), rng)
        return material


def with_alike(rng: np.random.Generator, bodies: tuple[Body, ...], chance: Chance,
               known: Container[str] = ()) -> tuple[Body, ...]:
    """Return the bodies; some things take nearly the colours of the table or of another thing.

    Two colours drawn at random are seldom near each other; on tables, things often are.

    Args:
        rng: decides.
        bodies: painted.
        chance: for each thing.
        known: names of objects that keep the colour they have.
    """
    tables = [body.material for body in bodies if body.kind == 'table']
    things = [i for i, body in enumerate(bodies) if body.kind in ('object', 'distractor')]
    result = list(bodies)
    for i in things:
        if not chance.happens(rng) or (bodies[i].object_name or None) in known:
            continue
        others = [bodies[j].material for j in things if j != i]
        models = tables if tables and (not others or rng.random() < 0.6) else others
        if not models:
            continue
        model = models[int(rng.integers(len(models)))]
        own = bodies[i].material
        if max(model.picture, own.picture) >= 0:        # what it looks like is in the picture
            continue
        shade = rng.normal(0, 0.03)
        colors = [tuple(float(c) for c in np.clip(
            np.array(color) + shade + rng.normal(0, 0.01, 3), 0, 1))
            for color in (model.color_a, model.color_b)]
        if rng.random() < 0.5:
            own = replace(own, color_a=colors[0], color_b=colors[0])
        else:
            own = replace(model, color_a=colors[0], color_b=colors[1], decals=own.decals)
        result[i] = replace(bodies[i], material=own)
    return tuple(result)


def _recolored(rng: np.random.Generator, material: Material, color: tuple[float, float, float],
               spread: float) -> Material:
    """Return the material in a known colour: patterns in its tones, no picture, no metal."""
    own = np.array(color) + rng.normal(0, spread) + rng.normal(0, spread / 3, 3)
    other = own if material.color_b == material.color_a else own + rng.normal(0, 0.1)
    first, second = (tuple(float(c) for c in np.clip(tone, 0, 1)) for tone in (own, other))
    return replace(material, color_a=first, color_b=second, metalness=0.0, picture=-1)


def pictured(material: Material, picture: int, rng: np.random.Generator) -> Material:
    """Return the material with a picture for its colour, slightly tinted."""
    tint = tuple(float(c) for c in np.clip(rng.uniform(0.6, 1.0) * rng.uniform(0.85, 1.0, 3),
                                           0, 1))
    return replace(material, color_a=tint, color_b=tint, grain_strength=0.0, picture=picture)


def random_color(rng: np.random.Generator) -> tuple[float, float, float]:
    """Return an sRGB colour: half the time from anywhere, half of the muted kind of rooms."""
    if rng.random() < 0.5:
        return tuple(float(c) for c in rng.random(3))
    saturation = rng.beta(1.2, 2.5)
    return tuple(float(c) for c in colorsys.hsv_to_rgb(rng.random(), saturation,
                                                       rng.uniform(0.12, 1.0)))
