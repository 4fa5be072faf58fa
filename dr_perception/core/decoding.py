"""From the network's outputs to candidates: kind, heat, keypoints in pixels and their scale."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dr_perception.core.contract import DecoderSpec

#: Most candidates of one picture; the strongest stay.
MAX_CANDIDATES = 64
#: Cells round a peak whose answers are joined, as (row, column) offsets.
_WINDOW = np.array([(r, c) for r in (-1, 0, 1) for c in (-1, 0, 1)])
#: The scale head was trained within these bounds (natural logarithm of pixels).
LOG_SCALE_RANGE = (-1.9, 4.1)


@dataclass(frozen=True, eq=False)
class Candidates:
    """M candidates of one picture.

    Attributes:
        object_index: (M,) int, channel of the heat-map.
        heat: (M,) 0...1.
        keypoints_px: (M, K, 2) in the network input's pixels.
        scale_px: (M, K) Laplace scale of each keypoint.
    """

    object_index: np.ndarray
    heat: np.ndarray
    keypoints_px: np.ndarray
    scale_px: np.ndarray

    def __len__(self) -> int:
        return len(self.heat)

    def take(self, keep: np.ndarray) -> Candidates:
        """The candidates of an index or mask array."""
        return Candidates(self.object_index[keep], self.heat[keep], self.keypoints_px[keep],
                          self.scale_px[keep])


def find_candidates(heat: np.ndarray, offsets: np.ndarray, log_scales: np.ndarray,
                    spec: DecoderSpec) -> Candidates:
    """Peaks of the heat-maps with the keypoints that their cells answer.

    Args:
        heat: (C, h, w) probabilities.
        offsets: (2K, h, w) in units of ``spec.offset_unit_px``, from the cell's centre.
        log_scales: (K, h, w) natural logarithm of pixels.
        spec: the decoder's constants.
    """
    K = log_scales.shape[0]
    planes, rows, columns = _peaks(heat, spec.peak_threshold)
    order = np.argsort(-heat[planes, rows, columns])[:MAX_CANDIDATES]
    planes, rows, columns = planes[order], rows[order], columns[order]
    if len(order) == 0:
        return Candidates(np.zeros(0, int), np.zeros(0), np.zeros((0, K, 2)), np.zeros((0, K)))
    height, width = heat.shape[1:]
    r = np.clip(rows[:, None] + _WINDOW[:, 0], 0, height - 1)
    c = np.clip(columns[:, None] + _WINDOW[:, 1], 0, width - 1)
    centre = np.stack([c, r], -1) * float(spec.stride_px) + (spec.stride_px - 1) / 2
    answers = np.moveaxis(offsets[:, r, c], 0, -1).astype(np.float64)
    answers = answers.reshape(*r.shape, K, 2) * spec.offset_unit_px + centre[:, :, None]
    scale = np.exp(np.clip(np.moveaxis(log_scales[:, r, c], 0, -1), *LOG_SCALE_RANGE)
                   .astype(np.float64))
    # Neighbouring cells' errors are nearly equal (they see the same pixels): their mean takes off
    # quantization noise, but its scale stays that of one cell.
    weight = heat[planes[:, None], r, c][..., None] / scale ** 2
    total = weight.sum(1)
    keypoints = (answers * weight[..., None]).sum(1) / total[..., None]
    joined = np.sqrt((weight * scale ** 2).sum(1) / total)
    return Candidates(planes, heat[planes, rows, columns].astype(np.float64), keypoints, joined)


def _peaks(heat: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Cells above the threshold that no neighbour of their plane exceeds."""
    found = [np.zeros((0, 3), int)]
    kernel = np.ones((3, 3), np.uint8)
    for plane, values in enumerate(heat):
        if values.max() < threshold:
            continue
        values = np.ascontiguousarray(values, np.float32)
        peak = (values >= threshold) & (values >= cv2.dilate(values, kernel))
        rows, columns = np.nonzero(peak)
        found.append(np.stack([np.full(len(rows), plane), rows, columns], 1))
    cells = np.concatenate(found)
    return cells[:, 0], cells[:, 1], cells[:, 2]


def score_features(heat: np.ndarray, scale_px: np.ndarray, misfit: np.ndarray) -> np.ndarray:
    """(M, 4) features of the score: 1, log-odds of the heat, log mean scale, log misfit.

    Args:
        heat: (M,).
        scale_px: (M, K).
        misfit: (M,) mean squared normalized residual of the pose fit.
    """
    p = np.clip(heat, 1e-4, 1 - 1e-4)
    return np.stack([np.ones(len(p)), np.log(p / (1 - p)), np.log(scale_px.mean(1)),
                     np.log(misfit + 0.1)], 1)


def score(features: np.ndarray, weights: tuple[float, ...]) -> np.ndarray:
    """(M,) probability of being right within 2 cm."""
    return 1 / (1 + np.exp(-features @ np.asarray(weights)))
