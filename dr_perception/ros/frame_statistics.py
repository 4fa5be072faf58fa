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

"""What has happened to the frames: counts, rate, latency, and errors by kind."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
import threading
import time

import numpy as np

RATE_WINDOW_S = 5.0
LOG_INTERVAL_S = 5.0
#: Frames that latency is told of.
_LATENCY_WINDOW = 300


@dataclass
class ErrorRecord:
    """One kind of error: count, last text, when (monotonic s) it came and was logged last."""

    count: int = 0
    text: str = ''
    last_s: float = -np.inf
    logged_s: float = -np.inf
    unlogged: int = 0


@dataclass(frozen=True)
class StatisticsSnapshot:
    """Counts since activation; rate and latency of the last frames, NaN without frames.

    ``image_age_s`` and ``result_age_s``: time since the last one, infinite where there was none.
    ``timing_ms``: median and 95th percentile of each step from the stamp to the poses.
    ``out_of_range_share``: part of what was found that training did not cover.
    """

    received: int
    dropped: int
    processed: int
    rate_hz: float
    received_rate_hz: float
    image_age_s: float
    result_age_s: float
    latency_p50_ms: float
    latency_p95_ms: float
    timing_ms: dict[str, tuple[float, float]]
    out_of_range_share: float
    errors: dict[str, ErrorRecord]


@dataclass
class _Window:
    times_s: deque = field(default_factory=lambda: deque(maxlen=1000))

    def add(self, now_s: float) -> None:
        self.times_s.append(now_s)

    def age_s(self, now_s: float) -> float:
        return now_s - self.times_s[-1] if self.times_s else np.inf

    def rate_hz(self, now_s: float) -> float:
        recent = [t for t in self.times_s if t > now_s - RATE_WINDOW_S]
        if len(recent) < 2:
            return 0.0
        return (len(recent) - 1) / max(recent[-1] - recent[0], 1e-9)


class FrameStatistics:
    """Counts frames and errors. Thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.reset()

    def reset(self) -> None:
        """Begin again from zero."""
        with self._lock:
            self._received = self._dropped = self._processed = 0
            self._arrivals, self._results = _Window(), _Window()
            self._latencies_ms: deque[float] = deque(maxlen=_LATENCY_WINDOW)
            self._timing_ms: deque[dict[str, float]] = deque(maxlen=_LATENCY_WINDOW)
            self._in_range: deque[tuple[bool, ...]] = deque(maxlen=_LATENCY_WINDOW)
            self._errors: dict[str, ErrorRecord] = {}

    def count_received(self) -> None:
        """Count a frame that arrived."""
        with self._lock:
            self._received += 1
            self._arrivals.add(time.monotonic())

    def count_dropped(self) -> None:
        """Count a frame that a newer one replaced before its turn came."""
        with self._lock:
            self._dropped += 1

    def count_processed(self, latency_ms: float | None, timing_ms: dict[str, float],
                        in_range: Iterable[bool] = ()) -> None:
        """Count a frame with results.

        Args:
            latency_ms: from its stamp to its poses; None where it has none.
            timing_ms: of its steps, in their order.
            in_range: of each object that was found, whether training covered it.
        """
        with self._lock:
            self._processed += 1
            self._results.add(time.monotonic())
            self._timing_ms.append(timing_ms)
            self._in_range.append(tuple(in_range))
            if latency_ms is not None:
                self._latencies_ms.append(latency_ms)

    def count_error(self, kind: str, text: str) -> str:
        """Count an error; returns what to log, or '' while this kind was logged just before."""
        now_s = time.monotonic()
        with self._lock:
            record = self._errors.setdefault(kind, ErrorRecord())
            record.count += 1
            record.text, record.last_s = text, now_s
            if now_s - record.logged_s < LOG_INTERVAL_S:
                record.unlogged += 1
                return ''
            more = f' ({record.unlogged} more like this before)' if record.unlogged else ''
            record.logged_s, record.unlogged = now_s, 0
        return f'{kind}: {text}{more}'

    def snapshot(self) -> StatisticsSnapshot:
        """Return a copy of everything."""
        now_s = time.monotonic()
        with self._lock:
            p50_ms, p95_ms = _percentiles(self._latencies_ms or [np.nan])
            found = [one for frame in self._in_range for one in frame]
            steps = dict.fromkeys(step for frame in self._timing_ms for step in frame)
            return StatisticsSnapshot(
                self._received, self._dropped, self._processed, self._results.rate_hz(now_s),
                self._arrivals.rate_hz(now_s), self._arrivals.age_s(now_s),
                self._results.age_s(now_s), p50_ms, p95_ms,
                {step: _percentiles([frame[step] for frame in self._timing_ms if step in frame])
                 for step in steps},
                1 - float(np.mean(found)) if found else np.nan,
                {kind: ErrorRecord(**vars(record)) for kind, record in self._errors.items()})


def _percentiles(values_ms: Collection[float]) -> tuple[float, float]:
    """Return the median and the 95th percentile."""
    p50_ms, p95_ms = np.percentile(np.array(values_ms), [50, 95])
    return float(p50_ms), float(p95_ms)
