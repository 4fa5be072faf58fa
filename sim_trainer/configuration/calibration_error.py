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

"""How far the camera's calibration may be off: a section of the scene YAML.

``python -m sim_trainer calibrate`` prints it for a real camera. All are standard deviations of
normal laws, drawn anew for every picture; zeros, the default, change nothing.
"""

from __future__ import annotations

from dataclasses import dataclass
import math

from sim_trainer.errors import ConfigurationError

_MOST = {'position_m': 0.2, 'rotation_deg': 10.0, 'focal_share': 0.2, 'plane_height_m': 0.2,
         'plane_tilt_deg': 10.0}


@dataclass(frozen=True)
class CalibrationErrorConfig:
    """What the true camera and support differ by from what the estimator is told."""

    #: move of the camera along each axis
    position_m: float = 0.0
    #: turn of the camera about each axis through camera.look_at_m
    rotation_deg: float = 0.0
    #: both focal lengths, part of the focal length
    focal_share: float = 0.0
    #: height of the support at camera.look_at_m
    plane_height_m: float = 0.0
    #: tilt of the support about x and y
    plane_tilt_deg: float = 0.0

    def __post_init__(self) -> None:
        for name, most in _MOST.items():
            if not 0 <= getattr(self, name) <= most:
                raise ConfigurationError(f'calibration_error.{name}: {getattr(self, name):g}; '
                                         f'expected a standard deviation of 0...{most:g}')

    @property
    def acts(self) -> bool:
        """Whether anything is off at all."""
        return any(getattr(self, name) for name in _MOST)

    @property
    def height_m(self) -> float:
        """Deviation of the support's height over what the told pose lets expect."""
        return math.hypot(self.plane_height_m, self.position_m)

    @property
    def tilt_rad(self) -> float:
        """Deviation of the support's tilt, likewise."""
        return math.radians(math.hypot(self.plane_tilt_deg, self.rotation_deg))
