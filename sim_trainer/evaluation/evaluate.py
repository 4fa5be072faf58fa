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

"""A model on a BOP split."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path
import time
from typing import Any, Protocol

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Detection
from dr_perception.inference.estimator import PoseEstimator
import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.matching import LEAST_VISIBLE, match_picture
from sim_trainer.evaluation.report import summarize
from sim_trainer.evaluation.tobin2017 import is_tobin2017, Tobin2017Estimator
from tqdm import tqdm

OnPicture = Callable[[BopPicture, list[Detection]], None]


def open_estimator(path: Path, providers: list[str]) -> Estimator:
    """Return the estimator of a model file: the keypoint network's, or the paper's baseline."""
    if is_tobin2017(path):
        return Tobin2017Estimator(path, providers)
    return PoseEstimator.from_file(path, providers)


class Estimator(Protocol):
    """Anything that finds objects: ``PoseEstimator``, or the paper's network behind its face."""

    contract: ModelContract

    def estimate(self, image_rgb: np.ndarray, camera: PinholeCamera,
                 T_base_camera: np.ndarray | None = None) -> list[Detection]:
        """See ``PosePipeline.estimate``."""


def evaluate(estimator: Estimator, pictures: Iterable[BopPicture],
             least_visible: float = LEAST_VISIBLE, use_base: bool = True,
             on_picture: OnPicture | None = None) -> dict[str, Any]:
    """Figures of a model on a split, or on any pictures with truth.

    Args:
        estimator: the model.
        pictures: with their truth.
        least_visible: instances seen less than this are not asked for.
        use_base: give the estimator the camera's pose in the base frame, where the set has it.
        on_picture: called with each picture and what was found in it.
    """
    catalogue = {model.name: model for model in estimator.contract.objects}
    results, timings_ms = [], []
    for number, picture in enumerate(tqdm(pictures, desc='evaluating', unit='picture',
                                          disable=None)):
        T_base_camera = picture.T_base_camera if use_base else None
        if number == 0:     # the first run pays for memory and plans
            estimator.estimate(picture.image_rgb, picture.camera, T_base_camera)
        start = time.perf_counter()
        detections = estimator.estimate(picture.image_rgb, picture.camera, T_base_camera)
        timings_ms.append((time.perf_counter() - start) * 1e3)
        results.append(match_picture(detections, picture.instances, picture.camera, catalogue,
                                     least_visible))
        if on_picture:
            on_picture(picture, detections)
    return summarize(results, list(catalogue), timings_ms)
