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

"""The pictures that are measured with: drawn from the model's own objects, or a folder's."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.contract import ModelContract
from dr_perception.inference.drawn_scene import draw_scene, reference_camera, reference_pose
from dr_perception.ros.benchmark.errors import BenchmarkError
import numpy as np

_DRAWN = 8
#: Pictures of a folder are held in memory in every size: 6 MB each at 1920x1080.
_MOST = 16
_SUFFIXES = ('.png', '.jpg', '.jpeg', '.bmp', '.tif', '.tiff', '.webp')


@dataclass(frozen=True, eq=False)
class Pictures:
    """Pictures of one size.

    Attributes:
        images_rgb: (N, H, W, 3) uint8.
        camera: that of every picture.
        T_base_camera: (4, 4), metres.
        description: what they are, for whoever reads the figures.
    """

    images_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray
    description: str


def drawn_pictures(contract: ModelContract, width_px: int, height_px: int) -> Pictures:
    """Pictures of the model's objects on a table."""
    scenes = [draw_scene(contract, width_px, height_px, seed) for seed in range(_DRAWN)]
    return Pictures(np.stack([scene.image_rgb for scene in scenes]), scenes[0].camera,
                    scenes[0].T_base_camera,
                    f'{_DRAWN} drawn pictures, {scenes[0].object_count} objects of the model in '
                    'each')


def pictures_of_folder(folder: Path) -> list[np.ndarray]:
    """Return the first pictures (H, W, 3, RGB) of a folder, by name.

    Raises:
        BenchmarkError: there is no such folder, or no picture in it that can be read.
    """
    if not folder.is_dir():
        raise BenchmarkError(f'--pictures {folder}: there is no such folder')
    paths = sorted(p for p in folder.iterdir() if p.suffix.lower() in _SUFFIXES)[:_MOST]
    images = [(path, cv2.imread(str(path), cv2.IMREAD_COLOR)) for path in paths]
    for path, image in images:
        if image is None:
            raise BenchmarkError(f'--pictures: {path} cannot be read as a picture; remove it')
    if not images:
        raise BenchmarkError(f'--pictures {folder}: no pictures in it (looked for '
                             f'{", ".join(_SUFFIXES)})')
    return [cv2.cvtColor(image, cv2.COLOR_BGR2RGB) for _, image in images]


def resized_pictures(images_rgb: list[np.ndarray], contract: ModelContract, width_px: int,
                     height_px: int) -> Pictures:
    """Pictures of a folder in one size: their middle, in the camera of the reference scene."""
    return Pictures(
        np.stack([_middle(image, width_px, height_px) for image in images_rgb]),
        reference_camera(contract, width_px, height_px), reference_pose(),
        f'{len(images_rgb)} pictures of a folder, their middle resized; the camera is that of the '
        'reference scene, so poses mean nothing')


def _middle(image_rgb: np.ndarray, width_px: int, height_px: int) -> np.ndarray:
    """Return the largest part of that aspect about the middle, resized."""
    scale = min(image_rgb.shape[1] / width_px, image_rgb.shape[0] / height_px)
    w, h = max(int(width_px * scale), 1), max(int(height_px * scale), 1)
    left, top = (image_rgb.shape[1] - w) // 2, (image_rgb.shape[0] - h) // 2
    return cv2.resize(image_rgb[top:top + h, left:left + w], (width_px, height_px),
                      interpolation=cv2.INTER_AREA if scale > 1 else cv2.INTER_LINEAR)
