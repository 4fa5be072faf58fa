"""PyBullet's import without its build banner."""

from __future__ import annotations

import ctypes
import os
import sys
from types import ModuleType


def import_pybullet() -> ModuleType:
    """The pybullet module.

    Its C code writes a banner while it is imported (to stderr in some builds, to stdout in
    others), and C's stdio may keep it until the process ends. So both descriptors are turned away
    during the import, and C's buffers are emptied before they come back.
    """
    if 'pybullet' in sys.modules:
        return sys.modules['pybullet']
    libc = ctypes.CDLL(None)
    sys.stdout.flush()
    sys.stderr.flush()
    libc.fflush(None)       # what others wrote before goes where it belongs
    saved = [(descriptor, os.dup(descriptor)) for descriptor in (1, 2)]
    try:
        with open(os.devnull, 'wb') as sink:
            for descriptor, _ in saved:
                os.dup2(sink.fileno(), descriptor)
        import pybullet
        libc.fflush(None)
    finally:
        for descriptor, copy in saved:
            os.dup2(copy, descriptor)
            os.close(copy)
    return pybullet
