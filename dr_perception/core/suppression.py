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

"""One place, one object: what a stronger candidate or detection leaves of the others."""

from __future__ import annotations

from dr_perception.core.candidates import Candidates, log_odds
import numpy as np

#: Two detections whose centres are nearer than this part of their apparent size are one object.
SAME_PLACE = 0.3
#: A candidate is not even solved where another stands whose log-odds are higher by this. Of two
#: kinds at one place, the heat knows better than edges and fit do: docs/model.md.
SHADOWED_LOG_ODDS = 0.8


def strongest(scores: np.ndarray, positions_m: np.ndarray, diameters_m: np.ndarray) -> list[int]:
    """Return indices by falling score, without those that stand where a stronger one stands.

    One object often raises a peak in the heat-map of a similar kind too; the centres then fall
    together in the picture.

    Args:
        scores: (M,).
        positions_m: (M, 3) in the camera's frame; what lies behind the camera is left out.
        diameters_m: (M,) of the objects.
    """
    z = np.maximum(positions_m[:, 2], 1e-3)
    same = same_place(positions_m[:, :2] / z[:, None], diameters_m / z)
    kept: list[int] = []
    for i in np.argsort(-scores):
        if positions_m[i, 2] > 0 and not same[i, kept].any():
            kept.append(int(i))
    return kept


def same_place(centres: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    """(M, M) bool, which of M things stand in one place: centres (M, 2), sizes (M,)."""
    apart = centres[:, None] - centres
    distance = np.hypot(apart[..., 0], apart[..., 1])
    return distance <= SAME_PLACE * np.minimum(sizes[:, None], sizes)


def without_shadowed(candidates: Candidates) -> Candidates:
    """Without those that a far surer candidate of the same place would suppress anyway."""
    centre = candidates.keypoints_px[:, 0]
    extent = np.ptp(candidates.keypoints_px, axis=1).max(1)
    strength = log_odds(candidates.heat)
    shadowed = (same_place(centre, extent)
                & (strength - strength[:, None] > SHADOWED_LOG_ODDS)).any(1)
    return candidates if not shadowed.any() else candidates.take(~shadowed)
