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

"""Whether an execution provider really runs a model, and if not, why.

ONNX Runtime falls back to the CPU with nothing but a line on stderr, and a provider that is active
may still leave every node to the CPU. Both are found here: what is written while a session is made
is caught, and the profile of one run tells which provider ran which node.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
import contextlib
from dataclasses import dataclass, field
import json
import os
from pathlib import Path
import re
import sys
import tempfile
import time

from dr_perception.core.contract import INPUT_NAME
from dr_perception.core.errors import ProviderError
from dr_perception.inference.provider_libraries import how_to_get, how_to_start, preload_libraries
import numpy as np
import onnxruntime

_MISSING_LIBRARY = re.compile(r'(lib[\w.+-]+\.so[\w.]*): cannot open shared object')
_REQUIREMENT = re.compile(r'Require ([^.]*?\.\*[^.]*?\.\*)')


@dataclass(frozen=True)
class ProviderCheck:
    """What became of a provider.

    Attributes:
        name: as ONNX Runtime has it.
        is_installed: this ONNX Runtime was built with it.
        is_active: a session of the model has it.
        nodes: how many nodes of the graph each provider ran.
        load_s: seconds until the session was there and had run once.
        reason: why it does not run the model; '' where it does.
        remedy: what to do about that.
    """

    name: str
    is_installed: bool
    is_active: bool = False
    nodes: dict[str, int] = field(default_factory=dict)
    load_s: float = 0.0
    reason: str = ''
    remedy: str = ''

    @property
    def runs_model(self) -> bool:
        """Whether it ran at least one node."""
        return self.nodes.get(self.name, 0) > 0


def runtime_version() -> str:
    """Return the version of ONNX Runtime."""
    return onnxruntime.__version__


def installed_providers() -> list[str]:
    """Return the providers that this ONNX Runtime names, the preferred one first."""
    return list(onnxruntime.get_available_providers())


def running_providers(path: Path, multiple_px: int) -> list[str]:
    """Of the installed providers those that really run a model (Azure, say, runs nothing here)."""
    return [name for name in installed_providers() if check_provider(
        path, name, multiple_px).runs_model]


def require_provider(path: Path, name: str, multiple_px: int) -> None:
    """Check that a provider runs a model.

    Raises:
        ProviderError: it does not; the text holds reason and remedy.
    """
    check = check_provider(path, name, multiple_px)
    if not check.runs_model:
        raise ProviderError(f'provider {name} does not run the model: {check.reason}: '
                            f'{check.remedy}')


def check_provider(path: Path, name: str, multiple_px: int) -> ProviderCheck:
    """Load a model with one provider, run it once, and see who ran it.

    Args:
        path: a model.onnx that opens on the CPU.
        name: the provider.
        multiple_px: side of the picture to run; that of the contract's input.
    """
    if name not in installed_providers():
        return ProviderCheck(
            name, False, reason='this ONNX Runtime was built without it (it has '
                                f'{", ".join(installed_providers())})',
            remedy=how_to_get(name) or 'install an onnxruntime that has it, or correct the name')
    start_s = time.perf_counter()
    with tempfile.TemporaryDirectory() as folder, _caught_output() as caught:
        try:
            active, nodes = _run_once(path, name, multiple_px, folder)
            failure = ''
        except Exception as error:  # the pybind layer raises several unrelated types
            active, nodes, failure = [], {}, ' '.join(str(error).split())
    load_s = time.perf_counter() - start_s
    check = ProviderCheck(name, True, name in active, nodes, load_s)
    if check.runs_model:
        return check
    if check.is_active:
        reason = f'it is active but runs no node of the model; {", ".join(nodes)} does'
        remedy = f'leave {name} out of the providers'
    else:
        reason = failure[:300] or _reason(caught[0], active)
        remedy = how_to_start(name)
    return ProviderCheck(name, True, check.is_active, nodes, load_s, reason, remedy)


def _run_once(path: Path, name: str, multiple_px: int, folder: str
              ) -> tuple[list[str], dict[str, int]]:
    preload_libraries([name])
    options = onnxruntime.SessionOptions()
    options.enable_profiling = True
    options.profile_file_prefix = str(Path(folder) / 'profile')
    session = onnxruntime.InferenceSession(path.read_bytes(), options, providers=[name])
    side_px = 4 * multiple_px
    channels = session.get_inputs()[0].shape[3]
    session.run(None, {INPUT_NAME: np.zeros((1, side_px, side_px, channels), np.uint8)})
    events = json.loads(Path(session.end_profiling()).read_text(encoding='utf-8'))
    nodes = Counter(event['args']['provider'] for event in events
                    if event.get('cat') == 'Node' and event.get('args', {}).get('provider'))
    return list(session.get_providers()), dict(nodes)


def _reason(output: str, active: list[str]) -> str:
    """One line of what ONNX Runtime wrote when a provider did not start."""
    parts = sorted(set(_MISSING_LIBRARY.findall(output)))
    text = f'{", ".join(parts)} cannot be found' if parts else ''
    requirement = _REQUIREMENT.search(output)
    if requirement:
        text += f'{"; " if text else ""}it needs {requirement.group(1)}'
    if not text:
        lines = [line.strip() for line in output.splitlines() if 'rror' in line or 'ail' in line]
        text = lines[-1][:300] if lines else 'ONNX Runtime does not say why'
    return f'{text} (the model runs on {", ".join(active) or "nothing"} instead)'


@contextlib.contextmanager
def _caught_output() -> Iterator[list[str]]:
    """Collect what the block writes to stdout and stderr, C++ included, as one item of a list."""
    text: list[str] = []
    sys.stdout.flush()
    sys.stderr.flush()
    saved = os.dup(1), os.dup(2)
    with tempfile.TemporaryFile() as file:
        try:
            os.dup2(file.fileno(), 1)
            os.dup2(file.fileno(), 2)
            yield text
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            for number, copy in zip((1, 2), saved):
                os.dup2(copy, number)
                os.close(copy)
            file.seek(0)
            text.append(file.read().decode(errors='replace'))
