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

"""Noisy detections of objects of known pose, as a camera would give them."""
from dataclasses import dataclass, field

from dr_perception.core.pipeline import Detection
from dr_perception.core.tracking.pose_filter import moved
from dr_perception.core.tracking.rules import TrackerRules
from dr_perception.core.tracking.tracker import PoseTracker
from dr_perception.core.transforms import invert_transform
import numpy as np
import pytest

PERIOD_NS = 33_000_000
#: Correlated, as an estimate along a line of sight is: 2 mm and 6 mm, 2 degrees.
COVARIANCE = np.diag([0.002, 0.002, 0.006, 0.03, 0.03, 0.04]) ** 2
COVARIANCE[2, 3] = COVARIANCE[3, 2] = 0.5 * 0.006 * 0.03


@dataclass
class Camera:
    """Sees objects at known poses in a frame at rest, with errors of the covariance it states."""

    rng: np.random.Generator
    covariance: np.ndarray = field(default_factory=lambda: COVARIANCE)
    T_frame_camera: np.ndarray = field(default_factory=lambda: np.eye(4))

    def see(self, name, T_frame_object, score=0.9, symmetry=None, is_noisy=True):
        """Return the detection of one object, shown as any of the equivalents of its group."""
        T = invert_transform(self.T_frame_camera) @ T_frame_object
        if symmetry is not None:
            T = T @ symmetry.transforms[self.rng.integers(len(symmetry.transforms))]
        if is_noisy:
            T = moved(T, self.rng.multivariate_normal(np.zeros(6), self.covariance))
        return Detection(name, score, T, self.covariance)


@pytest.fixture(scope='session')
def make_camera():
    """Return a function: a Camera whose draws depend on a seed."""
    return lambda seed=0, **values: Camera(np.random.default_rng(seed), **values)


@pytest.fixture(scope='session')
def make_tracker(catalogue):
    """Return a function: a PoseTracker of the eight objects, with rules."""
    return lambda **rules: PoseTracker(catalogue.values(), TrackerRules(**rules))


class Sequence:
    """A tracker that is shown one picture after the other."""

    def __init__(self, tracker, period_ns=PERIOD_NS):
        """Begin at a stamp of no special meaning."""
        self.tracker, self.period_ns, self.stamp_ns = tracker, period_ns, 1_700_000_000_000_000_005

    def show(self, *detections, after_ns=None, T_frame_camera=None):
        """Return what is reported of the next picture, by name."""
        self.stamp_ns += self.period_ns if after_ns is None else after_ns
        reports = self.tracker.step(detections, self.stamp_ns, T_frame_camera)
        by_name = {report.name: report for report in reports}
        assert len(by_name) == len(reports)
        return by_name


@pytest.fixture(scope='session')
def sequence():
    """Return the class of sequences."""
    return Sequence
