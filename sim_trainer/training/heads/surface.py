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

"""Head ``surface``: maps of the visible surfaces; all their cells vote for the keypoints.

What hides an object's centre does not matter then, and there are a hundred labelled cells for
each centre. Source of the idea: Peng et al. 2019, "PVNet" (pixels vote for keypoints), with a
learned scale for each vote in place of RANSAC.
"""

from __future__ import annotations

import cv2
import numpy as np
from sim_trainer.errors import DatasetError
from sim_trainer.training.samples import Targets, View

#: An instance seen less than this is not asked for.
LEAST_VISIBLE = 0.08
#: Area (pixels) whose cells count 1 each; a smaller surface's cells count more, a larger one's
#: less, by the square root of the areas' ratio, within these bounds.
_USUAL_AREA_PX = 800.0
_WEIGHT_RANGE = (0.5, 3.0)


class SurfaceTargets:
    """Targets of a view; see the module."""

    def __init__(self, kind_count: int, stride: int) -> None:
        self._kind_count, self._stride = kind_count, stride

    def __call__(self, view: View) -> Targets:
        """Targets of a view.

        Raises:
            DatasetError: the frame has no masks.
        """
        if view.instance_ids is None:
            raise DatasetError('a picture of frames.bop has no mask_visib; the surface head needs '
                               'masks: add them, or set training.network.head=centres and '
                               'training.network.teach_surfaces=false')
        stride = self._stride
        h, w = view.height_px // stride, view.width_px // stride
        ids = self._at_cells(view.instance_ids, view, 0)
        # Beyond the frame the picture is mirrored, and nobody knows what is there.
        outside = self._at_cells(np.zeros_like(view.instance_ids), view, 1) > 0
        if view.occluded is not None:
            ids[view.occluded[stride // 2::stride, stride // 2::stride][:h, :w]] = 0
        heat = np.zeros((self._kind_count, h, w), np.float32)
        ignore = np.repeat(outside[None], self._kind_count, 0)
        weight = np.ones((h, w), np.float32)
        owner = np.full((h, w), -1, np.int16)
        keypoints_px: list[np.ndarray] = []
        for seen in view.seen:
            mine = ids == seen.number
            count = int(mine.sum())
            if count == 0:
                continue
            if seen.visible_fraction < LEAST_VISIBLE:
                ignore[seen.kind] |= mine
                continue
            heat[seen.kind][mine] = 1.0
            owner[mine] = len(keypoints_px)
            weight[mine] = np.clip(np.sqrt(_USUAL_AREA_PX / (count * stride ** 2)),
                                   *_WEIGHT_RANGE)
            keypoints_px.append(seen.keypoints_px)
        return Targets(heat, ignore, weight, owner, keypoints_px)

    def _at_cells(self, ids: np.ndarray, view: View, border: int) -> np.ndarray:
        """Return the frame's ids (H, W) at the centres of the sample's cells, (h, w)."""
        stride = self._stride
        A = view.A / stride
        A[:, 2] -= (stride - 1) / (2 * stride)
        return cv2.warpAffine(ids, A, (view.width_px // stride, view.height_px // stride),
                              flags=cv2.INTER_NEAREST, borderMode=cv2.BORDER_CONSTANT,
                              borderValue=border)
