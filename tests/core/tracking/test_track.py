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

"""One track, by numbers worked out by hand."""
from dr_perception.core.pipeline import Detection
from dr_perception.core.tracking.rules import TrackerRules
from dr_perception.core.tracking.track import Found, Track
from dr_perception.core.transforms import make_transform
import numpy as np
import pytest

C = np.diag([1.0, 2, 3, 4, 5, 6]) * 1e-6


def found(x_m, score=0.9):
    """Return a cube at x in the tracking frame."""
    return Found.of(Detection('cube', score, make_transform(np.eye(3), [x_m, 0, 0]), C), np.eye(4))


@pytest.mark.parametrize('part', [0.0, 0.75])
def test_only_what_is_not_systematic_becomes_less(part):
    rules = TrackerRules(systematic_part=part)
    track = Track(found(0.0), 0, rules)
    assert np.allclose(track.covariance, C)
    for count in (2, 3, 4):
        track.hit(found(0.0), count, rules)
        assert np.allclose(track.covariance, part * C + (1 - part) * C / count)


@pytest.mark.parametrize('part', [0.0, 0.75])
def test_distance_and_cost(part):
    track = Track(found(0.0), 0, TrackerRules(systematic_part=part))
    distance_sq, cost = track.fit(found(0.002))
    assert distance_sq == pytest.approx(0.002 ** 2 / 2e-6)
    assert cost == pytest.approx(distance_sq + np.log(2 * np.diag(C)).sum())


def test_the_score_is_the_mean_and_forgets_what_is_long_ago():
    rules = TrackerRules()
    track = Track(found(0.0, 0.2), 0, rules)
    track.number = 0
    for number, (score, mean) in enumerate([(0.4, 0.3), (0.9, 0.5)], 1):
        track.hit(found(0.0, score), number, rules)
        assert track.report(0.0, number, rules).score == pytest.approx(mean)
    for number in range(3, 103):
        track.hit(found(0.0, 0.8), number, rules)
    assert track.report(0.0, 102, rules).score == pytest.approx(0.8, abs=1e-3)
