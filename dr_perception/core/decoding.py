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

"""From the network's outputs to candidates: kind, heat, keypoints in pixels and their scale."""

from __future__ import annotations

from dr_perception.core.candidates import (Candidates, LEAST_PROBABILITY, LOG_SCALE_RANGE, margins,
                                           MAX_CANDIDATES, read_cells)
from dr_perception.core.compiled import library
from dr_perception.core.errors import ContractError
from dr_perception.core.network_spec import DecoderSpec
from dr_perception.core.voting import vote
import numpy as np

#: Cells round a peak whose answers are joined, as (row, column) offsets.
_WINDOW = np.array([(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)])


def find_candidates(heat: np.ndarray, offsets: np.ndarray, log_scales: np.ndarray,
                    spec: DecoderSpec) -> Candidates:
    """Candidates of one picture, the strongest first, by the model's head.

    Args:
        heat: (C, h, w) probabilities.
        offsets: (2K, h, w) in units of ``spec.offset_unit_px``, from the cell's centre.
        log_scales: (K, h, w) natural logarithm of pixels.
        spec: the decoder's constants.

    Raises:
        ContractError: the maps do not have one size.
    """
    sizes = {maps.shape[1:] for maps in (heat, offsets, log_scales)}
    if len(sizes) > 1:
        raise ContractError(
            f'the graph answers maps of different sizes (rows, columns: {sorted(sizes)}); the '
            'contract wants heat, keypoints and their scales of the same cells')
    decode = vote if spec.head == 'surface' else join_peaks
    return decode(heat, offsets, log_scales, spec)


def join_peaks(heat: np.ndarray, offsets: np.ndarray, log_scales: np.ndarray,
               spec: DecoderSpec) -> Candidates:
    """Peaks of centre heat with the keypoints that their cells answer; see ``find_candidates``."""
    if library.LIBRARY is not None:
        return _join_peaks_by_library(heat, offsets, log_scales, spec)
    K = log_scales.shape[0]
    planes, rows, columns = _peaks(heat, spec.peak_threshold)
    order = np.argsort(-heat[planes, rows, columns], kind='stable')[:MAX_CANDIDATES]
    planes, rows, columns = planes[order], rows[order], columns[order]
    if len(order) == 0:
        return Candidates.none(K)
    height, width = heat.shape[1:]
    r = np.clip(rows[:, None] + _WINDOW[:, 0], 0, height - 1)
    c = np.clip(columns[:, None] + _WINDOW[:, 1], 0, width - 1)
    answers, scale = read_cells(offsets, log_scales, r, c, spec.stride_px, spec.offset_unit_px)
    # Neighbouring cells' errors are nearly equal (they see the same pixels): their mean takes off
    # quantization noise, but its scale stays that of one cell.
    weight = heat[planes[:, None], r, c][..., None] / scale ** 2
    total = weight.sum(1)
    keypoints = (answers * weight[..., None]).sum(1) / total[..., None]
    joined = np.sqrt((weight * scale ** 2).sum(1) / total)
    return Candidates(planes, heat[planes, rows, columns].astype(np.float64), keypoints, joined,
                      margins(heat[:, rows, columns], planes), np.full(len(planes), np.nan))


def _join_peaks_by_library(heat: np.ndarray, offsets: np.ndarray, log_scales: np.ndarray,
                           spec: DecoderSpec) -> Candidates:
    """Return the same (``compiled/decoding.c``)."""
    K, most = len(log_scales), MAX_CANDIDATES
    kinds, margin = np.empty(most, np.int64), np.empty(most)
    heats, keypoints, scale = np.empty(most), np.empty((most, K, 2)), np.empty((most, K))
    M = library.run('dr_join_peaks', *heat.shape, K, heat, offsets, log_scales,
                    spec.peak_threshold, most, spec.stride_px, spec.offset_unit_px,
                    *LOG_SCALE_RANGE, LEAST_PROBABILITY, np.empty(most, np.int64), kinds, heats,
                    keypoints, scale, margin)
    return Candidates(kinds[:M], heats[:M], keypoints[:M], scale[:M], margin[:M],
                      np.full(M, np.nan))


def _peaks(heat: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells above the threshold that no neighbour of their plane exceeds."""
    planes, rows, columns = np.unravel_index(np.flatnonzero(heat >= threshold), heat.shape)
    near = heat[planes[:, None], np.clip(rows[:, None] + _WINDOW[:, 0], 0, heat.shape[1] - 1),
                np.clip(columns[:, None] + _WINDOW[:, 1], 0, heat.shape[2] - 1)]
    peak = (near <= heat[planes, rows, columns][:, None]).all(1)
    return planes[peak], rows[peak], columns[peak]
