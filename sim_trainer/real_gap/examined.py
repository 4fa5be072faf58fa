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

"""Pictures that a model has looked at: what it found, and how well its keypoints agree."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.pipeline import Detection, PosePipeline, RawDetections
from dr_perception.core.preprocessing import network_input
from dr_perception.core.transforms import transform_points
import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import DatasetError
from sim_trainer.evaluation.calibration import RememberingNetwork
from sim_trainer.real_gap.picture_statistics import picture_statistics
from tqdm import tqdm

SUFFIXES = ('.jpg', '.jpeg', '.png', '.tif', '.tiff', '.bmp')


@dataclass(frozen=True, eq=False)
class Examined:
    """One picture.

    Attributes:
        picture: with its truth, if there is any.
        detections: what was found.
        reprojection_px: of each detection, rms distance of its keypoints as the network saw them
            from where its pose puts them.
        statistics: see ``statistics``.
    """

    picture: BopPicture
    detections: list[Detection]
    reprojection_px: list[float]
    statistics: dict[str, float]


def examine(contract, network, pictures: Iterable[BopPicture], description: str
            ) -> list[Examined]:
    """Run a model over pictures.

    Args:
        contract: of the model.
        network: its graph, see ``pipeline.Network``.
        pictures: with or without truth, with or without the camera's pose.
        description: for the progress bar.
    """
    pipeline = PosePipeline(contract, RememberingNetwork(network))
    names = {model.name: model for model in contract.objects}
    examined = []
    for picture in tqdm(pictures, desc=description, unit='picture', disable=None):
        given = (picture.image_rgb, picture.camera, picture.T_base_camera)
        raw, found = pipeline.detect(*given), pipeline.estimate(*given)
        camera = network_input(picture.image_rgb, picture.camera, contract.input).camera
        scale = picture.camera.fx_px / camera.fx_px
        agreement = [scale * _rms_px(raw, detection, names[detection.object_name].keypoints_m,
                                     camera) for detection in found]
        examined.append(Examined(picture, found, agreement,
                                 picture_statistics(picture.image_rgb)))
    return examined


def _rms_px(raw: RawDetections, detection: Detection, keypoints_m: np.ndarray,
            camera: PinholeCamera) -> float:
    same = [i for i, T in enumerate(raw.fit.T_camera_object)
            if np.array_equal(T, detection.T_camera_object)]
    if not same:
        return float('nan')
    seen = raw.candidates.keypoints_px[same[0]]
    put = camera.project(transform_points(detection.T_camera_object, keypoints_m))
    return float(np.sqrt(((seen - put) ** 2).sum(1).mean()))


def folder_pictures(folder: Path, camera: PinholeCamera, T_base_camera: np.ndarray | None
                    ) -> Iterator[BopPicture]:
    """Return the pictures of a folder by name, without truth.

    Raises:
        DatasetError: there are none, or one has another size than the camera.
    """
    paths = sorted(path for path in folder.glob('*') if path.suffix.lower() in SUFFIXES)
    if not paths:
        raise DatasetError(f'{folder}: holds no pictures ({", ".join(SUFFIXES)}); give the folder '
                           'itself, or --truth SPLIT for a BOP data set')
    for number, path in enumerate(paths):
        image = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image is None:
            raise DatasetError(f'{path}: not a readable picture; remove it')
        height, width = image.shape[:2]
        if (width, height) != (camera.width_px, camera.height_px):
            raise DatasetError(f'{path}: has {width}x{height} px, the camera {camera.width_px}x'
                               f'{camera.height_px} px; give the camera of this resolution')
        yield BopPicture(number, path, cv2.cvtColor(image, cv2.COLOR_BGR2RGB), camera,
                         T_base_camera, [])
