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

"""Running a model.onnx: the only onnxruntime import of the project."""

from __future__ import annotations

from dataclasses import dataclass
import hashlib
from pathlib import Path

from dr_perception.core.contract import INPUT_NAME, METADATA_KEY, ModelContract, OUTPUT_NAMES
from dr_perception.core.errors import ContractError, InferenceError, ModelFileError, ProviderError
from dr_perception.inference.io_binding import BoundSession
from dr_perception.inference.provider_libraries import (is_built_in, preload_libraries,
                                                        tensorrt_version, why_not_built_in,
                                                        why_not_started)
from dr_perception.inference.providers import (CPU, engine_cache_folder, engine_folder,
                                               make_engine_folder, NVIDIA_PROVIDERS,
                                               provider_options, ProviderSettings, TENSORRT,
                                               unmet_settings)
import numpy as np
import onnxruntime
from onnxruntime.capi import onnxruntime_pybind11_state as native

#: Larger files are refused before they are read; shipped models are at most 20 MB.
MAX_MODEL_BYTES = 512 << 20
# What a run raises when the provider or the machine fails; anything else is a bug.
_RUN_ERRORS = (native.Fail, native.RuntimeException, native.EPFail, native.EngineError,
               MemoryError, RuntimeError)
_NO_MEMORY = ('out of memory', 'failed to allocate', 'alloc_failed', 'bad_alloc', 'bfcarena',
              'cudaerrormemoryallocation', 'outofmemory')


@dataclass(frozen=True)
class OpenedModel:
    """A session and what is known about how it came to be.

    Attributes:
        session: the ONNX Runtime session.
        sha256: the file's.
        engine_folder: where TensorRT keeps this model's engines; None without TensorRT.
        start_errors: what providers said that did not start, by name.
    """

    session: onnxruntime.InferenceSession
    sha256: str
    engine_folder: Path | None
    start_errors: dict[str, str]


class OnnxNetwork:
    """A checked ONNX Runtime session with the contract that the file carries."""

    def __init__(self, path: str | Path, providers: list[str] | None = None,
                 threads: int = 0, settings: ProviderSettings = ProviderSettings()) -> None:
        """Open a model.

        Args:
            path: the model.onnx.
            providers: execution providers in order of preference; default: CPU. A provider that
                this ONNX Runtime does not have is an error; one that is there but does not start
                (no GPU) is left out for the next, which ``active_providers`` and
                ``provider_problems`` tell.
            threads: CPU threads, 0 for one per core.
            settings: precision, memory limit and engine cache of GPU providers.

        Raises:
            ModelFileError: missing, too large, not ONNX, or with data outside the file.
            ContractError: no contract, or one that disagrees with the graph.
            ProviderError: an unknown provider, or an engine cache that cannot be written.
        """
        self.path = Path(path)
        wanted = list(providers or [CPU])
        self.requested_providers = tuple(wanted)
        opened = open_model(self.path, wanted, threads, settings)
        self._session, self.sha256 = opened.session, opened.sha256
        self.engine_folder = opened.engine_folder
        self.active_providers = tuple(self._session.get_providers())
        self.provider_problems = tuple(self._problems(opened, settings))
        is_on_gpu = self.active_providers[0] in NVIDIA_PROVIDERS
        self._bound = BoundSession(self._session, 'cuda') if is_on_gpu else None
        text = read_metadata(self.path, self._session).get(METADATA_KEY)
        if text is None:
            raise ContractError(f'{self.path}: carries no dr_perception contract; export it with '
                                'python -m sim_trainer train')
        try:
            self.contract = ModelContract.from_json(text)
        except ContractError as error:
            raise ContractError(f'{self.path}: {error}') from error
        self._check_graph()

    def run(self, image_rgb: np.ndarray) -> dict[str, np.ndarray]:
        """Return outputs by name, float32 (N, channels, h, w), of (N, H, W, C) uint8 pictures.

        Raises:
            InferenceError: no memory left, or the provider failed.
        """
        try:
            if self._bound is not None:
                return self._bound.run(image_rgb)
            outputs = self._session.run(list(OUTPUT_NAMES), {INPUT_NAME: image_rgb})
            return dict(zip(OUTPUT_NAMES, outputs))
        except _RUN_ERRORS as error:
            raise InferenceError(self._run_problem(error, image_rgb.shape)) from error

    def _run_problem(self, error: Exception, shape: tuple[int, ...]) -> str:
        reason = _one_line(error)
        count, height_px, width_px = shape[:3]
        where = (f'{self.active_providers[0]} with {count} picture{"s" * (count > 1)} of '
                 f'{width_px}x{height_px} px')
        if isinstance(error, MemoryError) or any(
                word in reason.lower() for word in _NO_MEMORY):
            return (f'out of memory on {where}: raise gpu_memory_limit_mb, end what else uses the '
                    f'memory, or send smaller images ({reason or "MemoryError"})')
        if self.engine_folder is not None and 'engine' in reason.lower():
            return (f'the network failed on {where}: delete {self.engine_folder} and configure '
                    f'again ({reason})')
        return (f'the network failed on {where}: configure the node again, and if it comes back, '
                f'put another provider first ({reason})')

    def _problems(self, opened: OpenedModel, settings: ProviderSettings) -> list[str]:
        """Return what the first wanted provider lacks, and settings that have no effect."""
        wanted, active = self.requested_providers[0], self.active_providers[0]
        if wanted in self.active_providers:
            return unmet_settings(active, settings)
        reason = why_not_started(wanted, opened.start_errors.get(wanted, ''))
        return [f'provider {wanted} is not active, the model runs on {active}: {reason}']

    def _check_graph(self) -> None:
        inputs = {i.name: (i.type, i.shape) for i in self._session.get_inputs()}
        kind, shape = inputs.get(INPUT_NAME, (None, None))
        channels = self.contract.input.channels
        if list(inputs) != [INPUT_NAME] or kind != 'tensor(uint8)' or len(shape) != 4 \
                or shape[3] != channels:
            raise ContractError(
                f'{self.path}: the graph takes {inputs}; the contract wants one input '
                f'{INPUT_NAME!r}, tensor(uint8) of shape (N, H, W, {channels})')
        if any(isinstance(size, int) for size in shape[1:3]):
            raise ContractError(f'{self.path}: the graph takes pictures of {shape[2]}x{shape[1]} '
                                'alone; the contract wants any height and width')
        outputs = {o.name: o.shape for o in self._session.get_outputs()}
        for name, count in self.contract.output_channels().items():
            got = outputs.get(name)
            if got is None or len(got) != 4 or got[1] != count:
                raise ContractError(f'{self.path}: the graph gives {name!r} of shape {got}; the '
                                    f'contract wants {count} channels (N, C, h, w)')


def open_session(path: Path, providers: list[str], threads: int = 0
                 ) -> tuple[onnxruntime.InferenceSession, str]:
    """Return a session of any self-contained ONNX file, and the file's SHA-256.

    Raises:
        ModelFileError, ProviderError: see ``OnnxNetwork``.
    """
    opened = open_model(path, providers, threads, ProviderSettings())
    return opened.session, opened.sha256


def open_model(path: Path, providers: list[str], threads: int,
               settings: ProviderSettings) -> OpenedModel:
    """As ``open_session``, with how GPU providers compute and what became of them."""
    for name in providers:
        if not is_built_in(name):
            raise ProviderError(why_not_built_in(name))
    content = _read_model(path)
    sha256 = hashlib.sha256(content).hexdigest()
    preload_libraries(providers)
    folder = None
    if TENSORRT in providers:
        folder = make_engine_folder(engine_folder(
            engine_cache_folder(settings), sha256, settings.precision, onnxruntime.__version__,
            tensorrt_version()))
    entries = provider_options(providers, settings, folder)
    session, start_errors = _start_session(path, content, entries, threads)
    return OpenedModel(session, sha256, folder if TENSORRT in session.get_providers() else None,
                       start_errors)


def _start_session(path: Path, content: bytes, entries: list[tuple[str, dict[str, str]]],
                   threads: int) -> tuple[onnxruntime.InferenceSession, dict[str, str]]:
    """Return a session on the first provider that starts, and what those before it said."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    # Else the threads turn round in wait for the next picture and keep the cores from others.
    options.add_session_config_entry('session.force_spinning_stop', '1')
    options.log_severity_level = 3
    if CPU not in [name for name, _ in entries]:
        entries = [*entries, (CPU, {})]
    errors: dict[str, str] = {}
    while True:
        try:
            # From memory, not from the path: external data files cannot be reached that way. No
            # fallback of ONNX Runtime's own: it prints, forgets the options, and tells nobody.
            session = onnxruntime.InferenceSession(content, options, providers=entries,
                                                   enable_fallback=0)
        except Exception as error:  # the pybind layer raises several unrelated types
            name = entries[0][0]
            errors[name] = _one_line(error)
            if name == CPU or len(entries) == 1:
                raise ModelFileError(f'{path}: ONNX Runtime cannot open it: '
                                     f'{errors[name]}') from error
            entries = entries[1:]
            continue
        session.disable_fallback()
        return session, errors


def _one_line(error: Exception) -> str:
    return ' '.join(str(error).split())[:200]


def _read_model(path: Path) -> bytes:
    if not path.is_file():
        raise ModelFileError(f'{path}: there is no such model file')
    size = path.stat().st_size
    if size > MAX_MODEL_BYTES:
        raise ModelFileError(f'{path}: {size} bytes; at most {MAX_MODEL_BYTES} are accepted')
    if size == 0:
        raise ModelFileError(f'{path}: the file is empty')
    try:
        content = path.read_bytes()
    except OSError as error:
        raise ModelFileError(f'{path}: cannot be read ({error.strerror})') from error
    # Version 1 contracts are self-contained; a graph that points at other files is refused even
    # where ONNX Runtime would read them.
    if b'external_data' in content or b'\x0a\x08location\x12' in content:
        raise ModelFileError(f'{path}: keeps weights in other files (ONNX external data); only '
                             'self-contained models are accepted')
    return content


def read_metadata(path: Path, session: onnxruntime.InferenceSession) -> dict[str, str]:
    """Return the metadata entries of a session's file.

    Raises:
        ModelFileError: they are not UTF-8 text.
    """
    try:
        return dict(session.get_modelmeta().custom_metadata_map)
    except UnicodeDecodeError as error:
        raise ModelFileError(f'{path}: its metadata is not UTF-8 text ({error})') from error
