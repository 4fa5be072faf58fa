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

"""Scores and covariances that mean what they say, learned on held-out simulated pictures.

The score becomes the probability of being right within 2 cm (logistic regression on the features
of ``decoding.score_features``); the covariance is scaled so that the 90 % ellipsoid of the
position holds the truth 90 % of the time. Both are only as true as the simulation is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Network, PosePipeline
import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import TrainingError
from sim_trainer.evaluation.matching import FOUND_M
from sim_trainer.evaluation.report import CHI2_90

#: Ridge on the weights: with few or separable samples the fit must not run to infinity.
_RIDGE = 1e-2
#: An instance seen less than this is neither right nor wrong to find.
_UNDECIDED_VISIBLE = 0.05
#: From the camera alone, a candidate this near (m) to an object of its kind is that object.
SAME_OBJECT_M = 0.15


def calibrate(contract: ModelContract, network: Network, pictures: Sequence[BopPicture]
              ) -> ModelContract:
    """Return a contract with scores and covariance scales fitted on the pictures.

    With the support plane and from the camera alone apart: without the plane, the distance of a
    small object is uncertain to centimetres, and a score has to say so.

    Raises:
        TrainingError: nothing was found in any picture: the network has not learned.
    """
    pipeline = PosePipeline(contract, RememberingNetwork(network))
    standing, alone = _Samples(with_base=True), _Samples(with_base=False)
    for picture in pictures:
        for samples in (standing, alone):
            samples.add(pipeline, picture)
    weights, scale = standing.fit()
    camera_weights, camera_scale = alone.fit()
    return dataclasses.replace(contract, decoder=dataclasses.replace(
        contract.decoder, score_weights=weights, covariance_scale=scale,
        camera_score_weights=camera_weights, camera_covariance_scale=camera_scale))


class RememberingNetwork:
    """A network that runs once for a picture that it is given twice in a row."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self._image_rgb: np.ndarray | None = None

    def run(self, image_rgb: np.ndarray) -> Mapping[str, np.ndarray]:
        """See ``pipeline.Network``."""
        if self._image_rgb is None or not np.array_equal(image_rgb, self._image_rgb):
            self._outputs = self._network.run(image_rgb)
            self._image_rgb = image_rgb.copy()
        return self._outputs


class _Samples:
    """Features and rightness of every candidate, and squared Mahalanobis distances.

    The distances are of candidates that are an object of their kind, within 2 cm with the plane;
    from the camera alone within a bound that depth errors do not reach.
    """

    def __init__(self, with_base: bool) -> None:
        self._with_base = with_base
        self._features: list[np.ndarray] = []
        self._right: list[bool] = []
        self._distances: list[float] = []

    def add(self, pipeline: PosePipeline, picture: BopPicture) -> None:
        """Take what a pipeline finds in a picture."""
        raw = pipeline.detect(picture.image_rgb, picture.camera,
                              picture.T_base_camera if self._with_base else None)
        for i, kind in enumerate(raw.candidates.object_index):
            model = pipeline.contract.objects[kind]
            T = raw.fit.T_camera_object[i]
            truths = [t for t in picture.instances if t.object_name == model.name]
            errors = [model.symmetry.position_error_m(T, t.T_camera_object) for t in truths]
            best = int(np.argmin(errors)) if errors else -1
            correct = best >= 0 and errors[best] < FOUND_M
            visible = truths[best].visible_fraction if correct else None
            if visible is not None and visible < _UNDECIDED_VISIBLE:
                continue
            self._features.append(raw.features[i])
            self._right.append(correct)
            if best >= 0 and errors[best] < (FOUND_M if self._with_base else SAME_OBJECT_M):
                nearest = model.symmetry.nearest(T, truths[best].T_camera_object)
                error = T[:3, 3] - nearest[:3, 3]
                self._distances.append(
                    error @ np.linalg.solve(raw.fit.covariance[i][:3, :3], error))

    def fit(self) -> tuple[tuple[float, ...], float]:
        """Weights of the score and scale of the covariance."""
        right = self._right
        if len(self._distances) < 10 or sum(right) == len(right):
            raise TrainingError(
                f'{sum(right)} right and {len(right) - sum(right)} wrong candidates on the '
                'held-out pictures are too few to calibrate a score; train longer '
                '(training.steps) or on more pictures (frames.count)')
        weights = fit_logistic(np.array(self._features), np.array(right, dtype=float))
        return tuple(weights.tolist()), float(np.quantile(self._distances, 0.9) / CHI2_90)


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
