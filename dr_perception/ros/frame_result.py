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

"""What one processed frame brings to the output publishers."""

from __future__ import annotations

from dataclasses import dataclass

from dr_perception.core.camera import PinholeCamera
import numpy as np
from std_msgs.msg import Header


@dataclass(frozen=True, eq=False)
class ObjectInstance:
    """One object that was found.

    Attributes:
        object_name: catalogue name.
        instance_name: `<object>_<n>`.
        score: 0 ... 1.
        T_camera_object: (4, 4), metres.
        T_output_object: (4, 4), in the frame of the outputs' header.
        covariance: (6, 6) about the output frame's axes, x, y, z, rotX, rotY, rotZ.
        T_object_box: (4, 4), the pose of the bounding box's centre.
        box_size_m: (3,).
        out_of_range: what training did not cover, see ``Detection``.
        found_ns: stamp of the picture that it was last found in, where that is not this one: the
            pose is then the tracker's prediction.
    """

    object_name: str
    instance_name: str
    score: float
    T_camera_object: np.ndarray
    T_output_object: np.ndarray
    covariance: np.ndarray
    T_object_box: np.ndarray
    box_size_m: np.ndarray
    out_of_range: tuple[str, ...] = ()
    found_ns: int | None = None


@dataclass(frozen=True, eq=False)
class FrameResult:
    """One processed frame.

    Attributes:
        header: of the outputs: the image's stamp, and its frame or the target frame.
        image_header: the image's own.
        image_rgb: (H, W, 3) uint8; read-only, where the message's own memory serves: copy it to
            draw on it.
        camera: what it was taken with.
        instances: best score first; empty when nothing was found.
        timing_ms: its steps: reading the image, the estimator's, what became of the result.
    """

    header: Header
    image_header: Header
    image_rgb: np.ndarray
    camera: PinholeCamera
    instances: tuple[ObjectInstance, ...]
    timing_ms: dict[str, float]
