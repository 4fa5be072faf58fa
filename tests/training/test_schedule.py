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

from types import SimpleNamespace

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.training import schedule as module
from sim_trainer.training.schedule import Clock, PACE_STEPS, Schedule


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


def test_snapshots_are_of_the_last_half_or_the_cooldown_and_the_end():
    assert Schedule(9000).snapshots(4) == {9000, 7875, 6750, 5625}
    assert Schedule(3).snapshots(1) == {3}
    assert Schedule(5000, 'constant', 0.2).snapshots(4) == {5000, 4750, 4500, 4250}
    assert Schedule(5000, 'constant').snapshots(0) == set()


@given(st.integers(1, 4000), st.floats(0.05, 0.9), st.integers(1, 6))
def test_all_snapshots_of_what_is_shortened_are_still_to_come(step, cooldown, count):
    short = Schedule(10 ** 6, 'constant', cooldown).cooling_from(step)
    assert min(short.snapshots(count)) > step - 1


@given(st.integers(1, 4000), st.floats(0.05, 0.9))
def test_shortened_it_begins_as_before_and_cools_down_now(step, cooldown):
    long = Schedule(10 ** 6, 'constant', cooldown)
    short = long.cooling_from(step)
    assert step <= short.cooldown_begin <= step + 1
    assert short.steps - short.cooldown_begin == pytest.approx(cooldown * short.steps, abs=1)
    if step < 400:
        assert short.begins_like(long, step)


def test_what_ends_sooner_anyway_is_not_shortened():
    schedule = Schedule(1000, 'constant', 0.2)
    assert schedule.cooling_from(900) is schedule
    assert Schedule(1000, 'constant', 1.0).cooling_from(10).steps == 1000


@pytest.fixture
def now(monkeypatch):
    """Return the time as a list of one number, in the schedule's module."""
    time_s = [100.0]
    monkeypatch.setattr(module, 'time', SimpleNamespace(monotonic=lambda: time_s[0]))
    return time_s


def _when(clock, now, step, each_s, delays=None):
    """Go on by steps of so many seconds until the clock says so; the step."""
    while not clock.is_time(step):
        now[0] += each_s + (delays or {}).get(step, 0.0)
        step += 1
    return step


@pytest.mark.parametrize('slow_s, spent_s', [(0.0, 0.0), (20.0, 10.0)])
def test_the_clock_leaves_time_for_the_cooldown(now, slow_s, spent_s):
    """Half a second a step, the first one slower: all ends within the minutes."""
    clock = Clock(10.0, 0.25, spent_s, 0, 0.0)
    step = _when(clock, now, 0, 0.5, {0: slow_s})
    steps = Schedule(10 ** 6, 'constant', 0.25).cooling_from(step).steps
    assert spent_s + slow_s + 0.5 * steps == pytest.approx(600.0, abs=2)
    assert clock.left_s == pytest.approx(600.0 - spent_s - slow_s - 0.5 * step)
    assert clock.spent_s == pytest.approx(spent_s + slow_s + 0.5 * step)


@pytest.mark.parametrize('at', [4001, 4011, 4020, 4060])
def test_a_moments_delay_after_a_resume_decides_nothing(now, at):
    """4,000 steps of 0.3 s in 20 minutes of 60; then one of 5 s, wherever it is."""
    clock = Clock(60.0, 0.2, 1200.0, 4000, 1200.0)
    step = _when(clock, now, 4000, 0.3, {at: 5.0})
    assert 0.3 * Schedule(10 ** 6, 'constant', 0.2).cooling_from(step).steps + 5 == pytest.approx(
        3600, abs=5)


def test_time_that_is_over_is_over_at_once(now):
    assert Clock(1.0, 0.2, 61.0, 0, 0.0).is_time(1)


def test_a_clock_without_end_never_says_so():
    assert not any(Clock(None, 0.2, 1e9, 0, 0.0).is_time(step)
                   for step in range(3 * PACE_STEPS[1]))
