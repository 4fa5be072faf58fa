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

"""Detections against the truth of one picture."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import transform_points
import numpy as np
from sim_trainer.dataset.bop import BopInstance

#: An object is found when its position is off by less than this (m).
FOUND_M = 0.02
#: Instances seen less than this are not asked for, and finding them is not held against a model.
LEAST_VISIBLE = 0.3
#: A detection this near (m) to an instance that is not asked for is not a false positive.
FORGIVEN_M = 0.05


@dataclass(frozen=True)
class Match:
    """A found object and how well; ``mahalanobis_squared`` is of the position (3 degrees)."""

    object_name: str
    score: float
    position_error_m: float
    rotation_error_rad: float
    reprojection_error_px: float
    mahalanobis_squared: float


@dataclass(frozen=True)
class PictureResult:
    """What came of one picture.

    ``nearest_errors_m`` has, for every asked object of which the picture has a detection of that
    name, the distance to the nearest one, however far: the paper's error, which has no threshold.

    Who is who, as indices into what ``match_picture`` was given: ``asked_instances`` of ``asked``,
    ``pairs`` of (detection, instance) of ``matches``, ``forgiven`` detections that are neither
    right nor wrong. Every other detection is a false positive.
    """

    asked: tuple[str, ...]
    matches: tuple[Match, ...]
    false_positives: tuple[str, ...]
    nearest_errors_m: tuple[tuple[str, float], ...] = ()
    asked_instances: tuple[int, ...] = ()
    pairs: tuple[tuple[int, int], ...] = ()
    forgiven: tuple[int, ...] = ()


def match_picture(detections: list[Detection], instances: list[BopInstance],
                  camera: PinholeCamera, catalogue: dict[str, ObjectModel],
                  least_visible: float = LEAST_VISIBLE) -> PictureResult:
    """Join detections and truth one to one, the surest detection first.

    Args:
        detections: of the picture.
        instances: its truth.
        camera: for the reprojection error.
        catalogue: object models by name; instances of other names are left out.
        least_visible: see ``LEAST_VISIBLE``.
    """
    known = [i for i, truth in enumerate(instances) if truth.object_name in catalogue]
    asked = [i for i in known if instances[i].visible_fraction is None
             or instances[i].visible_fraction >= least_visible]
    free = set(known)
    matches, pairs, forgiven, false_positives = [], [], [], []
    for number in sorted(range(len(detections)), key=lambda n: -detections[n].score):
        detection = detections[number]
        model = catalogue.get(detection.object_name)
        if model is None:
            false_positives.append(detection.object_name)
            continue
        errors = {i: model.symmetry.position_error_m(detection.T_camera_object,
                                                     instances[i].T_camera_object)
                  for i in free if instances[i].object_name == detection.object_name}
        best = min(errors, key=errors.get, default=None)
        if best is not None and errors[best] < (FOUND_M if best in asked else FORGIVEN_M):
            free.discard(best)
            if best in asked:
                matches.append(_measure(detection, instances[best].T_camera_object, camera,
                                        model))
                pairs.append((number, best))
            else:
                forgiven.append(number)
            continue
        false_positives.append(detection.object_name)
    wanted = [instances[i] for i in asked]
    return PictureResult(tuple(i.object_name for i in wanted), tuple(matches),
                         tuple(false_positives), _nearest_errors(detections, wanted, catalogue),
                         tuple(asked), tuple(pairs), tuple(forgiven))


def _nearest_errors(detections: list[Detection], wanted: list[BopInstance],
                    catalogue: dict[str, ObjectModel]) -> tuple[tuple[str, float], ...]:
    errors = []
    for instance in wanted:
        symmetry = catalogue[instance.object_name].symmetry
        distances = [symmetry.position_error_m(d.T_camera_object, instance.T_camera_object)
                     for d in detections if d.object_name == instance.object_name]
        if distances:
            errors.append((instance.object_name, min(distances)))
    return tuple(errors)


def _measure(detection: Detection, T_camera_truth: np.ndarray, camera: PinholeCamera,
             model: ObjectModel) -> Match:
    T = detection.T_camera_object
    truth = model.symmetry.nearest(T, T_camera_truth)
    if model.symmetry.continuous_about_z:
        # The sampled group leaves up to half a step of turn; keypoints would see it.
        truth = _turned_about_z(truth, T)
    shift = camera.project(transform_points(T, model.keypoints_m)) - camera.project(
        transform_points(truth, model.keypoints_m))
    error = T[:3, 3] - truth[:3, 3]
    mahalanobis = float(error @ np.linalg.solve(detection.covariance[:3, :3], error))
    return Match(detection.object_name, detection.score,
                 model.symmetry.position_error_m(T, T_camera_truth),
                 model.symmetry.rotation_error_rad(T[:3, :3], T_camera_truth[:3, :3]),
                 float(np.nanmean(np.linalg.norm(shift, axis=1))), mahalanobis)


def _turned_about_z(truth: np.ndarray, T: np.ndarray) -> np.ndarray:
    """Return the truth turned about its own z axis to be nearest the estimate."""
    R = truth[:3, :3].T @ T[:3, :3]
    angle = np.arctan2(R[1, 0] - R[0, 1], R[0, 0] + R[1, 1])
    c, s = np.cos(angle), np.sin(angle)
    turned = truth.copy()
    turned[:3, :3] = truth[:3, :3] @ np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]])
    return turned
