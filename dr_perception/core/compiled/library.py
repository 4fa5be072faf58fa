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

"""The pose solver's loops in C, for the arrays of a few objects that numpy is slow on.

``setup.py`` compiles the files of this folder where there is a C compiler. Without them numpy does
the same; each numpy function that has a twin here says so, and tests compare both.
"""

from __future__ import annotations

import ctypes
import logging
import os
from pathlib import Path
import pkgutil
import zlib

import numpy as np

logger = logging.getLogger(__name__)

#: Set to 0: numpy is used even where the compiled loops are there.
SWITCH = 'DR_PERCEPTION_COMPILED'
#: Arguments: i int, l int64, d double; arrays: D double, F float, L int64, B bool, U uint8; those
#: that are written end with '!'.
_FUNCTIONS = {
    'dr_join_peaks': 'i i i i F F F d i d d d d d L! L! D! D! D! D!',
    'dr_scaled_covariance': 'l D D D D!',
    'dr_inverses': 'l D D!',
    'dr_minimize': 'l i D D D D D D B D L l i i d d d D! D! D! D! D!',
    'dr_plane_hypotheses': 'i i i L D D D D d d D L! D! D! D! D! D! D! B! D!',
    'dr_best_hypotheses': 'i i i L D D d d d D D D D D! D! D! B! D! D! D!',
    'dr_visible_edge_points': 'l l i i d D D D D B B L D D! D! B! D! B!',
    'dr_edge_normals': 'l i D D B D d d D! D!',
    'dr_profile_places': 'l i i i i i i D D B B! F!',
    'dr_profile_gradients': 'l i U F!',
    'dr_refine_reading': 'l i i i d d d d d d d F D D B D D D D! D! D! D! D!',
    'dr_edge_evidence': 'l i i i d d D F B B D!',
}
_SCALARS = {'i': ctypes.c_int, 'l': ctypes.c_int64, 'd': ctypes.c_double}
_ARRAYS = {'D': np.dtype(np.float64), 'F': np.dtype(np.float32), 'L': np.dtype(np.int64),
           'B': np.dtype(np.bool_), 'U': np.dtype(np.uint8)}


def sources_checksum(folder: Path) -> int:
    """CRC-32 of the C files in a folder, as ``setup.py`` writes it into the library."""
    checksum = 0
    for path in sorted(folder.glob('[!.]*.[ch]')):
        checksum = zlib.crc32(path.read_bytes(), checksum)
    return checksum


def _opened(path: str) -> ctypes.CDLL | None:
    """Return the library; None, and a warning, where it cannot be used."""
    try:
        library = ctypes.CDLL(path)
        # The C files are installed beside it, so that what an older build left behind shows.
        if (ctypes.c_uint32.in_dll(library, 'dr_sources_checksum').value
                != sources_checksum(Path(__file__).parent)):
            logger.warning('%s was compiled from other sources; poses are solved with numpy, '
                           'slower, until the package is installed again', path)
            return None
        for name, codes in _FUNCTIONS.items():
            getattr(library, name).argtypes = [_SCALARS.get(code, ctypes.c_void_p)
                                               for code in codes.split()]
    except (OSError, ValueError, AttributeError) as error:
        logger.warning('%s cannot be loaded (%s); poses are solved with numpy, slower', path,
                       error)
        return None
    return library


def _load() -> ctypes.CDLL | None:
    """Return the library beside this file, or that of the installed package of the same sources.

    Under ``colcon test`` the package is run where its sources lie and installed elsewhere.
    """
    if os.environ.get(SWITCH) == '0':
        return None
    package, *inside = __name__.split('.')[:-1]
    folders = [Path(__file__).parent, *(Path(root, *inside) for root in
                                        pkgutil.extend_path([], package))]
    for folder in dict.fromkeys(folders):
        for path in sorted(folder.glob('_kernels*.so')):
            library = _opened(str(path))
            if library is not None:
                return library
    return None


#: Any memory, of any length.
_MEMORY = ctypes.c_char * 0
#: None where there is no compiler's work to use.
LIBRARY = _load()
_CODES = {name: [(_ARRAYS.get(code[0]), code.endswith('!')) for code in codes.split()]
          for name, codes in _FUNCTIONS.items()}


def run(name: str, *arguments: int | float | np.ndarray) -> int:
    """Call a function of the library.

    Arrays that are read are converted; those that are written must be of the right type,
    writable and in C's order. What their shapes have to be, and what is returned, the C files
    say.

    Raises:
        TypeError: what would be written is none of that.
        MemoryError: the function had none.
    """
    values = []
    for (dtype, written), argument in zip(_CODES[name], arguments, strict=True):
        if dtype is not None:
            array = np.ascontiguousarray(argument, dtype)
            if written and not (array is argument and array.flags.writeable):
                raise TypeError(f'{name}: it would write into a copy, or into what is read-only')
            try:
                argument = _MEMORY.from_buffer(array)   # four times as fast as array.ctypes
            except TypeError:                           # the array is read-only
                argument = array.ctypes
        values.append(argument)
    answer = getattr(LIBRARY, name)(*values)
    if answer < 0:
        raise MemoryError(f'{name} had no memory')
    return answer
