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

"""The newest-frame-only slot and the one thread that empties it."""

from __future__ import annotations

from collections.abc import Callable
import threading
from typing import Any


class FrameWorker:
    """Calls a function with the newest item, on a thread of its own.

    An item that arrives while the function runs waits; a later one takes its place, so nothing
    queues up. The thread outlives every exception of the function.

    Args:
        handle: called with each item.
        on_exception: called with what ``handle`` raised.
        name: the thread's name.
    """

    def __init__(self, handle: Callable[[Any], None],
                 on_exception: Callable[[Exception], None], name: str = 'frame_worker') -> None:
        self._handle, self._on_exception = handle, on_exception
        self._changed = threading.Condition()
        self._item: Any = None
        self._stopping = False
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)

    def start(self) -> None:
        """Start the thread; once."""
        self._thread.start()

    def put(self, item: Any) -> bool:
        """Leave an item, never blocking; True if it took the place of one not looked at."""
        with self._changed:
            replaced = self._item is not None
            self._item = item
            self._changed.notify()
        return replaced

    def stop(self, timeout_s: float = 5.0) -> bool:
        """Let the item in work be finished and end; True if that happened in time."""
        with self._changed:
            self._stopping, self._item = True, None
            self._changed.notify()
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _run(self) -> None:
        while True:
            with self._changed:
                while self._item is None and not self._stopping:
                    self._changed.wait()
                if self._stopping:
                    return
                item, self._item = self._item, None
            try:
                self._handle(item)
            except Exception as error:  # a mute node with a dead thread is the worst outcome
                self._on_exception(error)
