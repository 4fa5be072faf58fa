"""Scores and covariances that mean what they say, learned on held-out simulated pictures.

The score becomes the probability of being right within 2 cm (logistic regression on the features
of ``decoding.score_features``); the covariance is scaled so that the 90 % ellipsoid of the
position holds the truth 90 % of the time. Both are only as true as the simulation is.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

import numpy as np

from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Network, PosePipeline
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import TrainingError
from sim_trainer.evaluation.matching import FOUND_M
from sim_trainer.evaluation.report import CHI2_90

#: Ridge on the weights: with few or separable samples the fit must not run to infinity.
_RIDGE = 1e-2
#: An instance seen less than this is neither right nor wrong to find.
_UNDECIDED_VISIBLE = 0.05


def calibrate(contract: ModelContract, network: Network, pictures: Iterable[BopPicture]
              ) -> ModelContract:
    """A contract with score weights and covariance scale fitted on the pictures.

    Raises:
        TrainingError: nothing was found in any picture: the network has not learned.
    """
    pipeline = PosePipeline(contract, network)
    catalogue = contract.objects
    features, right, distances = [], [], []
    for picture in pictures:
        raw = pipeline.detect(picture.image_rgb, picture.camera, picture.T_base_camera)
        for i, kind in enumerate(raw.candidates.object_index):
            model = catalogue[kind]
            T = raw.fit.T_camera_object[i]
            truths = [t for t in picture.instances if t.object_name == model.name]
            errors = [model.symmetry.position_error_m(T, t.T_camera_object) for t in truths]
            best = int(np.argmin(errors)) if errors else -1
            correct = best >= 0 and errors[best] < FOUND_M
            if correct and truths[best].visible_fraction < _UNDECIDED_VISIBLE:
                continue
            features.append(raw.features[i])
            right.append(correct)
            if correct:
                nearest = model.symmetry.nearest(T, truths[best].T_camera_object)
                error = T[:3, 3] - nearest[:3, 3]
                distances.append(error @ np.linalg.solve(raw.fit.covariance[i][:3, :3], error))
    if len(distances) < 10 or sum(right) == len(right):
        raise TrainingError(
            f'{len(distances)} right and {len(right) - sum(right)} wrong candidates on the '
            'held-out pictures are too few to calibrate a score; train longer (training.steps) '
            'or on more pictures (frames.count)')
    weights = fit_logistic(np.array(features), np.array(right, dtype=float))
    scale = float(np.quantile(distances, 0.9) / CHI2_90)
    decoder = dataclasses.replace(contract.decoder, score_weights=tuple(weights.tolist()),
                                  covariance_scale=scale)
    return dataclasses.replace(contract, decoder=decoder)


def fit_logistic(features: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Weights (F,) of a ridge logistic regression, by Newton's method."""
    weights = np.zeros(features.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (p - right) + _RIDGE * weights
        curvature = (features * (p * (1 - p) + 1e-9)[:, None]).T @ features
        step = np.linalg.solve(curvature + _RIDGE * np.eye(len(weights)), gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights
