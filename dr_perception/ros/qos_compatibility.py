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

"""Why a subscription does not hear a publisher, in words."""

from __future__ import annotations

from rclpy.qos import (DurabilityPolicy, qos_check_compatible, QoSCompatibility, QoSProfile,
                       ReliabilityPolicy)
from rclpy.topic_endpoint_info import TopicEndpointInfo


def incompatibility(offered: QoSProfile, requested: QoSProfile) -> str:
    """Why a subscription does not hear a publisher; '' where it does."""
    verdict, reason = qos_check_compatible(offered, requested)
    if verdict != QoSCompatibility.ERROR:
        return ''
    parts = []
    if (offered.reliability, requested.reliability) == (
            ReliabilityPolicy.BEST_EFFORT, ReliabilityPolicy.RELIABLE):
        parts.append('RELIABILITY (offered BEST_EFFORT, requested RELIABLE)')
    if (offered.durability, requested.durability) == (
            DurabilityPolicy.VOLATILE, DurabilityPolicy.TRANSIENT_LOCAL):
        parts.append('DURABILITY (offered VOLATILE, requested TRANSIENT_LOCAL)')
    return ' and '.join(parts) or reason


def full_name(endpoint: TopicEndpointInfo) -> str:
    """Return the name of an endpoint's node, with its namespace."""
    return f'{endpoint.node_namespace.rstrip("/")}/{endpoint.node_name}'
