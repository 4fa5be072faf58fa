"""Random materials: colours, pattern, roughness, metalness."""

from __future__ import annotations

import colorsys

import numpy as np

from sim_trainer.rendering.patterns import PATTERN_COUNT
from sim_trainer.scene.record import Material


def random_color(rng: np.random.Generator) -> tuple[float, float, float]:
    """An sRGB colour: half of them anywhere in the cube, half of the muted kind rooms hold."""
    if rng.random() < 0.5:
        return tuple(float(c) for c in rng.random(3))
    saturation = rng.beta(1.2, 2.5)
    return tuple(float(c) for c in colorsys.hsv_to_rgb(rng.random(), saturation,
                                                       rng.uniform(0.12, 1.0)))


def random_material(rng: np.random.Generator, pattern_scale_m: tuple[float, float],
                    plain_probability: float) -> Material:
    """A material.

    Args:
        rng: generator of this draw.
        pattern_scale_m: least and largest repeat of the pattern (log-uniform).
        plain_probability: chance of one colour without a pattern.
    """
    color_a = random_color(rng)
    plain = rng.random() < plain_probability
    if plain:
        color_b = color_a
    elif rng.random() < 0.5:
        # Close tones: wood, stone, cloth. The paper's two independent colours are the other half.
        shift = rng.uniform(-0.25, 0.25) + rng.normal(0, 0.05, 3)
        color_b = tuple(float(c) for c in np.clip(np.array(color_a) + shift, 0, 1))
    else:
        color_b = random_color(rng)
    low, high = pattern_scale_m
    roughness = float(rng.uniform(0.12, 1.0) if rng.random() < 0.6 else rng.uniform(0.5, 1.0))
    return Material(
        color_a, color_b, int(rng.integers(PATTERN_COUNT)),
        float(np.exp(rng.uniform(np.log(low), np.log(high)))),
        float(rng.uniform(0, np.pi)), tuple(float(c) for c in rng.random(2)),
        int(rng.integers(PATTERN_COUNT)),
        float(rng.uniform(0, 0.5) if rng.random() < 0.4 else 0.0),
        roughness, float(rng.uniform(0.5, 1.0) if rng.random() < 0.15 else 0.0),
        float(rng.uniform(0.0, 1.0)))
