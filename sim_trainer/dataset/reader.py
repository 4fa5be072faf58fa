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

"""The frame of every sample, for whoever sees the pool of drawn pictures."""

from __future__ import annotations

import os
from pathlib import Path
import threading
import time

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop_frames import BopFrames
from sim_trainer.dataset.frames import Frame, frame_shape, row_to_frame
from sim_trainer.dataset.law import FrameLaw
from sim_trainer.dataset.pool import PicturePool
from sim_trainer.errors import TrainingError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.scene.randomness import frame_rng

_NAP_S = 0.005


class FrameReader:
    """Takes frames out of a pool, in whatever order samples are made; safe between threads.

    Sample n's frame depends on (configuration, n) alone (``FrameLaw``).
    """

    def __init__(self, config: SceneConfig, pool: PicturePool | None = None) -> None:
        """Prepare.

        Args:
            config: the run's configuration.
            pool: where the pictures are, attached by a child of the process that has them drawn;
                None for that one, which makes it later.

        Raises:
            DatasetError: a BOP source cannot be used.
        """
        self.config = config
        self.law = FrameLaw(config)
        self._pool = pool
        self._sources: list[BopFrames] = []
        self._source_lock = threading.Lock()
        if config.frames.bop:
            height, width, _ = frame_shape(config)
            catalogue = build_catalogue(config.objects)
            self._sources = [BopFrames(Path(source.path), source.split, catalogue,
                                       (width, height)) for source in config.frames.bop]

    def frame(self, number: int, attempt: int = 0) -> Frame:
        """Return the frame of sample ``number``, a copy; waits until it is drawn.

        Args:
            number: of the sample; not released yet.
            attempt: 0, 1, ... another frame each, for samples that cannot use the first.

        Raises:
            TrainingError: nothing more is drawn.
            PerceptionError: a picture of a BOP source cannot be read.
        """
        choice = self.law.choice(number, attempt)
        if choice.index is None:
            source = self._sources[choice.source]
            rng = frame_rng(self.config.seed, number, f'bop frame {attempt}')
            with self._source_lock:     # a source keeps its last pictures
                return source.frame(int(rng.integers(len(source))), rng)
        slot = choice.index % self.law.pool_count
        self._wait_for(slot, choice.index)
        # Not locked: the slot is not overwritten before this sample is released.
        pool = self._pool
        return row_to_frame(pool.pictures[slot], pool.instance_ids[slot], pool.labels[slot],
                            self.config.camera.camera)

    def _wait_for(self, slot: int, index: int) -> None:
        """Wait until picture ``index`` stands in its slot."""
        pool = self._pool
        while pool.drawn[slot] != index:
            if pool.closed[0] or os.getppid() != pool.address.pid:
                raise TrainingError('the stream of pictures is closed')
            time.sleep(_NAP_S)
