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

"""At full rate for a while: no memory grows, no frame is lost but for a newer one.

DR_PERCEPTION_SOAK_S=1800 makes it the half hour of a release; then latency is checked, too.
"""
import os
import time

from dr_perception.ros.conversions import stamp_to_ns
import numpy as np
import pytest

SOAK_S = float(os.environ.get('DR_PERCEPTION_SOAK_S', '20'))
LONG_S = 600.0
#: Growth that is no leak: allocators keep what they once had.
LARGEST_GROWTH = 0.02


def frame_counts(cell):
    """Return the diagnostics' counts, once the last frame is in them."""
    counts, deadline_s = None, time.monotonic() + 60.0
    while time.monotonic() < deadline_s:
        time.sleep(2.5)         # two reports
        values = cell.status()[1]
        if not values:
            continue
        before, counts = counts, {name: int(values[f'frames {name}']) for name in (
            'received', 'processed', 'dropped for newer ones', 'lost in transport')}
        if counts == before:
            break
    return counts


@pytest.mark.timeout(SOAK_S + 600)
def test_soak(start_cell):
    cell = start_cell(is_pose_known=True)
    latencies_ms, memory = [], []
    before = frame_counts(cell)     # some frames come before the first CameraInfo
    seen = len(cell.detections.messages)
    start_s = time.monotonic()
    while time.monotonic() < start_s + SOAK_S:
        cell.frame()
        time.sleep(1 / 30)
        now_ns = time.time_ns()
        for message in cell.detections.messages[seen:]:
            cell.check(message)
            latencies_ms.append((now_ns - stamp_to_ns(message.header.stamp)) / 1e6)
        seen = len(cell.detections.messages)
        if len(cell.detections.messages) > 10_000:      # this process is not what is measured
            del cell.detections.messages[:seen]
            seen = 0
        memory.append((time.monotonic() - start_s, cell.rss_bytes))
    times_s, rss = np.array(memory).T
    warm = np.median(rss[(times_s > 0.25 * SOAK_S) & (times_s < 0.5 * SOAK_S)])
    last = np.median(rss[times_s > 0.75 * SOAK_S])
    assert last / warm - 1 < LARGEST_GROWTH, f'{warm / 1e6:.1f} MB -> {last / 1e6:.1f} MB'
    counts = {name: count - before[name] for name, count in frame_counts(cell).items()}
    assert counts['lost in transport'] == 0
    assert counts['received'] - counts['processed'] - counts['dropped for newer ones'] == 0
    assert counts['processed'] > 5 * SOAK_S
    if SOAK_S >= LONG_S:
        share = len(latencies_ms) // int(SOAK_S / 60)
        first, final = (np.percentile(part, 95) for part in (
            latencies_ms[share:2 * share], latencies_ms[-share:]))
        assert final < 1.1 * first, f'p95 {first:.1f} ms -> {final:.1f} ms'
