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

"""The node `monitor`: compares published poses with the simulated camera's truth."""

from __future__ import annotations

from collections import OrderedDict
import json
import math
from pathlib import Path
import sys
import time
from typing import Any

from dr_perception.core.objects import ObjectModel
from dr_perception.core.resources import find_resource
from dr_perception.ros.conversions import pose_to_matrix, stamp_to_ns
from dr_perception.ros.demo.scoring import format_table, PosedObject, Scoreboard
from dr_perception.ros.model_loading import DEFAULT_MODEL
from dr_perception.ros.node_process import run_node
import numpy as np
from rcl_interfaces.msg import FloatingPointRange, ParameterDescriptor
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.qos import QoSProfile
from vision_msgs.msg import Detection3DArray

_KEPT_TRUTHS = 600


class MonitorNode(Node):
    """Pairs detections and truth by stamp; prints a line now and then and a table at the end."""

    def __init__(self, **kwargs) -> None:
        super().__init__('monitor', **kwargs)
        self._declare()
        self.duration_s = self.get_parameter('duration_s').value
        self.json_path = self.get_parameter('json').value
        model = self.get_parameter('model').value or str(find_resource(DEFAULT_MODEL))
        self._scoreboard = Scoreboard(
            read_objects(model), self.get_parameter('min_visibility').value)
        self._truths: OrderedDict[int, Detection3DArray] = OrderedDict()
        self._waiting: OrderedDict[int, Detection3DArray] = OrderedDict()
        self._first_s = self._last_s = math.nan
        self._poses = self._images = 0
        self._latencies_ms: list[float] = []
        qos = QoSProfile(depth=50)
        self.create_subscription(Detection3DArray, 'ground_truth', self._on_truth, qos)
        self.create_subscription(Detection3DArray, 'detections', self._on_detections, qos)
        self.create_timer(self.get_parameter('report_period_s').value, self._print_progress)

    @property
    def is_done(self) -> bool:
        """The wanted duration has passed since the first detections."""
        return self.duration_s > 0 and time.monotonic() - self._first_s >= self.duration_s

    def report(self) -> dict[str, Any]:
        """Everything measured, as JSON values."""
        span_s = self._last_s - self._first_s
        count = self._scoreboard.frames
        p50_ms, p95_ms = (np.percentile(self._latencies_ms, [50, 95]) if self._latencies_ms
                          else (math.nan, math.nan))
        has_rate = count > 1 and span_s > 0
        return {**self._scoreboard.report(), 'images': self._images,
                'frames_per_s': (count - 1) / span_s if has_rate else None,
                'poses_per_s': self._poses / span_s if has_rate else None,
                'latency_p50_ms': float(p50_ms) if self._latencies_ms else None,
                'latency_p95_ms': float(p95_ms) if self._latencies_ms else None}

    def close(self) -> None:
        """Nothing is held beside what every node holds."""

    def _declare(self) -> None:
        def declare(name: str, default: Any, description: str, high: float | None = None) -> None:
            descriptor = ParameterDescriptor(description=description, read_only=True)
            if high is not None:
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=0.0, to_value=high)]
            self.declare_parameter(name, default, descriptor)

        declare('duration_s', 0.0, 'End after so many seconds of detections; 0: never.', 1e6)
        declare('report_period_s', 5.0, 'Seconds between two lines of progress.', 1e6)
        declare('model', '', 'model.onnx, for the symmetries of its objects; empty: the shipped '
                'models/tabletop.onnx.')
        declare('min_visibility', 0.1, 'An object of which less is visible need not be found.',
                1.0)
        declare('json', '', 'Write the report to this file, too.')

    def _on_truth(self, message: Detection3DArray) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._images += 1
        self._truths[stamp_ns] = message
        if len(self._truths) > _KEPT_TRUTHS:
            self._truths.popitem(last=False)
        if stamp_ns in self._waiting:
            self._score(message, self._waiting.pop(stamp_ns))

    def _on_detections(self, message: Detection3DArray) -> None:
        stamp_ns = stamp_to_ns(message.header.stamp)
        self._latencies_ms.append((self.get_clock().now().nanoseconds - stamp_ns) * 1e-6)
        self._last_s = time.monotonic()
        if math.isnan(self._first_s):
            self._first_s = self._last_s
            self._images = 1
        else:
            self._poses += len(message.detections)
        if stamp_ns in self._truths:
            self._score(self._truths.pop(stamp_ns), message)
        else:
            self._waiting[stamp_ns] = message
            if len(self._waiting) > _KEPT_TRUTHS:
                self._waiting.popitem(last=False)

    def _score(self, truth: Detection3DArray, found: Detection3DArray) -> None:
        if truth.header.frame_id != found.header.frame_id:
            self.get_logger().error(
                f'detections are in {found.header.frame_id!r}, the truth in '
                f'{truth.header.frame_id!r}: leave target_frame empty', once=True)
            return
        self._scoreboard.add_frame(_posed_objects(truth), _posed_objects(found))

    def _print_progress(self) -> None:
        report = self.report()
        row = report['all']
        if report['frames_per_s'] is None:
            print(f'waiting for detections ({self._images} images so far)', flush=True)
            return
        position_mm = row['position_error_mean_mm']
        print(f'{report["frames"]} frames: found {row["found"]} of {row["shown"]}, position '
              f'{math.nan if position_mm is None else position_mm:.2f} mm, '
              f'{row["false_positives"]} false, {report["frames_per_s"]:.1f} frames/s, latency '
              f'{report["latency_p50_ms"]:.1f} / {report["latency_p95_ms"]:.1f} ms (p50 / p95)',
              flush=True)


def read_objects(model_path: str) -> tuple[ObjectModel, ...]:
    """Return the objects of a model file.

    Raises:
        ModelFileError: the file is not a usable model.
    """
    from dr_perception import PoseEstimator
    return PoseEstimator.from_file(
        model_path, providers=['CPUExecutionProvider']).contract.objects


def format_report(report: dict[str, Any]) -> str:
    """Return the final table with rate and latency."""
    if not report['frames']:
        return f'no detections to compare ({report["images"]} images were shown)'
    if report['frames_per_s'] is None:
        return format_table(report)
    return (f'{format_table(report)}\n'
            f'{report["frames"]} frames of {report["images"]} images: '
            f'{report["frames_per_s"]:.1f} frames/s, {report["poses_per_s"]:.1f} poses/s; '
            f'image stamp to received poses {report["latency_p50_ms"]:.1f} ms median, '
            f'{report["latency_p95_ms"]:.1f} ms p95')


def _posed_objects(message: Detection3DArray) -> list[PosedObject]:
    return [PosedObject(result.hypothesis.class_id, pose_to_matrix(result.pose.pose),
                        result.hypothesis.score)
            for detection in message.detections for result in detection.results[:1]]


def _run(node: MonitorNode, executor: SingleThreadedExecutor) -> int:
    try:
        while node.context.ok() and not node.is_done:
            executor.spin_once(timeout_sec=0.2)
    finally:
        report = node.report()
        print(format_report(report), flush=True)
        if node.json_path:
            Path(node.json_path).write_text(json.dumps(report, indent=1), encoding='utf-8')
    return 0


def main(args: list[str] | None = None) -> int:
    """Run the node; exit code 0, and 2 when the model cannot be read."""
    return run_node(MonitorNode, args, _run)


if __name__ == '__main__':
    sys.exit(main())
