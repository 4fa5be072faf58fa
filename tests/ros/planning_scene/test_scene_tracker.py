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

"""The scene's state machine, without ROS: what is said when, and what is never said."""
import math

from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import make_transform, rotation_about
from dr_perception.ros.planning_scene.scene_tracker import (Operation, SceneRules, SceneTracker,
                                                            Sighting)
from hypothesis import strategies as st
from hypothesis.stateful import invariant, rule, RuleBasedStateMachine
import numpy as np
import pytest

ADD, MOVE, REMOVE = Operation.ADD, Operation.MOVE, Operation.REMOVE
QUARTERS = Symmetry(np.stack([
    make_transform(rotation_about('z', i * np.pi / 2), np.zeros(3)) for i in range(4)]))
RULES = SceneRules(add_after_hits=3, hit_distance_m=0.02, min_displacement_m=0.005,
                   min_rotation_rad=0.1, remove_after_s=2.0)


def sighting(x=0.5, yaw_rad=0.0, name='cube_0', kind='cube'):
    """Return a sighting of an upright object on the x axis."""
    return Sighting(name, kind, make_transform(rotation_about('z', yaw_rad), (x, 0.0, 0.0)))


class Talk:
    """A tracker and its clock."""

    def __init__(self, **changes):
        """Begin with nothing."""
        self.tracker = SceneTracker({'cube': QUARTERS}, SceneRules(**{**vars(RULES), **changes}))
        self.now_s = 10.0

    def show(self, *sightings, step_s=0.1, count=1):
        """Return what some equal pictures lead to, as (operation, name)."""
        commands = []
        for _ in range(count):
            self.now_s += step_s
            commands += self.tracker.update(sightings, self.now_s)
        return [(command.operation, command.instance_name) for command in commands]


@pytest.fixture
def talk():
    """Return a Talk by the usual rules."""
    return Talk()


@pytest.fixture
def added(talk):
    """Return a Talk in which cube_0 stands at 0.5."""
    assert talk.show(sighting(), count=3) == [(ADD, 'cube_0')]
    return talk


def test_an_object_is_added_once_after_enough_sightings(talk):
    assert [talk.show(sighting()) for _ in range(6)] == [
        [], [], [(ADD, 'cube_0')], [], [], []]


def test_a_picture_without_it_takes_a_hit_away(talk):
    pattern = [1, 1, 0, 1, 0, 1, 1]
    said = [talk.show(*[sighting()] * seen) for seen in pattern]
    assert said == [[]] * 6 + [[(ADD, 'cube_0')]]


def test_sightings_far_from_each_other_do_not_add(talk):
    assert [talk.show(sighting(0.5 + 0.03 * i)) for i in range(8)] == [[]] * 8


def test_a_small_displacement_is_not_said_but_adds_up(added):
    assert added.show(sighting(0.504)) == []
    assert added.show(sighting(0.506)) == [(MOVE, 'cube_0')]
    assert added.show(sighting(0.510)) == []        # 4 mm from what was said last
    assert added.show(sighting(0.512)) == [(MOVE, 'cube_0')]


def test_a_turn_is_said_modulo_symmetry(added):
    assert added.show(sighting(yaw_rad=0.09)) == []
    assert added.show(sighting(yaw_rad=np.pi / 2)) == []
    assert added.show(sighting(yaw_rad=np.pi / 2 + 0.2)) == [(MOVE, 'cube_0')]


def test_a_moved_object_keeps_the_face_it_was_added_with(added):
    added.now_s += 0.1
    command, = added.tracker.update([sighting(0.6, yaw_rad=np.pi / 2 + 0.05)], added.now_s)
    assert np.allclose(command.T_plan_object, sighting(0.6, yaw_rad=0.05).T_plan_object)


def test_what_pictures_do_not_show_any_more_is_removed(added):
    assert added.show(count=19) == []
    assert added.show(count=2) == [(REMOVE, 'cube_0')]
    assert added.show(count=30) == []
    assert added.show(sighting(), count=3) == [(ADD, 'cube_0')]


def test_without_pictures_nothing_is_removed(added):
    assert added.show(sighting(), step_s=1000.0) == []


def test_never_removed_with_zero():
    talk = Talk(remove_after_s=0.0)
    talk.show(sighting(), count=3)
    assert talk.show(step_s=1e6, count=3) == []


def test_a_candidate_is_forgotten_without_a_word(talk):
    talk.show(sighting(), count=2)
    assert talk.show(step_s=5.0, count=2) == []
    assert talk.tracker.added == ()


def test_a_jump_back_in_time_removes_nothing_at_once(added):
    added.now_s = 1.0
    assert added.show() == []
    assert added.show(count=22) == [(REMOVE, 'cube_0')]


def test_an_attached_object_is_frozen(added):
    added.tracker.attach('cube_0', 'hand')
    assert added.show(sighting(0.7)) == []
    assert added.show(count=100) == []
    assert added.tracker.scene() == []
    assert added.tracker.clear() == []


def test_a_detached_object_resumes_with_a_move(added):
    added.tracker.attach('cube_0', 'hand')
    added.show(count=100)
    added.tracker.detach('cube_0')
    assert added.show() == []       # its time begins when it was let go
    assert added.show(sighting(0.5)) == [(MOVE, 'cube_0')]
    assert added.show(count=19) == []


def test_a_detached_object_that_is_not_seen_expires(added):
    added.tracker.attach('cube_0', 'hand')
    added.show(count=100)
    added.tracker.detach('cube_0')
    assert added.show(count=19) == []
    assert added.show(count=2) == [(REMOVE, 'cube_0')]


def test_the_other_cube_keeps_its_name_while_the_detector_calls_it_by_the_attached_ones(added):
    added.show(sighting(0.8, name='cube_1'), sighting(), count=3)
    added.tracker.attach('cube_0', 'hand')
    added.show(count=15)    # the arm is before the camera
    assert added.show(sighting(0.8), count=100) == []     # of the detector's names the lowest
    assert added.tracker.added == ('cube_0', 'cube_1')
    assert added.show(sighting(0.81)) == [(MOVE, 'cube_1')]
    added.tracker.detach('cube_0')                  # put down where no camera looks
    assert added.show(sighting(0.81), count=19) == []
    assert added.show(sighting(0.81), count=3) == [(REMOVE, 'cube_0')]


def test_names_that_a_detector_swaps_move_nothing(added):
    added.show(sighting(0.8, name='cube_1'), sighting(), count=3)
    assert added.show(sighting(0.8, name='cube_2'), count=3) == []
    assert added.show(sighting(0.8, name='cube_2'), sighting(), count=3) == []


def test_what_somebody_else_attached_is_not_added(talk):
    talk.tracker.attach('cube_0', 'hand')
    assert talk.show(sighting(), count=5) == []
    talk.tracker.detach('cube_0')
    assert talk.show(sighting(), count=2) == []
    assert talk.show(sighting()) == [(ADD, 'cube_0')]


def test_detaching_a_link_lets_go_what_hangs_on_it(added):
    tracker = added.tracker
    tracker.set_attached({'cube_0': 'hand', 'cube_1': 'hand', 'cube_2': 'other'})
    tracker.detach_link('hand')
    assert tracker.attached == {'cube_2'}
    tracker.detach_link('')
    assert tracker.attached == set()


def test_exactly_what_is_attached(added):
    added.tracker.attach('cube_0', 'hand')
    added.tracker.set_attached({'cube_9': 'hand'})
    assert added.tracker.attached == {'cube_9'}
    assert added.show(sighting(0.5)) == [(MOVE, 'cube_0')]


def test_a_name_that_means_another_object_is_removed_first(added):
    assert added.show(sighting(kind='cone')) == [(REMOVE, 'cube_0')]
    assert added.show(sighting(kind='cone'), count=2) == [(ADD, 'cube_0')]


def test_of_a_name_seen_twice_the_first_counts(added):
    assert added.show(sighting(0.5), sighting(0.9)) == []


def test_the_whole_scene_and_its_end(added):
    added.show(sighting(), sighting(0.8, name='cube_1'), count=3)
    added.show(sighting(0.504), sighting(0.8, name='cube_1'))
    scene = added.tracker.scene()
    assert [(c.operation, c.instance_name) for c in scene] == [(ADD, 'cube_0'), (ADD, 'cube_1')]
    assert math.isclose(scene[0].T_plan_object[0, 3], 0.504)
    added.tracker.mark_sent(scene)
    assert added.show(sighting(0.508), sighting(0.8, name='cube_1')) == []
    assert [(c.operation, c.instance_name) for c in added.tracker.clear()] == [
        (REMOVE, 'cube_0'), (REMOVE, 'cube_1')]
    assert added.tracker.clear() == []


NAMES = ('cube_0', 'cube_1', 'cone_0')


class PlannerMachine(RuleBasedStateMachine):
    """Any order of events; a planner that objects to whatever makes no sense."""

    def __init__(self):
        """Begin with an empty world."""
        super().__init__()
        self.tracker = SceneTracker({'cube': QUARTERS}, SceneRules(
            add_after_hits=2, hit_distance_m=0.1, min_displacement_m=0.01, min_rotation_rad=0.1,
            remove_after_s=1.0))
        self.now_s = 0.0
        self.ours, self.attached = set(), set()

    def hear(self, commands):
        """Do what the planner is told."""
        for command in commands:
            name = command.instance_name
            assert name not in self.attached
            if command.operation is ADD:
                assert name not in self.ours
                self.ours.add(name)
            else:
                assert name in self.ours
                if command.operation is REMOVE:
                    self.ours.remove(name)

    @rule(seen=st.dictionaries(st.sampled_from(NAMES), st.tuples(
        st.sampled_from([0.1, 0.105, 0.15, 0.9]), st.sampled_from([0.0, 0.3, np.pi / 2]),
        st.sampled_from(['cube', 'cone']))),
        step_s=st.sampled_from([0.1, 0.1, 0.6, 2.0, -5.0]))
    def picture(self, seen, step_s):
        """Show a picture."""
        self.now_s += step_s
        self.hear(self.tracker.update(
            [sighting(x, yaw, name, kind) for name, (x, yaw, kind) in seen.items()], self.now_s))

    @rule(name=st.sampled_from(NAMES))
    def attach(self, name):
        """Take something into the hand."""
        self.tracker.attach(name, 'hand')
        self.attached.add(name)

    @rule(name=st.sampled_from(NAMES))
    def detach(self, name):
        """Let something go."""
        self.tracker.detach(name)
        self.attached.discard(name)

    @rule(names=st.sets(st.sampled_from(NAMES)))
    def whole_scene(self, names):
        """Tell exactly what is attached."""
        self.tracker.set_attached(dict.fromkeys(names, 'hand'))
        self.attached = set(names)

    @rule()
    def clear(self):
        """Take everything back; what is in the hand stays there, as the user's."""
        self.hear(self.tracker.clear())
        assert self.ours <= self.attached
        self.ours = set()

    @invariant()
    def both_sides_know_the_same(self):
        """Compare the tracker with the planner."""
        assert set(self.tracker.added) == self.ours
        assert {c.instance_name for c in self.tracker.scene()} == self.ours - self.attached


TestAnyOrderOfEvents = PlannerMachine.TestCase
