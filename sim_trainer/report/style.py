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

"""How every chart looks."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import matplotlib
from matplotlib.axes import Axes

#: Inches: a chart as wide as a phone; several stand side by side on a desk.
WIDTH_IN = 4.6
BLUE, ORANGE, GREEN, GREY = '#2a6fb0', '#d8752a', '#2f8f4e', '#8a9097'
ERROR_BAR = {'ecolor': '#333333', 'elinewidth': 1, 'capsize': 2}


@contextmanager
def style() -> Iterator[None]:
    """Return settings of every chart, wanted while one is made and while it is written.

    Without mathematics: a dollar in the name of an object is a dollar.
    """
    with matplotlib.rc_context({
            'font.size': 8.5, 'axes.titlesize': 9.5, 'axes.titleweight': 'bold',
            'axes.spines.top': False, 'axes.spines.right': False, 'axes.grid': True,
            'axes.axisbelow': True, 'grid.alpha': 0.3, 'text.parse_math': False,
            'legend.frameon': False, 'legend.fontsize': 8}):
        yield


def empty_chart(axis: Axes, text: str) -> None:
    """Say that there is nothing to draw, where it would stand."""
    axis.text(0.5, 0.5, text, ha='center', va='center', transform=axis.transAxes, color=GREY)
