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

"""Scenes drawn ahead of time, on a thread of their own, for the simulated camera."""

from __future__ import annotations

from collections.abc import Callable, Iterator
import contextlib
from dataclasses import dataclass
import queue
import threading
from typing import Any

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import transform_points
import numpy as np


@dataclass(frozen=True, eq=False)
class TrueInstance:
    """An object as it really stands.

    Attributes:
        object_name: catalogue name.
        T_camera_object: (4, 4), metres.
        visibility: visible part of the object's outline, 0 ... 1; what lies outside of the
            picture counts as hidden.
    """

    object_name: str
    T_camera_object: np.ndarray
    visibility: float


@dataclass(frozen=True, eq=False)
class PaintedScene:
    """A drawn scene with its truth."""

    index: int
    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray
    instances: tuple[TrueInstance, ...]


class ScenePainter:
    """Draws scenes one ahead of what is shown.

    Args:
        scenes: yields the scenes; run on the painter's thread from beginning to end, because
            an OpenGL context belongs to one thread.
    """

    def __init__(self, scenes: Callable[[], Iterator[PaintedScene]]) -> None:
        self._scenes = scenes
        self._painted: queue.Queue = queue.Queue(maxsize=1)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name='scene_painter', daemon=True)
        self._thread.start()

    def take(self, timeout_s: float | None = 0.0) -> PaintedScene | None:
        """Return the next scene, or None where it is not drawn yet or there are no more.

        Raises:
            Exception: whatever ended the drawing.
        """
        try:
            item = self._painted.get(timeout=timeout_s) if timeout_s else (
                self._painted.get_nowait())
        except queue.Empty:
            return None
        if isinstance(item, Exception):
            raise item
        return item

    def close(self) -> None:
        """Stop drawing."""
        self._stopping.set()
        self._thread.join(10.0)

    def _run(self) -> None:
        try:
            with contextlib.closing(self._scenes()) as scenes:
                for scene in scenes:
                    self._put(scene)
                    if self._stopping.is_set():
                        break
        except Exception as error:  # handed to the thread that takes the scenes
            self._put(error)

    def _put(self, item: Any) -> None:
        while not self._stopping.is_set():
            try:
                return self._painted.put(item, timeout=0.2)
            except queue.Full:
                continue


def visible_part(camera: PinholeCamera, T_camera_object: np.ndarray, vertices_m: np.ndarray,
                 visible_px: int) -> float:
    """Which part (0 ... 1) of a convex object's outline is visible, from its visible pixels."""
    outline = camera.project(transform_points(T_camera_object, vertices_m))
    outline = outline[np.isfinite(outline).all(1)].astype(np.float32)
    whole_px = cv2.contourArea(cv2.convexHull(outline)) if len(outline) > 2 else 0.0
    return min(visible_px / whole_px, 1.0) if whole_px > 0 else 0.0
