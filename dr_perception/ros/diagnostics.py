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

"""`/diagnostics`: once a second, whether the node does its job, and if not, what to do."""

from __future__ import annotations

from dataclasses import dataclass
import time
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from dr_perception.core.transform_buffer import STATIC, TransformBuffer
from dr_perception.ros.conversions import NS_PER_S
from dr_perception.ros.frame_processor import CAMERA_POSE_KIND
from dr_perception.ros.frame_statistics import RATE_WINDOW_S, StatisticsSnapshot
import numpy as np

PERIOD_S = 1.0
#: A larger share of images lost by DDS is a warning.
LARGEST_LOSS = 0.05
_OK, _WARN, _ERROR = DiagnosticStatus.OK, DiagnosticStatus.WARN, DiagnosticStatus.ERROR


@dataclass(frozen=True)
class NodeHealth:
    """What the diagnostics are made of.

    Attributes:
        state: lifecycle state.
        active_s: seconds since activation; 0 when not active.
        transition_error: what the last transition failed at, and why; or ''.
        image_topic, camera_info_topic: resolved names.
        image_publishers: how many there are.
        qos_problem: what is incompatible, or ''.
        lost_images: how many DDS lost on the way.
        camera_info: state of the CameraInfo.
        camera_pose: where the camera's pose comes from.
        transform_problem: the TF buffer's last complaint, or ''.
        transform_age: milliseconds since the newest transform that the camera's pose comes from,
            'static', or '' where none is known or needed.
        provider: active execution providers.
        provider_problem: why it is not the wanted one, or ''.
        model: name and hash.
        statistics: counts, rate, latency, errors.
        reload_problem: why the model was not exchanged when that was asked for, or ''.
    """

    state: str
    active_s: float
    transition_error: str
    image_topic: str
    camera_info_topic: str
    image_publishers: int
    qos_problem: str
    lost_images: int
    camera_info: str
    camera_pose: str
    transform_problem: str
    provider: str
    provider_problem: str
    model: str
    statistics: StatisticsSnapshot
    reload_problem: str = ''
    transform_age: str = ''


def diagnose(health: NodeHealth, now_s: float | None = None) -> tuple[bytes, str]:
    """Level and one-line message of a node's health.

    Args:
        health: what is known.
        now_s: monotonic time.
    """
    now_s = time.monotonic() if now_s is None else now_s
    if health.transition_error:
        return _ERROR, health.transition_error
    if health.state != 'active':
        return _OK, health.state
    statistics = health.statistics
    recent = {kind: record for kind, record in statistics.errors.items()
              if now_s - record.last_s < RATE_WINDOW_S}
    is_silent = statistics.image_age_s > RATE_WINDOW_S
    if health.qos_problem and is_silent:
        return _ERROR, health.qos_problem
    if is_silent and health.active_s > 2 * PERIOD_S:
        who = (f'{health.image_publishers} publishers' if health.image_publishers
               else 'nobody publishes there')
        return _ERROR, f'no images on {health.image_topic} ({who})'
    hindering = [f'{kind}: {record.text}' for kind, record in recent.items()
                 if kind != CAMERA_POSE_KIND]
    if hindering:
        has_results = statistics.result_age_s < RATE_WINDOW_S
        return (_WARN if has_results else _ERROR), hindering[0]
    if CAMERA_POSE_KIND in recent:
        return _WARN, f'{CAMERA_POSE_KIND}: {recent[CAMERA_POSE_KIND].text}'
    if health.lost_images > LARGEST_LOSS * (statistics.received + health.lost_images):
        return _WARN, (
            f'{health.lost_images} images were lost in transport, {statistics.received} arrived: '
            'set image_reliability to reliable, or give the camera driver more shared memory '
            '(config/fastdds_large_images.xml)')
    if health.reload_problem:
        return _WARN, health.reload_problem
    if health.provider_problem:
        return _WARN, health.provider_problem
    return _OK, f'{statistics.rate_hz:.1f} frames/s'


def transform_age(transforms: TransformBuffer, base_frame: str, camera_frame: str, now_ns: int
                  ) -> str:
    """Return ``NodeHealth.transform_age`` of a camera; its frame is '' before the first image."""
    newest_ns = transforms.newest_ns(base_frame, camera_frame) if camera_frame else None
    if newest_ns is None:
        return ''
    return 'static' if newest_ns == STATIC else f'{(now_ns - newest_ns) * 1e3 / NS_PER_S:.1f}'


def status_values(health: NodeHealth) -> dict[str, str]:
    """Return the key-value table of a node's health."""
    s = health.statistics
    values = {
        'state': health.state, 'model': health.model, 'provider': health.provider,
        'provider problem': health.provider_problem, 'model problem': health.reload_problem,
        'image topic': health.image_topic, 'camera_info topic': health.camera_info_topic,
        'camera_info': health.camera_info, 'camera pose': health.camera_pose,
        'transform problem': health.transform_problem,
        'transform age [ms]': health.transform_age,
        'rate [1/s]': f'{s.rate_hz:.2f}', 'image rate [1/s]': f'{s.received_rate_hz:.2f}',
        'latency p50 [ms]': f'{s.latency_p50_ms:.1f}',
        'latency p95 [ms]': f'{s.latency_p95_ms:.1f}',
        'frames received': str(s.received), 'frames processed': str(s.processed),
        'frames dropped for newer ones': str(s.dropped),
        'frames lost in transport': str(health.lost_images),
        'out of range [%]': ('nothing found' if np.isnan(s.out_of_range_share)
                             else f'{100 * s.out_of_range_share:.0f}')}
    for step, (p50_ms, p95_ms) in s.timing_ms.items():
        values[f'{step} p50 [ms]'] = f'{p50_ms:.2f}'
        values[f'{step} p95 [ms]'] = f'{p95_ms:.2f}'
    for kind, record in sorted(s.errors.items()):
        values[f'errors {kind}'] = str(record.count)
        values[f'last error {kind}'] = record.text
    return values


def status_message(name: str, hardware_id: str, health: NodeHealth) -> DiagnosticStatus:
    """Return the DiagnosticStatus of a node's health."""
    level, text = diagnose(health)
    return DiagnosticStatus(
        level=level, name=name, message=text, hardware_id=hardware_id,
        values=[KeyValue(key=key, value=value) for key, value in status_values(health).items()])


class DiagnosticsPublisher:
    """Publishes on /diagnostics, in every lifecycle state. Made on an ordinary publisher."""

    def __init__(self, node: Any) -> None:
        self._node = node
        self._publisher = node.create_publisher(DiagnosticArray, '/diagnostics', 5)

    def publish(self, hardware_id: str, health: NodeHealth) -> None:
        """Publish a node's health."""
        # With the namespace: several cameras may report from one process.
        name = self._node.get_fully_qualified_name().strip('/')
        message = DiagnosticArray(status=[status_message(
            f'{name}: localization', hardware_id, health)])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)
