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

"""Candidates: what a head found in a picture, before poses and scores."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

#: Most candidates of one picture; the strongest stay.
MAX_CANDIDATES = 64
#: The scale head was trained within these bounds (natural logarithm of pixels).
LOG_SCALE_RANGE = (-1.9, 4.1)
#: Probabilities are kept this far from 0 and 1 where their log-odds are taken.
LEAST_PROBABILITY = 1e-4


@dataclass(frozen=True, eq=False)
class Candidates:
    """M candidates of one picture.

    Attributes:
        object_index: (M,) int, channel of the maps.
        heat: (M,) 0...1.
        keypoints_px: (M, K, 2) in the network input's pixels.
        scale_px: (M, K) Laplace scale of each keypoint.
        margin: (M,) log-odds of the kind minus those of the next kind at the same place.
        area_px: (M,) pixels of the seen surface; NaN where the head does not tell.
    """

    object_index: np.ndarray
    heat: np.ndarray
    keypoints_px: np.ndarray
    scale_px: np.ndarray
    margin: np.ndarray
    area_px: np.ndarray

    def __len__(self) -> int:
        return len(self.heat)

    def take(self, keep: np.ndarray) -> Candidates:
        """Return the candidates of an index or mask array."""
        return Candidates(*(getattr(self, field.name)[keep] for field in fields(self)))

    @classmethod
    def none(cls, keypoint_count: int) -> Candidates:
        """No candidates."""
        empty = np.zeros(0)
        return cls(np.zeros(0, int), empty, np.zeros((0, keypoint_count, 2)),
                   np.zeros((0, keypoint_count)), empty, empty)


def log_odds(p: np.ndarray) -> np.ndarray:
    """Natural logarithm of p / (1 - p), of any shape, finite."""
    p = np.clip(p, LEAST_PROBABILITY, 1 - LEAST_PROBABILITY)
    return np.log(p / (1 - p))


def margins(heat: np.ndarray, planes: np.ndarray) -> np.ndarray:
    """Log-odds of a kind minus those of the strongest other one.

    Args:
        heat: (C, N) probabilities of every kind at N places.
        planes: (N,) the kind that is meant at each.
    """
    if len(heat) == 1:
        return log_odds(heat[0])
    others = heat.copy()
    here = np.arange(len(planes))
    others[planes, here] = 0.0
    return log_odds(heat[planes, here]) - log_odds(others.max(0))


def read_cells(offsets: np.ndarray, log_scales: np.ndarray, rows: np.ndarray,
               columns: np.ndarray, stride_px: int, unit_px: float
               ) -> tuple[np.ndarray, np.ndarray]:
    """Return what cells say of the keypoints: pixels (..., K, 2) and scales (..., K) in pixels.

    Args:
        offsets: (2K, h, w) in units of ``unit_px``, from the cell's centre.
        log_scales: (K, h, w) natural logarithm of pixels.
        rows: of the cells, any shape.
        columns: of the cells, the same shape.
        stride_px: pixels a cell.
        unit_px: unit of the offsets.
    """
    K = log_scales.shape[0]
    centre = np.stack([columns, rows], -1) * float(stride_px) + (stride_px - 1) / 2
    answers = np.moveaxis(offsets[:, rows, columns], 0, -1).astype(np.float64)
    answers = answers.reshape(*rows.shape, K, 2) * unit_px + centre[..., None, :]
    scales = np.exp(np.clip(np.moveaxis(log_scales[:, rows, columns], 0, -1), *LOG_SCALE_RANGE)
                    .astype(np.float64))
    return answers, scales
