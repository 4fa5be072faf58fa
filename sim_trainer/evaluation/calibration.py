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
of ``scoring.score_features``); the covariance is scaled so that the 90 % ellipsoid of the
position holds the truth 90 % of the time, by a factor that depends on how well the edges fit
(quantile regression). Both are only as true as the simulation is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
import dataclasses

from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Network, PosePipeline
from dr_perception.core.pose_solving import scaled_covariance
from dr_perception.core.scoring import trust_features
import numpy as np
from scipy.optimize import minimize
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import TrainingError
from sim_trainer.evaluation.matching import FOUND_M
from sim_trainer.evaluation.report import CHI2_90

#: Ridge of the quantile regression, on standardized features, and width of its smoothed corner.
_QUANTILE_RIDGE, _CORNER = 1e-3, 0.1
#: Factors of covariances that are tried; in between, logarithms are interpolated.
_FACTORS = np.exp(np.linspace(-8.0, 8.0, 65))
#: Ridge on the weights: with few or separable samples the fit must not run to infinity.
_RIDGE = 1e-2
#: The same for the biases of kinds: a kind that is seldom right or wrong keeps to the others.
_KIND_RIDGE = 1.0
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
    # First the keypoints' poses, whose covariance the refinement along edges needs; then what that
    # makes of them.
    contract = _calibrated(_with_edges(contract, 0.0, 0.0), network, pictures)
    decoder = contract.decoder
    return _calibrated(_with_edges(contract, decoder.covariance_scale,
                                   decoder.camera_covariance_scale), network, pictures)


def _with_edges(contract: ModelContract, scale: float, camera_scale: float) -> ModelContract:
    return dataclasses.replace(contract, decoder=dataclasses.replace(
        contract.decoder, edge_prior_scale=scale, camera_edge_prior_scale=camera_scale,
        covariance_weights=(), camera_covariance_weights=(), plane_scaled=False))


def _calibrated(contract: ModelContract, network: Network, pictures: Sequence[BopPicture]
                ) -> ModelContract:
    """Return scores and covariance scales for poses refined as the contract says."""
    pipeline = PosePipeline(contract, RememberingNetwork(network))
    standing, alone = _Samples(with_base=True), _Samples(with_base=False)
    for picture in pictures:
        for samples in (standing, alone):
            samples.add(pipeline, picture)
    has_edges = contract.decoder.edge_prior_scale > 0
    scale, trust = standing.covariance_law(has_edges)
    camera_scale, camera_trust = alone.covariance_law(has_edges)
    weights, biases = standing.score_law(len(contract.objects))
    camera_weights, camera_biases = alone.score_law(len(contract.objects))
    return dataclasses.replace(contract, decoder=dataclasses.replace(
        contract.decoder, score_weights=weights, score_biases=biases, covariance_scale=scale,
        covariance_weights=trust, camera_score_weights=camera_weights,
        camera_score_biases=camera_biases, camera_covariance_scale=camera_scale,
        camera_covariance_weights=camera_trust))


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
    """Features and rightness of every candidate, and by what its covariance is too small.

    The factors are of candidates that are an object of their kind, within 2 cm with the plane;
    from the camera alone within a bound that depth errors do not reach.
    """

    def __init__(self, with_base: bool) -> None:
        self._with_base = with_base
        self._features: list[np.ndarray] = []
        self._right: list[bool] = []
        self._kinds: list[int] = []
        self._factors: list[float] = []
        self._trust: list[np.ndarray] = []

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
            self._kinds.append(int(kind))
            if best >= 0 and errors[best] < (FOUND_M if self._with_base else SAME_OBJECT_M):
                nearest = model.symmetry.nearest(T, truths[best].T_camera_object)
                self._trust.append(raw.features[i])
                self._factors.append(needed_factor(
                    raw.fit.covariance[i], raw.plane[i], raw.shift[i],
                    T[:3, 3] - nearest[:3, 3]))

    def score_law(self, kinds: int) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return the weights of the score's features and the bias of each of ``kinds``."""
        right = self._right
        if len(self._factors) < 10 or sum(right) == len(right):
            raise TrainingError(
                f'{sum(right)} right and {len(right) - sum(right)} wrong candidates on the '
                'held-out pictures are too few to calibrate a score; train longer '
                '(training.steps) or on more pictures (frames.count)')
        features = np.column_stack([np.array(self._features), np.eye(kinds)[self._kinds]])
        ridge = np.append(np.full(features.shape[1] - kinds, _RIDGE), np.full(kinds, _KIND_RIDGE))
        weights = fit_logistic(features, np.array(right, dtype=float), ridge).tolist()
        return tuple(weights[:-kinds]), tuple(weights[-kinds:])

    def covariance_law(self, has_edges: bool) -> tuple[float, tuple[float, ...]]:
        """Return scale and weights of the covariance's factor."""
        if len(self._factors) < 10:
            self.score_law(1)    # says what to do
        if not has_edges:
            return float(np.quantile(self._factors, 0.9)), ()
        weights = fit_quantile(trust_features(np.array(self._trust)), np.log(self._factors), 0.9)
        return float(np.exp(weights[0])), tuple(weights[1:].tolist())


def needed_factor(covariance: np.ndarray, plane: np.ndarray, shift: np.ndarray,
                  error_m: np.ndarray) -> float:
    """Return the factor with which the 90 % ellipsoid of a position just reaches the truth.

    Args:
        covariance: (6, 6) of the pose.
        plane: (6, 6) what the support plane says of it, which is not scaled.
        shift: (3, 3) what the camera's calibration adds to the position's.
        error_m: (3,) of the position.
    """
    count = len(_FACTORS)
    scaled = scaled_covariance(np.repeat(covariance[None], count, 0), _FACTORS,
                               np.repeat(plane[None], count, 0))[:, :3, :3] + shift
    error = np.broadcast_to(error_m, (count, 3))[..., None]
    distance = (error * np.linalg.solve(scaled, error)).sum((1, 2))      # falls with the factor
    return float(np.exp(np.interp(-np.log(CHI2_90), -np.log(distance + 1e-12),
                                  np.log(_FACTORS))))


def fit_logistic(features: np.ndarray, right: np.ndarray, ridge: np.ndarray | None = None
                 ) -> np.ndarray:
    """Weights (F,) of a ridge logistic regression, by Newton's method.

    Args:
        features: (N, F).
        right: (N,) 0 or 1.
        ridge: (F,) of each weight; None: a weak one.
    """
    ridge = np.full(features.shape[1], _RIDGE) if ridge is None else ridge
    weights = np.zeros(features.shape[1])
    for _ in range(50):
        p = 1 / (1 + np.exp(-np.clip(features @ weights, -30, 30)))
        gradient = features.T @ (p - right) + ridge * weights
        curvature = (features * (p * (1 - p) + 1e-9)[:, None]).T @ features
        step = np.linalg.solve(curvature + np.diag(ridge), gradient)
        weights = weights - step
        if np.abs(step).max() < 1e-9:
            break
    return weights


def fit_quantile(features: np.ndarray, values: np.ndarray, part: float) -> np.ndarray:
    """Bias and weights (1 + F,) of a linear law that ``part`` of the values stay below.

    Quantile regression (Koenker and Bassett 1978), the corner of its loss smoothed.

    Args:
        features: (N, F).
        values: (N,).
        part: 0...1.
    """
    mean, spread = features.mean(0), features.std(0) + 1e-9
    X = np.column_stack([np.ones(len(features)), (features - mean) / spread])

    def loss(weights: np.ndarray) -> float:
        r = values - X @ weights
        return float((part * r + _CORNER * np.logaddexp(0, -r / _CORNER)).mean()
                     + _QUANTILE_RIDGE * (weights[1:] ** 2).sum())

    start = np.append(np.quantile(values, part), np.zeros(features.shape[1]))
    weights = minimize(loss, start, method='BFGS').x
    slopes = weights[1:] / spread
    return np.append(weights[0] - slopes @ mean, slopes)
