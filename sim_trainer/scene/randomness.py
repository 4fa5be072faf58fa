"""Random generators that depend on (seed, frame, name) alone.

So a picture does not depend on the number of workers or on what was drawn before it, and a new
randomizer does not shift another's draws.
"""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np


def frame_rng(seed: int, frame_index: int, name: str) -> np.random.Generator:
    """The generator of one randomizer in one frame."""
    return np.random.default_rng([seed, frame_index, zlib.crc32(name.encode())])


@lru_cache(maxsize=4)
def pass_order(seed: int, pass_index: int, count: int) -> np.ndarray:
    """The order (count,) in which pass ``pass_index`` over the frames takes them; read only.

    Kept, because every sample asks for it; threads at the border of two passes ask for both.
    """
    order = frame_rng(seed, pass_index, 'frame order').permutation(count)
    order.setflags(write=False)
    return order
