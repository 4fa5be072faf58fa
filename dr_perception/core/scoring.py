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

"""The score: the probability that a detection is right within 2 cm, by logistic regression."""

from __future__ import annotations

from dr_perception.core.candidates import Candidates, log_odds
from dr_perception.core.edges.evidence import NAMES as EVIDENCE
from dr_perception.core.edges.refinement import Refined
import numpy as np

#: Names of ``score_features``, in their order. Models of format version 1 have weights for the
#: first four; weights may be fewer than features, the last then do not count.
FEATURES = ('one', 'log_odds', 'log_scale', 'log_misfit', 'margin', 'log_visible', 'log_size',
            'size_chi_squared', *(f'outline_{name}' for name in EVIDENCE),
            *(f'crease_{name}' for name in EVIDENCE), 'log_shift',
            'log_edge_size_chi_squared', 'edge_size_error')
#: Features that say how far a pose can be trusted, where edges were looked at.
TRUST_FEATURES = ('outline_share', 'outline_offset', 'log_shift')
_TRUST_COLUMNS = [FEATURES.index(name) for name in TRUST_FEATURES]
#: Bounds of a covariance factor's logarithm: features of another world are not extrapolated.
_TRUST_RANGE = (-4.0, 8.0)
_MARGIN_LIMIT = 6.0
#: Bounds of the estimated visible fraction.
_VISIBLE_RANGE = (0.03, 1.5)
#: Size error of a usual right detection; stands in where it is not known.
_USUAL_SIZE_ERROR, _USUAL_SIZE_DEVIATIONS = 0.04, 1.0
_MOST_SIZE_DEVIATIONS, _MOST_SIZE_ERROR = 5.0, 0.3


def score_features(candidates: Candidates, misfit: np.ndarray, whole_area_px: np.ndarray,
                   size_error: np.ndarray, size_deviations: np.ndarray,
                   refined: Refined | None = None) -> np.ndarray:
    """(M, 8) features of the score; (M, 19) with what the edges say.

    Args:
        candidates: M of them.
        misfit: (M,) mean squared normalized residual of the pose fit.
        whole_area_px: (M,) pixels that the object would cover if nothing hid it.
        size_error: (M,) part of its size by which it seems larger or smaller; NaN: not known.
        size_deviations: (M,) the same in standard deviations; NaN: not known.
        refined: of the same M; None: the model does not look at edges.
    """
    size = np.where(np.isnan(size_error), _USUAL_SIZE_ERROR, size_error)
    deviations = np.where(np.isnan(size_deviations), _USUAL_SIZE_DEVIATIONS, size_deviations)
    visible = np.clip(candidates.area_px / np.maximum(whole_area_px, 1.0), *_VISIBLE_RANGE)
    features = np.stack([
        np.ones(len(candidates)), log_odds(candidates.heat),
        np.log(candidates.scale_px.mean(1)), np.log(misfit + 0.1),
        np.clip(candidates.margin, -_MARGIN_LIMIT, _MARGIN_LIMIT),
        np.where(np.isnan(candidates.area_px), 0.0, np.log(visible)),
        np.log(size / _USUAL_SIZE_ERROR + 0.5),
        np.minimum(deviations, _MOST_SIZE_DEVIATIONS) ** 2], 1)
    if refined is None:
        return features
    return np.column_stack([features, refined.evidence, np.log(refined.shift + 0.1),
                            np.log(refined.size_chi_squared + 1),
                            np.minimum(refined.size_error, _MOST_SIZE_ERROR)])


def score(features: np.ndarray, weights: tuple[float, ...], kinds: np.ndarray | None = None,
          biases: tuple[float, ...] = ()) -> np.ndarray:
    """(M,) probability of being right within 2 cm; features beyond the weights do not count.

    Args:
        features: (M, F) of ``score_features``.
        weights: of them.
        kinds: (M,) index of each one's object; needed where there are biases.
        biases: what each kind adds to the log-odds; empty: nothing.
    """
    log_odds_right = features[:, :len(weights)] @ np.asarray(weights)
    if biases:
        log_odds_right = log_odds_right + np.asarray(biases)[kinds]
    return 1 / (1 + np.exp(-log_odds_right))


def trust_features(features: np.ndarray) -> np.ndarray:
    """Return the columns (M, 3) of ``score_features`` that are ``TRUST_FEATURES``."""
    return features[:, _TRUST_COLUMNS]


def covariance_factors(features: np.ndarray, scale: float, weights: tuple[float, ...]
                       ) -> np.ndarray:
    """(M,) factors that calibrate covariances.

    Args:
        features: (M, F) of ``score_features``.
        scale: the factor where all of ``TRUST_FEATURES`` are 0.
        weights: of them; empty: the factor is ``scale``.
    """
    if not weights:
        return np.full(len(features), scale)
    return np.exp(np.clip(np.log(scale) + trust_features(features) @ np.asarray(weights),
                          *_TRUST_RANGE))
