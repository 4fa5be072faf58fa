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

"""The camera's process of the benchmark: sends pictures to the node and times what comes back.

Started by `transport`; prints one line of JSON. Sent and received are in one process because one
clock then serves both; what comes back is small.
"""

from __future__ import annotations

import json
import re
import sys
import threading
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from dr_perception.core.camera import PinholeCamera
from dr_perception.ros.camera_conversion import info_from_camera
from dr_perception.ros.conversions import stamp_from_ns, stamp_to_ns
from dr_perception.ros.image_conversion import image_from_rgb
import numpy as np
import rclpy
from rclpy.executors import ExternalShutdownException, SingleThreadedExecutor
from rclpy.qos import QoSProfile
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray

FRAME = 'camera_optical_frame'
_WARM_UP_RESULTS = 5
#: Results that are still under way when the last picture was sent (s).
_LAST_S = 3.0
#: A stream that waits for results gives up after this (s): the node has stopped.
_STREAM_S = 60.0
_DETECTIONS_QOS = QoSProfile(depth=50)
_CAMERA_QOS = QoSProfile(depth=2)
#: The node reports once a second; the report after the next one has all that was sent before.
_REPORTS, _REPORTS_TIMEOUT_S = 2, 20.0
_STEP = re.compile(r'(?P<step>.+) (?P<part>p50|p95) \[ms\]')


class BenchmarkCamera:
    """Publishes pictures at a rate; knows when each one's result arrived."""

    def __init__(self, node: Any, images_rgb: np.ndarray, camera: PinholeCamera) -> None:
        self._namespace = node.get_namespace().strip('/')
        header = Header(frame_id=FRAME)
        # Filling a message takes longer than sending it; the camera driver is not what is timed.
        self._messages = [image_from_rgb(header, image) for image in images_rgb]
        self._info = info_from_camera(header, camera)
        self._images = node.create_publisher(Image, 'image', _CAMERA_QOS)
        self._infos = node.create_publisher(CameraInfo, 'camera_info', _CAMERA_QOS)
        self._results_ns: dict[int, int] = {}
        self._reports: list[dict[str, str]] = []
        node.create_subscription(DiagnosticArray, '/diagnostics', self._on_diagnostics, 10)
        self._subscription = node.create_subscription(
            Detection3DArray, 'pose_estimator/detections', self._on_detections, _DETECTIONS_QOS)
        self._sent = 0

    def is_connected(self) -> bool:
        """Whether the node is active and reads pictures, and its results can be heard."""
        return (self._images.get_subscription_count() > 0
                and self._infos.get_subscription_count() > 0
                and self._subscription.get_publisher_count() > 0)

    def warm_up(self, timeout_s: float) -> bool:
        """Send pictures slowly until some results came; False when they did not in time."""
        end_s = time.monotonic() + timeout_s
        while len(self._results_ns) < _WARM_UP_RESULTS:
            if time.monotonic() > end_s:
                return False
            before = len(self._results_ns)
            self._send()
            wait_s = time.monotonic() + 1.0
            while len(self._results_ns) == before and time.monotonic() < wait_s:
                time.sleep(0.002)
        return True

    def stream(self, rate_hz: float, count: int, least_results: int) -> dict[str, float]:
        """Send pictures at a rate: how many results, how many a second, how late.

        Args:
            rate_hz: pictures a second.
            count: pictures to send.
            least_results: then go on until so many came back. A burst of a few that are sent
                faster than the node can take them ends before it has taken a second one.
        """
        stamps: list[int] = []
        start_s = time.monotonic()
        while len(stamps) < count or (self._answered(stamps) < least_results
                                      and time.monotonic() < start_s + _STREAM_S):
            time.sleep(max(0.0, start_s + len(stamps) / rate_hz - time.monotonic()))
            stamps.append(self._send())
        end_s = time.monotonic() + _LAST_S
        while stamps[-1] not in self._results_ns and time.monotonic() < end_s:
            time.sleep(0.01)
        arrived = {stamp: self._results_ns[stamp] for stamp in stamps
                   if stamp in self._results_ns}
        times_ns = sorted(arrived.values())
        latency_ms = [(at - stamp) / 1e6 for stamp, at in arrived.items()] or [float('nan')]
        return {'sent': len(stamps),
                'results': len(arrived),
                'rate_hz': (len(times_ns) - 1) * 1e9 / max(times_ns[-1] - times_ns[0], 1)
                if len(times_ns) > 1 else 0.0,
                'p50_ms': float(np.percentile(latency_ms, 50)),
                'p95_ms': float(np.percentile(latency_ms, 95))}

    def node_steps_ms(self) -> dict[str, dict[str, float]]:
        """Median and p95 of each step in the node; nothing where it does not report.

        By what it reports after the last picture of its last 300, those of the warm-up included.
        """
        wanted, end_s = len(self._reports) + _REPORTS, time.monotonic() + _REPORTS_TIMEOUT_S
        while len(self._reports) < wanted and time.monotonic() < end_s:
            time.sleep(0.05)
        steps: dict[str, dict[str, float]] = {}
        if len(self._reports) < wanted:
            return steps
        for key, value in self._reports[-1].items():
            match = _STEP.fullmatch(key)
            if match:
                steps.setdefault(match['step'], {})[match['part']] = float(value)
        return steps

    def _answered(self, stamps: list[int]) -> int:
        return sum(stamp in self._results_ns for stamp in stamps)

    def _send(self) -> int:
        message = self._messages[self._sent % len(self._messages)]
        self._sent += 1
        stamp_ns = time.time_ns()
        message.header.stamp = self._info.header.stamp = stamp_from_ns(stamp_ns)
        self._infos.publish(self._info)
        self._images.publish(message)
        return stamp_to_ns(message.header.stamp)

    def _on_detections(self, message: Detection3DArray) -> None:
        self._results_ns[stamp_to_ns(message.header.stamp)] = time.time_ns()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        # Another robot's node may speak in this domain, by chance.
        self._reports += [{pair.key: pair.value for pair in status.values}
                          for status in message.status
                          if status.name.startswith(f'{self._namespace}/')]


def main(arguments: list[str]) -> int:
    """Run with the one argument of `transport`: a JSON object."""
    plan = json.loads(arguments[0])
    # Of a file, not of the command line: pictures of 6 MB each.
    images_rgb = np.load(plan['pictures'], mmap_mode='r')
    rclpy.init(args=[])
    node = rclpy.create_node('benchmark_camera', namespace=plan['namespace'])
    executor = SingleThreadedExecutor()
    executor.add_node(node)
    camera = BenchmarkCamera(node, images_rgb, PinholeCamera(**plan['camera']))
    thread = threading.Thread(target=_spin, args=(executor,), daemon=True)
    thread.start()
    end_s = time.monotonic() + plan['timeout_s']
    while not camera.is_connected() and time.monotonic() < end_s:
        time.sleep(0.02)
    if not camera.warm_up(max(end_s - time.monotonic(), 1.0)):
        print(json.dumps({'problem': 'the node gave no results'}), flush=True)
    else:
        print(json.dumps({
            'steady': camera.stream(plan['steady_rate_hz'], plan['count'],
                                    plan['least_results']),
            'steps': camera.node_steps_ms(),
            'full': camera.stream(plan['full_rate_hz'], plan['count'],
                                  plan['count'])}), flush=True)
    rclpy.try_shutdown()
    thread.join(5.0)
    return 0


def _spin(executor: SingleThreadedExecutor) -> None:
    try:
        executor.spin()
    except ExternalShutdownException:
        pass


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
