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

"""What became of every object that was asked for and of every detection, as plain values.

The joining is ``match_picture``'s; these are its results with what one wants to group them by.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
import numpy as np
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.evaluation.matching import FORGIVEN_M, LEAST_VISIBLE, Match, match_picture


@dataclass(frozen=True)
class InstanceRecord:
    """One object that was asked for; what belongs to its detection is None where it was missed.

    Attributes:
        object_name: its kind.
        picture: number of the picture in the set, from 0.
        instance: index in the picture's ``instances``.
        distance_m: from the camera to the object's origin.
        visible_fraction: None where the set does not say.
        found: by a detection of its kind within ``FOUND_M``.
        reported_as: its kind where found; else the kind of the nearest wrong detection within
            ``FORGIVEN_M``, to which no other object is nearer; None: missed.
        position_error_m: modulo symmetry.
        rotation_error_rad: modulo symmetry.
        score: of the detection.
        mahalanobis_squared: of the position, 3 degrees of freedom.
        position_variance_m2: trace of the position's covariance.
    """

    object_name: str
    picture: int
    instance: int
    distance_m: float
    visible_fraction: float | None
    found: bool
    reported_as: str | None = None
    position_error_m: float | None = None
    rotation_error_rad: float | None = None
    score: float | None = None
    mahalanobis_squared: float | None = None
    position_variance_m2: float | None = None


@dataclass(frozen=True)
class DetectionRecord:
    """One detection.

    Attributes:
        object_name: the kind that was reported.
        picture: number of the picture in the set, from 0.
        detection: index in the picture's detections.
        score: as reported.
        right: it found an object. None: forgiven, as of an object that shows too little.
        nearest_kind: kind of the nearest true object within ``FORGIVEN_M``; None: nothing is
            there.
        position_error_m: distance to the nearest true object of the reported kind, however far;
            None where the picture has none.
        position_variance_m2: trace of the position's covariance.
    """

    object_name: str
    picture: int
    detection: int
    score: float
    right: bool | None
    nearest_kind: str | None
    position_error_m: float | None
    position_variance_m2: float


@dataclass(frozen=True)
class SetRecords:
    """Everything that happened in a set of pictures."""

    pictures: int
    instances: tuple[InstanceRecord, ...]
    detections: tuple[DetectionRecord, ...]


def collect(results: Iterable[tuple[BopPicture, list[Detection]]],
            catalogue: dict[str, ObjectModel], least_visible: float = LEAST_VISIBLE
            ) -> SetRecords:
    """Return the records of a set.

    Args:
        results: pictures with their truth, each with what was found in it.
        catalogue: object models by name; true objects of other names are left out.
        least_visible: instances seen less than this are not asked for.
    """
    instances: list[InstanceRecord] = []
    detections: list[DetectionRecord] = []
    count = 0
    for picture, found in results:
        of_instances, of_detections = _of_picture(count, picture, found, catalogue, least_visible)
        instances += of_instances
        detections += of_detections
        count += 1
    return SetRecords(count, tuple(instances), tuple(detections))


def _of_picture(number: int, picture: BopPicture, found: list[Detection],
                catalogue: dict[str, ObjectModel], least_visible: float
                ) -> tuple[list[InstanceRecord], list[DetectionRecord]]:
    result = match_picture(found, picture.instances, picture.camera, catalogue, least_visible)
    instance_of = dict(result.pairs)
    detections = []
    reports: dict[int, tuple[float, str]] = {}      # instance -> nearest wrong detection
    for i, detection in enumerate(found):
        nearest, distance_m = _nearest(detection, picture.instances, catalogue)
        if i in instance_of:
            nearest = instance_of[i]
        right = True if i in instance_of else None if i in result.forgiven else False
        if right is False and nearest is not None:
            report = (distance_m, detection.object_name)
            reports[nearest] = min(report, reports.get(nearest, report))
        detections.append(DetectionRecord(
            detection.object_name, number, i, detection.score, right,
            None if nearest is None else picture.instances[nearest].object_name,
            _error_m(detection, picture.instances, catalogue), _variance_m2(detection)))
    matches = {instance: (found[i], match)
               for (i, instance), match in zip(result.pairs, result.matches)}
    return [_instance(number, i, picture.instances[i], matches.get(i), reports.get(i))
            for i in result.asked_instances], detections


def _instance(picture: int, index: int, truth: BopInstance,
              matched: tuple[Detection, Match] | None, wrong: tuple[float, str] | None
              ) -> InstanceRecord:
    distance_m = float(np.linalg.norm(truth.T_camera_object[:3, 3]))
    where = (truth.object_name, picture, index, distance_m, truth.visible_fraction)
    if matched is None:
        return InstanceRecord(*where, False, None if wrong is None else wrong[1])
    detection, match = matched
    return InstanceRecord(*where, True, truth.object_name, match.position_error_m,
                          match.rotation_error_rad, match.score, match.mahalanobis_squared,
                          _variance_m2(detection))


def _nearest(detection: Detection, instances: list[BopInstance],
             catalogue: dict[str, ObjectModel]) -> tuple[int | None, float]:
    """Index and distance (m) of the nearest true object of any kind within ``FORGIVEN_M``."""
    distances = [
        (catalogue[truth.object_name].symmetry.position_error_m(detection.T_camera_object,
                                                                truth.T_camera_object), i)
        for i, truth in enumerate(instances) if truth.object_name in catalogue]
    distance_m, index = min(distances, default=(np.inf, None))
    return (index, distance_m) if distance_m < FORGIVEN_M else (None, distance_m)


def _error_m(detection: Detection, instances: list[BopInstance],
             catalogue: dict[str, ObjectModel]) -> float | None:
    model = catalogue.get(detection.object_name)
    if model is None:
        return None
    return min((model.symmetry.position_error_m(detection.T_camera_object, truth.T_camera_object)
                for truth in instances if truth.object_name == detection.object_name),
               default=None)


def _variance_m2(detection: Detection) -> float:
    return float(np.trace(detection.covariance[:3, :3]))
