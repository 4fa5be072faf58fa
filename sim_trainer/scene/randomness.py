"""Random generators that depend on (seed, frame, name) alone.

So a picture does not depend on the number of workers or on what was drawn before it, and a new
randomizer does not shift another's draws.
"""

from __future__ import annotations

import zlib

import numpy as np


def frame_rng(seed: int, frame_index: int, name: str) -> np.random.Generator:
    """The generator of one randomizer in one frame."""
    return np.random.default_rng([seed, frame_index, zlib.crc32(name.encode())])
