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

"""Learning rates over a training, and the steps that keep weights."""

import numpy as np
import pytest
from sim_trainer.training.schedule import Schedule, snapshot_steps


@pytest.mark.parametrize('kind', ['cosine', 'constant'])
def test_warms_up_and_runs_down(kind):
    rates = [Schedule(2000, kind).part(step) for step in range(2000)]
    assert rates[0] < 0.02 and max(rates) == 1.0 and np.argmax(rates) < 320
    assert rates[-1] == pytest.approx(0.01, abs=0.02)
    assert (np.diff(rates[320:]) <= 0).all()


def test_constant_falls_in_its_cooldown_alone():
    schedule = Schedule(2000, 'constant', 0.25)
    assert schedule.cooldown_begin == 1500
    assert {schedule.part(step) for step in range(300, 1501)} == {1.0}
    assert schedule.part(1500 + 125) == pytest.approx(0.505)      # half: sqrt(1/4)
    assert Schedule(2000).cooldown_begin is None


def test_which_trainings_begin_alike():
    short, long = Schedule(1000, 'constant'), Schedule(5000, 'constant')
    assert short.begins_like(long, 801) and long.begins_like(short, 801)
    assert not short.begins_like(long, 802)
    assert not Schedule(1000).begins_like(Schedule(5000), 301)
    assert Schedule(1000).begins_like(Schedule(1000), 1000)
    assert not long.begins_like(short, 1001)                      # more steps than it has


def test_snapshots_are_of_the_last_half_and_the_end():
    assert snapshot_steps(9000, 4) == {9000, 7875, 6750, 5625}
    assert snapshot_steps(3, 1) == {3}
