"""What all worker processes of the trainer share."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator

#: One worker a core: libraries inside it must not start threads of their own.
_ENVIRONMENT = {'LP_NUM_THREADS': '0', 'OMP_NUM_THREADS': '1', 'OPENBLAS_NUM_THREADS': '1',
                'MKL_NUM_THREADS': '1'}


@contextlib.contextmanager
def quiet_environment() -> Iterator[None]:
    """The environment in which workers are started: single-threaded libraries."""
    saved = {name: os.environ.get(name) for name in _ENVIRONMENT}
    os.environ.update(_ENVIRONMENT)
    try:
        yield
    finally:
        for name, value in saved.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
