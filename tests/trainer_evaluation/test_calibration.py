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

"""Scores and covariances that mean what they say."""
import dataclasses
from pathlib import Path

from dr_perception.core.candidates import Candidates
from dr_perception.core.contract import ModelContract
from dr_perception.core.network_spec import DecoderSpec, EDGELESS_WEIGHT_COUNT, InputSpec
from dr_perception.core.pipeline import PosePipeline, RawDetections
from dr_perception.core.pose_solving import PoseFit, scaled_covariance
from dr_perception.core.scoring import covariance_factors, FEATURES, score
from dr_perception.core.transforms import make_transform
import numpy as np
import pytest
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.errors import TrainingError
from sim_trainer.evaluation.calibration import (calibrate, fit_logistic, fit_quantile,
                                                needed_factor, RememberingNetwork)
from sim_trainer.evaluation.report import CHI2_90

SIGMA_M = 0.002
SHARE = FEATURES.index('outline_share')


@pytest.fixture(scope='module')
def contract(catalogue):
    """Return a contract of the small catalogue."""
    return ModelContract('tiny', tuple(catalogue.values()), InputSpec(32, 100.0, 1.12, 10 ** 6),
                         DecoderSpec(4, 16.0, 0.15, 0.5, (0.0, 1.0, 0.0, 0.0), 1.0, 0.001, 0.01,
                                     (0.0, 1.0, 0.0, 0.0), 1.0))


def test_logistic_regression_finds_the_weights_that_made_the_data():
    rng = np.random.default_rng(0)
    weights = np.array([-0.5, 1.5, -2.0, 0.7])
    features = np.column_stack([np.ones(20_000), rng.normal(size=(20_000, 3))])
    right = rng.random(20_000) < 1 / (1 + np.exp(-features @ weights))
    assert np.allclose(fit_logistic(features, right.astype(float)), weights, atol=0.08)


def test_the_fitted_probability_is_the_share_that_is_right():
    features = np.ones((100, 1))
    right = np.arange(100) < 80
    fitted = fit_logistic(features, right.astype(float))
    assert score(features[:1], tuple(fitted)) == pytest.approx(0.8, abs=1e-3)


def test_separable_samples_do_not_run_away():
    features = np.array([[1.0, x] for x in (-2, -1, 1, 2)] * 10)
    weights = fit_logistic(features, (features[:, 1] > 0).astype(float))
    assert np.isfinite(weights).all()
    assert 1 < weights[1] < 50


def _pictures(camera, rng, count, miss_every):
    """Pictures of one cube each, and what a pipeline found in them."""
    pictures, found = [], []
    for i in range(count):
        truth = make_transform(np.eye(3), [0.0, 0.0, 1.0])
        instances = [BopInstance('cube', truth, 1.0)]
        pictures.append(BopPicture(i, Path('none.png'), np.zeros((48, 64, 3), np.uint8), camera,
                                   None, instances))
        # Where no edge is found, poses are twice as uncertain.
        share = float(i % 2)
        error = rng.normal(size=3) * SIGMA_M * (1 if share else 2)
        wrong = i % miss_every == 0
        T = make_transform(np.eye(3), truth[:3, 3] + (0.3 if wrong else error))
        fit = PoseFit(T[None], np.eye(6)[None] * SIGMA_M ** 2 / 4, np.ones(1), np.zeros(1, bool),
                      np.full(1, np.nan), np.full(1, np.nan))
        candidates = Candidates(np.zeros(1, int), np.full(1, 0.5), np.zeros((1, 9, 2)),
                                np.ones((1, 9)), np.zeros(1), np.full(1, np.nan))
        features = np.zeros((1, len(FEATURES)))
        features[0, [0, 1, SHARE]] = 1.0, rng.normal() - 2 * wrong, share
        found.append(RawDetections(candidates, fit, features, np.zeros((1, 6, 6)),
                                   np.zeros((1, 3, 3))))
    return pictures, found


@pytest.fixture
def answers(monkeypatch):
    """Return a function that lets every pipeline find the given candidates, one by one."""
    def answer(found):
        # Once with the plane, once from the camera alone; first without edges, then with them.
        plain = [dataclasses.replace(raw, features=raw.features[:, :EDGELESS_WEIGHT_COUNT])
                 for raw in found]
        remaining = (raw for raws in (plain, found) for raw in raws for _ in range(2))
        monkeypatch.setattr(PosePipeline, 'detect', lambda *_: next(remaining))
    return answer


def test_ninety_percent_are_inside_with_and_without_edges(contract, camera, answers):
    pictures, found = _pictures(camera, np.random.default_rng(1), 3001, 5)
    answers(found)
    decoder = calibrate(contract, None, pictures).decoder
    right = [raw for i, raw in enumerate(found) if i % 5]
    factors = covariance_factors(np.concatenate([raw.features for raw in right]),
                                 decoder.covariance_scale, decoder.covariance_weights)
    squares = np.array([4 * ((raw.fit.T_camera_object[0, :3, 3] - [0, 0, 1]) ** 2).sum()
                        for raw in right]) / SIGMA_M ** 2 / factors
    shares = np.array([raw.features[0, SHARE] for raw in right])
    # The covariance claims half the deviation: the factor is four, four times that unseen.
    assert factors[shares == 1].mean() == pytest.approx(4.0, rel=0.15)
    assert factors[shares == 0].mean() == pytest.approx(16.0, rel=0.15)
    for share in (0, 1):
        assert np.mean(squares[shares == share] < CHI2_90) == pytest.approx(0.9, abs=0.02)


def test_the_factor_that_just_reaches_the_truth():
    rng = np.random.default_rng(4)
    A = rng.normal(size=(6, 6))
    covariance = A @ A.T
    error = np.array([1.0, -2.0, 0.5])
    square = error @ np.linalg.solve(covariance[:3, :3], error)
    none, still = np.zeros((6, 6)), np.zeros((3, 3))
    assert needed_factor(covariance, none, still, error) == pytest.approx(square / CHI2_90)
    assert needed_factor(covariance, none, still, 10 * error) == pytest.approx(
        100 * square / CHI2_90)
    # What the calibration of the camera explains does not have to be explained by more.
    assert needed_factor(covariance, none, 10 * np.eye(3), error) < 0.01
    # A plane holds z: along it nothing grows, so the rest must grow by more.
    plane = np.zeros((6, 6))
    plane[2, 2] = 0.5
    held = np.linalg.inv(np.linalg.inv(covariance) + plane)
    factor = needed_factor(held, plane, still, 3 * error)
    reached = scaled_covariance(held[None], np.array([factor]), plane[None])[0, :3, :3]
    assert 9 * error @ np.linalg.solve(reached, error) == pytest.approx(CHI2_90, rel=1e-2)
    assert factor > 9 * error @ np.linalg.solve(held[:3, :3], error) / CHI2_90


def test_the_refinement_starts_from_calibrated_covariances(contract, camera, answers):
    pictures, found = _pictures(camera, np.random.default_rng(1), 1500, 5)
    answers(found)
    decoder = calibrate(contract, None, pictures).decoder
    squares = np.array([4 * ((raw.fit.T_camera_object[0, :3, 3] - [0, 0, 1]) ** 2).sum()
                        for i, raw in enumerate(found) if i % 5]) / SIGMA_M ** 2
    assert decoder.edge_prior_scale == pytest.approx(np.quantile(squares, 0.9) / CHI2_90)
    assert decoder.camera_edge_prior_scale == decoder.edge_prior_scale


def test_quantile_regression_finds_the_law_that_made_the_data():
    rng = np.random.default_rng(0)
    features = rng.normal(size=(20_000, 2)) * [1.0, 10.0] + [0.0, 5.0]
    noise = rng.normal(size=20_000)
    values = 1.0 + features @ [0.5, -0.02] + noise
    assert np.allclose(fit_quantile(features, values, 0.9), [2.28, 0.5, -0.02],
                       atol=[0.05, 0.03, 0.005])


def test_a_network_runs_once_for_a_picture_given_twice():
    seen = []

    class Network:

        def run(self, image_rgb):
            seen.append(image_rgb.copy())
            return {'heat': image_rgb + 1}

    network = RememberingNetwork(Network())
    image = np.zeros((1, 4, 4, 3), np.uint8)
    for value in (0, 0, 7, 7, 0):
        image[:] = value        # the same array with another content is another picture
        assert (network.run(image)['heat'] == value + 1).all()
    assert [int(i[0, 0, 0, 0]) for i in seen] == [0, 7, 0]


def test_calibration_changes_weights_and_scale_alone(contract, camera, answers):
    pictures, found = _pictures(camera, np.random.default_rng(2), 300, 3)
    answers(found)
    calibrated = calibrate(contract, None, pictures)
    assert calibrated.decoder.score_weights[1] > 0.5
    assert len(calibrated.decoder.score_biases) == len(contract.objects)
    assert dataclasses.replace(
        calibrated.decoder, score_weights=contract.decoder.score_weights,
        covariance_scale=1.0, camera_score_weights=contract.decoder.camera_score_weights,
        camera_covariance_scale=1.0, edge_prior_scale=0.0, camera_edge_prior_scale=0.0,
        covariance_weights=(), camera_covariance_weights=(), score_biases=(),
        camera_score_biases=(), plane_scaled=contract.decoder.plane_scaled) == contract.decoder
    assert calibrated.objects is contract.objects
    assert contract.decoder.covariance_scale == 1.0
    scores = score(np.concatenate([raw.features for raw in found]),
                   calibrated.decoder.score_weights)
    assert scores.mean() == pytest.approx(2 / 3, abs=0.01)


@pytest.mark.parametrize('count, miss_every, message', [
    (12, 1, '0 right and 12 wrong candidates'), (12, 2, '6 right and 6 wrong candidates'),
    (0, 2, '0 right and 0 wrong candidates')])
def test_too_few_candidates_are_refused(contract, camera, answers, count, miss_every, message):
    pictures, found = _pictures(camera, np.random.default_rng(3), count, miss_every)
    answers(found)
    with pytest.raises(TrainingError, match=message + r' on the held-out pictures are too few to '
                       r'calibrate a score; train longer \(training.steps\) or on more pictures '
                       r'\(frames.count\)'):
        calibrate(contract, None, pictures)


def test_candidates_that_are_all_right_are_refused(contract, camera, answers):
    pictures, found = _pictures(camera, np.random.default_rng(4), 21, 50)
    answers(found[1:])
    with pytest.raises(TrainingError, match='20 right and 0 wrong candidates'):
        calibrate(contract, None, pictures[1:])


def test_hidden_instances_neither_help_nor_hurt(contract, camera, answers):
    pictures, found = _pictures(camera, np.random.default_rng(5), 30, 3)
    hidden = [dataclasses.replace(picture, instances=[
        dataclasses.replace(picture.instances[0], visible_fraction=0.01)]) for picture in pictures]
    answers(found)
    with pytest.raises(TrainingError, match='0 right and 10 wrong candidates'):
        calibrate(contract, None, hidden)


def test_truth_without_a_visible_fraction_counts_as_visible(contract, camera, answers):
    pictures, found = _pictures(camera, np.random.default_rng(6), 60, 3)
    unknown = [dataclasses.replace(picture, instances=[
        dataclasses.replace(picture.instances[0], visible_fraction=None)])
        for picture in pictures]
    answers(found)
    calibrate(contract, None, unknown)
