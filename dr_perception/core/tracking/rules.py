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

"""What a tracker's behaviour depends on."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.tracking.motion import MOTION_MODELS, ProcessNoise


@dataclass(frozen=True)
class TrackerRules:
    """When objects are believed, followed and given up.

    Attributes:
        motion: 'constant_pose' or 'constant_velocity'.
        noise: how much the motion deviates from that.
        confirm_hits: a new object is reported after so many pictures with it; one without it
            takes one away.
        expiry_s: an object that was not found for so long, while pictures came, is given up.
        gate_probability: a detection belongs to an object where it lies within the ellipsoid that
            holds it with this probability.
        systematic_part: part of a detection's covariance (0 ... below 1) that is the same error
            in the next picture, which no averaging removes: a network errs alike on like
            pictures.
        gap_s: a pause between two pictures that leaves nothing known of a velocity, and counts
            as no longer than this.
        reorder_s: a picture older than the newest by less than this was overtaken on its way; by
            more, time has jumped back.
    """

    motion: str = 'constant_pose'
    noise: ProcessNoise = ProcessNoise(0.002, 0.02)
    confirm_hits: int = 3
    expiry_s: float = 1.0
    gate_probability: float = 0.999
    systematic_part: float = 0.0
    gap_s: float = 1.0
    reorder_s: float = 1.0

    def __post_init__(self) -> None:
        if self.motion not in MOTION_MODELS:
            raise ValueError(f'motion is {self.motion!r}; expected one of '
                             f'{", ".join(MOTION_MODELS)}')
        for name, low, text in (
                ('confirm_hits', 1, '1 or more'), ('expiry_s', 0, '0 or more seconds'),
                ('gap_s', 0, '0 or more seconds'), ('reorder_s', 0, '0 or more seconds')):
            if not getattr(self, name) >= low:  # so that NaN is refused, too
                raise ValueError(f'{name} is {getattr(self, name)}; expected {text}')
        for name in ('gate_probability', 'systematic_part'):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f'{name} is {getattr(self, name)}; expected 0 ... below 1')
        if not (self.noise.position > 0 and self.noise.rotation > 0):
            raise ValueError(f'noise is {self.noise}; expected positive numbers, or the filter '
                             'would stop to listen')
