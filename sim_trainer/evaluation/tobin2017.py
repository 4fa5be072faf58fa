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

"""The paper's network behind the estimator's face, to be measured by the same command."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
from dr_perception.core.preprocessing import check_image
from dr_perception.core.transforms import invert_transform, make_transform
from dr_perception.inference.session import open_session, read_metadata
import numpy as np

TOBIN2017_KEY = 'dr_perception.tobin2017'
INPUT_SIZE_PX = 224
#: The method gives no uncertainty; the paper's own error on real photographs stands in.
_SIGMA_M, _SIGMA_RAD = 0.013, 3.0


def is_tobin2017(path: Path) -> bool:
    """Whether an ONNX file is the baseline's. Errors as of ``open_session``."""
    session, _ = open_session(path, ['CPUExecutionProvider'], threads=1)
    return TOBIN2017_KEY in read_metadata(path, session)


class Tobin2017Estimator:
    """One object, always reported, upright: the method has neither a score nor a rotation.

    It answers in the base frame and knows no camera: ``T_base_camera`` only moves its answer
    into the camera's frame, and a camera elsewhere than in training makes it wrong.
    """

    def __init__(self, path: Path, providers: list[str]) -> None:
        """Open the file that ``export_tobin2017`` wrote."""
        self._session, _ = open_session(path, providers)
        entry = read_metadata(path, self._session)[TOBIN2017_KEY]
        self._object = ObjectModel.from_json(json.loads(entry))
        self.contract = SimpleNamespace(objects=(self._object,), name='tobin2017')

    def estimate(self, image_rgb: np.ndarray, camera: PinholeCamera,
                 T_base_camera: np.ndarray | None = None) -> list[Detection]:
        """One detection, always.

        Raises:
            CameraError: no ``T_base_camera``: the answer is in the base frame.
        """
        check_image(image_rgb, camera)
        if T_base_camera is None:
            raise CameraError('tobin2017 answers in the base frame and needs T_base_camera')
        image = cv2.resize(image_rgb, (INPUT_SIZE_PX, INPUT_SIZE_PX),
                           interpolation=cv2.INTER_AREA)
        position = self._session.run(None, {'image': image[None]})[0][0].astype(np.float64)
        T_camera_object = invert_transform(T_base_camera) @ make_transform(np.eye(3), position)
        covariance = np.diag([_SIGMA_M ** 2 / 3] * 3 + [_SIGMA_RAD ** 2] * 3)
        return [Detection(self._object.name, 1.0, T_camera_object, covariance)]
