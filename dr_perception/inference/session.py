"""Running a model.onnx: the only onnxruntime import of the project."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import onnxruntime

from dr_perception.core.contract import INPUT_NAME, METADATA_KEY, OUTPUT_NAMES, ModelContract
from dr_perception.core.errors import ContractError, ModelFileError, ProviderError

#: Larger files are refused before they are read; shipped models are at most 20 MB.
MAX_MODEL_BYTES = 512 << 20


class OnnxNetwork:
    """A checked ONNX Runtime session with the contract that the file carries."""

    def __init__(self, path: str | Path, providers: list[str] | None = None,
                 threads: int = 0) -> None:
        """Open a model.

        Args:
            path: the model.onnx.
            providers: execution providers in order of preference; default: CPU. A provider that
                this ONNX Runtime does not have is an error; one that is there but does not start
                (no GPU) falls back to the CPU, which ``active_providers`` tells.
            threads: CPU threads, 0 for one per core.

        Raises:
            ModelFileError: missing, too large, not ONNX, or with data outside the file.
            ContractError: no contract, or one that disagrees with the graph.
            ProviderError: an unknown provider.
        """
        self.path = Path(path)
        wanted = list(providers or ['CPUExecutionProvider'])
        self.requested_providers = tuple(wanted)
        self._session, self.sha256 = open_session(self.path, wanted, threads)
        self.active_providers = tuple(self._session.get_providers())
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
        """Outputs by name, float32 (N, channels, h, w), of (N, H, W, 3) uint8 pictures."""
        outputs = self._session.run(list(OUTPUT_NAMES), {INPUT_NAME: image_rgb})
        return dict(zip(OUTPUT_NAMES, outputs))

    def _check_graph(self) -> None:
        inputs = {i.name: (i.type, i.shape) for i in self._session.get_inputs()}
        kind, shape = inputs.get(INPUT_NAME, (None, None))
        if list(inputs) != [INPUT_NAME] or kind != 'tensor(uint8)' or len(shape) != 4 \
                or shape[3] != 3:
            raise ContractError(
                f'{self.path}: the graph takes {inputs}; the contract wants one input '
                f'{INPUT_NAME!r}, tensor(uint8) of shape (N, H, W, 3)')
        if any(isinstance(size, int) for size in shape[1:3]):
            raise ContractError(f'{self.path}: the graph takes pictures of {shape[2]}x{shape[1]} '
                                'alone; the contract wants any height and width')
        outputs = {o.name: o.shape for o in self._session.get_outputs()}
        for name, channels in self.contract.output_channels().items():
            got = outputs.get(name)
            if got is None or len(got) != 4 or got[1] != channels:
                raise ContractError(f'{self.path}: the graph gives {name!r} of shape {got}; the '
                                    f'contract wants {channels} channels (N, C, h, w)')


def open_session(path: Path, providers: list[str], threads: int = 0
                 ) -> tuple[onnxruntime.InferenceSession, str]:
    """A session of any self-contained ONNX file, and the file's SHA-256.

    Raises:
        ModelFileError, ProviderError: see ``OnnxNetwork``.
    """
    _check_providers(providers)
    content = _read_model(path)
    if any(name in ('CUDAExecutionProvider', 'TensorrtExecutionProvider') for name in providers):
        # Since 1.21 the CUDA libraries of pip packages must be loaded first; a no-op else.
        getattr(onnxruntime, 'preload_dlls', lambda: None)()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        # From memory, not from the path: external data files cannot be reached that way.
        session = onnxruntime.InferenceSession(content, options, providers=providers)
    except Exception as error:  # the pybind layer raises several unrelated types
        reason = ' '.join(str(error).split())[:200]
        raise ModelFileError(f'{path}: ONNX Runtime cannot open it: {reason}') from error
    return session, hashlib.sha256(content).hexdigest()


def _check_providers(wanted: list[str]) -> None:
    available = onnxruntime.get_available_providers()
    for name in wanted:
        if name not in available:
            remedy = ('; install onnxruntime-gpu in place of onnxruntime: pip install '
                      "'dr_perception[gpu]'" if name.startswith(('CUDA', 'Tensorrt')) else '')
            raise ProviderError(f'execution provider {name!r} is not in this ONNX Runtime '
                                f'(it has {", ".join(available)}){remedy}')


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
    """The metadata entries of a session's file.

    Raises:
        ModelFileError: they are not UTF-8 text.
    """
    try:
        return dict(session.get_modelmeta().custom_metadata_map)
    except UnicodeDecodeError as error:
        raise ModelFileError(f'{path}: its metadata is not UTF-8 text ({error})') from error
