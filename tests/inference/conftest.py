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

"""An onnxruntime-gpu without a GPU."""

from dr_perception.inference import session as session_module
from dr_perception.inference.io_binding import BoundSession
from dr_perception.inference.providers import CPU
import onnxruntime
import pytest

RealSession = onnxruntime.InferenceSession


class FakeRuntime:
    """Plays an onnxruntime-gpu: which providers it has, which start, and what was asked for."""

    def __init__(self, monkeypatch, built_in, failures=None, silent=()):
        """Take the place of the session class.

        Args:
            monkeypatch: of the test.
            built_in: names of the providers that it has.
            failures: what a provider raises when a session begins with it, by name.
            silent: providers that are left out without a word, as CUDA without its libraries.
        """
        self.attempts, self.preloaded = [], 0
        self.failures, self.silent = failures or {}, silent
        monkeypatch.setattr(onnxruntime, 'get_available_providers', lambda: list(built_in))
        monkeypatch.setattr(onnxruntime, 'preload_dlls', self._preload, raising=False)
        monkeypatch.setattr(onnxruntime, 'InferenceSession', self._session)
        # Buffers of the "GPU" lie in the CPU's memory.
        monkeypatch.setattr(session_module, 'BoundSession',
                            lambda session, device: BoundSession(session, 'cpu'))

    def _preload(self):
        self.preloaded += 1

    def _session(self, content, options, providers, enable_fallback):
        assert enable_fallback == 0
        self.attempts.append(providers)
        names = [name for name, _ in providers]
        if names[0] in self.failures:
            raise self.failures[names[0]]
        session = RealSession(content, options, providers=[CPU])
        active = [name for name in names if name not in self.silent]
        session.get_providers = lambda: active
        return session


@pytest.fixture
def fake_runtime(monkeypatch):
    """Return a function: arguments of ``FakeRuntime`` -> one that has taken its place."""
    return lambda *arguments, **others: FakeRuntime(monkeypatch, *arguments, **others)
