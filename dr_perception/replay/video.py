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

"""annotated.mp4: the pictures with what was found drawn in."""

from __future__ import annotations

from pathlib import Path

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.drawing import draw_object, feature_edges
from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
import numpy as np

#: File and codec, the first that this OpenCV can write. Motion JPEG needs no FFmpeg.
_FORMATS = (('annotated.mp4', 'mp4v'), ('annotated.avi', 'MJPG'))


class Overlay:
    """Draws detections of one model into pictures."""

    def __init__(self, objects: tuple[ObjectModel, ...]) -> None:
        self._objects = {model.name: model for model in objects}
        self._edges: dict[str, np.ndarray] = {}

    def draw(self, image_rgb: np.ndarray, camera: PinholeCamera, detections: list[Detection],
             names: list[str], caption: str) -> np.ndarray:
        """Return a copy of the picture (H, W, 3) with edges, axes and labels, and a caption."""
        picture = image_rgb.copy()
        for detection, name in reversed(list(zip(detections, names))):
            model = self._objects[detection.object_name]
            if model.name not in self._edges:
                self._edges[model.name] = feature_edges(model.vertices_m, model.faces)
            draw_object(picture, camera, model.vertices_m, self._edges[model.name],
                        detection.T_camera_object, f'{name} {detection.score:.2f}')
        for ink, thickness in (((0, 0, 0), 3), ((255, 255, 255), 1)):
            cv2.putText(picture, caption, (8, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.45, ink, thickness,
                        cv2.LINE_AA)
        return picture


class VideoFile:
    """A video that begins with the first picture; later ones of another size are resized to it.

    Attributes:
        path: the file, once something is written.
        note: what went wrong, in one sentence, or ''.
    """

    def __init__(self, folder: Path, rate_hz: float) -> None:
        self.path: Path | None = None
        self.note = ''
        self._folder, self._rate_hz = folder, rate_hz
        self._writer: cv2.VideoWriter | None = None
        self._width_px = self._height_px = 0

    def write(self, image_rgb: np.ndarray) -> None:
        """Append one picture (H, W, 3) uint8."""
        if self._width_px == 0:
            self._height_px, self._width_px = image_rgb.shape[:2]
            self._begin()
        if self._writer is None:
            return
        if image_rgb.shape[:2] != (self._height_px, self._width_px):
            image_rgb = cv2.resize(image_rgb, (self._width_px, self._height_px),
                                   interpolation=cv2.INTER_AREA)
        self._writer.write(cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))

    def close(self) -> None:
        """Finish the file."""
        if self._writer is not None:
            self._writer.release()

    def _begin(self) -> None:
        for name, codec in _FORMATS:
            path = self._folder / name
            writer = cv2.VideoWriter(str(path), cv2.VideoWriter_fourcc(*codec), self._rate_hz,
                                     (self._width_px, self._height_px))
            if writer.isOpened():
                self._writer, self.path = writer, path
                break
            path.unlink(missing_ok=True)
        if self.path is None:
            self.note = ('this OpenCV can write neither MPEG-4 nor Motion JPEG: there is no video '
                         '(install opencv-python-headless by pip, or pass --no-video)')
        elif self.path.name != _FORMATS[0][0]:
            self.note = (f'this OpenCV cannot write MPEG-4: the video is {self.path.name}, Motion '
                         'JPEG (for an mp4 install opencv-python-headless by pip)')
