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

"""The assignment against all permutations, and the gates against tables."""
from itertools import permutations

from dr_perception.core.tracking.assignment import assign
from dr_perception.core.tracking.chi_square import chi_square_quantile
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest


def best(cost):
    """Return the most pairs and their least cost, by trying everything."""
    R, C = cost.shape
    if R > C:
        return best(cost.T)
    found = []
    for columns in permutations(range(C), R):
        values = [cost[r, c] for r, c in enumerate(columns) if np.isfinite(cost[r, c])]
        found.append((-len(values), sum(values)))
    return min(found, default=(0, 0.0))


@given(st.integers(0, 5), st.integers(0, 5), st.integers(0, 2**32), st.floats(0, 0.9))
@settings(max_examples=300)
def test_no_permutation_is_better(rows, columns, seed, forbidden):
    rng = np.random.default_rng(seed)
    cost = rng.uniform(-50, 50, (rows, columns))
    cost[rng.uniform(size=cost.shape) < forbidden] = np.inf
    pairs = assign(cost)
    assert len({r for r, _ in pairs}) == len({c for _, c in pairs}) == len(pairs)
    count, total = best(cost)
    assert len(pairs) == -count
    assert sum(cost[r, c] for r, c in pairs) == pytest.approx(total, abs=1e-6)


def test_a_greedy_choice_would_be_wrong():
    assert assign(np.array([[1.0, 2.0], [1.5, 9.0]])) == [(0, 1), (1, 0)]


@pytest.mark.parametrize('probability, degrees, value', [
    (0.95, 2, 5.991), (0.9, 4, 7.779), (0.95, 6, 12.592), (0.999, 6, 22.458), (0.0, 6, 0.0)])
def test_quantiles_of_the_tables(probability, degrees, value):
    assert chi_square_quantile(probability, degrees) == pytest.approx(value, abs=1e-3)


@pytest.mark.parametrize('probability, degrees, text', [
    (1.0, 6, r'probability is 1.0; expected 0 \.\.\. below 1'),
    (-0.1, 6, 'probability is -0.1'), (0.9, 3, 'degrees_of_freedom is 3; expected 2, 4, 6'),
    (0.9, 0, 'degrees_of_freedom is 0')])
def test_what_has_no_quantile(probability, degrees, text):
    with pytest.raises(ValueError, match=text):
        chi_square_quantile(probability, degrees)
