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

"""The node's outputs as one: made for a model's objects, and changed to another's."""

from __future__ import annotations

from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.publishers import OutputPublisher, registered_outputs


def create_outputs(node: Any, names: frozenset[str],
                   objects: tuple[ObjectModel, ...]) -> list[OutputPublisher]:
    """Return the named outputs, in publishing order; when one cannot be made, none is left."""
    made: list[OutputPublisher] = []
    try:
        for entry in registered_outputs():
            if entry.name in names:
                made.append(entry.factory(node, objects))
    except Exception:
        for publisher in made:
            publisher.close()
        raise
    return made


def update_outputs(node: Any, outputs: list[OutputPublisher], before: tuple[ObjectModel, ...],
                   after: tuple[ObjectModel, ...]) -> list[OutputPublisher]:
    """Return the same outputs for another model's objects.

    Those with ``update_objects`` keep their topics, so that no subscriber loses a message; the
    others are made anew. When that fails everything is as it was, and the error goes on.
    """
    result, made = [], []
    try:
        for publisher in outputs:
            if hasattr(publisher, 'update_objects'):
                publisher.update_objects(after)
            else:
                publisher = type(publisher)(node, after)
                made.append(publisher)
            result.append(publisher)
    except Exception:
        for publisher in made:
            publisher.close()
        for publisher in outputs:
            if hasattr(publisher, 'update_objects'):
                publisher.update_objects(before)
        raise
    for publisher in outputs:
        if publisher not in result:
            publisher.close()
    return result
