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

"""Records of what happened, and figures of them, by hand."""
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.breakdown import (bin_of, by_distance, by_object, by_visible, group,
                                              round_edges)
from sim_trainer.evaluation.confusion import confusion
from sim_trainer.evaluation.matching import match_picture
from sim_trainer.evaluation.records import collect, DetectionRecord, InstanceRecord, SetRecords
from sim_trainer.evaluation.report import summarize
from sim_trainer.evaluation.trust import (CHI2_QUANTILES, chi2_share, coverage, LEAST_IN_BIN,
                                          reliability, risk_curve, wilson_interval)

FOUND = InstanceRecord('cube', 0, 0, 1.0, 1.0, True, 'cube', 0.004, 0.1, 0.9, 1.0, 3e-4)
MISSED = InstanceRecord('cube', 0, 1, 1.0, 1.0, False)
RIGHT = DetectionRecord('cube', 0, 0, 0.9, True, 'cube', 0.004, 3e-4)


@pytest.fixture(scope='module')
def results(camera, truth, detection):
    """Return a picture with a bit of everything, and an empty one."""
    instances = [
        truth('cube', [0, 0, 1.0]),                     # 0: found, 1 cm off
        truth('cylinder', [0.3, 0, 1.2], None),         # 1: reported as a cube
        truth('cube', [-0.3, 0, 1], 0.1),               # 2: hidden, forgiven
        truth('mug', [0, 0.5, 1]),                      # 3: of no interest
        truth('tetrahedron', [0, 0.3, 1], 0.5),         # 4: missed
        truth('cylinder', [0, -0.3, 1])]                # 5: reported 3 cm off
    detections = [
        detection('cube', [0.3, 0.01, 1.2], 0.6), detection('cube', [0.01, 0, 1], 0.9),
        detection('cube', [-0.3, 0.03, 1], 0.7), detection('cylinder', [0.03, -0.3, 1], 0.8),
        detection('tetrahedron', [0.8, 0.8, 1], 0.5), detection('cube', [0, 0.01, 1], 0.4)]

    def picture(number, instances):
        return BopPicture(number, Path('x.png'), np.zeros((48, 64, 3), np.uint8), camera, None,
                          instances)
    return [(picture(7, instances), detections), (picture(8, []), [])]


@pytest.fixture(scope='module')
def records(results, catalogue):
    """Return the records of both pictures."""
    return collect(results, catalogue)


def test_the_matching_says_who_is_who(results, camera, catalogue):
    picture, detections = results[0]
    result = match_picture(detections, picture.instances, camera, catalogue)
    assert result.asked_instances == (0, 1, 4, 5)
    assert result.pairs == ((1, 0),)
    assert result.forgiven == (2,)
    assert len(result.false_positives) + len(result.pairs) + len(result.forgiven) == 6


def test_instances(records):
    assert records.pictures == 2
    assert [(i.instance, i.object_name, i.found, i.reported_as) for i in records.instances] == [
        (0, 'cube', True, 'cube'), (1, 'cylinder', False, 'cube'),
        (4, 'tetrahedron', False, None), (5, 'cylinder', False, 'cylinder')]
    found, other = records.instances[:2]
    assert (found.picture, found.visible_fraction, found.score) == (0, 1.0, 0.9)
    assert found.distance_m == pytest.approx(1.0)
    assert found.position_error_m == pytest.approx(0.01)
    assert found.mahalanobis_squared == pytest.approx(1.0)       # 1 cm over 1 cm
    assert found.position_variance_m2 == pytest.approx(3e-4)
    assert other.distance_m == pytest.approx(np.hypot(0.3, 1.2))
    assert (other.visible_fraction, other.position_error_m, other.score) == (None, None, None)


def test_detections(records):
    assert [(d.object_name, d.right, d.nearest_kind) for d in records.detections] == [
        ('cube', False, 'cylinder'), ('cube', True, 'cube'), ('cube', None, 'cube'),
        ('cylinder', False, 'cylinder'), ('tetrahedron', False, None), ('cube', False, 'cube')]
    assert records.detections[3].position_error_m == pytest.approx(0.03)
    assert records.detections[5].position_error_m == pytest.approx(0.01)     # reported twice


def test_a_detection_of_an_unknown_kind(camera, catalogue, detection):
    picture = BopPicture(0, Path('x.png'), np.zeros((48, 64, 3), np.uint8), camera, None, [])
    [record] = collect([(picture, [detection('mug', [0, 0, 1])])], catalogue).detections
    assert (record.right, record.nearest_kind, record.position_error_m) == (False, None, None)


def test_records_agree_with_the_table(records, results, camera, catalogue):
    table = summarize([match_picture(found, p.instances, camera, catalogue)
                       for p, found in results], list(catalogue), [1.0])
    for name, figures in table['objects'].items():
        [same] = by_object(records.instances, [name])
        assert (same.count, same.found) == (figures['count'], figures['found'])
        assert same.found_percent == figures['found_percent']
        assert sum(d.right is False for d in records.detections
                   if d.object_name == name) == figures['false_positives']


def test_a_group():
    farther = replace(FOUND, position_error_m=0.010, rotation_error_rad=0.3)
    figures = group('both', [FOUND, farther, farther, MISSED])
    assert (figures.count, figures.found, figures.found_percent) == (4, 3, 75.0)
    assert figures.error_mean_cm == pytest.approx(0.8)
    assert figures.error_median_cm == pytest.approx(1.0)
    assert figures.rotation_median_deg == pytest.approx(np.degrees(0.3))


def test_a_group_of_none():
    empty = group('nothing', [])
    assert (empty.count, empty.found_percent, empty.found_interval) == (0, None, None)
    assert group('missed', [MISSED]).error_mean_cm is None


def test_bins_by_distance_may_be_empty():
    groups = by_distance([replace(FOUND, distance_m=d) for d in (0.7, 0.75, 1.65)])
    assert [g.label for g in groups] == ['0.6–0.8', '0.8–1.0', '1.0–1.2', '1.2–1.4', '1.4–1.6',
                                         '1.6–1.8']
    assert [g.count for g in groups] == [2, 0, 0, 0, 0, 1]
    assert by_distance([]) == []


def test_bins_by_visible_fraction():
    given = [replace(FOUND, visible_fraction=f) for f in (0.3, 0.39, 0.7, 0.999, 1.0, None)]
    groups = by_visible(given)
    assert [g.label for g in groups][:2] == ['30–40', '40–50']
    assert [g.count for g in groups] == [2, 0, 0, 0, 1, 0, 2]
    assert by_visible([replace(FOUND, visible_fraction=None)]) == []


def test_edges_are_round():
    assert round_edges([0.93, 2.31], 6) == [0.5, 1.0, 1.5, 2.0, 2.5]
    assert round_edges([0.0, 0.6], 6) == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6])
    assert len(round_edges([1.0, 1.0], 6)) == 2
    assert round_edges([], 6) == []


def test_the_last_bin_has_its_upper_edge():
    assert bin_of([0.0, 0.5, 1.0, -1.0, 3.0], [0.0, 0.5, 1.0]).tolist() == [0, 1, 1, 0, 1]


def test_reliability_by_hand():
    scores = [0.6] * 10 + [0.9] * 10
    result = reliability(scores, [True] * 4 + [False] * 6 + [True] * 9 + [False], bins=2)
    low, high = result.bins
    assert (low.count, low.score_mean, low.right_share) == pytest.approx((10, 0.6, 0.4))
    assert (high.count, high.score_mean, high.right_share) == pytest.approx((10, 0.9, 0.9))
    assert result.expected_error == pytest.approx(0.1)      # (0.2 + 0) / 2


def test_reliability_has_bins_of_equal_counts_and_keeps_equal_scores_together():
    scores = np.random.default_rng(0).random(1000)
    result = reliability(scores, scores > 0.5)
    assert [b.count for b in result.bins] == [100] * 10
    together = reliability([0.5] * 30 + [1.0] * 70, [True] * 100)
    assert [b.count for b in together.bins] == [30, 70]


def test_reliability_of_few_and_of_none():
    assert len(reliability([0.1, 0.9], [False, True]).bins) == 1
    assert len(reliability(np.linspace(0, 1, 2 * LEAST_IN_BIN), [True] * 2 * LEAST_IN_BIN
                           ).bins) == 2
    assert reliability([], []) == replace(reliability([0.5], [True]), bins=(),
                                          expected_error=None)


def test_coverage_by_hand():
    inside = coverage([1.0, 2.0, 3.0, 7.0, 9.0])
    assert inside == {0.5: 0.4, 0.9: 0.6, 0.95: 0.8}
    assert coverage([]) == {0.5: None, 0.9: None, 0.95: None}


@pytest.mark.parametrize('nominal, limit', CHI2_QUANTILES.items())
def test_the_limits_are_quantiles_of_chi_squared(nominal, limit):
    assert chi2_share([limit])[0] == pytest.approx(nominal, abs=1e-5)


def test_chi_squared_is_that_of_three_degrees():
    squares = (np.random.default_rng(0).normal(size=(100_000, 3)) ** 2).sum(1)
    for x in (0.0, 0.3, 2.0, 5.0):
        assert chi2_share([x])[0] == pytest.approx((squares < x).mean(), abs=0.005)


def test_risk_by_hand():
    curve = risk_curve([0.9, 0.5, 0.7], [0.0, 1.0, 0.0])
    assert curve.kept == pytest.approx([1 / 3, 2 / 3, 1])
    assert curve.risk == pytest.approx([0, 0, 1 / 3])
    assert curve.area == pytest.approx(1 / 9)


def test_risk_does_not_depend_on_the_order_of_equals():
    for losses in ([0.0, 1.0], [1.0, 0.0]):
        assert risk_curve([0.5, 0.5], losses).risk == pytest.approx([0.5, 0.5])
    assert risk_curve([], []).area is None


def test_the_interval_of_a_share():
    assert wilson_interval(8, 10) == pytest.approx((0.4902, 0.9433), abs=1e-4)
    assert wilson_interval(0, 5)[0] == 0.0
    assert wilson_interval(5, 5)[1] == 1.0


def test_confusion_by_hand(records, catalogue):
    matrix = confusion(records, list(catalogue))
    assert matrix.names == ('cube', 'tetrahedron', 'cylinder')
    assert matrix.counts.tolist() == [
        [2, 0, 0, 0],       # found, and reported twice
        [0, 0, 0, 1],       # missed
        [1, 0, 1, 0],       # taken for a cube; 3 cm off
        [0, 1, 0, 0]]       # nothing there


def test_confusion_of_nothing_and_of_unknown_kinds():
    assert confusion(SetRecords(0, (), ()), ['cube']).counts.tolist() == [[0, 0], [0, 0]]
    stranger = replace(RIGHT, object_name='mug', right=False)
    assert confusion(SetRecords(1, (), (stranger,)), ['cube']).counts.sum() == 0
