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

"""Section: TF from the base frame to each camera."""

from __future__ import annotations

from dr_perception.core.transform_buffer import TransformError
from dr_perception.core.transforms import quat_xyzw_from_rotation
from dr_perception.ros.conversions import clean_frame_id, NS_PER_S, stamp_to_ns
from dr_perception.ros.doctor.findings import error, Finding, ok, Section, Table, warn
from dr_perception.ros.doctor.node_status import camera_pose_is_parameter
from dr_perception.ros.doctor.observation import Camera, Observation
import numpy as np


def inspect(seen: Observation, base_frame: str, plane_z_m: float) -> Section:
    """Look up the camera's pose in the base frame as the node does, at the image's stamp.

    Args:
        seen: what was heard.
        base_frame: of the node.
        plane_z_m: height of the model's support plane in it.
    """
    section = Section('TF')
    section.facts['base frame'] = base_frame
    section.facts['frames heard of'] = ', '.join(seen.transforms.frames()) or 'none'
    if seen.transforms.last_problem:
        section.findings.append(warn(seen.transforms.last_problem,
                                     'stop all but one publisher of that frame'))
    by_parameter = camera_pose_is_parameter(seen)
    checked: set[str] = set()
    for camera in seen.cameras:
        frame, stamp_ns = _frame_of(camera, seen)
        if frame in checked or frame is None:
            continue
        checked.add(frame)
        if not frame:
            section.findings.append(error(
                f'{camera.image_topic} has an empty frame_id, so nobody knows where its camera '
                'is', "set the driver's frame_id to its optical frame"))
        else:
            section.findings += _judge(seen, clean_frame_id(base_frame), frame, stamp_ns, section,
                                       by_parameter, plane_z_m)
    if not checked:
        section.skip("no image or CameraInfo told the camera's frame, see the section Image "
                     'topics')
    return section


def _frame_of(camera: Camera, seen: Observation) -> tuple[str | None, int]:
    """Return the camera's frame and the newest stamp; None where nothing came."""
    for topic in (camera.image_topic, camera.info_topic):
        message = seen.traffic_of(topic).newest
        if message is not None:
            return clean_frame_id(message.header.frame_id), stamp_to_ns(message.header.stamp)
    return None, 0


def _judge(seen: Observation, base_frame: str, frame: str, stamp_ns: int, section: Section,
           by_parameter: bool, plane_z_m: float) -> list[Finding]:
    _add_path(seen, frame, section)
    try:
        T_base_camera = seen.transforms.lookup(base_frame, frame, 0)
        moving = [child for child in _path(seen, frame)
                  if child in seen.edges and not seen.edges[child].is_static]
        seen.transforms.lookup(base_frame, frame, stamp_ns)
    except TransformError as problem:
        if by_parameter:
            return [ok(f'no TF from {base_frame!r} to {frame!r}; the running node has the '
                       'parameter camera_pose')]
        return [warn(
            f'{problem}; the support plane takes no part and poses are less accurate',
            f'publish TF from {base_frame!r} to {frame!r}, or set camera_pose '
            '(ros2 run tf2_ros static_transform_publisher)')]
    section.facts[f'{frame} in {base_frame}'] = (
        'x y z ' + ' '.join(f'{v:.4f}' for v in T_base_camera[:3, 3]) + ' m, qx qy qz qw '
        + ' '.join(f'{v:.4f}' for v in quat_xyzw_from_rotation(T_base_camera[:3, :3])))
    findings = [ok(f'{base_frame!r} to {frame!r}: '
                   f'{"moving (" + ", ".join(moving) + ")" if moving else "static"}')]
    height_m, view_z = float(T_base_camera[2, 3]) - plane_z_m, float(T_base_camera[2, 2])
    if height_m * view_z >= 0 or not np.isfinite(height_m):
        findings.append(warn(
            f'the camera at height {height_m:.3f} m does not look at the plane z = {plane_z_m:g} '
            f'of {base_frame!r}',
            f'see that {frame!r} is an optical frame (x right, y down, z forward), not the '
            "camera's body, and that z of the base frame points up"))
    return findings


def _path(seen: Observation, frame: str) -> list[str]:
    """Return the frame and its ancestors, a loop once round."""
    path = [frame]
    while path[-1] in seen.edges and seen.edges[path[-1]].parent not in path:
        path.append(seen.edges[path[-1]].parent)
    return path


def _add_path(seen: Observation, frame: str, section: Section) -> None:
    rows = []
    for child in _path(seen, frame):
        edge = seen.edges.get(child)
        if edge is not None:
            age = ('static' if edge.is_static else
                   f'moving, newest {(seen.now_ns - edge.stamp_ns) / NS_PER_S:.2f} s old')
            rows.append((child, edge.parent, age))
    if rows:
        section.tables.append(Table(('frame', 'parent', 'transform'), tuple(rows)))
