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

"""The outputs: a file of this folder with a class under ``@output`` is one, and its parameter."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.frame_result import FrameResult


class OutputPublisher(Protocol):
    """An output of the node.

    Made while the node configures, from the node and the objects of its model; its publishers
    are lifecycle publishers, so that they are silent until the node is active.
    """

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        """Create the publishers."""

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Go on with another model's objects, between two frames.

        Optional: without it, the output is made anew when the model is exchanged, and who
        subscribes may lose messages until its publishers are found.
        """

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's results; called on the worker's thread."""

    def close(self) -> None:
        """Destroy the publishers."""


@dataclass(frozen=True)
class OutputEntry:
    """A registered output; the parameter ``publish_<name>`` switches it."""

    name: str
    description: str
    factory: type
    order: int


_entries: dict[str, OutputEntry] = {}


def output(name: str, description: str, order: int = 50) -> Callable[[type], type]:
    """Class decorator that registers an output.

    Args:
        name: the switch becomes ``publish_<name>``.
        description: what is published where, for the parameter's description.
        order: outputs with smaller numbers are published first.
    """
    def register(factory: type) -> type:
        if name in _entries:
            raise ValueError(f'output {name!r} is registered twice')
        _entries[name] = OutputEntry(name, description, factory, order)
        return factory
    return register


def registered_outputs() -> tuple[OutputEntry, ...]:
    """All outputs, in publishing order."""
    return tuple(sorted(_entries.values(), key=lambda entry: (entry.order, entry.name)))
