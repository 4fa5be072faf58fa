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
"""How well the picture bears a hypothesis out, along its edges."""

from __future__ import annotations

from dr_perception.core.compiled import library
from dr_perception.core.edges.profiles import Profiles
import numpy as np

#: Features of outline and creases each, in their order.
NAMES = ('support', 'share', 'offset', 'contrast')
EVIDENCE_COUNT = 2 * len(NAMES)
#: Gradient (grey levels a pixel) of a picture's noise at least; more is seen in the profiles.
_LEAST_NOISE = 0.5
#: Fewer points than this say nothing.
_FEWEST = 4
_ENOUGH = 20.0
_UNKNOWN = (0.5, 0.5, 3.0, 0.0)


def edge_evidence(profiles: Profiles, on_outline: np.ndarray) -> np.ndarray:
    """(M, 8) how far edges are where they should be; on the outline, then at the creases.

    ``support``: gradient at the predicted place (within 1 px) by the strongest near by.
    ``share``: part of the points whose strongest gradient is there. ``offset``: mean distance of
    the strongest, px. ``contrast``: logarithm of the mean gradient there.

    Args:
        profiles: of M hypotheses.
        on_outline: (M, S) bool, see ``EdgePoints``.
    """
    reach = profiles.reach_px
    if library.LIBRARY is not None:
        evidence = np.empty((len(on_outline), EVIDENCE_COUNT))
        library.run('dr_edge_evidence', *on_outline.shape, reach, _FEWEST, _LEAST_NOISE, _ENOUGH,
                    np.array(_UNKNOWN), profiles.gradients, profiles.is_inside, on_outline,
                    evidence)
        return evidence
    steps = np.abs(np.arange(-reach, reach + 1))
    G = profiles.gradients
    peak, here = G.max(-1), G[..., reach - 1:reach + 2].max(-1)
    noise = np.median(G, axis=(1, 2), keepdims=True)[..., 0] + _LEAST_NOISE
    support = here / (peak + noise)
    share = (here > 0.6 * peak) & (here > 2 * noise)
    offset = steps[G.argmax(-1)] * np.minimum(peak, _ENOUGH)
    features = []
    for part in (on_outline & profiles.is_inside, ~on_outline & profiles.is_inside):
        count = part.sum(1)
        mean = [np.where(part, values, 0.0).sum(1) / np.maximum(count, 1) for values in (
            support, share, here)]
        strength = np.where(part, np.minimum(peak, _ENOUGH), 0.0).sum(1)
        distance = np.where(part, offset, 0.0).sum(1) / np.maximum(strength, 1e-6)
        columns = np.stack([mean[0], mean[1], distance, np.log(mean[2] + 1)], 1)
        features.append(np.where((count >= _FEWEST)[:, None], columns, _UNKNOWN))
    return np.concatenate(features, 1)
