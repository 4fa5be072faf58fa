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

"""Average precision and the threshold, by hand."""
import pytest
from sim_trainer.evaluation.records import DetectionRecord, InstanceRecord, SetRecords
from sim_trainer.validation.ranking import average_precision, best_threshold


def _records(asked, scored, pictures=1):
    return SetRecords(
        pictures, tuple(InstanceRecord('cube', 0, i, 1.0, 1.0, False) for i in range(asked)),
        tuple(DetectionRecord('cube', 0, i, score, right, None, None, 1e-6)
              for i, (score, right) in enumerate(scored)))


def test_average_precision_by_hand():
    # Right, wrong, right of 4 asked: precisions 1 and 2/3 at two of four recalls.
    records = _records(4, [(0.9, True), (0.8, False), (0.7, True)])
    assert average_precision(records) == pytest.approx((1 + 2 / 3) / 4)


def test_a_later_better_precision_counts_for_the_recalls_before():
    records = _records(2, [(0.9, False), (0.8, True), (0.7, True)])
    assert average_precision(records) == pytest.approx(2 / 3)


def test_all_found_and_nothing_else_is_one():
    assert average_precision(_records(2, [(0.2, True), (0.1, True)])) == 1.0


@pytest.mark.parametrize('asked, scored', [(0, []), (3, []), (3, [(0.9, False)]),
                                           (0, [(0.9, False)])])
def test_nothing_right_is_zero(asked, scored):
    assert average_precision(_records(asked, scored)) == 0.0


def test_what_is_neither_right_nor_wrong_does_not_count():
    records = _records(1, [(0.9, None), (0.8, True)])
    assert average_precision(records) == 1.0


def test_the_threshold_divides_best():
    scored = [(0.9, True), (0.8, True), (0.7, False), (0.6, True), (0.5, False), (0.4, False)]
    # F at beta 1, three asked: 2/4, 4/5, 4/6, 6/7, 6/8, 6/9.
    assert best_threshold([_records(3, scored)], beta=1.0) == 0.6
    # Precision counts more: 0.714, 0.909, 0.667, 0.789 ...
    assert best_threshold([_records(3, scored)], beta=0.5) == 0.8


def test_several_sets_are_one():
    sets = [_records(1, [(0.9, True)]), _records(1, [(0.8, False)]), _records(1, [(0.7, True)])]
    assert best_threshold(sets, beta=2.0) == 0.7 and best_threshold(sets, beta=0.1) == 0.9


def test_equal_scores_pass_together():
    assert best_threshold([_records(2, [(0.9, True), (0.5, True), (0.5, False)])], 1.0) == 0.5
    scored = [(0.9, True), *[(0.5, False)] * 5, (0.5, True)]
    assert best_threshold([_records(2, scored)], 1.0) == 0.9


@pytest.mark.parametrize('sets', [[], [_records(0, [(0.9, False)])], [_records(3, [])]])
def test_without_anything_to_go_by_it_is_a_half(sets):
    assert best_threshold(sets, beta=0.5) == 0.5
