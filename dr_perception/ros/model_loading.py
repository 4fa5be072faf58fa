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

"""The model as the node loads it: found, verified, on the wanted provider, warmed up."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
import logging
import shutil
import threading
import time
from typing import TYPE_CHECKING

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import InferenceError, ProviderError
from dr_perception.core.resources import find_resource
from dr_perception.ros.parameters import check_objects, Settings
import numpy as np

if TYPE_CHECKING:
    from dr_perception import PoseEstimator

DEFAULT_MODEL = 'models/tabletop.onnx'
#: Seconds between the lines that say that a model is still being loaded.
PROGRESS_PERIOD_S = 10.0
_log = logging.getLogger(__name__)


def prepare_estimator(settings: Settings, log: Callable[[str], None] = _log.info,
                      open_network: Callable | None = None) -> tuple[PoseEstimator, str]:
    """Return an estimator that is ready for pictures, and what is wrong with its provider or ''.

    Engines are built here, with progress in the log; one that is damaged is built anew.

    Args:
        settings: the parameters.
        log: takes lines on what takes long.
        open_network: see ``PoseEstimator.from_file``.

    Raises:
        ParameterError: `objects` names one that the model does not have.
        InferenceError: the model does not run.
        And what ``load_estimator`` raises.
    """
    is_engine_built = any('Tensorrt' in name for name in settings.providers)
    what = 'loading the model' + (
        ', for which TensorRT builds an engine (minutes the first time, then from the cache)'
        if is_engine_built else '')
    if is_engine_built:
        log(what)
    with _progress(what, log):
        estimator, problem = load_estimator(settings, open_network)
        check_objects(settings, tuple(m.name for m in estimator.contract.objects))
        try:
            warm_up(estimator)
        except InferenceError as error:
            folder = estimator.engine_folder
            if folder is None or not any(folder.iterdir()):
                raise
            log(f'{error}; the engines in {folder} are removed and built anew')
            shutil.rmtree(folder)
            estimator, problem = load_estimator(settings, open_network)
            warm_up(estimator)
    return estimator, problem


def load_estimator(settings: Settings, open_network: Callable | None = None
                   ) -> tuple[PoseEstimator, str]:
    """Return the estimator, and what is wrong with its provider ('' when it is the first wanted).

    Raises:
        ModelFileError, ContractError: the file is not a usable model.
        ProviderError: no wanted provider is there, or ``strict_provider`` and not the first.
    """
    from dr_perception import PoseEstimator
    from dr_perception.inference.provider_libraries import is_built_in, why_not_built_in
    from dr_perception.inference.providers import ProviderSettings
    path = settings.model or str(find_resource(DEFAULT_MODEL))
    wanted = list(settings.providers)
    # A provider that this ONNX Runtime lacks is an error there; here the next one is taken.
    present = wanted if settings.strict_provider else list(filter(is_built_in, wanted))
    estimator = PoseEstimator.from_file(
        path, present or wanted, settings.threads, ProviderSettings(
            settings.precision, settings.gpu_memory_limit_mb, settings.engine_cache),
        **({} if open_network is None else {'open_network': open_network}))
    problems = list(estimator.provider_problems)
    if wanted[0] not in present:
        problems.insert(0, f'provider {wanted[0]} is not active, the model runs on '
                        f'{estimator.active_providers[0]}: {why_not_built_in(wanted[0])}')
    problem = '; '.join(problems)
    if settings.strict_provider and wanted[0] not in estimator.active_providers:
        raise ProviderError(f'{problem} (strict_provider is set)')
    return estimator, problem


def warm_up(estimator: PoseEstimator) -> None:
    """Run the model on grey pictures, so that the first frame is not the slow one."""
    estimator.warm_up()
    camera = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)
    grey = np.full((camera.height_px, camera.width_px, 3), 127, np.uint8)
    for _ in range(2):
        estimator.estimate(grey, camera, T_base_camera=None)


@contextmanager
def _progress(what: str, log: Callable[[str], None]) -> Iterator[None]:
    """Log now and then how long the body has taken; ONNX Runtime itself is silent."""
    start_s, done = time.monotonic(), threading.Event()

    def report() -> None:
        while not done.wait(PROGRESS_PERIOD_S):
            log(f'{what}: {time.monotonic() - start_s:.0f} s so far')
    thread = threading.Thread(target=report, name='loading_progress', daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
