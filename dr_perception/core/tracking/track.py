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

"""One object followed from picture to picture, and what is reported of it."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dr_perception.core.pipeline import Detection
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.tracking.motion import MOTION_MODELS, PoseState
from dr_perception.core.tracking.pose_filter import pose_difference, updated
from dr_perception.core.tracking.rules import TrackerRules
from dr_perception.core.tracking.symmetric_variant import nearest_variant
from dr_perception.core.transforms import invert_transform, rotate_covariance
import numpy as np

#: The score is the mean over about so many of the newest detections.
SCORE_MEMORY = 10


@dataclass(frozen=True, eq=False)
class TrackedObject:
    """An object that is followed, at the time of a picture.

    Attributes:
        name: `<object>_<n>`, its own as long as it is followed.
        T_frame_object: (4, 4), metres, in the tracking frame.
        covariance: (6, 6), REP 103 order, about the tracking frame's axes.
        twist: (6,) m/s and rad/s along the tracking frame's axes.
        score: mean of its newest detections' scores; while it is not found, that falls evenly to
            0 at its expiry.
        is_found: it was found in this very picture.
        found_ns: stamp of the picture that it was last found in.
        detection: its last one.
    """

    name: str
    T_frame_object: np.ndarray
    covariance: np.ndarray
    twist: np.ndarray
    score: float
    is_found: bool
    found_ns: int
    detection: Detection

    def as_detection(self, T_frame_camera: np.ndarray) -> Detection:
        """Return the same as a detection of a camera that stands at ``T_frame_camera`` (4, 4)."""
        T_camera_frame = invert_transform(T_frame_camera)
        return replace(self.detection, score=self.score,
                       T_camera_object=T_camera_frame @ self.T_frame_object,
                       covariance=rotate_covariance(T_camera_frame[:3, :3], self.covariance))


@dataclass(frozen=True, eq=False)
class Found:
    """A detection in the tracking frame: pose (4, 4) and covariance (6, 6)."""

    detection: Detection
    T_frame_object: np.ndarray
    covariance: np.ndarray

    @classmethod
    def of(cls, detection: Detection, T_frame_camera: np.ndarray) -> Found:
        """Return a detection of a camera at ``T_frame_camera`` (4, 4)."""
        return cls(detection, T_frame_camera @ detection.T_camera_object,
                   rotate_covariance(T_frame_camera[:3, :3], detection.covariance))

    def nearest(self, symmetry: Symmetry, T_frame_track: np.ndarray) -> Found:
        """Of those that look the same the one whose orientation is nearest a track's."""
        return Found(self.detection, *nearest_variant(
            symmetry, T_frame_track, self.T_frame_object, self.covariance))


class Track:
    """The filter of one object and its history; ``number`` is None until it is confirmed."""

    def __init__(self, found: Found, stamp_ns: int, rules: TrackerRules) -> None:
        self.detection = found.detection
        self.number: int | None = None
        self.hits, self.misses, self.hit_ns = 1, 0, stamp_ns
        self._score, self._score_count = found.detection.score, 1
        self._systematic = rules.systematic_part * found.covariance
        self._state = MOTION_MODELS[rules.motion].start(
            found.T_frame_object, found.covariance - self._systematic)

    @property
    def object_name(self) -> str:
        """Catalogue name."""
        return self.detection.object_name

    @property
    def T_frame_object(self) -> np.ndarray:
        """(4, 4) where it is, at the time predicted to."""
        return self._state.T_frame_object

    @property
    def covariance(self) -> np.ndarray:
        """(6, 6) of its pose: what averaging has left, and what it cannot remove."""
        return self._state.covariance[:6, :6] + self._systematic

    def predict(self, dt_s: float, rules: TrackerRules) -> None:
        """Go on in time; a pause longer than ``rules.gap_s`` leaves nothing of the velocity."""
        if dt_s > rules.gap_s:
            self._state = MOTION_MODELS[rules.motion].start(
                self._state.T_frame_object, self._state.covariance[:6, :6])
        self._state = self._predicted(min(dt_s, rules.gap_s), rules)

    def fit(self, found: Found) -> tuple[float, float]:
        """How a detection fits (the nearest variant): squared Mahalanobis distance, and cost.

        The cost is the negative log likelihood, so that what is known vaguely does not attract
        everything.
        """
        S = self.covariance + found.covariance
        difference = pose_difference(found.T_frame_object, self.T_frame_object)
        distance_sq = float(difference @ np.linalg.solve(S, difference))
        return distance_sq, distance_sq + float(np.linalg.slogdet(S)[1])

    def hit(self, found: Found, stamp_ns: int, rules: TrackerRules) -> None:
        """Take in a detection (the nearest variant) at the time predicted to."""
        self._systematic = rules.systematic_part * found.covariance
        self._state = updated(self._state, found.T_frame_object,
                              found.covariance - self._systematic)
        self.detection, self.hit_ns, self.misses = found.detection, stamp_ns, 0
        self.hits += 1
        self._score_count = min(self._score_count + 1, SCORE_MEMORY)
        self._score += (found.detection.score - self._score) / self._score_count

    def miss(self, rules: TrackerRules) -> None:
        """Note that a picture did not show it."""
        self.hits, self.misses = min(self.hits, rules.confirm_hits) - 1, self.misses + 1

    def is_over(self, stamp_ns: int, rules: TrackerRules) -> bool:
        """Whether it is to be given up: never where it was just found."""
        if not self.misses:
            return False
        unseen_s = (stamp_ns - self.hit_ns) / 1e9
        return unseen_s >= rules.expiry_s or (self.number is None and self.hits < 1)

    def report(self, ahead_s: float, stamp_ns: int, rules: TrackerRules) -> TrackedObject:
        """Return what is known of it ``ahead_s`` after the predicted time (negative: before)."""
        state = self._predicted(ahead_s, rules)
        unseen_s = max(stamp_ns - self.hit_ns, 0) / 1e9 if self.misses else 0.0
        fading = max(1.0 - unseen_s / max(rules.expiry_s, 1e-9), 0.0)
        return TrackedObject(
            f'{self.object_name}_{self.number}', state.T_frame_object,
            state.covariance[:6, :6] + self._systematic, state.twist,
            self._score * fading, not self.misses and stamp_ns == self.hit_ns, self.hit_ns,
            self.detection)

    def _predicted(self, dt_s: float, rules: TrackerRules) -> PoseState:
        return MOTION_MODELS[rules.motion].predict(self._state, dt_s, rules.noise)
