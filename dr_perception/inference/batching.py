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

"""One network for several cameras: pictures that wait for it run together."""

from __future__ import annotations

from dataclasses import dataclass, field
import hashlib
from pathlib import Path
import threading
from weakref import WeakValueDictionary

from dr_perception.inference.providers import ProviderSettings
from dr_perception.inference.session import OnnxNetwork
import numpy as np

#: Pictures in one run; each takes some 100 MB of a GPU's memory.
MAX_BATCH = 8


@dataclass(eq=False)
class _Request:
    images_rgb: np.ndarray
    outputs: dict[str, np.ndarray] = field(default_factory=dict)
    error: Exception | None = None

    @property
    def is_done(self) -> bool:
        return bool(self.outputs) or self.error is not None


class BatchingNetwork:
    """Shares a network between threads; each calls ``run`` as if it were its own.

    While one run is going on, other threads' pictures collect; the next run takes all of one size
    at once. Nobody waits for company: a picture that finds the network idle runs alone. On a CPU
    two pictures together take as long as one after the other (measured: 4 % less), and TensorRT
    would build an engine for every number of them: there they do run one after the other.
    """

    def __init__(self, network: OnnxNetwork, max_batch: int = MAX_BATCH) -> None:
        """Share a network.

        Args:
            network: the network to share.
            max_batch: pictures in one run; 1 where the provider is not CUDA, whatever is given.
        """
        self.contract, self.path = network.contract, network.path
        self.sha256, self.active_providers = network.sha256, network.active_providers
        self.requested_providers = network.requested_providers
        self.provider_problems = network.provider_problems
        self.engine_folder = network.engine_folder
        #: The last run failed: nobody else should begin with this network.
        self.has_failed = False
        is_cuda = network.active_providers[0] == 'CUDAExecutionProvider'
        self.max_batch = max_batch if is_cuda else 1
        self._network = network
        self._waiting: list[_Request] = []
        self._list_lock, self._turn = threading.Lock(), threading.Lock()

    def run(self, image_rgb: np.ndarray) -> dict[str, np.ndarray]:
        """As ``OnnxNetwork.run``; errors of a run go to everyone who took part."""
        mine = _Request(image_rgb)
        with self._list_lock:
            self._waiting.append(mine)
        with self._turn:
            if not mine.is_done:    # else somebody before took it along
                self._run_with_company(mine)
        if mine.error is not None:
            raise mine.error
        return mine.outputs

    def _run_with_company(self, mine: _Request) -> None:
        batch, count = [mine], len(mine.images_rgb)
        with self._list_lock:
            self._waiting.remove(mine)
            for other in list(self._waiting):
                fits = other.images_rgb.shape[1:] == mine.images_rgb.shape[1:]
                if fits and count + len(other.images_rgb) <= self.max_batch:
                    self._waiting.remove(other)
                    batch.append(other)
                    count += len(other.images_rgb)
        try:
            outputs = self._network.run(
                mine.images_rgb if len(batch) == 1
                else np.concatenate([request.images_rgb for request in batch]))
        except Exception as error:  # whatever it is, each of them must hear of it
            self.has_failed = True
            for request in batch:
                request.error = error
            return
        self.has_failed = False
        start = 0
        for request in batch:
            end = start + len(request.images_rgb)
            request.outputs = {name: value[start:end] for name, value in outputs.items()}
            start = end


class NetworkShare:
    """Opens each model once for all who ask, and lets go of it when nobody uses it any more."""

    def __init__(self) -> None:
        self._open: WeakValueDictionary[tuple, BatchingNetwork] = WeakValueDictionary()
        self._lock = threading.Lock()

    def network(self, path: str | Path, providers: list[str] | None = None, threads: int = 0,
                settings: ProviderSettings = ProviderSettings()) -> BatchingNetwork:
        """Return the network of a file; arguments and errors: see ``OnnxNetwork``."""
        with self._lock:
            # By content: a file that was replaced is another model.
            key = (_digest(Path(path)), tuple(providers or ()), threads, settings)
            network = self._open.get(key)
            if network is None or network.has_failed:   # its engine may be damaged
                network = BatchingNetwork(OnnxNetwork(path, providers, threads, settings))
                self._open[key] = network
            return network


def _digest(path: Path) -> str:
    """Hash of a file's content, '' where it cannot be read: opening it will say why."""
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return ''
