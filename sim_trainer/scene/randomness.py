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

"""Random generators that depend on (seed, frame, name) alone.

So a picture does not depend on the number of workers or on what was drawn before it, and a new
randomizer does not shift another's draws.
"""

from __future__ import annotations

from functools import lru_cache
import zlib

import numpy as np


def frame_rng(seed: int, frame_index: int, name: str) -> np.random.Generator:
    """Return the generator of one randomizer in one frame."""
    return np.random.default_rng([seed, frame_index, zlib.crc32(name.encode())])


@lru_cache(maxsize=4)
def pass_order(seed: int, pass_index: int, count: int) -> np.ndarray:
    """Return the order (count,) in which pass ``pass_index`` takes the frames; read only.

    Kept, because every sample asks for it; threads at the border of two passes ask for both.
    """
    order = frame_rng(seed, pass_index, 'frame order').permutation(count)
    order.setflags(write=False)
    return order
