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

"""The pictures of a rosbag2 recording, for ``report``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
import logging
from pathlib import Path

import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import DatasetError

logger = logging.getLogger(__name__)


def is_recording(path: Path) -> bool:
    """Whether a path is a rosbag2 folder or one of its files."""
    if path.is_dir():
        return any(path.glob('metadata.yaml')) or any(path.glob('*.mcap')) or any(
            path.glob('*.db3'))
    return path.suffix in ('.mcap', '.db3')


@dataclass(frozen=True)
class RecordedPictures:
    """Pictures without truth, in the order of recording.

    Attributes:
        path: a rosbag2 folder, or one .mcap or .db3 file.
        T_base_camera: (4, 4) given by the user; None: what TF says at each picture's stamp, and
            where it says nothing no support plane.
        base_frame: frame whose plane z = 0 the objects stand on.
        image_topic, camera_info_topic: None: guessed.
        every: the first of so many pictures is taken.
    """

    path: Path
    T_base_camera: np.ndarray | None = None
    base_frame: str = 'base_link'
    image_topic: str | None = None
    camera_info_topic: str | None = None
    every: int = 1

    def __iter__(self) -> Iterator[BopPicture]:
        """Read the pictures that can be used.

        Raises:
            PerceptionError: no such recording or topics; no picture in it can be used.
        """
        try:
            from dr_perception.replay.bag import Bag
        except ModuleNotFoundError as error:
            raise DatasetError(f'{self.path}: recordings need rosbags: pip install '
                               "'dr_perception[replay]'") from error
        from dr_perception.replay.frames import FrameSource, SkippedFrame
        from dr_perception.replay.topics import choose_topics
        source = FrameSource(self.base_frame, self.T_base_camera, False, None, None, self.every)
        used, reasons = 0, {}
        with Bag(self.path) as bag:
            topics = choose_topics(bag.topics, self.image_topic, self.camera_info_topic)
            for frame in source.frames(bag, topics):
                if isinstance(frame, SkippedFrame):
                    reasons[frame.reason] = reasons.get(frame.reason, 0) + 1
                    continue
                if frame.problem:
                    reasons[frame.problem] = reasons.get(frame.problem, 0) + 1
                yield BopPicture(used, self.path, frame.image_rgb, frame.camera,
                                 frame.T_base_camera, [])
                used += 1
        for reason, count in sorted(reasons.items(), key=lambda entry: -entry[1]):
            logger.warning('%s: %d times: %s', self.path, count, reason)
        if not used:
            raise DatasetError(f'{self.path}: none of its pictures on {topics.image.name} can be '
                               f'used: {next(iter(reasons), "there are none")}')
