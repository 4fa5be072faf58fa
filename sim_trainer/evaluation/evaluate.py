"""A model on a BOP split."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Protocol

import cv2
import numpy as np
from tqdm import tqdm

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Detection
from dr_perception.inference.estimator import PoseEstimator
from sim_trainer.dataset.bop import BopSplit
from sim_trainer.evaluation.annotation import annotated
from sim_trainer.evaluation.matching import LEAST_VISIBLE, match_picture
from sim_trainer.evaluation.report import summarize
from sim_trainer.evaluation.tobin2017 import is_tobin2017, Tobin2017Estimator


def open_estimator(path: Path, providers: list[str]) -> Estimator:
    """The estimator of a model file: the keypoint network's, or the paper's baseline."""
    if is_tobin2017(path):
        return Tobin2017Estimator(path, providers)
    return PoseEstimator.from_file(path, providers)


class Estimator(Protocol):
    """Anything that finds objects: ``PoseEstimator``, or the paper's network behind its face."""

    contract: ModelContract

    def estimate(self, image_rgb: np.ndarray, camera: PinholeCamera,
                 T_base_camera: np.ndarray | None = None) -> list[Detection]:
        """See ``PosePipeline.estimate``."""


def evaluate(estimator: Estimator, split: BopSplit, least_visible: float = LEAST_VISIBLE,
             use_base: bool = True, pictures_folder: Path | None = None) -> dict[str, Any]:
    """Figures of a model on a split.

    Args:
        estimator: the model.
        split: pictures with truth.
        least_visible: instances seen less than this are not asked for.
        use_base: give the estimator the camera's pose in the base frame, where the set has it.
        pictures_folder: where annotated pictures go, or None.
    """
    catalogue = {model.name: model for model in estimator.contract.objects}
    results, timings_ms = [], []
    for number, picture in enumerate(tqdm(split, desc='evaluating', unit='picture',
                                          disable=None)):
        T_base_camera = picture.T_base_camera if use_base else None
        if number == 0:     # the first run pays for memory and plans
            estimator.estimate(picture.image_rgb, picture.camera, T_base_camera)
        start = time.perf_counter()
        detections = estimator.estimate(picture.image_rgb, picture.camera, T_base_camera)
        timings_ms.append((time.perf_counter() - start) * 1e3)
        results.append(match_picture(detections, picture.instances, picture.camera, catalogue,
                                     least_visible))
        if pictures_folder:
            pictures_folder.mkdir(parents=True, exist_ok=True)
            image = annotated(picture, detections, estimator.contract.objects)
            cv2.imwrite(str(pictures_folder / f'{picture.picture_id:06d}.png'),
                        cv2.cvtColor(image, cv2.COLOR_RGB2BGR))
    return summarize(results, list(catalogue), timings_ms)
