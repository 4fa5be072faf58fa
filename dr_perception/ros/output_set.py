"""The node's outputs as one: made for a model's objects, and changed to another's."""

from __future__ import annotations

from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.ros.publishers import OutputPublisher, registered_outputs


def create_outputs(node: Any, names: frozenset[str],
                   objects: tuple[ObjectModel, ...]) -> list[OutputPublisher]:
    """The named outputs, in publishing order."""
    return [entry.factory(node, objects) for entry in registered_outputs()
            if entry.name in names]


def update_outputs(node: Any, outputs: list[OutputPublisher], before: tuple[ObjectModel, ...],
                   after: tuple[ObjectModel, ...]) -> list[OutputPublisher]:
    """The same outputs for another model's objects.

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
