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

"""Truth and detections drawn onto pictures, and contact sheets."""

from __future__ import annotations

from pathlib import Path

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import transform_points
import numpy as np
from sim_trainer.dataset.bop import BopPicture

_TRUE_RGB, _FOUND_RGB = (40, 220, 60), (255, 60, 60)
_FONT, _TEXT_SCALE = cv2.FONT_HERSHEY_SIMPLEX, 0.35
#: From a line of text to the next.
_LINE_PX = 11


def outline(image_rgb: np.ndarray, model: ObjectModel, T_camera_object: np.ndarray,
            camera: PinholeCamera, color: tuple[int, int, int]) -> None:
    """Draw an object's silhouette (of its convex hull) in place."""
    pixels = camera.project(transform_points(T_camera_object, model.vertices_m))
    if np.isfinite(pixels).all() and np.abs(pixels).max() < 1e4:
        hull = cv2.convexHull(pixels.astype(np.float32))
        cv2.polylines(image_rgb, [np.round(hull * 16).astype(np.int32)], True, color, 1,
                      cv2.LINE_AA, 4)


def label(image_rgb: np.ndarray, text: str, at_px: np.ndarray, color: tuple[int, int, int]
          ) -> None:
    """Small text with a dark edge, in place."""
    place = (int(at_px[0]), int(at_px[1]))
    cv2.putText(image_rgb, text, place, _FONT, _TEXT_SCALE, (0, 0, 0), 2, cv2.LINE_AA)
    cv2.putText(image_rgb, text, place, _FONT, _TEXT_SCALE, color, 1, cv2.LINE_AA)


def free_place(image_rgb: np.ndarray, text: str, wished_px: np.ndarray,
               taken: list[tuple[float, float, float]]) -> np.ndarray:
    """Where a label can stand, near where it is wished: in the picture, on no other.

    Args:
        image_rgb: (H, W, 3).
        text: of the label.
        wished_px: (2,) lower left corner.
        taken: left, right and lower end (px) of the labels that stand already; this one is added.
    """
    height, width = image_rgb.shape[:2]
    text_width = cv2.getTextSize(text, _FONT, _TEXT_SCALE, 1)[0][0]
    left = float(np.clip(wished_px[0], 1, max(width - text_width - 1, 1)))
    wished = float(np.clip(wished_px[1], _LINE_PX, max(height - 4, _LINE_PX)))
    beside = [lower for start, end, lower in taken
              if left < end and left + text_width > start]      # those in the same columns
    lines = [wished + sign * k * _LINE_PX for k in range(len(taken) + 1) for sign in (-1, 1)]
    free = [line for line in lines if _LINE_PX <= line <= height - 4
            and all(abs(line - lower) >= _LINE_PX for lower in beside)]
    line = free[0] if free else wished
    taken.append((left, left + text_width, line))
    return np.array([left, line])


def annotated(picture: BopPicture, detections: list[Detection], objects: tuple[ObjectModel, ...],
              labels: bool = True) -> np.ndarray:
    """Return a picture with the truth in green, detections in red with name and score."""
    models = {model.name: model for model in objects}
    image = picture.image_rgb.copy()
    for instance in picture.instances:
        if instance.object_name in models:
            outline(image, models[instance.object_name], instance.T_camera_object,
                    picture.camera, _TRUE_RGB)
    taken: list[tuple[float, float, float]] = []
    for detection in detections:
        model = models[detection.object_name]
        outline(image, model, detection.T_camera_object, picture.camera, _FOUND_RGB)
        pixel = picture.camera.project(detection.T_camera_object[None, :3, 3])[0]
        if labels and np.isfinite(pixel).all():
            text = f'{model.name} {detection.score:.2f}'
            label(image, text, free_place(image, text, pixel + [-20, -22], taken), _FOUND_RGB)
    return image


def write_annotated(folder: Path, picture: BopPicture, detections: list[Detection],
                    objects: tuple[ObjectModel, ...]) -> None:
    """``annotated`` as ``folder/NNNNNN.png``."""
    folder.mkdir(parents=True, exist_ok=True)
    cv2.imwrite(str(folder / f'{picture.picture_id:06d}.png'),
                cv2.cvtColor(annotated(picture, detections, objects), cv2.COLOR_RGB2BGR))


def write_sheet(images_rgb: list[np.ndarray], path: Path, columns: int = 3) -> None:
    """Images side by side, of equal size each."""
    images = list(images_rgb)
    while len(images) % columns:
        images.append(np.zeros_like(images[0]))
    rows = [np.hstack(images[i:i + columns]) for i in range(0, len(images), columns)]
    cv2.imwrite(str(path), cv2.cvtColor(np.vstack(rows), cv2.COLOR_RGB2BGR))
