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

"""Section: image and CameraInfo topics, their QoS, and how fast they come."""

from __future__ import annotations

from dr_perception.ros.doctor.findings import error, Finding, ok, Section, Table, warn
from dr_perception.ros.doctor.observation import Camera, IMAGE_TYPES, Observation, Topic
from dr_perception.ros.qos_compatibility import incompatibility
from rclpy.qos import qos_profile_sensor_data, QoSProfile, ReliabilityPolicy

#: As in the node's diagnostics: a larger share of images lost by DDS is a warning.
_LARGEST_LOSS = 0.05
_READERS = {'best_effort': qos_profile_sensor_data,
            'reliable': QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE)}
_LAUNCH = 'ros2 launch dr_perception bringup.launch.py'


def inspect(seen: Observation) -> Section:
    """List the topics; judge those of the cameras that were listened to."""
    section = Section('Image topics')
    section.facts['listened'] = f'{seen.seconds:g} s' + (
        ', by the simulated time of /clock' if seen.uses_sim_time else '')
    section.facts['pose estimators'] = ', '.join(seen.estimators) or 'none is running'
    rows = [row for topic in sorted(seen.topics.values(), key=lambda t: t.name)
            for row in _rows(topic, seen)]
    if rows:
        section.tables.append(Table(
            ('topic', 'type', 'publisher', 'reliability', 'durability', 'depth',
             'read by image_reliability best_effort / reliable', 'rate 1/s', 'lost'),
            tuple(rows)))
    for camera in seen.cameras:
        section.findings += _judge(camera, seen)
    if not seen.cameras:
        section.findings.append(warn(
            'nobody publishes images here',
            'start the camera driver, in the same ROS_DOMAIN_ID; or look at the simulated one '
            '(python -m sim_trainer demo)'))
    section.data = {'cameras': [
        {'image': camera.image_topic, 'camera_info': camera.info_topic,
         'image_rate_hz': seen.traffic_of(camera.image_topic).rate_hz,
         'camera_info_rate_hz': seen.traffic_of(camera.info_topic).rate_hz}
        for camera in seen.cameras]}
    return section


def _rows(topic: Topic, seen: Observation) -> list[tuple[str, ...]]:
    traffic = seen.traffic.get(topic.name)
    rate = f'{traffic.rate_hz:.1f}' if traffic else 'not listened to'
    lost = str(traffic.lost) if traffic else ''
    rows = []
    for publisher in topic.publishers:
        readable = ' / '.join('yes' if not incompatibility(publisher.qos, qos) else 'no'
                              for qos in _READERS.values())
        rows.append((topic.name, topic.type_name, publisher.node,
                     publisher.qos.reliability.name, publisher.qos.durability.name,
                     str(publisher.qos.depth or 'not told'), readable, rate, lost))
    return rows or [(topic.name, topic.type_name, 'none', '', '', '', '', rate, lost)]


def _judge(camera: Camera, seen: Observation) -> list[Finding]:
    name = camera.image_topic
    topic, traffic = seen.topics.get(name), seen.traffic_of(name)
    if topic is None or not topic.publishers:
        if topic is not None and topic.type_name not in IMAGE_TYPES:
            return [_not_images(topic)]
        others = [t.name for t in seen.topics.values() if t.publishers
                  and t.type_name in IMAGE_TYPES]
        return [error(f'nobody publishes {name}', (
            f'name one of {", ".join(others)}: {_LAUNCH} image:={others[0]}' if others else
            'start the camera driver, in the same ROS_DOMAIN_ID as this shell'))]
    if topic.type_name not in IMAGE_TYPES:
        return [_not_images(topic)]
    findings = []
    for one in (topic, seen.topics.get(camera.info_topic)):
        reader = seen.estimator_subscription(one.name) if one else None
        for publisher in one.publishers if reader else ():
            reason = incompatibility(publisher.qos, reader.qos)
            if reason:
                findings.append(error(
                    f'{reader.node} does not hear {publisher.node} on {one.name}: incompatible '
                    f'QoS, {reason}',
                    'image_reliability:=best_effort for the node (its qos_overrides parameters '
                    'come before it), or let the camera publish reliably'))
    if not traffic.arrivals_s:
        findings.append(error(
            f'no image came on {name} in {seen.seconds:g} s, though {topic.publishers[0].node} '
            'publishes there',
            'see that the driver streams; between machines or containers: multicast, '
            'the firewall and /dev/shm must be shared'))
        return findings
    arrived = len(traffic.arrivals_s)
    if traffic.lost > _LARGEST_LOSS * (arrived + traffic.lost):
        findings.append(warn(
            f'{traffic.lost} images of {name} were lost in transport, {arrived} arrived',
            'image_reliability:=reliable, or FASTRTPS_DEFAULT_PROFILES_FILE='
            '.../config/fastdds_large_images.xml for camera driver and node'))
    if len(topic.publishers) > 1:
        findings.append(warn(
            f'{len(topic.publishers)} nodes publish {name}: '
            f'{", ".join(p.node for p in topic.publishers)}', 'stop all but one'))
    if not findings:
        findings.append(ok(f'{name}: {traffic.rate_hz:.1f} images/s'))
    return findings


def _not_images(topic: Topic) -> Finding:
    return error(f'{topic.name} is a {topic.type_name}, no image',
                 'name a topic of sensor_msgs/Image or sensor_msgs/CompressedImage')
