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

"""PyBullet's import without its build banner."""

from __future__ import annotations

import ctypes
import os
import sys
from types import ModuleType


def import_pybullet() -> ModuleType:
    """Return the pybullet module.

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
