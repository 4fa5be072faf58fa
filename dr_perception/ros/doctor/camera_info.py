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

"""Section: whether picture and CameraInfo can be used, alone and together."""

from __future__ import annotations

from typing import Any

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError, ImageError
from dr_perception.ros.camera_conversion import camera_from_info
from dr_perception.ros.conversions import clean_frame_id
from dr_perception.ros.doctor.findings import error, Finding, ok, Section, warn
from dr_perception.ros.doctor.observation import Camera, INFO_TYPE, Observation, Traffic
from dr_perception.ros.image_conversion import rgb_from_compressed, rgb_from_image
import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image

#: The default of the node's ``max_image_age_s``; an image may be stamped this much ahead, too.
_LARGEST_AGE_S = 1.0
_LARGEST_LEAD_S = 0.1
_CALIBRATE = ('calibrate the camera (ros2 run camera_calibration cameracalibrator) and let its '
              'driver publish the result')


def inspect(seen: Observation) -> Section:
    """Read the newest picture and CameraInfo of each camera."""
    section = Section('CameraInfo')
    for camera in seen.cameras:
        if any(topic in seen.topics and seen.topics[topic].publishers
               for topic in (camera.image_topic, camera.info_topic)):
            section.findings += _judge(camera, seen, section)
        else:  # the section of the topics tells
            section.facts[camera.image_topic] = 'nobody publishes it, nor its CameraInfo'
    if not seen.cameras:
        section.skip('there is no camera, see the section Image topics')
    return section


def _judge(camera: Camera, seen: Observation, section: Section) -> list[Finding]:
    image, info = _newest(camera.image_topic, seen), _newest(camera.info_topic, seen)
    findings, size = [], None
    if isinstance(image, (Image, CompressedImage)):
        try:
            rgb = rgb_from_image(image) if isinstance(image, Image) else (
                rgb_from_compressed(image))
            size = rgb.shape[1], rgb.shape[0]
            section.facts[camera.image_topic] = (
                f'{size[0]}x{size[1]} px, '
                f'{image.encoding if isinstance(image, Image) else image.format}, '
                f'frame {image.header.frame_id!r}')
        except ImageError as problem:
            findings.append(error(f'{camera.image_topic}: {problem}',
                                  'correct the driver, or let it send rgb8'))
        findings += _judge_age(camera.image_topic, seen.traffic_of(camera.image_topic), seen)
    if not isinstance(info, CameraInfo):
        return [*findings, _missing(camera, seen)]
    section.facts[camera.info_topic] = (
        f'{info.width}x{info.height} px, frame {info.header.frame_id!r}, '
        f'{info.distortion_model or "no distortion model"}')
    section.facts[f'{camera.info_topic} K'] = ' '.join(f'{value:g}' for value in info.k)
    section.facts[f'{camera.info_topic} D'] = ' '.join(f'{value:g}' for value in info.d) or 'none'
    section.facts[f'{camera.info_topic} P'] = ' '.join(f'{value:g}' for value in info.p)
    # image_proc's names of rectified topics: image_rect, image_rect_color.
    is_rectified = 'rect' in camera.image_topic.rsplit('/', 1)[-1]
    findings.append(_judge_info(camera, info, size, is_rectified))
    if image is not None and clean_frame_id(image.header.frame_id) != clean_frame_id(
            info.header.frame_id):
        findings.append(warn(
            f'{camera.image_topic} is in frame {image.header.frame_id!r}, {camera.info_topic} in '
            f'{info.header.frame_id!r}: perhaps of two cameras',
            'name the CameraInfo of this camera with camera_info:= (here --camera-info)'))
    return findings


def _newest(topic: str, seen: Observation) -> Any:
    return seen.traffic_of(topic).newest


def _judge_info(camera: Camera, info: CameraInfo, size: tuple[int, int] | None,
                is_rectified: bool) -> Finding:
    name = camera.info_topic
    matrix = np.array(info.p if is_rectified else info.k)
    try:
        if size is None:
            model = PinholeCamera.from_matrix(
                np.reshape(info.k, (3, 3)), int(info.width), int(info.height), np.array(info.d),
                info.distortion_model or None)
        else:
            model = camera_from_info(info, *size, is_rectified=is_rectified)
    except CameraError as problem:
        broken = not matrix.any() or not np.isfinite(matrix).all()
        return error(f'{name}: {problem}', _CALIBRATE if broken else (
            f'{_CALIBRATE}; or name the CameraInfo of these images with camera_info:= (here '
            '--camera-info)'))
    field_deg = np.degrees(2 * np.arctan(model.width_px / (2 * model.fx_px)))
    return ok(f'{name} fits the images: fx {model.fx_px:.1f}, fy {model.fy_px:.1f}, cx '
              f'{model.cx_px:.1f}, cy {model.cy_px:.1f} px, {field_deg:.0f} degrees wide'
              if size else f'{name} can be used; no image came to compare it with')


def _missing(camera: Camera, seen: Observation) -> Finding:
    topic = seen.topics.get(camera.info_topic)
    others = [t.name for t in seen.topics.values() if t.type_name == INFO_TYPE and t.publishers]
    if topic is not None and topic.type_name != INFO_TYPE:
        return error(f'{topic.name} is a {topic.type_name}, no CameraInfo',
                     'name a topic of sensor_msgs/CameraInfo')
    if topic is not None and topic.publishers:
        return error(f'{camera.info_topic} is published by {topic.publishers[0].node}, but none '
                     f'came in {seen.seconds:g} s', 'see that the driver streams; a latched '
                     'CameraInfo must be sent again and again')
    return error(f'nobody publishes {camera.info_topic}', (
        f'name one of {", ".join(others)} with camera_info:= (here --camera-info)' if others
        else 'let the driver publish the CameraInfo of the images'))


def _judge_age(name: str, traffic: Traffic, seen: Observation) -> list[Finding]:
    if not traffic.ages_s:
        return [warn(f'{name}: the stamps are zero: nobody can tell how old the images are',
                     'let the driver stamp the images when they are taken')]
    age_s = float(np.median(traffic.ages_s))
    clock = '/clock' if seen.uses_sim_time else 'this clock'
    if age_s > _LARGEST_AGE_S:
        return [error(f'{name}: the images are {age_s:.2f} s old when they come, by {clock}',
                      'synchronise the clocks of camera and node (chrony); for recordings ros2 '
                      'bag play --clock with use_sim_time:=true, or max_image_age_s 0.0')]
    if age_s < -_LARGEST_LEAD_S:
        return [error(f'{name}: the images are stamped {-age_s:.2f} s ahead of {clock}',
                      'synchronise the clocks of camera and node (chrony)')]
    return [ok(f'{name}: the images are {age_s * 1e3:.0f} ms old when they come')]
