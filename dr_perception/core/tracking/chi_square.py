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

"""Quantiles of the chi-square law, for gates."""

from __future__ import annotations

from functools import lru_cache
import math


@lru_cache(maxsize=16)
def chi_square_quantile(probability: float, degrees_of_freedom: int) -> float:
    """Return the value that a chi-square variable stays below with ``probability``.

    Args:
        probability: 0 ... below 1.
        degrees_of_freedom: even: only then the law has a closed form.

    Raises:
        ValueError: a probability outside [0, 1), or an odd or non-positive number of degrees.

    Source: Abramowitz and Stegun, 26.4.5: P(x > X) = exp(-X / 2) sum_k (X / 2)^k / k!.
    """
    if not 0 <= probability < 1:
        raise ValueError(f'probability is {probability}; expected 0 ... below 1')
    if degrees_of_freedom <= 0 or degrees_of_freedom % 2:
        raise ValueError(f'degrees_of_freedom is {degrees_of_freedom}; expected 2, 4, 6 ...')

    def above(x: float) -> float:
        return math.exp(-x / 2) * sum((x / 2) ** k / math.factorial(k)
                                      for k in range(degrees_of_freedom // 2))

    low, high = 0.0, 1.0
    while above(high) > 1 - probability:
        low, high = high, 2 * high
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if above(middle) > 1 - probability else (low, middle)
    return high
