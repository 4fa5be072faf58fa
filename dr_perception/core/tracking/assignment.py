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

"""Who is whom: the cheapest one-to-one assignment of rows to columns."""

from __future__ import annotations

import numpy as np

#: Outweighs any sum of real costs, so that as many pairs as possible are made.
_FORBIDDEN = 1e9


def assign(cost: np.ndarray) -> list[tuple[int, int]]:
    """Pairs (row, column): as many as are allowed, of the least total cost.

    Args:
        cost: (R, C); infinite where a pair is not allowed. Finite ones below 1e6 in size.

    Source: the Hungarian method (Kuhn 1955) with potentials and shortest augmenting paths
    (Jonker and Volgenant 1987); O(R^2 C).
    """
    cost = np.asarray(cost, dtype=np.float64)
    if cost.size == 0:
        return []
    if cost.shape[0] > cost.shape[1]:
        return sorted((row, column) for column, row in assign(cost.T))
    row_of = _row_of_each_column(np.where(np.isfinite(cost), cost, _FORBIDDEN))
    return sorted((int(row), column) for column, row in enumerate(row_of)
                  if row >= 0 and np.isfinite(cost[row, column]))


def _row_of_each_column(cost: np.ndarray) -> np.ndarray:
    """(C,) row of each column, -1 for none; every one of the R <= C rows has a column."""
    R, C = cost.shape
    row_potential, column_potential = np.zeros(R), np.zeros(C + 1)
    row_of = np.full(C + 1, -1)  # the column C is where each new row starts
    for row in range(R):
        row_of[C], column = row, C
        slack, came_from = np.full(C, np.inf), np.full(C, C)
        is_done = np.zeros(C + 1, dtype=bool)
        while row_of[column] >= 0:
            is_done[column] = True
            r = row_of[column]
            open_ = ~is_done[:C]
            reduced = cost[r] - row_potential[r] - column_potential[:C]
            better = open_ & (reduced < slack)
            slack[better], came_from[better] = reduced[better], column
            column = int(np.where(open_, slack, np.inf).argmin())
            step = slack[column]
            row_potential[row_of[is_done]] += step
            column_potential[is_done] -= step
            slack[open_] -= step
        while column != C:  # turn the path over
            row_of[column] = row_of[came_from[column]]
            column = int(came_from[column])
    return row_of[:C]
