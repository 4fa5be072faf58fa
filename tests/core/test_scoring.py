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

"""The score's features and the probability that they give."""
from dr_perception.core.candidates import Candidates, margins
from dr_perception.core.edges.refinement import Refined
from dr_perception.core.network_spec import EDGELESS_WEIGHT_COUNT
from dr_perception.core.scoring import (covariance_factors, FEATURES, score, score_features,
                                        trust_features)
import numpy as np


def _candidates(heat, scale_px, margin, area_px):
    count = len(heat)
    return Candidates(np.zeros(count, int), np.array(heat), np.zeros((count, 2, 2)),
                      np.array(scale_px), np.array(margin), np.array(area_px))


def test_score_features_by_hand():
    features = score_features(
        _candidates([0.5, 1.0], [[1.0, 3.0], [1.0, 1.0]], [1.5, 50.0], [np.nan, 100.0]),
        np.array([0.9, 0.0]), np.array([np.nan, 400.0]), np.array([np.nan, 0.1]),
        np.array([np.nan, 9.0]))
    assert features.shape == (2, EDGELESS_WEIGHT_COUNT)
    assert np.allclose(features, [
        [1, 0, np.log(2), 0, 1.5, 0, np.log(1.5), 1],
        [1, np.log(9999), 0, np.log(0.1), 6, np.log(0.25), np.log(3), 25]])


def test_features_of_edges_stand_behind_the_others():
    evidence = np.arange(16.0).reshape(2, 8)
    refined = Refined(np.zeros((2, 4, 4)), np.zeros((2, 6, 6)), np.array([0.0, 0.9]), evidence,
                      np.array([0.0, np.e - 1]), np.array([0.1, 7.0]))
    features = score_features(
        _candidates([0.5, 0.5], [[1.0], [1.0]], [0, 0], [1.0, 1.0]), np.ones(2), np.ones(2),
        np.zeros(2), np.zeros(2), refined)
    assert features.shape == (2, len(FEATURES))
    assert np.array_equal(features[:, 8:16], evidence)
    assert np.allclose(features[:, 16], [np.log(0.1), 0])
    assert np.allclose(features[:, 17:], [[0, 0.1], [1, 0.3]])      # errors are bounded
    assert np.allclose(trust_features(features), [[1, 2, np.log(0.1)], [9, 10, 0]])


def test_covariance_factors_by_hand():
    features = np.zeros((2, len(FEATURES)))
    features[:, FEATURES.index('outline_offset')] = [1.0, 50.0]
    assert covariance_factors(features, 3.0, ()).tolist() == [3.0, 3.0]
    assert np.allclose(covariance_factors(features, 3.0, (0.0, 0.5, 0.0)),
                       [3 * np.exp(0.5), np.exp(8)])   # bounded


def test_the_visible_fraction_is_bounded_where_the_whole_is_not_known():
    features = score_features(_candidates([0.5, 0.5], [[1.0], [1.0]], [0, 0], [900.0, 1.0]),
                              np.ones(2), np.array([0.0, 1e9]), np.zeros(2), np.zeros(2))
    assert np.allclose(features[:, 5], np.log([1.5, 0.03]))


def test_score_is_the_logistic_of_the_weighted_features():
    features = np.array([[1.0, 2.0, 0, 0], [1.0, -1.0, 0, 0]])
    assert np.allclose(score(features, (1.0, 1.0, 5.0, 5.0)), [1 / (1 + np.exp(-3)), 0.5])


def test_a_kind_may_have_a_bias():
    features = np.array([[1.0, 2.0], [1.0, 2.0]])
    assert np.allclose(score(features, (1.0, 1.0), np.array([1, 0]), (0.0, -3.0)),
                       [0.5, 1 / (1 + np.exp(-3))])


def test_features_that_a_model_does_not_know_do_not_count():
    features = np.array([[1.0, 2.0, 0, 0, 77.0, -50.0]])
    assert np.allclose(score(features, (1.0, 1.0, 5.0, 5.0)), 1 / (1 + np.exp(-3)))


def test_margins_by_hand():
    heat = np.array([[0.5, 0.9], [0.5, 0.5], [0.2, 0.5]])
    odds = np.log([1.0, 9.0])
    assert np.allclose(margins(heat, np.array([0, 0])), odds)
    assert np.allclose(margins(heat, np.array([1, 1])), -odds)
    assert np.isfinite(margins(np.array([[0.0, 1.0]]), np.array([0, 0]))).all()
