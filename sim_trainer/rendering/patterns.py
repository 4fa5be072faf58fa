"""Procedural grey patterns that mix two colours: the paper's three and structured ones.

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


#: Pattern families; each picture of the array draws its family with equal chance.
FAMILIES: dict[str, Callable[[np.random.Generator], np.ndarray]] = {
    'flat': _flat, 'gradient': _gradient, 'checker': _checker, 'stripes': _stripes,
    'clouds': _clouds, 'blotches': _blotches, 'wood': _wood, 'waves': _waves, 'bricks': _bricks,
    'speckle': _speckle, 'dots': _dots, 'cells': _cells, 'scratches': _scratches,
    'patches': _patches,
}


def make_patterns(seed: int, families: tuple[str, ...] = tuple(FAMILIES),
                  count: int = PATTERN_COUNT) -> np.ndarray:
    """Patterns (count, PATTERN_SIZE_PX, PATTERN_SIZE_PX) uint8; layer i is of family i modulo."""
    layers = []
    for i in range(count):
        rng = np.random.default_rng([seed, i])
        layer = FAMILIES[families[i % len(families)]](rng)
        if rng.random() < 0.5:
            layer = 1.0 - layer
        layers.append((np.clip(layer, 0, 1) * 255).astype(np.uint8))
    return np.stack(layers)
