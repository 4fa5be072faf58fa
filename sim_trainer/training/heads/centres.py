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

"""Head ``centres``: heat at the objects' centres, keypoints from the cells round them.

Source: Zhou et al. 2019, "Objects as Points".
"""

from __future__ import annotations

import numpy as np
from sim_trainer.training.heads.surface import SurfaceTargets
from sim_trainer.training.samples import Targets, View

#: An instance seen less than this is not asked for; below the second number it is background.
LEAST_VISIBLE, LEAST_NOTICED = 0.12, 0.02
#: Radius (pixels) round the centre in which cells answer for an instance's keypoints.
ANSWER_RADIUS_PX = 10.0
#: Standard deviation (cells) of the heat's fall round a centre.
SIGMA = 1.0
#: Radius (cells) round a centre that is not asked for, in which heat is not held against it.
_IGNORED_RADIUS = 4


class CentreTargets:
    """Targets of a view; see the module."""

    def __init__(self, kind_count: int, stride: int, teach_surfaces: bool = False) -> None:
        self._kind_count, self._stride = kind_count, stride
        self._surface = SurfaceTargets(kind_count, stride) if teach_surfaces else None

    def __call__(self, view: View) -> Targets:
        """Targets of a view."""
        stride = self._stride
        h, w = view.height_px // stride, view.width_px // stride
        heat = np.zeros((self._kind_count, h, w), np.float32)
        ignore = np.zeros(heat.shape, bool)
        owner = np.full((h, w), -1, np.int16)
        nearest = np.full((h, w), ANSWER_RADIUS_PX / stride, np.float32)
        keypoints_px: list[np.ndarray] = []
        ys, xs = np.mgrid[0:h, 0:w].astype(np.float32)
        for seen in view.seen:
            centre = seen.keypoints_px[0, 0]
            if seen.visible_fraction < LEAST_NOTICED or not (
                    (centre > -stride).all() and centre[0] < view.width_px + stride
                    and centre[1] < view.height_px + stride):
                continue
            cell = (centre - (stride - 1) / 2) / stride
            distance = np.hypot(xs - cell[0], ys - cell[1])
            column, row = int(round(float(cell[0]))), int(round(float(cell[1])))
            if not (seen.visible_fraction >= LEAST_VISIBLE and 0 <= column < w
                    and 0 <= row < h):
                ignore[seen.kind] |= distance < _IGNORED_RADIUS
                continue
            layer = heat[seen.kind]
            np.maximum(layer, np.exp(-distance ** 2 / (2 * SIGMA ** 2)), out=layer)
            layer[row, column] = 1.0
            mine = distance < nearest
            owner[mine] = len(keypoints_px)
            nearest[mine] = distance[mine]
            keypoints_px.append(seen.keypoints_px)
        ignore &= heat < 0.99
        seen_there = self._surface(view) if self._surface else None
        return Targets(heat, ignore, np.ones((h, w), np.float32), owner, keypoints_px,
                       seen_there and (seen_there.heat, seen_there.ignore))
