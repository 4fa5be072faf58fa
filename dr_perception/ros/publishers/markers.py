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

"""`~/markers`: every instance as RViz draws it: mesh, label and ellipsoid of its position."""

from __future__ import annotations

from typing import Any
import zlib

from dr_perception.core.drawing import object_color
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import make_transform
from dr_perception.ros.conversions import clean_frame_id, pose_from_matrix
from dr_perception.ros.frame_result import FrameResult, ObjectInstance
from dr_perception.ros.publishers.marker_geometry import ellipsoid_90, limit_triangles
from dr_perception.ros.publishers.qos import RESULTS_QOS
from dr_perception.ros.publishers.registry import output
from dr_perception.ros.publishers.transition_publisher import create_transition_publisher
from geometry_msgs.msg import Point, Vector3
import numpy as np
from rclpy.duration import Duration
from std_msgs.msg import ColorRGBA, Header
from visualization_msgs.msg import Marker, MarkerArray

#: Namespaces of the markers; each is a tick box in RViz.
MESH, ELLIPSOID, LABEL = 'mesh', 'ellipsoid', 'label'
#: A marker carries all its triangles in every message. This many take about 1 ms to send, for
#: each instance (2 cores, Fast DDS).
MOST_TRIANGLES = 300
#: RViz removes by itself what was not sent anew for so long: a killed node deletes nothing.
LIFETIME_S = 5
_MESH_ALPHA = 0.6  # the ellipsoid is inside
_LABEL_HEIGHT_M = 0.02
_LONGEST_FAREWELL_S = 0.2


@output('markers', '~/markers (visualization_msgs/MarkerArray): mesh, 90 % ellipsoid of the '
        'position and label of every instance; made only while subscribed', order=80)
class MarkersPublisher:
    """Publishes one array a frame; what is gone is deleted by name, all of it at the end."""

    def __init__(self, node: Any, objects: tuple[ObjectModel, ...]) -> None:
        self._node = node
        self.update_objects(objects)
        self._shown: set[str] | None = None
        self._publisher = create_transition_publisher(
            node, MarkerArray, '~/markers', RESULTS_QOS)
        self._publisher.on_deactivating = self._delete_all

    def update_objects(self, objects: tuple[ObjectModel, ...]) -> None:
        """Show these."""
        self._objects = {model.name: model for model in objects}
        self._corners: dict[str, list[Point]] = {}

    def publish(self, result: FrameResult) -> None:
        """Publish one frame's markers."""
        if not self._publisher.get_subscription_count():
            self._shown = None
            return
        found = {instance.instance_name: instance for instance in result.instances}
        markers = []
        if self._shown is None:  # nobody knows what an earlier life of this node left there
            markers.append(Marker(header=result.header, action=Marker.DELETEALL))
        for name in sorted((self._shown or set()) - found.keys()):
            markers += [Marker(header=result.header, ns=kind, id=marker_id(name),
                               action=Marker.DELETE) for kind in (MESH, ELLIPSOID, LABEL)]
        for instance in found.values():
            markers += self._markers(result, instance)
        self._shown = set(found)
        self._publisher.publish(MarkerArray(markers=markers))

    def close(self) -> None:
        """Take everything out of the viewers, and destroy the publisher."""
        # After a signal the context is gone already; LIFETIME_S does it then.
        if self._publisher.is_activated and self._shown and self._node.context.ok():
            self._delete_all()
            self._publisher.wait_for_all_acked(Duration(seconds=_LONGEST_FAREWELL_S))
        self._node.destroy_lifecycle_publisher(self._publisher)

    def _delete_all(self) -> None:
        if self._shown is not None:
            self._publisher.publish(MarkerArray(markers=[Marker(action=Marker.DELETEALL)]))
        self._shown = None

    def _markers(self, result: FrameResult, instance: ObjectInstance) -> list[Marker]:
        T_output_object = instance.T_output_object
        number = marker_id(instance.instance_name)
        # The name without its number, as draw_object has it: one colour in picture and view.
        color = object_color(instance.instance_name.rstrip('0123456789'))
        mesh = _marker(result.header, MESH, number, Marker.TRIANGLE_LIST, T_output_object,
                       (1.0, 1.0, 1.0), color, _MESH_ALPHA)
        mesh.points = self._triangle_corners(instance.object_name)
        axes, diameters_m = ellipsoid_90(instance.covariance)
        ellipsoid = _marker(result.header, ELLIPSOID, number, Marker.SPHERE,
                            make_transform(axes, T_output_object[:3, 3]), diameters_m,
                            (255, 255, 255), 1.0)
        diameter_m = float(np.linalg.norm(instance.box_size_m))
        T_output_label = make_transform(
            np.eye(3), T_output_object[:3, 3] + _up(result) * (diameter_m / 2 + _LABEL_HEIGHT_M))
        label = _marker(result.header, LABEL, number, Marker.TEXT_VIEW_FACING, T_output_label,
                        (0.0, 0.0, _LABEL_HEIGHT_M), color, 1.0)
        label.text = f'{instance.instance_name} {instance.score:.2f}'
        return [mesh, ellipsoid, label]

    def _triangle_corners(self, object_name: str) -> list[Point]:
        """Return the corners of an object's triangles, made when first needed and kept."""
        if object_name not in self._corners:
            model = self._objects[object_name]
            vertices_m, faces = limit_triangles(model.vertices_m, model.faces, MOST_TRIANGLES)
            self._corners[object_name] = [
                Point(x=x, y=y, z=z) for x, y, z in vertices_m[faces].reshape(-1, 3).tolist()]
        return self._corners[object_name]


def marker_id(instance_name: str) -> int:
    """Return a marker's number for an instance's name: always the same, also after a restart."""
    return zlib.crc32(instance_name.encode()) & 0x7fffffff


def _up(result: FrameResult) -> np.ndarray:
    """Upwards (3,) in the frame of the outputs: -y in an optical frame, else +z (REP 103)."""
    is_camera = (clean_frame_id(result.header.frame_id)
                 == clean_frame_id(result.image_header.frame_id))
    return np.array([0.0, -1.0, 0.0] if is_camera else [0.0, 0.0, 1.0])


def _marker(header: Header, namespace: str, number: int, kind: int, T_output_marker: np.ndarray,
            scale: Any, color_rgb: tuple[int, int, int], alpha: float) -> Marker:
    x, y, z = (float(value) for value in scale)
    red, green, blue = (float(value) / 255.0 for value in color_rgb)
    marker = Marker(header=header, ns=namespace, id=number, type=kind, action=Marker.ADD,
                    pose=pose_from_matrix(T_output_marker), scale=Vector3(x=x, y=y, z=z),
                    color=ColorRGBA(r=red, g=green, b=blue, a=alpha))
    marker.lifetime.sec = LIFETIME_S
    return marker
