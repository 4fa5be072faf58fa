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

"""Head ``surface``: every cell that sees an object votes where its keypoints are.

The votes for the centre (keypoint 0) are counted on a map of each kind; a heap of votes is a
candidate, and the cells that voted for it are joined, the surest counting most. An object whose
centre is hidden is found by what is seen of it, and two of a kind have two heaps.
"""

from __future__ import annotations

import cv2
from dr_perception.core.candidates import Candidates, margins, MAX_CANDIDATES, read_cells
from dr_perception.core.network_spec import DecoderSpec
import numpy as np

#: Least probability of a cell that votes.
LEAST_VOTER = 0.2
#: Most cells that vote in one picture, the surest; bounds the time on a picture full of nonsense.
MAX_VOTERS = 6000
#: Cells of the map of votes have this many pixels a side.
_BIN_PX = 4
#: A heap's radius (pixels): votes within it are one object's. Least, and in scales of the vote.
_RADIUS_PX, _RADIUS_SCALES = 8.0, 2.0
#: Scale (pixels) at which a vote counts half: a cell that does not know where finds no object.
_VAGUE_PX = 8.0
#: Votes (in pixels of surface) of the smallest heap.
_LEAST_AREA_PX = 48.0
#: Residuals of this many scales count half when votes are joined.
_CAUCHY = 3.0
_REWEIGHTINGS = 2


def vote(heat: np.ndarray, offsets: np.ndarray, log_scales: np.ndarray, spec: DecoderSpec
         ) -> Candidates:
    """Candidates of one picture; see ``decoding.find_candidates``."""
    K = log_scales.shape[0]
    stride = spec.stride_px
    own = heat.max(0)
    rows, columns = np.nonzero(own >= LEAST_VOTER)
    if len(rows) > MAX_VOTERS:
        surest = np.argsort(-own[rows, columns])[:MAX_VOTERS]
        rows, columns = rows[surest], columns[surest]
    if len(rows) == 0:
        return Candidates.none(K)
    p = own[rows, columns].astype(np.float64)
    kinds = heat[:, rows, columns].argmax(0)
    points, scales = read_cells(offsets, log_scales, rows, columns, stride, spec.offset_unit_px)
    finite = np.isfinite(points).all((1, 2)) & np.isfinite(scales).all(1)
    if not finite.all():
        rows, columns, p, kinds = rows[finite], columns[finite], p[finite], kinds[finite]
        points, scales = points[finite], scales[finite]
    mass = p / (1 + (scales[:, 0] / _VAGUE_PX) ** 2)
    heaps = _heaps(kinds, points[:, 0], mass, heat.shape[0],
                   (heat.shape[1] * stride, heat.shape[2] * stride),
                   _LEAST_AREA_PX / stride ** 2)
    voter, heap = _assign(kinds, points[:, 0], scales[:, 0], *heaps)
    count = len(heaps[0])
    area = np.bincount(heap, p[voter], count) * stride ** 2
    kept = np.flatnonzero(area >= _LEAST_AREA_PX)
    if len(kept) == 0:
        return Candidates.none(K)
    place = np.full(count, -1)
    place[kept] = np.arange(len(kept))
    voter, heap = voter[place[heap] >= 0], place[heap[place[heap] >= 0]]
    keypoints, joined = _join(points[voter], scales[voter], p[voter], heap, len(kept))
    weight = np.bincount(heap, p[voter], len(kept))
    surety = np.bincount(heap, p[voter] ** 2, len(kept)) / weight
    margin = np.bincount(heap, p[voter] * margins(heat[:, rows[voter], columns[voter]],
                                                  kinds[voter]), len(kept)) / weight
    found = Candidates(heaps[0][kept], surety, keypoints, joined, margin, area[kept])
    found = found.take(found.heat >= spec.peak_threshold)
    return found.take(np.argsort(-found.heat * np.sqrt(found.area_px))[:MAX_CANDIDATES])


def _heaps(kinds: np.ndarray, centres: np.ndarray, mass: np.ndarray, kind_count: int,
           size_px: tuple[int, int], least: float) -> tuple[np.ndarray, np.ndarray]:
    """Return kind (H,) and place (H, 2), pixels, of the votes' maxima with ``least`` mass."""
    height, width = (side // _BIN_PX + 4 for side in size_px)
    cells = np.floor(centres / _BIN_PX).astype(int) + 2
    inside = ((cells >= 0) & (cells < [width, height])).all(1)
    found_kinds, places = [np.zeros(0, int)], [np.zeros((0, 2))]
    for kind in range(kind_count):
        mine = inside & (kinds == kind)
        if mass[mine].sum() < least:
            continue
        flat = cells[mine, 1] * width + cells[mine, 0]
        votes = np.bincount(flat, mass[mine], height * width).reshape(height, width)
        votes = cv2.boxFilter(votes, cv2.CV_64F, (3, 3), normalize=False,
                              borderType=cv2.BORDER_CONSTANT)
        # Equal votes make plateaus; the slack keeps rounding from cutting one into pieces.
        highest = cv2.dilate(votes, np.ones((5, 5), np.uint8))
        peak = (votes >= least) & (votes >= highest * (1 - 1e-9))
        _, _, _, middles = cv2.connectedComponentsWithStats(peak.astype(np.uint8))
        found_kinds.append(np.full(len(middles) - 1, kind))
        places.append((middles[1:] - 2 + 0.5) * _BIN_PX)    # the first is the background
    return np.concatenate(found_kinds), np.concatenate(places)


def _assign(kinds: np.ndarray, centres: np.ndarray, scale: np.ndarray, heap_kinds: np.ndarray,
            heap_places: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pairs (voter, heap): each voter and the nearest heap of its kind within its radius."""
    if len(heap_kinds) == 0:
        return np.zeros(0, int), np.zeros(0, int)
    apart = np.linalg.norm(centres[:, None] - heap_places, axis=2)
    apart[kinds[:, None] != heap_kinds] = np.inf
    heap = apart.argmin(1)
    voter = np.flatnonzero(apart[np.arange(len(kinds)), heap]
                           < _RADIUS_PX + _RADIUS_SCALES * scale)
    return voter, heap[voter]


def _join(points: np.ndarray, scales: np.ndarray, p: np.ndarray, heap: np.ndarray, count: int
          ) -> tuple[np.ndarray, np.ndarray]:
    """Keypoints (count, K, 2) and their scale (count, K) of the voters of each heap.

    The scale is that of a typical voter: errors of one object's cells are nearly equal, because
    they see the same pixels, so more cells know no better.
    """
    order = np.argsort(heap, kind='stable')
    points, scales, p, heap = points[order], scales[order], p[order], heap[order]
    starts = np.searchsorted(heap, np.arange(count))

    def summed(values: np.ndarray) -> np.ndarray:
        return np.add.reduceat(values, starts, axis=0)

    first = p[:, None] / scales ** 2
    weight, total = first, summed(first)
    mean = summed(points * weight[..., None]) / total[..., None]
    # Again, with what lies far from the mean counting less: cells at an edge that answer for the
    # neighbour.
    for _ in range(_REWEIGHTINGS):
        apart = np.linalg.norm(points - mean[heap], axis=2) / (_CAUCHY * scales)
        weight = first / (1 + apart ** 2)
        total = summed(weight)
        mean = summed(points * weight[..., None]) / total[..., None]
    return mean, np.sqrt(summed(weight * scales ** 2) / total)
