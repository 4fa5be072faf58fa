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

"""Execution providers: from settings to what ONNX Runtime is given. Pure: opens no session."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
import os
from pathlib import Path

from dr_perception.core.errors import ProviderError

CPU, CUDA = 'CPUExecutionProvider', 'CUDAExecutionProvider'
TENSORRT = 'TensorrtExecutionProvider'
#: Their libraries are NVIDIA's, and what they compute on is the device 'cuda'.
NVIDIA_PROVIDERS = (TENSORRT, CUDA)
#: Providers that take ``gpu_memory_limit_mb``.
_LIMITED_PROVIDERS = (TENSORRT, CUDA)
PRECISIONS = ('fp32', 'fp16')


@dataclass(frozen=True)
class ProviderSettings:
    """How providers compute.

    Attributes:
        precision: 'fp32', or 'fp16' where the provider can turn an fp32 model into it.
        gpu_memory_limit_mb: most memory of the GPU that is taken, in MiB; 0: no limit.
        engine_cache: folder of the engines that TensorRT builds; '': the user's cache folder.

    Raises:
        ProviderError: a value that cannot be used.
    """

    precision: str = 'fp32'
    gpu_memory_limit_mb: int = 0
    engine_cache: str = ''

    def __post_init__(self) -> None:
        if self.precision not in PRECISIONS:
            raise ProviderError(f'precision: got {self.precision!r}; expected one of '
                                f'{", ".join(PRECISIONS)}')
        if self.gpu_memory_limit_mb < 0:
            raise ProviderError(f'gpu_memory_limit_mb: got {self.gpu_memory_limit_mb}; expected 0 '
                                '(no limit) or more')


def provider_options(names: Sequence[str], settings: ProviderSettings,
                     engine_folder: Path | None) -> list[tuple[str, dict[str, str]]]:
    """Return what ``InferenceSession`` takes as ``providers``.

    Args:
        names: execution providers in order of preference; a name that comes twice counts once.
        settings: how they compute.
        engine_folder: where TensorRT keeps the engines of this model; None: nowhere.

    Source:
        The option tables of https://onnxruntime.ai/docs/execution-providers/. Its Python
        binding takes switches as 'True' and 'False', never as '1'.
    """
    makers = {CUDA: lambda: _cuda_options(settings),
              TENSORRT: lambda: _tensorrt_options(settings, engine_folder)}
    return [(name, makers[name]() if name in makers else {}) for name in dict.fromkeys(names)]


def _cuda_options(settings: ProviderSettings) -> dict[str, str]:
    if not settings.gpu_memory_limit_mb:
        return {}
    # By default the arena doubles, and would run into the limit with half of it unused.
    return {'gpu_mem_limit': str(settings.gpu_memory_limit_mb << 20),
            'arena_extend_strategy': 'kSameAsRequested'}


def _tensorrt_options(settings: ProviderSettings, engine_folder: Path | None) -> dict[str, str]:
    options = {'trt_fp16_enable': str(settings.precision == 'fp16')}
    if settings.gpu_memory_limit_mb:
        options['trt_max_workspace_size'] = str(settings.gpu_memory_limit_mb << 20)
    if engine_folder is not None:
        options |= {
            'trt_engine_cache_enable': 'True', 'trt_engine_cache_path': str(engine_folder),
            'trt_timing_cache_enable': 'True', 'trt_timing_cache_path': str(engine_folder)}
    return options


def unmet_settings(active: str, settings: ProviderSettings) -> list[str]:
    """Return what settings the active provider ignores: a sentence each, with a remedy."""
    unmet = []
    if settings.precision == 'fp16' and active != TENSORRT:
        also = (' (with TF32 where the GPU has it)' if active == CUDA else '')
        unmet.append(f'precision fp16 has no effect on {active}, which computes an fp32 model in '
                     f'fp32{also}: put {TENSORRT} first in providers, or set precision to fp32')
    if settings.gpu_memory_limit_mb and active not in _LIMITED_PROVIDERS:
        unmet.append(f'gpu_memory_limit_mb has no effect on {active}: set it to 0')
    return unmet


def engine_cache_folder(settings: ProviderSettings,
                        environment: Mapping[str, str] | None = None) -> Path:
    """Return the folder of all engines.

    Args:
        settings: names it, or leaves it to the XDG base directory rules.
        environment: variables; by default the process's.

    Raises:
        ProviderError: there is no home folder.
    """
    environment = os.environ if environment is None else environment
    if settings.engine_cache:
        return Path(os.path.expanduser(settings.engine_cache))
    base = environment.get('XDG_CACHE_HOME', '')
    if not os.path.isabs(base):     # XDG: a relative path is to be ignored
        home = environment.get('HOME', '')
        if not os.path.isabs(home):
            raise ProviderError('engine_cache: there is no home folder to keep TensorRT engines '
                                'in; set engine_cache to a folder that can be written')
        base = os.path.join(home, '.cache')
    return Path(base) / 'dr_perception' / 'engines'


def engine_folder(cache: Path, model_sha256: str, precision: str, onnxruntime_version: str,
                  tensorrt_version: str) -> Path:
    """Return the folder of one model's engines: another model, version or precision has another.

    ONNX Runtime names engines by the shape of the graph, not by its weights, so a retrained model
    would be given the engine of the one before. The GPU's generation is in the names of its files.
    """
    return cache / (f'{model_sha256[:16]}-tensorrt-{tensorrt_version}-onnxruntime-'
                    f'{onnxruntime_version}-{precision}')


def make_engine_folder(folder: Path) -> Path:
    """Create a folder of engines for this user alone: whoever writes there decides what runs.

    Raises:
        ProviderError: it cannot be written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    except OSError as error:
        raise ProviderError(f'engine_cache: {folder} cannot be made ({error.strerror}); set '
                            'engine_cache to a folder that can be written') from error
    if not os.access(folder, os.W_OK):
        raise ProviderError(f'engine_cache: {folder} cannot be written (Permission denied); set '
                            'engine_cache to a folder that can be written')
    return folder
