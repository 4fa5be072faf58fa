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

"""An object's keypoints in all the ways in which it looks the same.

A network cannot tell them apart, so the loss takes the nearest. Finite groups are listed. Round
objects would need a continuum; they are turned to the camera instead: their turn about z is then a
function of the view, and a keypoint on the rim is where the outline is, for every view alike.
"""

from __future__ import annotations

from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import rotation_about, transform_points
import numpy as np
from sim_trainer.objects.catalogue import CONTINUOUS_SAMPLES

#: A camera right over a round object sees no side that is turned to it; then the picture's lower
#: edge decides. The smaller this part, the smaller the range of views where neither does.
_DOWN_PART = 0.5


class CanonicalKeypoints:
    """The keypoints of one object."""

    def __init__(self, model: ObjectModel) -> None:
        transforms = model.symmetry.transforms
        self._round = bool(model.symmetry.continuous_about_z)
        if self._round:
            transforms = transforms[::CONTINUOUS_SAMPLES]       # without the turns about z
        self._points_m = np.stack([transform_points(S, model.keypoints_m) for S in transforms])

    def seen_from(self, T_camera_object: np.ndarray) -> np.ndarray:
        """(G, K, 3) object frame, metres, for a pose (4, 4)."""
        if not self._round:
            return self._points_m
        R, t = T_camera_object[:3, :3], T_camera_object[:3, 3]
        toward = R.T @ (-t / np.linalg.norm(t) + _DOWN_PART * np.array([0.0, 1.0, 0.0]))
        turn = rotation_about('z', np.arctan2(toward[1], toward[0]))
        return self._points_m @ turn.T
