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

"""Procedural grey patterns that mix two colours: the paper's three and structured ones.

Those of ``HELD_OUT_FAMILIES`` are kept from training, so that validation has looks of its own.

Source: flat, gradient and checker are the textures of Tobin et al. 2017, section III.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

PATTERN_SIZE_PX = 128
PATTERN_COUNT = 160


def _grid() -> tuple[np.ndarray, np.ndarray]:
    axis = (np.arange(PATTERN_SIZE_PX) + 0.5) / PATTERN_SIZE_PX
    return np.meshgrid(axis, axis)


def _noise(rng: np.random.Generator, cells: int, octaves: int, gain: float = 0.5) -> np.ndarray:
    total = np.zeros((PATTERN_SIZE_PX, PATTERN_SIZE_PX), np.float32)
    for octave in range(octaves):
        n = min(cells * 2 ** octave, PATTERN_SIZE_PX)
        coarse = rng.random((n, n), dtype=np.float32)
        # Wrapped border: patterns repeat over large surfaces and must not show a seam.
        pad = np.pad(coarse, 2, mode='wrap')
        scale = PATTERN_SIZE_PX / n
        big = cv2.resize(pad, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
        edge = int(round(2 * scale))
        total += gain ** octave * big[edge:edge + PATTERN_SIZE_PX, edge:edge + PATTERN_SIZE_PX]
    return _stretch(total)


def _stretch(values: np.ndarray) -> np.ndarray:
    low, high = np.percentile(values, [1, 99])
    return np.clip((values - low) / max(high - low, 1e-6), 0, 1)


def _flat(rng: np.random.Generator) -> np.ndarray:
    return np.zeros((PATTERN_SIZE_PX, PATTERN_SIZE_PX))


def _gradient(rng: np.random.Generator) -> np.ndarray:
    x, _ = _grid()
    return 1 - np.abs(2 * x - 1)


def _checker(rng: np.random.Generator) -> np.ndarray:
    x, y = _grid()
    n = int(rng.choice([2, 4, 6, 8]))
    return ((np.floor(x * n) + np.floor(y * n)) % 2).astype(float)


def _stripes(rng: np.random.Generator) -> np.ndarray:
    x, y = _grid()
    phase = x * int(rng.integers(2, 10)) + 0.15 * (_noise(rng, 4, 2) - 0.5) * rng.integers(0, 3)
    wave = 0.5 + 0.5 * np.sin(2 * np.pi * phase)
    return (wave > rng.uniform(0.3, 0.7)).astype(float) if rng.random() < 0.5 else wave


def _clouds(rng: np.random.Generator) -> np.ndarray:
    return _noise(rng, int(rng.choice([2, 3, 4, 6, 8])), 5, rng.uniform(0.4, 0.75))


def _blotches(rng: np.random.Generator) -> np.ndarray:
    field = _noise(rng, int(rng.choice([3, 5, 8])), 4)
    return np.clip((field - 0.5) * rng.uniform(4, 14) + 0.5, 0, 1)


def _wood(rng: np.random.Generator) -> np.ndarray:
    x, y = _grid()
    bend = _noise(rng, 2, 3) * rng.uniform(0.1, 0.6)
    rings = np.mod((x + bend) * rng.integers(3, 12), 1.0)
    fibre = cv2.blur(rng.random((PATTERN_SIZE_PX, PATTERN_SIZE_PX)), (1, 31))
    return np.clip(rings ** rng.uniform(0.6, 2.5) * 0.8 + 0.8 * (_stretch(fibre) - 0.5), 0, 1)


def _waves(rng: np.random.Generator) -> np.ndarray:
    x, _ = _grid()
    bend = _noise(rng, 2, 2) * rng.uniform(0.2, 1.0)
    return 0.5 + 0.5 * np.sin(2 * np.pi * (x * rng.integers(1, 6) + bend))


def _bricks(rng: np.random.Generator) -> np.ndarray:
    x, y = _grid()
    rows, columns = int(rng.choice([4, 6, 8, 12])), int(rng.choice([2, 3, 4, 6]))
    joint = rng.uniform(0.03, 0.12)
    row = np.floor(y * rows)
    xs = x * columns + 0.5 * (row % 2)
    mortar = ((np.mod(xs, 1) < joint) | (np.mod(y * rows, 1) < joint * rows / columns / 1.5))
    tint = rng.random((rows, columns + 1))[row.astype(int), np.floor(xs).astype(int)]
    if rng.random() < 0.5:
        tint = (tint > 0.5) * 0.8
    return np.where(mortar, 1.0, tint * rng.uniform(0.2, 0.8))


def _speckle(rng: np.random.Generator) -> np.ndarray:
    fine = rng.random((PATTERN_SIZE_PX, PATTERN_SIZE_PX)).astype(np.float32)
    size = int(rng.choice([1, 2, 3]))
    fine = _stretch(cv2.blur(fine, (size, size), borderType=cv2.BORDER_REFLECT))
    return (fine > rng.uniform(0.55, 0.95)).astype(float) if rng.random() < 0.5 else fine


def _dots(rng: np.random.Generator) -> np.ndarray:
    x, y = _grid()
    n = int(rng.choice([2, 3, 4, 6, 8]))
    inside = np.hypot(np.mod(x * n, 1) - 0.5, np.mod(y * n, 1) - 0.5)
    return (inside < rng.uniform(0.15, 0.45)).astype(float)


def _cells(rng: np.random.Generator) -> np.ndarray:
    x, y = _grid()
    seeds = rng.random((int(rng.integers(8, 50)), 2))
    delta = np.abs(np.stack([x, y], -1)[:, :, None] - seeds)
    distance = np.linalg.norm(np.minimum(delta, 1 - delta), axis=-1)
    nearest = np.argmin(distance, -1)
    if rng.random() < 0.5:
        return rng.random(len(seeds))[nearest]
    return _stretch(distance.min(-1))


def _scratches(rng: np.random.Generator) -> np.ndarray:
    image = np.zeros((PATTERN_SIZE_PX, PATTERN_SIZE_PX), np.uint8)
    for _ in range(int(rng.integers(5, 60))):
        start, end = rng.integers(-20, PATTERN_SIZE_PX + 20, (2, 2))
        cv2.line(image, tuple(map(int, start)), tuple(map(int, end)),
                 int(rng.integers(80, 256)), int(rng.choice([1, 1, 2, 3])), cv2.LINE_AA)
    return image / 255


def _patches(rng: np.random.Generator) -> np.ndarray:
    image = np.full((PATTERN_SIZE_PX, PATTERN_SIZE_PX), rng.random())
    for _ in range(int(rng.integers(3, 25))):
        left, top = rng.integers(0, PATTERN_SIZE_PX, 2)
        width, height = rng.integers(3, PATTERN_SIZE_PX // 2, 2)
        image[top:top + height, left:left + width] = rng.random()
    return image


def _marble(rng: np.random.Generator) -> np.ndarray:
    """Thin veins, bent by noise that is bent itself."""
    x, y = _grid()
    # Whole numbers of veins along both axes: the repeat has no seam.
    across, along = int(rng.integers(1, 4)), int(rng.choice([-2, -1, 1, 2]))
    bend, shade = _noise(rng, 3, 4, 0.55), _noise(rng, 4, 4)
    warped = _displaced(bend, 0.25 * (shade - 0.5))
    veins = np.abs(np.sin(np.pi * (x * across + y * along + rng.uniform(0.8, 1.6) * warped)))
    fine = np.abs(2 * _displaced(shade, 0.3 * (bend - 0.5)) - 1)
    sharp = rng.uniform(0.25, 0.5)
    return np.clip(veins ** sharp * (0.65 + 0.35 * fine ** sharp) + 0.1 * (shade - 0.5), 0, 1)


def _displaced(field: np.ndarray, shift: np.ndarray) -> np.ndarray:
    """Return a field read at places that another moves along x and y, parts of the repeat."""
    rows, columns = np.indices(field.shape)
    moved = np.round(PATTERN_SIZE_PX * shift).astype(int)
    return field[(rows + moved) % PATTERN_SIZE_PX,
                 (columns + np.roll(moved, PATTERN_SIZE_PX // 2, 0)) % PATTERN_SIZE_PX]


def _terrazzo(rng: np.random.Generator) -> np.ndarray:
    """Broken chips of a few tones, scattered in a ground."""
    image = np.zeros((PATTERN_SIZE_PX, PATTERN_SIZE_PX), np.uint8)
    tones = rng.integers(90, 256, 3)
    largest = rng.uniform(7, 16)
    for _ in range(int(rng.uniform(0.35, 0.6) * (PATTERN_SIZE_PX / largest) ** 2)):
        corners = int(rng.integers(4, 8))
        angle = 2 * np.pi * (np.arange(corners) + rng.uniform(-0.4, 0.4, corners)) / corners
        chip = (np.stack([np.cos(angle), rng.uniform(0.4, 1) * np.sin(angle)], -1)
                * largest * rng.uniform(0.3, 1) * rng.uniform(0.7, 1, (corners, 1)))
        turn = rng.uniform(0, np.pi)
        chip = chip @ [[np.cos(turn), -np.sin(turn)], [np.sin(turn), np.cos(turn)]]
        chip += rng.uniform(0, PATTERN_SIZE_PX, 2)
        tone = int(tones[int(rng.integers(3))])
        # What leaves on one side comes in on the other.
        for shift in _wraps(chip):
            cv2.fillPoly(image, [np.round((chip + shift) * 16).astype(np.int32)], tone,
                         cv2.LINE_AA, 4)
    return image / 255


def _wraps(points: np.ndarray) -> list[tuple[int, int]]:
    """Shifts by whole repeats at which points (N, 2) reach into the picture."""
    low, high = points.min(0), points.max(0)
    steps = [[k * PATTERN_SIZE_PX for k in (-1, 0, 1)
              if high[axis] + k * PATTERN_SIZE_PX > 0 and low[axis] + k * PATTERN_SIZE_PX
              < PATTERN_SIZE_PX] for axis in (0, 1)]
    return [(x, y) for x in steps[0] for y in steps[1]]


def _weave(rng: np.random.Generator) -> np.ndarray:
    """Cloth: threads over and under each other, round, each a little different."""
    x, y = _grid()
    threads = int(rng.choice([8, 12, 16]))
    u, v = x * threads, y * threads
    i, j = u.astype(int), v.astype(int)
    # Linen, twill, basket: where the thread that runs along y lies on top.
    over = [(i + j) % 2 < 1, (i + j) % 4 < 2, (i // 2 + j // 2) % 2 < 1][int(rng.integers(3))]
    high, low = 1.0, rng.uniform(0.25, 0.6)
    tone = np.where(over, high * rng.uniform(0.8, 1, threads)[i],
                    low * rng.uniform(0.8, 1, threads)[j])
    across = np.where(over, u % 1, v % 1)
    return tone * (1 - (2 * across - 1) ** 2) ** rng.uniform(0.35, 0.8)


#: Pattern families that training uses; each picture of the array draws its family with equal
#: chance. Another one here, or another order, changes what every configuration draws.
FAMILIES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'flat': _flat, 'gradient': _gradient, 'checker': _checker, 'stripes': _stripes,
    'clouds': _clouds, 'blotches': _blotches, 'wood': _wood, 'waves': _waves, 'bricks': _bricks,
    'speckle': _speckle, 'dots': _dots, 'cells': _cells, 'scratches': _scratches,
    'patches': _patches,
}
#: Families for validation: training uses one of them only where the scene YAML names it.
HELD_OUT_FAMILIES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'marble': _marble, 'terrazzo': _terrazzo, 'weave': _weave,
}


def make_patterns(seed: int, families: tuple[str, ...] = tuple(FAMILIES),
                  count: int = PATTERN_COUNT) -> np.ndarray:
    """Patterns (count, PATTERN_SIZE_PX, PATTERN_SIZE_PX) uint8; layer i is of family i modulo."""
    makers = {**FAMILIES, **HELD_OUT_FAMILIES}
    layers = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        layer = makers[families[i % len(families)]](rng)
        if rng.random() < 0.5:
            layer = 1.0 - layer
        layers.append((np.clip(layer, 0, 1) * 255).astype(np.uint8))
    return np.stack(layers)
