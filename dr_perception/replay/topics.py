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

"""Which topics are read: named by the user, or guessed where only one choice is left."""

from __future__ import annotations

from dataclasses import dataclass
import posixpath

from dr_perception.replay.bag import Topic
from dr_perception.replay.errors import TopicError

IMAGE = 'sensor_msgs/msg/Image'
COMPRESSED = 'sensor_msgs/msg/CompressedImage'
CAMERA_INFO = 'sensor_msgs/msg/CameraInfo'
TRANSFORMS = 'tf2_msgs/msg/TFMessage'


@dataclass(frozen=True)
class Selection:
    """The topics of one camera."""

    image: Topic
    camera_info: Topic

    @property
    def is_compressed(self) -> bool:
        """Whether the images are CompressedImage."""
        return self.image.kind == COMPRESSED


def choose_topics(topics: list[Topic], image_name: str | None,
                  camera_info_name: str | None) -> Selection:
    """Return the image topic and its CameraInfo.

    Args:
        topics: what the recording holds.
        image_name, camera_info_name: the user's choice, or None. An image topic is guessed when
            only one has a CameraInfo beside it (``a/image_raw`` and ``a/image_raw/compressed``
            have ``a/camera_info``).

    Raises:
        TopicError: no such topic, of another type, or none or several to choose from; lists what
            there is.
    """
    infos = {topic.name: topic for topic in topics if topic.kind == CAMERA_INFO}
    images = [topic for topic in topics if topic.kind in (IMAGE, COMPRESSED)]
    if image_name is not None:
        image = _named(topics, image_name, images, 'image', '--image-topic')
    else:
        image = _guessed(images, infos, camera_info_name)
    if camera_info_name is not None:
        info = _named(topics, camera_info_name, list(infos.values()), 'CameraInfo',
                      '--camera-info-topic')
    elif name_beside(image) in infos:
        info = infos[name_beside(image)]
    else:
        raise TopicError(f'no CameraInfo on {name_beside(image)}, beside {image.name} (CameraInfo '
                         f'topics: {_listed(infos.values())}): name it by --camera-info-topic, '
                         'or record it')
    return Selection(image, info)


def name_beside(image: Topic) -> str:
    """Where the CameraInfo of an image topic is, as image_transport has it."""
    base = posixpath.dirname(image.name) if image.kind == COMPRESSED else image.name
    return posixpath.join(posixpath.dirname(base), 'camera_info')


def _guessed(images: list[Topic], infos: dict[str, Topic],
             camera_info_name: str | None) -> Topic:
    if not images:
        raise TopicError('the recording holds no sensor_msgs/Image or CompressedImage: record '
                         "the camera's image and camera_info topics")
    candidates = images
    if camera_info_name is None:
        candidates = [topic for topic in images if name_beside(topic) in infos]
    if len(candidates) == 1:
        return candidates[0]
    found = 'no image topic has' if not candidates else 'several image topics have'
    raise TopicError(f'{found} a CameraInfo beside it: choose by --image-topic and '
                     f'--camera-info-topic (image topics: {_listed(images)}; CameraInfo topics: '
                     f'{_listed(infos.values())})')


def _named(topics: list[Topic], name: str, fitting: list[Topic], what: str,
           option: str) -> Topic:
    for topic in fitting:
        if topic.name in (name, f'/{name}'):
            return topic
    kinds = [topic.kind for topic in topics if topic.name in (name, f'/{name}')]
    problem = f'{name} is {kinds[0]}' if kinds else f'{name} is not in the recording'
    raise TopicError(f'{problem}; {option} takes one of its {what} topics: {_listed(fitting)}')


def _listed(topics: object) -> str:
    names = [f'{topic.name} ({topic.count})' for topic in topics]
    return ', '.join(names) or 'none'
