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

"""What providers need of the machine: their libraries, versions, and what is missing."""

from __future__ import annotations

import ctypes
import difflib
from importlib import metadata
from pathlib import Path

from dr_perception.inference.providers import CUDA, NVIDIA_PROVIDERS, TENSORRT
import onnxruntime

_SUFFIX = 'ExecutionProvider'
_GPU_PACKAGE = ('install onnxruntime-gpu in place of onnxruntime: pip install '
                "'dr_perception[gpu]'")
#: The PyPI package whose ONNX Runtime has a provider.
_PACKAGES = {'OpenVINOExecutionProvider': 'onnxruntime-openvino',
             'MIGraphXExecutionProvider': 'onnxruntime-migraphx',
             'QNNExecutionProvider': 'onnxruntime-qnn',
             'DmlExecutionProvider': 'onnxruntime-directml',
             'CANNExecutionProvider': 'onnxruntime-cann'}
_LIBRARIES = {CUDA: 'libonnxruntime_providers_cuda.so',
              TENSORRT: 'libonnxruntime_providers_tensorrt.so'}
_SHARED_LIBRARY = 'libonnxruntime_providers_shared.so'
_DRIVER = 'libcuda.so.1'
_INSTALL = {CUDA: "CUDA and cuDNN: pip install 'onnxruntime-gpu[cuda,cudnn]'",
            TENSORRT: 'TensorRT: pip install tensorrt (the version that the table of ONNX '
                      "Runtime's TensorRT page names), beside CUDA and cuDNN: pip install "
                      "'onnxruntime-gpu[cuda,cudnn]'"}


def preload_libraries(names: list[str]) -> None:
    """Load the CUDA libraries of pip packages, where a provider of NVIDIA's is wanted."""
    if any(name in NVIDIA_PROVIDERS for name in names):
        # Since 1.21; before, only libraries that the linker knows are found.
        getattr(onnxruntime, 'preload_dlls', lambda: None)()


def is_built_in(name: str) -> bool:
    """Whether the installed ONNX Runtime has a provider; its libraries may still be missing."""
    return name in onnxruntime.get_available_providers()


def why_not_built_in(name: str) -> str:
    """One line on a provider that the installed ONNX Runtime does not have, with the remedy."""
    remedy = how_to_get(name)
    return (f'execution provider {name!r} is not in this ONNX Runtime (it has '
            f'{", ".join(onnxruntime.get_available_providers())}){"; " if remedy else ""}{remedy}')


def how_to_get(name: str) -> str:
    """Return what to do for a provider that is not built in; '' where nobody knows it."""
    if name in NVIDIA_PROVIDERS:
        return _GPU_PACKAGE
    if name in _PACKAGES:
        return (f'install {_PACKAGES[name]} in place of onnxruntime: pip uninstall onnxruntime && '
                f'pip install {_PACKAGES[name]}')
    known = {_stem(other): other for other in onnxruntime.get_all_providers()}
    near = difflib.get_close_matches(_stem(name), known, 1, 0.7)
    return f'did you mean {known[near[0]]}?' if near else ''


def how_to_start(name: str) -> str:
    """Return what to do for a provider that is built in and does not become active."""
    if name in _INSTALL:
        return f'install {_INSTALL[name]}, and see by nvidia-smi that the driver works'
    return f'leave {name} out of the providers'


def _stem(name: str) -> str:
    return name.removesuffix(_SUFFIX).lower()


def why_not_started(name: str, said: str) -> str:
    """One line on a provider that is built in and did not become active, with the remedy.

    Args:
        name: the provider.
        said: what it said itself, or ''.
    """
    said = f' (it says: {said})' if said else ''
    if name not in _LIBRARIES:
        return f'the lines before this one may say why{said}; or put another first in providers'
    missing = _load_error(_DRIVER)
    if missing:
        return (f'the NVIDIA driver is not there ({missing}); install it, and in a container pass '
                'the GPU on (docker run --gpus all)')
    folder = Path(onnxruntime.__file__).parent / 'capi'
    # What the provider's own library refers to.
    _load_error(str(folder / _SHARED_LIBRARY), ctypes.RTLD_GLOBAL)
    missing = _load_error(str(folder / _LIBRARIES[name]))
    if missing:
        return f'a library is missing ({missing}); install {_INSTALL[name]}'
    return ('its libraries load, so the GPU itself refuses: see whether nvidia-smi lists it, has '
            f'free memory, and whether the driver is new enough for this CUDA{said}')


def tensorrt_version() -> str:
    """Return the installed TensorRT's version, 'unknown' where none is found."""
    for package in ('tensorrt', 'tensorrt-cu13', 'tensorrt-cu12'):
        try:
            return metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    for major in (11, 10, 8):
        try:
            number = int(ctypes.CDLL(f'libnvinfer.so.{major}').getInferLibVersion())
        except (OSError, AttributeError):
            continue
        # 101100 is 10.11.0, and 8601 is 8.6.1.
        unit = 10000 if number >= 100000 else 1000
        return f'{number // unit}.{number % unit // 100}.{number % 100}'
    return 'unknown'


def _load_error(library: str, mode: int = ctypes.DEFAULT_MODE) -> str:
    """Why a library cannot be loaded, '' when it can."""
    try:
        ctypes.CDLL(library, mode)
    except OSError as error:
        return ' '.join(str(error).split())
    return ''
