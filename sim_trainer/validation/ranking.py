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

"""How good an order of detections is, without a threshold; and where to divide it."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from sim_trainer.evaluation.records import DetectionRecord, SetRecords


def average_precision(records: SetRecords) -> float:
    """Area under precision over recall, 0...1; detections are taken by falling score.

    Precision at a recall is the best at that recall or above, as in PASCAL VOC since 2010. What is
    neither right nor wrong is left out. Nothing asked for gives 0.
    """
    judged = _by_score(records.detections)
    right = np.array([bool(d.right) for d in judged])
    asked = len(records.instances)
    if asked == 0 or not right.any():
        return 0.0
    found = np.cumsum(right)
    precision = found / np.arange(1, len(right) + 1)
    best = np.maximum.accumulate(precision[::-1])[::-1]
    return float(best[right].sum() / asked)


def best_threshold(sets: Iterable[SetRecords], beta: float) -> float:
    """Return the score that divides best: where the F measure of what is as sure is highest.

    Args:
        sets: pictures with all their detections.
        beta: how many times recall weighs as much as precision.

    Source of the measure: van Rijsbergen 1979, "Information Retrieval", chapter 7.
    """
    sets = list(sets)
    judged = _by_score(d for records in sets for d in records.detections)
    asked = sum(len(records.instances) for records in sets)
    if not judged or not asked:
        return 0.5
    right = np.cumsum([bool(d.right) for d in judged])
    precision, recall = right / np.arange(1, len(judged) + 1), right / asked
    measure = ((1 + beta ** 2) * precision * recall
               / np.maximum(beta ** 2 * precision + recall, 1e-12))
    # Equal scores pass or fail together; the last of them stands for all.
    scores = np.array([d.score for d in judged])
    last = np.append(scores[:-1] > scores[1:], True)
    return float(scores[last][np.argmax(measure[last])])


def _by_score(detections: Iterable[DetectionRecord]) -> list[DetectionRecord]:
    return sorted((d for d in detections if d.right is not None), key=lambda d: -d.score)
