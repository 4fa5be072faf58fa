"""The model as the node loads it: found, verified, on the wanted provider, warmed up."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import ProviderError
from dr_perception.ros.parameters import Settings
from dr_perception.ros.resources import find_resource

if TYPE_CHECKING:
    from dr_perception import PoseEstimator

DEFAULT_MODEL = 'models/tabletop.onnx'
_REMEDIES = {
    'CUDAExecutionProvider': 'install onnxruntime-gpu in place of onnxruntime, and the NVIDIA '
                             'driver with CUDA and cuDNN',
    'TensorrtExecutionProvider': 'install onnxruntime-gpu in place of onnxruntime, and TensorRT',
}


def load_estimator(settings: Settings) -> tuple[PoseEstimator, str]:
    """The estimator, and what is wrong with its provider ('' when it is the first wanted one).

    Raises:
        ModelFileError, ContractError: the file is not a usable model.
        ProviderError: no wanted provider is there, or ``strict_provider`` and not the first.
    """
    from dr_perception import PoseEstimator
    path = settings.model or str(find_resource(DEFAULT_MODEL))
    wanted = list(settings.providers)
    # A provider that this ONNX Runtime lacks is an error there; here the next one is tried.
    attempts = [wanted] if settings.strict_provider else [wanted, *([name] for name in wanted)]
    for attempt in attempts:
        try:
            estimator = PoseEstimator.from_file(path, attempt, settings.threads)
            break
        except ProviderError:
            if attempt is attempts[-1]:
                raise
    if wanted[0] in estimator.active_providers:
        return estimator, ''
    remedy = _REMEDIES.get(wanted[0], 'install an onnxruntime that has it')
    problem = (f'provider {wanted[0]} is not active, the model runs on '
               f'{estimator.active_providers[0]}: {remedy}, or set providers to what is wanted')
    if settings.strict_provider:
        raise ProviderError(f'{problem} (strict_provider is set)')
    return estimator, problem


def warm_up(estimator: PoseEstimator) -> None:
    """Run the model on grey pictures, so that the first frame is not the slow one."""
    estimator.warm_up()
    camera = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)
    grey = np.full((camera.height_px, camera.width_px, 3), 127, np.uint8)
    for _ in range(2):
        estimator.estimate(grey, camera, T_base_camera=None)
