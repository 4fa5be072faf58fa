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

"""Tape, labels and print on things: real objects carry them, and their edges look like corners."""

from __future__ import annotations

from dataclasses import replace

from dr_perception.core.transforms import rotation_about
import numpy as np
from sim_trainer.rendering.patterns import PATTERN_COUNT
from sim_trainer.rendering.shaders import MAX_DECALS
from sim_trainer.scene.materials import random_color
from sim_trainer.scene.record import Body, Decal

#: Repeat (m) of the patterns that stand for print.
_PRINT_SCALE_M = (0.004, 0.03)
_TILT_RAD = 0.12


def with_decals(rng: np.random.Generator, body: Body, vertices: np.ndarray) -> Body:
    """Return the body with one to ``MAX_DECALS`` decals.

    Args:
        rng: decides.
        body: painted.
        vertices: (N, 3) of its mesh, before scaling.
    """
    points_m = vertices * np.asarray(body.scale)
    low_m, high_m = points_m.min(0), points_m.max(0)
    base = np.array(body.material.color_a)
    decals = tuple((_band if rng.random() < 0.4 else _label)(rng, low_m, high_m, base)
                   for _ in range(int(rng.integers(1, MAX_DECALS + 1))))
    return replace(body, material=replace(body.material, decals=decals))


def _band(rng: np.random.Generator, low_m: np.ndarray, high_m: np.ndarray,
          base: np.ndarray) -> Decal:
    """Tape round the body, most often at one of its ends."""
    axis = int(rng.choice(3, p=[0.2, 0.2, 0.6]))
    centre_m, half_m = (low_m + high_m) / 2, (high_m - low_m) / 2
    width = rng.uniform(0.06, 0.4)      # part of the body
    at = rng.choice([-1, 1]) * (1 - width) if rng.random() < 0.7 else rng.uniform(-0.8, 0.8)
    centre_m[axis] += at * half_m[axis]
    size_m = np.full(3, 2 * np.linalg.norm(half_m))
    size_m[axis] = width * half_m[axis] + 1e-4
    return _decal(rng, base, centre_m, _tilted(rng), size_m)


def _label(rng: np.random.Generator, low_m: np.ndarray, high_m: np.ndarray,
           base: np.ndarray) -> Decal:
    """Return a patch on one side, or print."""
    axis, end = int(rng.integers(3)), rng.choice([-1.0, 1.0])
    centre_m, half_m = (low_m + high_m) / 2, (high_m - low_m) / 2
    across = [a for a in range(3) if a != axis]
    is_print = rng.random() < 0.5
    size_m = np.empty(3)
    # Deep enough for round and slanted sides, not so deep that the next side shows much of it.
    size_m[axis] = 0.3 * half_m[axis] + 1e-4
    size_m[across] = half_m[across] * rng.uniform(0.1, 0.75, 2)
    if is_print:
        size_m[rng.choice(across)] *= 0.35
    centre_m[axis] += end * half_m[axis]
    centre_m[across] += rng.uniform(-0.6, 0.6, 2) * half_m[across]
    turn = rotation_about('xyz'[axis], rng.normal(0, 0.2))
    decal = _decal(rng, base, centre_m, turn, size_m)
    if not is_print:
        return decal
    scale_m = float(np.exp(rng.uniform(*np.log(_PRINT_SCALE_M))))
    return replace(decal, pattern=int(rng.integers(PATTERN_COUNT)), pattern_scale_m=scale_m)


def _tilted(rng: np.random.Generator) -> np.ndarray:
    return rotation_about('x', rng.normal(0, _TILT_RAD)) @ rotation_about(
        'y', rng.normal(0, _TILT_RAD))


def _decal(rng: np.random.Generator, base: np.ndarray, centre_m: np.ndarray,
           turn: np.ndarray, half_m: np.ndarray) -> Decal:
    # Half of them in tones of the body: clear tape, embossing, dirt.
    color = random_color(rng) if rng.random() < 0.5 else tuple(
        float(c) for c in np.clip(base + rng.normal(0, 0.2) + rng.normal(0, 0.06, 3), 0, 1))
    box_from_body = np.hstack([turn.T, -turn.T @ centre_m[:, None]]) / half_m[:, None]
    return Decal(box_from_body, color, float(rng.uniform(0.3, 1.0)))
