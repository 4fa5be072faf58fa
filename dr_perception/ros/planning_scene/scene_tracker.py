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

"""Which objects the planning scene holds, and what has to be said to keep it so. No ROS here.

Of every instance the planner hears ADD once, then MOVE, then REMOVE. What is attached to the
robot belongs to the planner until it is detached: nothing is said of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
import enum

from dr_perception.core.symmetry import Symmetry
from dr_perception.ros.planning_scene.pose_agreement import pose_difference, seen_as
import numpy as np


class Operation(enum.Enum):
    """What a command does, in MoveIt's words."""

    ADD = 'add'
    MOVE = 'move'
    REMOVE = 'remove'


@dataclass(frozen=True)
class SceneRules:
    """When the scene changes.

    Attributes:
        add_after_hits: sightings of an instance, each near the one before, until it is added; a
            picture without it takes one away.
        hit_distance_m: a sighting farther than this from the one before starts the count anew.
        min_displacement_m, min_rotation_rad: a pose that differs less from the one that the
            planner has is not sent.
        remove_after_s: an instance that was not seen for so long, while pictures came, is
            removed; 0: never.
    """

    add_after_hits: int = 3
    hit_distance_m: float = 0.02
    min_displacement_m: float = 0.003
    min_rotation_rad: float = 0.05
    remove_after_s: float = 5.0


@dataclass(frozen=True, eq=False)
class Sighting:
    """One instance in one picture: ``T_plan_object`` (4, 4) is its pose in the planning frame."""

    instance_name: str
    object_name: str
    T_plan_object: np.ndarray


@dataclass(frozen=True, eq=False)
class Command:
    """One change of the scene; of REMOVE the pose is the last known."""

    operation: Operation
    instance_name: str
    object_name: str
    T_plan_object: np.ndarray


@dataclass
class _Instance:
    """What is known of an instance; ``T_sent`` is what the planner has, None where unknown."""

    object_name: str
    T_seen: np.ndarray
    seen_s: float
    hits: int = 1
    is_added: bool = False
    T_sent: np.ndarray | None = None


class SceneTracker:
    """Turns sightings into commands.

    Args:
        symmetries: object name -> its group. Poses that look alike count as one, so an estimate
            that flips between them moves nothing.
        rules: may be replaced at any time.
    """

    def __init__(self, symmetries: Mapping[str, Symmetry], rules: SceneRules) -> None:
        self.rules = rules
        self._symmetries = symmetries
        self._instances: dict[str, _Instance] = {}
        self._attached: dict[str, str] = {}     # instance name -> link
        self._now_s = -np.inf

    @property
    def added(self) -> tuple[str, ...]:
        """Names of the instances that this added and did not remove."""
        return tuple(name for name, known in self._instances.items() if known.is_added)

    @property
    def attached(self) -> frozenset[str]:
        """Ids of everything that is attached to the robot, whoever added it."""
        return frozenset(self._attached)

    def update(self, sightings: Iterable[Sighting], now_s: float) -> list[Command]:
        """Take over one picture's sightings; the commands that follow.

        Args:
            sightings: of a name seen twice the first one counts.
            now_s: the picture's time. A jump backwards starts the waiting anew.
        """
        if now_s < self._now_s:
            for known in self._instances.values():
                known.seen_s = min(known.seen_s, now_s)
        self._now_s = now_s
        commands, names = [], set()
        for sighting in self._recognized(list(sightings)):
            if sighting.instance_name in names:
                continue
            names.add(sighting.instance_name)
            commands += self._see(sighting, now_s)
        self._miss(names)
        return commands + self._expire(now_s)

    def attach(self, instance_name: str, link: str = '') -> None:
        """Freeze it: the robot holds it."""
        self._attached[instance_name] = link

    def detach(self, instance_name: str) -> None:
        """Note that the robot let it go: the planner put it where it was let go, news here."""
        if self._attached.pop(instance_name, None) is None:
            return
        known = self._instances.get(instance_name)
        if known is not None:
            known.T_sent, known.seen_s, known.hits = None, self._now_s, 0

    def detach_link(self, link: str) -> None:
        """Everything that is attached to a link was let go; '' stands for all links."""
        for name in [n for n, of in self._attached.items() if link in ('', of)]:
            self.detach(name)

    def set_attached(self, links: Mapping[str, str]) -> None:
        """Exactly these are attached: instance name -> link."""
        for name in set(self._attached) - set(links):
            self.detach(name)
        for name, link in links.items():
            self.attach(name, link)

    def scene(self) -> list[Command]:
        """Return an ADD for everything that is in the scene by this, at its newest pose."""
        return [Command(Operation.ADD, name, known.object_name, known.T_seen)
                for name, known in self._instances.items()
                if known.is_added and name not in self._attached]

    def mark_sent(self, commands: Iterable[Command]) -> None:
        """Note that the planner has these poses."""
        for command in commands:
            known = self._instances.get(command.instance_name)
            if known is not None:
                known.T_sent = command.T_plan_object

    def clear(self) -> list[Command]:
        """Forget everything; a REMOVE for all that was added and is not in the robot's hand."""
        commands = [Command(Operation.REMOVE, name, known.object_name, known.T_seen)
                    for name, known in self._instances.items()
                    if known.is_added and name not in self._attached]
        self._instances.clear()
        return commands

    def _recognized(self, sightings: list[Sighting]) -> list[Sighting]:
        """Give sightings the names of the instances that rest where they are.

        A detector numbers what it sees: once `cube_0` is in the robot's hand or was hidden for a
        while, the cube that was `cube_1` is its `cube_0`.
        """
        seen = {sighting.instance_name for sighting in sightings}
        return [sighting if self._rests_at(sighting.instance_name, sighting)
                else replace(sighting, instance_name=next(
                    (name for name in self._instances
                     if name not in seen and self._rests_at(name, sighting)),
                    sighting.instance_name))
                for sighting in sightings]

    def _rests_at(self, name: str, sighting: Sighting) -> bool:
        """Whether an instance of the scene, in no hand, was last seen where one is seen now."""
        known = self._instances.get(name)
        if (known is None or not known.is_added or name in self._attached
                or known.object_name != sighting.object_name):
            return False
        step_m, _ = pose_difference(known.T_seen, sighting.T_plan_object)
        return step_m <= self.rules.hit_distance_m

    def _see(self, sighting: Sighting, now_s: float) -> list[Command]:
        name, rules = sighting.instance_name, self.rules
        known = self._instances.get(name)
        commands = []
        if known is not None and known.object_name != sighting.object_name:
            if name in self._attached:
                return []
            if known.is_added:      # the name now means another object: its shape is another
                commands = [self._command(Operation.REMOVE, name, known)]
            known = None
        if known is None:
            known = self._instances[name] = _Instance(
                sighting.object_name, sighting.T_plan_object, now_s, hits=0)
        T_reference = known.T_seen if known.T_sent is None else known.T_sent
        T_plan_object = seen_as(self._symmetries.get(known.object_name), T_reference,
                                sighting.T_plan_object)
        step_m, _ = pose_difference(known.T_seen, T_plan_object)
        known.hits = known.hits + 1 if step_m <= rules.hit_distance_m else 1
        known.T_seen, known.seen_s = T_plan_object, now_s
        if name in self._attached:
            return commands
        if not known.is_added:
            if known.hits >= rules.add_after_hits:
                known.is_added, known.T_sent = True, T_plan_object
                commands.append(self._command(Operation.ADD, name, known))
        elif known.T_sent is None or self._is_elsewhere(known.T_sent, T_plan_object):
            known.T_sent = T_plan_object
            commands.append(self._command(Operation.MOVE, name, known))
        return commands

    def _is_elsewhere(self, T_sent: np.ndarray, T_seen: np.ndarray) -> bool:
        distance_m, angle_rad = pose_difference(T_sent, T_seen)
        return (distance_m >= self.rules.min_displacement_m
                or angle_rad >= self.rules.min_rotation_rad)

    def _miss(self, seen_names: set[str]) -> None:
        """Take one of its hits away from a candidate that a picture does not show."""
        for name in [n for n, known in self._instances.items()
                     if n not in seen_names and not known.is_added]:
            self._instances[name].hits -= 1
            if self._instances[name].hits <= 0:
                del self._instances[name]

    def _expire(self, now_s: float) -> list[Command]:
        if not self.rules.remove_after_s:
            return []
        gone = [name for name, known in self._instances.items()
                if now_s - known.seen_s > self.rules.remove_after_s
                and name not in self._attached]
        commands = [self._command(Operation.REMOVE, name, self._instances[name])
                    for name in gone if self._instances[name].is_added]
        for name in gone:
            del self._instances[name]
        return commands

    @staticmethod
    def _command(operation: Operation, name: str, known: _Instance) -> Command:
        return Command(operation, name, known.object_name, known.T_seen)
