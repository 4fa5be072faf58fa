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

"""The plane that objects stand on, as the pose solver needs it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from dr_perception.core.least_squares import plane_basis
import numpy as np


@dataclass(frozen=True, eq=False)
class SupportPlane:
    """The plane z = height of the base frame, and how far it is trusted.

    Attributes:
        T_base_camera: (4, 4) pose of the camera in the base frame.
        height_m: of the plane, in the base frame.
        sigma_m: trust in its height.
        sigma_rad: trust in its direction.
    """

    T_base_camera: np.ndarray
    height_m: float
    sigma_m: float
    sigma_rad: float

    @cached_property
    def basis(self) -> np.ndarray:
        """(3, 3) two directions in the plane and its normal, in the camera's frame."""
        return plane_basis(self.T_base_camera[2, :3])

    @cached_property
    def information(self) -> np.ndarray:
        """(6, 6) what it says of a pose on it, along the camera's axes."""
        normal = self.T_base_camera[2, :3]
        across = np.outer(normal, normal)
        information = np.zeros((6, 6))
        information[:3, :3] = across / self.sigma_m ** 2
        information[3:, 3:] = (np.eye(3) - across) / self.sigma_rad ** 2
        return information

    @cached_property
    def weights(self) -> np.ndarray:
        """(3,) how far height and the two tilts are trusted: 1 / m, 1 / rad."""
        return 1 / np.array([self.sigma_m, self.sigma_rad, self.sigma_rad])
