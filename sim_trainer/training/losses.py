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

"""Losses of the keypoint network."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.candidates import LOG_SCALE_RANGE
import numpy as np
from sim_trainer.training.networks.keypoints import OFFSET_UNIT_PX
from sim_trainer.training.samples import Sample
from sim_trainer.training.tensor_batch import TensorBatch
import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True, eq=False)
class Batch(TensorBatch):
    """Samples stacked; instances of all samples in one list, padded to the same group size."""

    image: Tensor           # (N, 3 or 4, H, W) uint8, channels last
    heat: Tensor            # (N, C, h, w)
    ignore: Tensor          # (N, C, h, w) bool
    weight: Tensor          # (N, 1, h, w)
    cells: Tensor           # (P, 3) long: sample, row, column of answering cells
    cell_instance: Tensor   # (P,) long, row of ``keypoints_px``
    keypoints_px: Tensor    # (I, G, K, 2)
    stride: int
    #: what is taught beside (``Targets.surface``): (N, C, h, w), and the same, bool
    surface: Tensor | None = None
    surface_ignore: Tensor | None = None


def collate(samples: list[Sample], keypoint_count: int) -> Batch:
    """Return a batch of samples."""
    image = torch.from_numpy(np.stack([s.image_rgb for s in samples])).permute(0, 3, 1, 2)
    targets = [s.targets for s in samples]
    cells, instances, keypoints = [], [], []
    for n, target in enumerate(targets):
        rows, columns = np.nonzero(target.owner >= 0)
        cells.append(np.stack([np.full(len(rows), n), rows, columns], 1))
        instances.append(target.owner[rows, columns].astype(np.int64) + len(keypoints))
        keypoints += target.keypoints_px
    largest = max((len(k) for k in keypoints), default=1)
    table = np.zeros((len(keypoints), largest, keypoint_count, 2), np.float32)
    for i, k in enumerate(keypoints):
        table[i, :len(k)] = k
        table[i, len(k):] = k[0]    # the identity again changes no minimum
    heat = torch.from_numpy(np.stack([t.heat for t in targets]))
    surfaces: tuple[Tensor, ...] = ()
    if targets[0].surface is not None:
        surfaces = tuple(torch.from_numpy(np.stack([t.surface[i] for t in targets]))
                         for i in range(2))
    return Batch(
        image, heat,
        torch.from_numpy(np.stack([t.ignore for t in targets])),
        torch.from_numpy(np.stack([t.weight for t in targets]))[:, None],
        torch.from_numpy(np.concatenate(cells)), torch.from_numpy(np.concatenate(instances)),
        torch.from_numpy(table), image.shape[2] // heat.shape[2], *surfaces)


def heat_loss(logits: Tensor, heat: Tensor, ignore: Tensor, weight: Tensor) -> Tensor:
    """Penalty-reduced focal loss, per marked cell.

    Args:
        logits: (N, C, h, w).
        heat: (N, C, h, w), what is wanted.
        ignore: (N, C, h, w) bool, what is not asked.
        weight: (N, 1, h, w), what a marked cell counts.

    Source: Zhou et al. 2019, "Objects as Points", equation 1 (alpha 2, beta 4).
    """
    p = torch.sigmoid(logits)
    marked = heat == 1.0
    positive = -functional.logsigmoid(logits) * (1 - p) ** 2 * weight
    negative = -functional.logsigmoid(-logits) * p ** 2 * (1 - heat) ** 4
    # What is not to be asked is not to be marked either.
    loss = torch.where(marked, positive, negative).masked_fill(ignore, 0.0)
    counted = (marked & ~ignore).any(1, keepdim=True)
    return loss.sum() / (weight * counted).sum().clamp(min=1)


def keypoint_loss(offsets: Tensor, log_scales: Tensor, batch: Batch) -> tuple[Tensor, Tensor]:
    """Laplace negative log likelihood of the keypoints, least over each object's symmetries.

    The symmetry is chosen once per instance, by the mean of what its cells say: cells of one
    object must not answer in different frames.

    Returns:
        The loss, and the mean absolute keypoint error in pixels (for the log).
    """
    n, row, column = batch.cells.unbind(1)
    count, K, device = len(batch.keypoints_px), batch.keypoints_px.shape[2], offsets.device
    picked = offsets[n, :, row, column].view(-1, K, 2).float() * OFFSET_UNIT_PX
    centre = torch.stack([column, row], 1).float() * batch.stride + (batch.stride - 1) / 2
    predicted = picked + centre[:, None]
    with torch.no_grad():
        total = torch.zeros(count, K, 2, device=device).index_add_(0, batch.cell_instance,
                                                                   predicted)
        cells = torch.zeros(count, device=device).index_add_(
            0, batch.cell_instance, torch.ones(len(n), device=device))
        mean = total / cells.clamp(min=1)[:, None, None]
        best = (batch.keypoints_px - mean[:, None]).abs().sum((2, 3)).argmin(1)
        chosen = batch.keypoints_px[torch.arange(count, device=device), best]
    error = (predicted - chosen[batch.cell_instance]).abs()
    log_b = log_scales[n, :, row, column].float().clamp(*LOG_SCALE_RANGE)
    weight = batch.weight[n, 0, row, column]
    loss = (error.sum(2) * torch.exp(-log_b) + 2 * log_b).mean(1)
    return (loss * weight).sum() / weight.sum(), error.detach().mean()
