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

"""Whether scores and covariances mean what they say: reliability, coverage, risk and coverage.

Pure functions of numbers; ``records`` says where they come from.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import math

import numpy as np
from sim_trainer.evaluation.report import CHI2_90

#: Share -> quantile of chi squared with 3 degrees of freedom.
CHI2_QUANTILES = {0.5: 2.3660, 0.9: CHI2_90, 0.95: 7.8147}
#: A bin of fewer detections says nothing about a share.
LEAST_IN_BIN = 10
_95_PERCENT = 1.959964      # standard normal quantile of 0.975


@dataclass(frozen=True)
class ScoreBin:
    """Detections of neighbouring scores: what was promised and what came."""

    count: int
    score_mean: float
    right_share: float


@dataclass(frozen=True)
class Reliability:
    """A reliability diagram; ``expected_error`` is the calibration error, None of nothing."""

    bins: tuple[ScoreBin, ...]
    expected_error: float | None


@dataclass(frozen=True, eq=False)
class RiskCurve:
    """Risk of the first n things in an order, n = 1...N.

    Attributes:
        kept: (N,) share kept, n / N.
        risk: (N,) mean loss of what is kept.
    """

    kept: np.ndarray
    risk: np.ndarray

    @property
    def area(self) -> float | None:
        """Mean risk over all shares kept: smaller is a better order. None of nothing."""
        return float(self.risk.mean()) if len(self.risk) else None


def reliability(scores: Sequence[float], right: Sequence[bool], bins: int = 10) -> Reliability:
    """Bins of about equal counts by score, and the expected calibration error.

    Equal scores stay in one bin; few detections have fewer bins.

    Args:
        scores: (N,) promised probabilities.
        right: (N,) what came true.
        bins: at most.

    Source: Naeini et al., Obtaining well calibrated probabilities using Bayesian binning, 2015
    (there with bins of equal width).
    """
    scores, right = np.asarray(scores, dtype=float), np.asarray(right, dtype=float)
    total = len(scores)
    if total == 0:
        return Reliability((), None)
    order = np.argsort(scores, kind='stable')
    scores, right = scores[order], right[order]
    bins = max(1, min(bins, total // LEAST_IN_BIN))
    cuts = np.linspace(0, total, bins + 1).round().astype(int)[1:-1]
    # A cut inside a run of equal scores moves to the run's beginning.
    cuts = sorted({int(np.searchsorted(scores, scores[cut])) for cut in cuts} - {0})
    parts = [ScoreBin(len(s), float(s.mean()), float(r.mean()))
             for s, r in zip(np.split(scores, cuts), np.split(right, cuts))]
    error = sum(b.count * abs(b.score_mean - b.right_share) for b in parts) / total
    return Reliability(tuple(parts), float(error))


def chi2_share(squared: Sequence[float]) -> np.ndarray:
    """(N,) probability of a squared Mahalanobis distance (3 degrees of freedom) below each.

    Where covariances are true, these are uniform on 0...1.
    """
    x = np.maximum(np.asarray(squared, dtype=float), 0.0)
    erf = np.array([math.erf(math.sqrt(value / 2)) for value in x])
    return erf - np.sqrt(2 * x / np.pi) * np.exp(-x / 2)


def coverage(squared: Sequence[float]) -> dict[float, float | None]:
    """Nominal share -> share of the positions inside the ellipsoid of that share.

    Args:
        squared: (N,) squared Mahalanobis distances of positions; none give None.
    """
    values = np.asarray(squared, dtype=float)
    return {nominal: float((values < limit).mean()) if len(values) else None
            for nominal, limit in CHI2_QUANTILES.items()}


def risk_curve(trust: Sequence[float], losses: Sequence[float]) -> RiskCurve:
    """Mean loss of the most trusted first n.

    Things of equal trust stand or fall together: each carries the mean loss of its equals.

    Args:
        trust: (N,) larger is kept longer.
        losses: (N,) as an error, or 1 for a wrong detection and 0 for a right one.
    """
    trust, losses = np.asarray(trust, dtype=float), np.asarray(losses, dtype=float)
    if len(trust) == 0:
        return RiskCurve(np.zeros(0), np.zeros(0))
    _, equals = np.unique(trust, return_inverse=True)
    shared = np.bincount(equals, losses) / np.bincount(equals)
    ordered = shared[equals][np.argsort(-trust, kind='stable')]
    number = np.arange(1, len(trust) + 1)
    return RiskCurve(number / len(trust), np.cumsum(ordered) / number)


def wilson_interval(right: int, count: int) -> tuple[float, float]:
    """Where a share lies with 95 %, given ``right`` of ``count`` (more than 0).

    Source: Wilson, Probable inference, the law of succession, and statistical inference, 1927.
    """
    share, z2 = right / count, _95_PERCENT ** 2
    centre = (share + z2 / (2 * count)) / (1 + z2 / count)
    half = (_95_PERCENT * math.sqrt(share * (1 - share) / count + z2 / (4 * count ** 2))
            / (1 + z2 / count))
    return max(0.0, centre - half), min(1.0, centre + half)
