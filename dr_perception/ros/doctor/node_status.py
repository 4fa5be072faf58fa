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

"""Section: what a running pose_estimator says of itself on /diagnostics."""

from __future__ import annotations

from typing import Any

from dr_perception.ros.doctor.findings import error, ok, Section, Table, warn
from dr_perception.ros.doctor.observation import Observation

_SUFFIX = ': localization'
_WARN_LEVEL = 1
_REMEDY = "see the message's row in docs/troubleshooting.md of dr_perception"
_START = 'ros2 launch dr_perception bringup.launch.py'


def inspect(seen: Observation) -> Section:
    """Return the newest status of each pose estimator."""
    section = Section('Running pose_estimator')
    section.facts['nodes'] = ', '.join(seen.estimators) or 'none'
    statuses = _statuses(seen)
    for status in statuses:
        level = _level(status)
        text = f'{status.name}: {status.message}'
        if level == 0:
            section.findings.append(ok(text))
        else:
            section.findings.append((warn if level == _WARN_LEVEL else error)(text, _REMEDY))
        values = {item.key: item.value for item in status.values}
        section.data[status.name] = {'level': level, 'message': status.message, 'values': values}
        section.tables.append(Table((status.name, f'hardware {status.hardware_id or "not named"}'),
                                    tuple(values.items())))
    if seen.estimators and not statuses:
        section.findings.append(error(
            f'{", ".join(seen.estimators)} published no /diagnostics in {seen.seconds:g} s',
            'listen longer (--seconds 10); a node that stays silent hangs: restart it and report '
            'this'))
    if not seen.estimators and not statuses:
        section.findings.append(ok(f'no pose_estimator is running (start one: {_START})'))
    return section


def camera_pose_is_parameter(seen: Observation) -> bool:
    """Whether every running pose estimator has the camera's pose as a parameter."""
    values = [{item.key: item.value for item in status.values} for status in _statuses(seen)]
    return bool(values) and all(
        'parameter' in one.get('camera pose', '') for one in values)


def _statuses(seen: Observation) -> list[Any]:
    return [status for name, status in sorted(seen.statuses.items()) if name.endswith(_SUFFIX)]


def _level(status: Any) -> int:
    level = status.level
    return level[0] if isinstance(level, bytes) else int(level)
