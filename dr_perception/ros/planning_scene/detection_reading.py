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

"""Detection3DArray to samples in the planning frame: pure functions."""

from __future__ import annotations

from dr_perception.ros.conversions import pose_to_matrix, stamp_to_ns
from dr_perception.ros.planning_scene.pose_sampler import Sample
import numpy as np
from vision_msgs.msg import Detection3D, Detection3DArray


def read_samples(message: Detection3DArray, T_plan_header: np.ndarray) -> list[Sample]:
    """Every usable detection, best score first, each instance once.

    A detection without a hypothesis, or with a pose that is none, is left out; and one with the
    stamp of another picture: a tracker's prediction of what this one does not show.

    Args:
        message: of one picture.
        T_plan_header: (4, 4) pose of the message's frame in the planning frame.
    """
    samples: dict[str, Sample] = {}
    for detection in message.detections:
        if stamp_to_ns(detection.header.stamp) not in (0, stamp_to_ns(message.header.stamp)):
            continue
        sample = _read(detection, T_plan_header)
        if sample is None:
            continue
        other = samples.get(sample.instance_name)
        if other is None or other.score < sample.score:
            samples[sample.instance_name] = sample
    return sorted(samples.values(), key=lambda sample: -sample.score)


def _read(detection: Detection3D, T_plan_header: np.ndarray) -> Sample | None:
    if not detection.results:
        return None
    best = max(detection.results, key=lambda result: result.hypothesis.score)
    try:
        T_header_object = pose_to_matrix(best.pose.pose)
    except ValueError:      # a quaternion without a direction
        return None
    if not np.isfinite(T_header_object).all() or not np.isfinite(best.hypothesis.score):
        return None
    name = best.hypothesis.class_id
    return Sample(
        instance_name=detection.id or name, object_name=name,
        T_plan_object=T_plan_header @ T_header_object,
        std_m=position_std_m(np.asarray(best.pose.covariance, dtype=np.float64)),
        score=float(best.hypothesis.score))


def position_std_m(covariance: np.ndarray) -> float:
    """Return the deviation (m) of the position in its worst direction; NaN where it says nothing.

    Args:
        covariance: (36,) row-major 6x6, x, y, z first. All zeros mean that it is not known
            (REP 103's messages have no other word for that).
    """
    block = covariance.reshape(6, 6)[:3, :3]
    if not np.isfinite(block).all() or not block.any():
        return float('nan')
    return float(np.sqrt(max(0.0, np.linalg.eigvalsh((block + block.T) / 2)[-1])))
