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

"""Pictures without photographs: gradients, clouds, stripes and shapes at many scales."""

from __future__ import annotations

import cv2
import numpy as np


def procedural_pictures(seed: int, count: int, size_px: int) -> np.ndarray:
    """Pictures to put behind a scene; picture n does not depend on how many there are.

    Returns:
        (count, size_px, size_px, 3) uint8, RGB.
    """
    pictures = np.empty((count, size_px, size_px, 3), np.uint8)
    for index in range(count):
        pictures[index] = _picture(np.random.default_rng([seed, index]), size_px)
    return pictures


def _picture(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """Two to four layers, each seen where a mask of its own says, then shapes."""
    picture = _layer(rng, size_px)
    for _ in range(int(rng.integers(1, 4))):
        picture = _mixed(picture, _layer(rng, size_px), _mask(rng, size_px))
    if rng.random() < 0.75:
        # Numbers from few to many, because real clutter is either; sizes likewise.
        _add_shapes(rng, picture, int(np.exp(rng.uniform(np.log(2), np.log(90)))))
    if rng.random() < 0.3:
        picture = cv2.GaussianBlur(picture, (0, 0), size_px * rng.uniform(0.002, 0.015))
    grain = rng.standard_normal(picture.shape, dtype=np.float32) * rng.uniform(0, 8)
    return cv2.add(np.round(255 * picture), grain, dtype=cv2.CV_8U)


def _color(rng: np.random.Generator) -> np.ndarray:
    """(3,) RGB 0...1: mostly the muted colours of rooms, some strong ones."""
    value, saturation = rng.random(), rng.random() ** (1 if rng.random() < 0.3 else 3)
    hue = np.clip(np.abs((6 * rng.random() + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    return (value * (1 - saturation + saturation * hue)).astype(np.float32)


def _coordinates(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """(S, S) float32, 0...1 across the picture in a random direction."""
    angle = rng.uniform(0, 2 * np.pi)
    x = np.linspace(-0.5, 0.5, size_px, dtype=np.float32)
    across = x[None] * np.float32(np.cos(angle)) + x[:, None] * np.float32(np.sin(angle))
    return (across - across.min()) / (across.max() - across.min())


def _clouds(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """(S, S) float32, 0...1: octaves of noise, each finer one weaker by a random factor."""
    total = np.zeros((size_px, size_px), np.float32)
    stretch = np.exp(rng.uniform(-1, 1))        # grain of wood, brushed metal
    cells, weight, gain = rng.uniform(1.5, 8), 1.0, rng.uniform(0.35, 0.8)
    while cells < size_px / 2:
        rows, columns = (min(size_px, 2 + int(cells * f)) for f in (stretch, 1 / stretch))
        octave = rng.random((rows, columns), dtype=np.float32)
        total += weight * cv2.resize(octave, (size_px, size_px), interpolation=cv2.INTER_CUBIC)
        cells, weight = 2 * cells, weight * gain
    return cv2.normalize(total, None, 0, 1, cv2.NORM_MINMAX)


def _stripes(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """(S, S) float32, 0...1: soft or hard stripes, bent by clouds or crossed at times."""
    def waves() -> np.ndarray:
        count = np.exp(rng.uniform(np.log(2), np.log(60)))
        phase = count * _coordinates(rng, size_px)
        if rng.random() < 0.4:
            phase += rng.uniform(0.2, 3) * _clouds(rng, size_px)
        return np.sin(2 * np.pi * phase)
    pattern = waves()
    if rng.random() < 0.4:
        pattern = pattern * waves() if rng.random() < 0.5 else np.maximum(pattern, waves())
    return np.clip(0.5 + pattern * np.exp(rng.uniform(np.log(0.4), np.log(8))), 0, 1)


def _layer(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """(S, S, 3) float32, 0...1: two or three colours along a gradient, clouds or stripes."""
    make = (_coordinates, _clouds, _clouds, _stripes)[int(rng.integers(4))]
    along = make(rng, size_px)
    layer = _mixed(np.broadcast_to(_color(rng), (*along.shape, 3)), _color(rng), along)
    if rng.random() < 0.4:
        layer = _mixed(layer, _color(rng), np.clip(2 * _clouds(rng, size_px) - 1, 0, 1))
    return layer


def _mask(rng: np.random.Generator, size_px: int) -> np.ndarray:
    """(S, S) float32, 0...1: where the next layer is seen, its edge hard or soft."""
    field = (_coordinates, _clouds, _stripes)[int(rng.integers(3))](rng, size_px)
    steepness = np.exp(rng.uniform(np.log(1), np.log(50)))
    return np.clip((field - np.quantile(field, rng.uniform(0.2, 0.8))) * steepness + 0.5, 0, 1)


def _mixed(under: np.ndarray, over: np.ndarray, weight: np.ndarray) -> np.ndarray:
    return (under + (over - under) * weight[..., None]).astype(np.float32)


def _add_shapes(rng: np.random.Generator, picture: np.ndarray, count: int) -> None:
    """Boxes, discs, polygons and lines of many sizes, plain or shaded, in place."""
    size_px = picture.shape[0]
    shading = _clouds(rng, size_px)
    for _ in range(count):
        radius = size_px * np.exp(rng.uniform(np.log(0.01), np.log(0.25)))
        centre = rng.uniform(0, size_px, 2)
        mask = np.zeros((size_px, size_px), np.uint8)
        kind = rng.random()
        turn = rng.uniform(0, 180)
        sides = tuple(radius * rng.uniform(0.2, 1.0, 2))
        if kind < 0.35:
            corners = cv2.boxPoints((tuple(centre), (2 * sides[0], 2 * sides[1]), turn))
            cv2.fillConvexPoly(mask, np.round(corners).astype(np.int32), 255, cv2.LINE_AA)
        elif kind < 0.65:
            axes = (2 * sides[0], 2 * (sides[0] if rng.random() < 0.5 else sides[1]))
            cv2.ellipse(mask, (tuple(centre), axes, turn), 255, -1, cv2.LINE_AA)
        elif kind < 0.85:
            angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 9))))
            corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
            cv2.fillPoly(mask, [np.round(corners).astype(np.int32)], 255, cv2.LINE_AA)
        else:
            ends = centre + rng.normal(0, 2 * radius, (2, 2))
            cv2.line(mask, *np.round(ends).astype(int).tolist(), 255,
                     1 + int(0.1 * radius), cv2.LINE_AA)
        x, y, w, h = cv2.boundingRect(mask)
        part = picture[y:y + h, x:x + w]
        shade = 1 - rng.uniform(0, 0.8) * shading[y:y + h, x:x + w, None]
        weight = mask[y:y + h, x:x + w] * np.float32(rng.uniform(0.6, 1) / 255)
        part[:] = _mixed(part, _color(rng) * shade, weight)
