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

"""Follows objects from picture to picture: who is whom, who is new, who is gone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
import math

from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
from dr_perception.core.tracking.assignment import assign
from dr_perception.core.tracking.chi_square import chi_square_quantile
from dr_perception.core.tracking.rules import TrackerRules
from dr_perception.core.tracking.track import Found, Track, TrackedObject
import numpy as np

#: Two of a kind whose origins are nearer than this part of its least extent are one: bodies do
#: not stand inside each other.
SAME_PLACE = 0.5


class PoseTracker:
    """Turns each picture's detections into objects with names that last.

    The tracking frame is whichever the poses of the camera are given in: the base frame, so that a
    moving camera does not move the objects, or the camera's own, where its pose is not known. All
    pictures of one tracker have the same tracking frame.

    Not safe for concurrent calls.

    Args:
        objects: the model's objects.
        rules: how it behaves; may be replaced between pictures, but for the motion model.
    """

    def __init__(self, objects: Iterable[ObjectModel], rules: TrackerRules) -> None:
        self._objects = {model.name: model for model in objects}
        self._same_place_m = {name: SAME_PLACE * float(model.extents_m.min())
                              for name, model in self._objects.items()}
        self._rules = rules
        self._tracks: list[Track] = []
        self._newest_ns: int | None = None

    @property
    def rules(self) -> TrackerRules:
        """How it behaves."""
        return self._rules

    @rules.setter
    def rules(self, rules: TrackerRules) -> None:
        if rules.motion != self._rules.motion:
            self.reset()
        self._rules = rules

    def reset(self) -> None:
        """Forget everything."""
        self._tracks, self._newest_ns = [], None

    def step(self, detections: Sequence[Detection], stamp_ns: int,
             T_frame_camera: np.ndarray | None = None) -> list[TrackedObject]:
        """Return the confirmed objects at the time of a picture, best score first.

        A picture that was overtaken on its way, or whose stamp was there before, teaches nothing:
        the objects are reported as they were at its time. A jump back in time forgets everything.

        Args:
            detections: of one picture; those that are not finite are left out.
            stamp_ns: when it was taken, nanoseconds.
            T_frame_camera: (4, 4) the camera's pose then; None: the camera is the tracking frame.
        """
        if self._newest_ns is not None:
            dt_s = (stamp_ns - self._newest_ns) / 1e9
            if dt_s < -self._rules.reorder_s:
                self.reset()
            elif dt_s <= 0:
                return self._report(dt_s, stamp_ns)
            else:
                for track in self._tracks:
                    track.predict(dt_s, self._rules)
        self._newest_ns = stamp_ns
        T = np.eye(4) if T_frame_camera is None else T_frame_camera
        found = self._without_duplicates([Found.of(d, T) for d in detections if (
            np.isfinite(d.T_camera_object).all() and np.isfinite(d.covariance).all())])
        for name in {f.detection.object_name for f in found} | {
                t.object_name for t in self._tracks}:
            self._take_in([f for f in found if f.detection.object_name == name],
                          [t for t in self._tracks if t.object_name == name], stamp_ns)
        self._tracks = [t for t in self._tracks if not t.is_over(stamp_ns, self._rules)]
        self._confirm()
        return self._report(0.0, stamp_ns)

    def _without_duplicates(self, found: list[Found]) -> list[Found]:
        """Without those that stand inside a surer one of their kind."""
        kept: list[Found] = []
        for new in sorted(found, key=lambda f: -f.detection.score):
            name = new.detection.object_name
            if not any(old.detection.object_name == name
                       and self._is_same_place(name, old, new) for old in kept):
                kept.append(new)
        return kept

    def _take_in(self, found: list[Found], tracks: list[Track], stamp_ns: int) -> None:
        """Give one kind's detections to its tracks; what is left begins new ones."""
        for is_confirmed in (True, False):  # what is known comes before what may be false
            found = self._give([t for t in tracks if (t.number is not None) == is_confirmed],
                               found, stamp_ns)
        for new in found:
            # It may be one of them after all, turned over: then seen as that one was seen.
            for track in tracks:
                if self._is_same_place(track.object_name, track, new):
                    new = new.nearest(self._objects[track.object_name].symmetry,
                                      track.T_frame_object)
                    break
            self._tracks.append(Track(new, stamp_ns, self._rules))

    def _give(self, tracks: list[Track], found: list[Found], stamp_ns: int) -> list[Found]:
        """Give detections to tracks; returns those that no track could use."""
        gate = chi_square_quantile(self._rules.gate_probability, 6)
        cost = np.full((len(tracks), len(found)), np.inf)
        variants: dict[tuple[int, int], Found] = {}
        for i, track in enumerate(tracks):
            symmetry = self._objects[track.object_name].symmetry
            for j, candidate in enumerate(found):
                variant = candidate.nearest(symmetry, track.T_frame_object)
                distance_sq, pair_cost = track.fit(variant)
                if distance_sq <= gate:
                    cost[i, j], variants[i, j] = pair_cost, variant
        pairs = assign(cost)
        for i, j in pairs:
            tracks[i].hit(variants[i, j], stamp_ns, self._rules)
        for i in set(range(len(tracks))) - {i for i, _ in pairs}:
            tracks[i].miss(self._rules)
        taken = {j for _, j in pairs}
        return [f for j, f in enumerate(found) if j not in taken]

    def _confirm(self) -> None:
        """Give numbers to what was seen often enough.

        What stands where a known one of its kind stood, which itself is not found any more, is
        that one, turned over: it takes over its number.
        """
        candidates = [t for t in self._tracks
                      if t.number is None and t.hits >= self._rules.confirm_hits]
        for track in sorted(candidates, key=lambda t: (-t.hits, -t.detection.score)):
            others = [t for t in self._tracks
                      if t.object_name == track.object_name and t.number is not None]
            rivals = [t for t in others if self._is_same_place(track.object_name, t, track)]
            if any(t.misses < self._rules.confirm_hits for t in rivals):
                continue
            taken = {t.number for t in others}
            track.number = rivals[0].number if rivals else next(
                n for n in range(len(taken) + 1) if n not in taken)
            self._tracks = [t for t in self._tracks if t not in rivals]

    def _is_same_place(self, object_name: str, a: Found | Track, b: Found | Track) -> bool:
        apart_m = math.dist(a.T_frame_object[:3, 3], b.T_frame_object[:3, 3])
        return apart_m < self._same_place_m[object_name]

    def _report(self, ahead_s: float, stamp_ns: int) -> list[TrackedObject]:
        reports = [t.report(ahead_s, stamp_ns, self._rules)
                   for t in self._tracks if t.number is not None]
        return sorted(reports, key=lambda r: -r.score)
