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

"""Which picture a sample is made from: a window of the drawn pictures that moves on steadily."""

from __future__ import annotations

from dataclasses import dataclass

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.scene.randomness import frame_rng, pass_order

#: Batches that are made ahead or are being made; for these the pool should have the pictures.
BATCHES_IN_FLIGHT = 5


@dataclass(frozen=True)
class Choice:
    """What sample n is made from: drawn picture ``index``, or one of BOP source ``source``."""

    index: int | None
    source: int | None = None


class FrameLaw:
    """Depends on (configuration, sample number) alone: not on workers, nor on a resume.

    With C pictures, P slots and S samples, sample n takes one of the W pictures lo(n) ...
    lo(n) + W - 1, uniformly, with lo(n) = floor(n (C - P) / S). W is a little less than P: the
    samples of the batches in flight must find their pictures drawn before the first of them is
    finished. Where all pictures fit in the pool, every one is taken once a pass.

    Attributes:
        count, pool_count, window_count, sample_count: C, P, W and S.
    """

    def __init__(self, config: SceneConfig) -> None:
        self.count = config.frames.count
        self.pool_count = min(config.frames.pool_count, self.count)
        self.sample_count = config.training.batch_count * config.training.batch_size
        ahead = self.count - self.pool_count
        batch = config.training.batch_size
        one, all_of_them = (-(-ahead * batches * batch // self.sample_count) + 1
                            for batches in (1, BATCHES_IN_FLIGHT))
        if ahead and one >= self.pool_count:
            raise ConfigurationError(
                f'frames.pool_count: {self.pool_count}; with {self.count} pictures for '
                f'{self.sample_count} samples a batch alone needs {one + 1}; raise it, or '
                'lower frames.count')
        self.window_count = (self.pool_count - max(one, min(all_of_them, self.pool_count // 2))
                             if ahead else self.pool_count)
        self._seed = config.seed
        self._shares = [source.share for source in config.frames.bop]

    def lowest(self, number: int) -> int:
        """lo(n): samples from ``number`` on need no picture below it."""
        number = min(max(number, 0), self.sample_count)
        return number * (self.count - self.pool_count) // self.sample_count

    def allowed(self, number: int) -> int:
        """Pictures below this may be drawn while sample ``number`` is the first unfinished.

        Picture i takes the slot of picture i - P, which that sample and later ones do not need.
        """
        return self.lowest(number) + self.pool_count

    def choice(self, number: int, attempt: int = 0) -> Choice:
        """Return what sample ``number`` is made from; each ``attempt`` is another draw."""
        rng = frame_rng(self._seed, number, f'frame {attempt}' if attempt else 'frame')
        mixed = rng.random()        # drawn even without sources: a share shifts nothing else
        for source, share in enumerate(self._shares):
            if mixed < share:
                return Choice(None, source)
            mixed -= share
        if self.count <= self.pool_count and attempt == 0:
            pass_index, place = divmod(number, self.count)
            return Choice(int(pass_order(self._seed, pass_index, self.count)[place]))
        return Choice(self.lowest(number) + int(rng.integers(self.window_count)))
