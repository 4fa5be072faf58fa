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

"""The pictures of a recording, each with its camera and the camera's pose at that time."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import time
from typing import Any

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.camera_info import camera_from_info
from dr_perception.core.errors import CameraError, ImageError
from dr_perception.core.image_decoding import rgb_from_compressed, rgb_from_image
from dr_perception.core.message_values import clean_frame_id, NS_PER_S, stamp_to_ns
from dr_perception.core.transform_buffer import HISTORY_S, TransformBuffer, TransformError
from dr_perception.replay.bag import Bag, Topic
from dr_perception.replay.errors import BagError
from dr_perception.replay.topics import Selection, TRANSFORMS
import numpy as np

#: Transforms recorded this much later than a picture may still belong to its time.
_LOOK_AHEAD_NS = NS_PER_S
MOVING, STATIC = '/tf', '/tf_static'


@dataclass(frozen=True, eq=False)
class Frame:
    """One picture that can be used.

    Attributes:
        stamp_ns: of the image's header; where that is zero, when it was recorded.
        camera_frame: the image's frame.
        image_rgb: (H, W, 3) uint8.
        camera: what it was taken with.
        T_base_camera: (4, 4), metres; None where it is not known.
        problem: why ``T_base_camera`` is not known.
        read_ms: time to decode the picture.
    """

    stamp_ns: int
    camera_frame: str
    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray | None
    problem: str
    read_ms: float


@dataclass(frozen=True)
class SkippedFrame:
    """One picture that cannot be used, and why."""

    reason: str


@dataclass(frozen=True, eq=False)
class FrameSource:
    """What pictures are wanted, and how they are understood.

    Attributes:
        base_frame: frame whose plane z = 0 the objects stand on.
        T_base_camera: (4, 4) given by the user, before TF; or None.
        is_rectified: P of the CameraInfo holds, without distortion.
        start_ns, stop_ns: of the recording's own clock; None: no limit.
        every: the first of so many pictures is taken.
    """

    base_frame: str
    T_base_camera: np.ndarray | None
    is_rectified: bool
    start_ns: int | None
    stop_ns: int | None
    every: int

    def frames(self, bag: Bag, topics: Selection) -> Iterator[Frame | SkippedFrame]:
        """Every wanted picture, in the order of recording."""
        infos = _CameraInfos(bag, topics.camera_info)
        transforms = None
        if self.T_base_camera is None:
            transforms = _RecordedTransforms(bag, self.start_ns)
        messages = bag.messages(topics.image.name, self.start_ns, self.stop_ns)
        for number, (recorded_ns, raw) in enumerate(messages):
            if number % self.every:
                continue
            try:
                yield self._frame(bag, topics, infos, transforms, recorded_ns, raw)
            except (BagError, ImageError, CameraError) as error:
                yield SkippedFrame(str(error))

    def _frame(self, bag: Bag, topics: Selection, infos: _CameraInfos,
               transforms: _RecordedTransforms | None, recorded_ns: int, raw: bytes) -> Frame:
        start_s = time.perf_counter()
        message = bag.decode(raw, topics.image.kind)
        decode = rgb_from_compressed if topics.is_compressed else rgb_from_image
        image_rgb = decode(message)
        read_ms = 1e3 * (time.perf_counter() - start_s)
        stamp_ns = stamp_to_ns(message.header.stamp) or recorded_ns
        height_px, width_px = image_rgb.shape[:2]
        camera = camera_from_info(infos.at(stamp_ns), width_px, height_px, self.is_rectified)
        camera_frame = clean_frame_id(message.header.frame_id)
        T_base_camera, problem = self.T_base_camera, ''
        if transforms is not None:
            transforms.read_until(recorded_ns + _LOOK_AHEAD_NS)
            try:
                T_base_camera = transforms.buffer.lookup(self.base_frame, camera_frame, stamp_ns)
            except TransformError as error:
                problem = str(error)
        return Frame(stamp_ns, camera_frame, image_rgb, camera, T_base_camera, problem, read_ms)


class _CameraInfos:
    """The CameraInfo messages of a topic; only changes are kept."""

    def __init__(self, bag: Bag, topic: Topic) -> None:
        self._found: list[tuple[int, Any]] = []
        last: tuple = ()
        for recorded_ns, raw in bag.messages(topic.name):
            try:
                info = bag.decode(raw, topic.kind)
            except BagError:
                continue
            content = _content(info)
            if content != last:
                self._found.append((stamp_to_ns(info.header.stamp) or recorded_ns, info))
                last = content
        if not self._found:
            raise BagError(f'no CameraInfo on {topic.name} can be read')

    def at(self, stamp_ns: int) -> Any:
        """Return the newest one at a time; before the first, the first."""
        before = [info for info_ns, info in self._found if info_ns <= stamp_ns]
        return before[-1] if before else self._found[0][1]


def _content(info: Any) -> tuple:
    roi = info.roi
    numbers = b''.join(np.asarray(getattr(info, name), np.float64).tobytes() for name in 'dkp')
    return (info.width, info.height, info.distortion_model, numbers, info.binning_x,
            info.binning_y, roi.x_offset, roi.y_offset, roi.width, roi.height)


class _RecordedTransforms:
    """TF as the pictures go by: the buffer holds the seconds around the current one."""

    def __init__(self, bag: Bag, start_ns: int | None) -> None:
        self.buffer = TransformBuffer()
        self._bag = bag
        # Static ones hold for the whole recording, also when they were recorded late.
        for _, raw in self._recorded(STATIC, None):
            self._add(raw, is_static=True)
        if start_ns is not None:
            start_ns -= int(HISTORY_S * NS_PER_S)
        self._moving = self._recorded(MOVING, start_ns)
        self._next = next(self._moving, None)

    def read_until(self, recorded_ns: int) -> None:
        """Take over everything recorded up to that time."""
        while self._next is not None and self._next[0] <= recorded_ns:
            self._add(self._next[1], is_static=False)
            self._next = next(self._moving, None)

    def _recorded(self, name: str, start_ns: int | None) -> Iterator[tuple[int, bytes]]:
        kinds = {topic.name: topic.kind for topic in self._bag.topics}
        if kinds.get(name) == TRANSFORMS:
            yield from self._bag.messages(name, start_ns)

    def _add(self, raw: bytes, is_static: bool) -> None:
        try:
            message = self._bag.decode(raw, TRANSFORMS)
        except BagError:
            return  # the lookup then says which transform is missing
        self.buffer.add_message(message, is_static)
