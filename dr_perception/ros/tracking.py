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

"""Tracking in the node: which frame, which rules, and detections that went through it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
from dr_perception.core.tracking.motion import ProcessNoise
from dr_perception.core.tracking.rules import TrackerRules
from dr_perception.core.tracking.tracker import PoseTracker
from dr_perception.ros.parameters import Settings
import numpy as np

TRACKING_KIND = 'tracking'
#: Part of a detection's covariance that the next picture of the same scene repeats. Measured with
#: the shipped model: noise of 2 and 5 grey levels explains 0.5 and 2 % of it; the rest of a tenth
#: is for real cameras, whose light, exposure and compression change, too.
SYSTEMATIC_PART = 0.9


@dataclass(frozen=True, eq=False)
class PictureOrigin:
    """Where and when a picture was taken.

    Attributes:
        stamp_ns: of the picture; 0 where the camera sets none.
        now_ns: the node's time.
        camera_frame: the optical frame's name.
        T_base_camera: (4, 4) the camera's pose at the stamp; None: not known.
    """

    stamp_ns: int
    now_ns: int
    camera_frame: str
    T_base_camera: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Followed:
    """An object of a picture with the name that it keeps.

    Attributes:
        detection: its pose at the picture's time.
        name: `<object>_<n>`.
        found_ns: stamp of the picture that it was last found in; None: of this one.
    """

    detection: Detection
    name: str
    found_ns: int | None = None


class FrameTracking:
    """Detections of one picture after another in, tracked ones with their names out.

    Args:
        objects: the model's objects.
        warn: called with kind and text of what is wrong but does not stop the frame.
    """

    def __init__(self, objects: Iterable[ObjectModel],
                 warn: Callable[[str, str], None]) -> None:
        self._objects, self._warn = tuple(objects), warn
        # One in the base frame and one in the camera's: a pose of the camera that is missing for
        # a moment must not cost the objects their names.
        self._trackers: dict[str, PoseTracker] = {}
        self._camera_frame = ''

    def follow(self, detections: Sequence[Detection], origin: PictureOrigin,
               settings: Settings) -> list[Followed]:
        """Return the confirmed objects, best score first.

        Args:
            detections: what was found in the picture.
            origin: of the picture.
            settings: the parameters; tracking is on.
        """
        tracked = self._tracker(origin, settings).step(
            detections, origin.stamp_ns or origin.now_ns, origin.T_base_camera)
        wanted = [t for t in tracked if is_wanted(t.detection.object_name, t.score, settings)]
        T_frame_camera = np.eye(4) if origin.T_base_camera is None else origin.T_base_camera
        return [Followed(t.as_detection(T_frame_camera), t.name,
                         None if t.is_found else t.found_ns) for t in wanted]

    def forget(self) -> None:
        """Begin anew, as when tracking was off."""
        self._trackers.clear()

    def _tracker(self, origin: PictureOrigin, settings: Settings) -> PoseTracker:
        frame = 'base'
        if origin.T_base_camera is None:
            frame = 'camera'
            self._warn(TRACKING_KIND, (
                f'in the frame of the camera, {origin.camera_frame!r}, because its pose in '
                f'{settings.base_frame!r} is not known: a moving camera moves the objects; '
                'publish TF between the two, or set camera_pose'))
            if origin.camera_frame != self._camera_frame:
                self._camera_frame = origin.camera_frame
                self._trackers.pop(frame, None)
        rules = tracker_rules(settings)
        if frame not in self._trackers:
            self._trackers[frame] = PoseTracker(self._objects, rules)
        self._trackers[frame].rules = rules
        return self._trackers[frame]


def is_wanted(object_name: str, score: float, settings: Settings) -> bool:
    """Whether the parameters ask for such an instance."""
    return score >= settings.min_score and (
        not settings.objects or object_name in settings.objects)


def tracker_rules(settings: Settings) -> TrackerRules:
    """Return the tracker's rules of the parameters; tracking is on."""
    return TrackerRules(
        settings.tracking,
        ProcessNoise(settings.track_position_noise, settings.track_rotation_noise),
        settings.track_confirm_hits, settings.track_expiry_s, systematic_part=SYSTEMATIC_PART)
