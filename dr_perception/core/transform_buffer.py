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

"""A small TF buffer: chains of /tf and /tf_static at a stamp, interpolated.

tf2_ros has no wheel on PyPI, and a frame needs one lookup. Messages are read by attribute alone,
so that those of rclpy and those of a recording serve alike.
"""

from __future__ import annotations

import bisect
from dataclasses import dataclass, field
import threading
import time
from typing import Any

from dr_perception.core.errors import PerceptionError
from dr_perception.core.message_values import (clean_frame_id, NS_PER_S, stamp_to_ns,
                                               transform_from_message)
from dr_perception.core.transforms import (invert_transform, make_transform, rotation_from_rotvec,
                                           rotvec_from_rotation)
import numpy as np

HISTORY_S = 10.0
#: A transform that is older than the newest of its frame by more than this is not late: time
#: jumped back (a bag began again, a simulator was reset).
LATEST_S = 1.0
#: In place of a stamp: a static transform holds at all times.
STATIC = -1
_DEEPEST_CHAIN = 64


class TransformError(PerceptionError, LookupError):
    """Two frames that are not connected, or not at the wanted time."""


class TransformPendingError(TransformError):
    """The wanted time is ahead of what has arrived: worth a short wait."""


@dataclass
class _Edge:
    """The transforms of one child to its parent; ``stamps_ns`` ascending, or static."""

    parent: str
    is_static: bool
    stamps_ns: list[int] = field(default_factory=list)
    T_parent_child: list[np.ndarray] = field(default_factory=list)


class TransformBuffer:
    """Keeps the last seconds of every frame's transform to its parent. Thread-safe.

    Args:
        max_age_s: a moving transform that ended longer than this before the wanted time is stale.
    """

    def __init__(self, max_age_s: float = 0.5) -> None:
        self.max_age_s = max_age_s
        self.last_problem = ''
        self._edges: dict[str, _Edge] = {}
        self._arrived = threading.Condition()

    def add_message(self, message: Any, is_static: bool) -> None:
        """Take over a /tf (or /tf_static) message; what cannot be used is remembered as text."""
        with self._arrived:
            for item in message.transforms:
                try:
                    self._add(clean_frame_id(item.header.frame_id),
                              clean_frame_id(item.child_frame_id),
                              stamp_to_ns(item.header.stamp),
                              transform_from_message(item.transform), is_static)
                except ValueError as error:
                    self.last_problem = (f'transform {item.header.frame_id!r} to '
                                         f'{item.child_frame_id!r} was left out: {error}')
            self._arrived.notify_all()

    def forget_moving(self) -> None:
        """Forget all but the static transforms: they are of another time."""
        with self._arrived:
            self._edges = {child: edge for child, edge in self._edges.items() if edge.is_static}

    def frames(self) -> list[str]:
        """Names of all frames heard of."""
        with self._arrived:
            return sorted({*self._edges, *(edge.parent for edge in self._edges.values())})

    def lookup(self, target: str, source: str, stamp_ns: int, wait_s: float = 0.0) -> np.ndarray:
        """``T_target_source`` (4x4) at a time.

        Between two samples it is interpolated; after the newest, the newest serves for
        ``max_age_s``, but first up to ``wait_s`` is waited for a later one.

        Args:
            target, source: frame names.
            stamp_ns: the wanted time; 0 takes the newest.
            wait_s: longest wait, for a transform that is not there yet. Not to be used on the
                thread that feeds this buffer.

        Raises:
            TransformError: unknown frame, unconnected frames, a loop, or no data for the time.
        """
        target, source = clean_frame_id(target), clean_frame_id(source)
        deadline_s = time.monotonic() + wait_s
        with self._arrived:
            while True:
                remaining_s = deadline_s - time.monotonic()
                try:
                    return self._lookup(target, source, stamp_ns, strict=remaining_s > 0)
                except TransformPendingError:
                    if remaining_s <= 0:
                        raise
                self._arrived.wait(remaining_s)

    def newest_ns(self, target: str, source: str) -> int | None:
        """Stamp that a chain of frames reaches to: the oldest of its transforms' newest ones.

        Returns:
            ``STATIC`` where all of them are static; None where the frames are not connected.
        """
        with self._arrived:
            try:
                below = self._below_common(clean_frame_id(target), clean_frame_id(source))
            except TransformError:
                return None
            edges = [self._edges[child] for chain in below for child in chain]
            return min((edge.stamps_ns[-1] for edge in edges if not edge.is_static),
                       default=STATIC)

    def _add(self, parent: str, child: str, stamp_ns: int, T_parent_child: np.ndarray,
             is_static: bool) -> None:
        if not parent or not child or parent == child:
            raise ValueError('the two names must be given and differ')
        edge = self._edges.get(child)
        if edge is not None and edge.parent != parent:
            self.last_problem = (f'frame {child!r} has two parents, {edge.parent!r} and '
                                 f'{parent!r}: two nodes publish it')
            edge = None
        if edge is None or is_static or edge.is_static:
            edge = self._edges[child] = _Edge(parent, is_static)
        newest_ns = edge.stamps_ns[-1] if edge.stamps_ns else stamp_ns
        if stamp_ns < newest_ns - LATEST_S * NS_PER_S:
            edge.stamps_ns.clear()
            edge.T_parent_child.clear()
        place = bisect.bisect_left(edge.stamps_ns, stamp_ns)
        if place < len(edge.stamps_ns) and edge.stamps_ns[place] == stamp_ns:
            edge.T_parent_child[place] = T_parent_child
            return
        edge.stamps_ns.insert(place, stamp_ns)
        edge.T_parent_child.insert(place, T_parent_child)
        old = bisect.bisect_left(edge.stamps_ns, edge.stamps_ns[-1] - int(HISTORY_S * NS_PER_S))
        del edge.stamps_ns[:old], edge.T_parent_child[:old]

    def _lookup(self, target: str, source: str, stamp_ns: int, strict: bool) -> np.ndarray:
        if target == source:
            return np.eye(4)
        target_chain, source_chain = self._below_common(target, source)
        T_common_source = self._compose(source_chain, stamp_ns, strict)
        T_common_target = self._compose(target_chain, stamp_ns, strict)
        return invert_transform(T_common_target) @ T_common_source

    def _below_common(self, target: str, source: str) -> tuple[list[str], list[str]]:
        """Return both frames' chains up to their nearest common ancestor, without it."""
        target_chain, source_chain = self._chain(target), self._chain(source)
        common = next((frame for frame in source_chain if frame in target_chain), None)
        if common is None:
            known = f'known frames: {", ".join(self._names()) or "none yet"}'
            raise TransformError(
                f'no transform from {source!r} to {target!r}: they are not connected on /tf and '
                f'/tf_static ({known})')
        return target_chain[:target_chain.index(common)], source_chain[:source_chain.index(common)]

    def _names(self) -> list[str]:
        names = sorted({*self._edges, *(edge.parent for edge in self._edges.values())})
        return names if len(names) <= 12 else [*names[:12], '...']

    def _chain(self, frame: str) -> list[str]:
        """Return the frame and its ancestors."""
        chain = [frame]
        while chain[-1] in self._edges:
            parent = self._edges[chain[-1]].parent
            if parent in chain or len(chain) > _DEEPEST_CHAIN:
                raise TransformError(f'the transforms run in a loop: '
                                     f'{" -> ".join([*chain, parent][:8])}; a frame has two '
                                     'publishers')
            chain.append(parent)
        return chain

    def _compose(self, chain: list[str], stamp_ns: int, strict: bool) -> np.ndarray:
        """``T_ancestor_first`` along a chain of child to parent, the ancestor left out."""
        T_ancestor_first = np.eye(4)
        for child in chain:
            T_ancestor_first = self._sample(child, stamp_ns, strict) @ T_ancestor_first
        return T_ancestor_first

    def _sample(self, child: str, stamp_ns: int, strict: bool) -> np.ndarray:
        edge = self._edges[child]
        stamps, transforms = edge.stamps_ns, edge.T_parent_child
        if edge.is_static or stamp_ns == 0:
            return transforms[-1]
        place = bisect.bisect_left(stamps, stamp_ns)
        if place == len(stamps):
            age_s = (stamp_ns - stamps[-1]) / NS_PER_S
            if age_s > self.max_age_s or strict:
                raise TransformPendingError(
                    f'transform {edge.parent!r} to {child!r} is stale: the newest is {age_s:.2f} '
                    f's older than the image (at most {self.max_age_s:g} s); is its publisher '
                    'running, and are the clocks synchronised?')
            return transforms[-1]
        if stamps[place] == stamp_ns:
            return transforms[place]
        if place == 0:
            raise TransformError(
                f'transform {edge.parent!r} to {child!r} begins '
                f'{(stamps[0] - stamp_ns) / NS_PER_S:.2f} s after the image')
        before, after = stamps[place - 1], stamps[place]
        return interpolate(transforms[place - 1], transforms[place],
                           (stamp_ns - before) / (after - before))


def interpolate(T_a_b0: np.ndarray, T_a_b1: np.ndarray, part: float) -> np.ndarray:
    """Return the pose between two (4x4): straight line, shortest rotation; ``part`` 0 ... 1."""
    turn = rotvec_from_rotation(T_a_b0[:3, :3].T @ T_a_b1[:3, :3])
    return make_transform(T_a_b0[:3, :3] @ rotation_from_rotvec(turn * part),
                          (1.0 - part) * T_a_b0[:3, 3] + part * T_a_b1[:3, 3])
