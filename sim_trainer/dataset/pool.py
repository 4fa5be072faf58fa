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

"""The pictures that are held at a time, in memory that processes share. Linux only.

An anonymous file (memfd) is used, because /dev/shm is as small as 64 MB in containers. Worker
processes open it as /proc/PID/fd/N of the process that made it, so it ends with that process.
"""

from __future__ import annotations

from dataclasses import dataclass
import mmap
import os

import numpy as np
from sim_trainer.dataset.frames import LABEL_DTYPE
from sim_trainer.errors import TrainingError

_HEADER_BYTES = 4096
#: Left to everything else when the pool is made: the network, the workers, the page cache.
_SPARE_BYTES = 256 << 20


@dataclass(frozen=True)
class PoolAddress:
    """Where a pool lies: the process that made it, its file and the shape (P, H, W, 3)."""

    pid: int
    descriptor: int
    shape: tuple[int, int, int, int]


class PicturePool:
    """P slots; picture i goes to slot i % P.

    Attributes:
        allowed: (1,) int64, pictures below this number may be written.
        closed: (1,) int64, not 0 when nothing more will be written.
        drawn: (P,) int64, the picture that stands in each slot, -1 for none.
        labels: (P,) of ``LABEL_DTYPE``.
        pictures: (P, H, W, 3) uint8.
        instance_ids: (P, H, W) uint8, see ``Frame``.
    """

    def __init__(self, address: PoolAddress, descriptor: int) -> None:
        self.address = address
        slots = address.shape[0]
        memory = mmap.mmap(descriptor, _size(address.shape))
        self.allowed = np.frombuffer(memory, np.int64, 1)
        self.closed = np.frombuffer(memory, np.int64, 1, 8)
        self.drawn = np.frombuffer(memory, np.int64, slots, _HEADER_BYTES)
        start = _HEADER_BYTES + slots * 8
        self.labels = np.frombuffer(memory, LABEL_DTYPE, slots, start)
        start += slots * LABEL_DTYPE.itemsize
        size = int(np.prod(address.shape))
        self.pictures = np.frombuffer(memory, np.uint8, size, start).reshape(address.shape)
        self.instance_ids = np.frombuffer(memory, np.uint8, size // 3, start + size).reshape(
            address.shape[:3])

    @classmethod
    def create(cls, shape: tuple[int, int, int, int]) -> PicturePool:
        """Return a new pool of this shape (P, H, W, 3); ``close`` it.

        Raises:
            TrainingError: there is not enough memory, or the system is not Linux.
        """
        need, there = _size(shape) + _SPARE_BYTES, available_bytes()
        if need > there:
            raise TrainingError(
                f'{shape[0]} pictures of {shape[2]}x{shape[1]} px need {need / 1e9:.2f} GB of '
                f'memory and {there / 1e9:.2f} GB are available; lower frames.pool_count')
        if not hasattr(os, 'memfd_create'):
            raise TrainingError('training needs Linux: pictures are held in a memfd')
        descriptor = os.memfd_create('training pictures')
        try:
            os.ftruncate(descriptor, _size(shape))
            pool = cls(PoolAddress(os.getpid(), descriptor, shape), descriptor)
            pool.drawn[:] = -1
            return pool
        except BaseException:
            os.close(descriptor)
            raise

    @classmethod
    def attach(cls, address: PoolAddress) -> PicturePool:
        """Return the pool of another process of the same user.

        Raises:
            OSError: that process has ended.
        """
        descriptor = os.open(f'/proc/{address.pid}/fd/{address.descriptor}', os.O_RDWR)
        try:
            return cls(address, descriptor)
        finally:
            os.close(descriptor)    # the mapping stays

    def close(self) -> None:
        """Give the memory back once no array of it is left. For the process that made it."""
        os.close(self.address.descriptor)
        del self.allowed, self.closed, self.drawn
        del self.labels, self.pictures, self.instance_ids


def available_bytes() -> int:
    """Memory that can be had without swapping (MemAvailable)."""
    try:
        with open('/proc/meminfo', encoding='ascii') as file:
            for line in file:
                if line.startswith('MemAvailable:'):
                    return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 1 << 62      # not told: let the system decide


def _size(shape: tuple[int, int, int, int]) -> int:
    return (_HEADER_BYTES + shape[0] * (8 + LABEL_DTYPE.itemsize)
            + int(np.prod(shape)) // 3 * 4)
