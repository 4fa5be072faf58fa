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

"""``PoseEstimator``: a model file joined with the pose pipeline."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from dr_perception.core.errors import ModelFileError
from dr_perception.core.pipeline import PosePipeline
from dr_perception.inference.providers import ProviderSettings
from dr_perception.inference.session import OnnxNetwork
import numpy as np


class PoseEstimator(PosePipeline):
    """Estimates object poses from single pictures.

    Example:
        >>> estimator = PoseEstimator.from_file('models/tabletop.onnx')
        >>> camera = PinholeCamera.from_matrix(K, width_px=640, height_px=480)
        >>> for detection in estimator.estimate(image_rgb, camera, T_base_camera):
        ...     print(detection.object_name, detection.T_camera_object[:3, 3])
    """

    def __init__(self, network: OnnxNetwork) -> None:
        super().__init__(network.contract, network)
        self.active_providers = network.active_providers
        self.requested_providers = network.requested_providers
        self.provider_problems = network.provider_problems
        self.engine_folder = network.engine_folder
        self.model_sha256, self.model_path = network.sha256, network.path

    @classmethod
    def from_file(cls, path: str | Path, providers: list[str] | None = None, threads: int = 0,
                  settings: ProviderSettings = ProviderSettings(),
                  open_network: Callable[..., OnnxNetwork] = OnnxNetwork) -> PoseEstimator:
        """Open a model.onnx. Arguments and errors: see ``OnnxNetwork``.

        ``NetworkShare.network`` for ``open_network`` shares the network with other estimators.
        """
        return cls(open_network(path, providers, threads, settings))

    def warm_up(self, width_px: int = 640, height_px: int = 480) -> None:
        """Run the graph once, so that the first picture is not slower than the others.

        Raises:
            InferenceError: see ``OnnxNetwork.run``.
            ModelFileError: it answers with NaN or infinity.
        """
        spec = self.contract.input
        shape = (1, *(-(-side // spec.multiple_px) * spec.multiple_px
                      for side in (height_px, width_px)), spec.channels)
        for name, output in self._network.run(np.zeros(shape, np.uint8)).items():
            if not np.isfinite(output).all():
                raise ModelFileError(f'{self.model_path}: {name!r} of a black picture is NaN or '
                                     'infinite: train it again, or set precision to fp32')
