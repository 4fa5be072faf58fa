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

"""Which topics are read, and what is said where the user has to choose."""
from dr_perception.replay.bag import Topic
from dr_perception.replay.errors import TopicError
from dr_perception.replay.topics import (CAMERA_INFO, choose_topics, COMPRESSED, IMAGE,
                                         name_beside, TRANSFORMS)
import pytest


def image(name, kind=IMAGE):
    """Return an image topic with 9 messages."""
    return Topic(name, kind, 9)


def info(name):
    """Return a CameraInfo topic with 8 messages."""
    return Topic(name, CAMERA_INFO, 8)


TF = Topic('/tf', TRANSFORMS, 100)
LEFT = [image('/left/image_raw'), info('/left/camera_info')]
RIGHT = [image('/right/image_raw'), info('/right/camera_info')]


@pytest.mark.parametrize('topic, expected', [
    (image('/camera/color/image_raw'), '/camera/color/camera_info'),
    (image('/image'), '/camera_info'),
    (image('/camera/image_raw/compressed', COMPRESSED), '/camera/camera_info'),
    (image('/image/compressed', COMPRESSED), '/camera_info')])
def test_camera_info_is_beside_the_image(topic, expected):
    assert name_beside(topic) == expected
    chosen = choose_topics([TF, topic, info(expected), image('/node/debug_image')], None, None)
    assert chosen.image == topic and chosen.camera_info.name == expected
    assert chosen.is_compressed == (topic.kind == COMPRESSED)


def test_names_decide_among_several():
    chosen = choose_topics(LEFT + RIGHT, '/right/image_raw', None)
    assert (chosen.image, chosen.camera_info) == tuple(RIGHT)
    chosen = choose_topics(LEFT + RIGHT, 'left/image_raw', 'right/camera_info')
    assert (chosen.image, chosen.camera_info) == (LEFT[0], RIGHT[1])


def test_a_named_camera_info_serves_the_only_image():
    topics = [image('/a/image'), info('/b/info')]
    assert choose_topics(topics, None, '/b/info').image == topics[0]


@pytest.mark.parametrize('topics, names, text', [
    ([TF], (None, None), 'holds no sensor_msgs/Image or CompressedImage: record the camera'),
    (LEFT + RIGHT, (None, None),
     r'several image topics have a CameraInfo beside it: choose by --image-topic and '
     r'--camera-info-topic \(image topics: /left/image_raw \(9\), /right/image_raw \(9\); '
     r'CameraInfo topics: /left/camera_info \(8\), /right/camera_info \(8\)\)'),
    ([image('/a/image')], (None, None),
     r'no image topic has a CameraInfo beside it.*image topics: /a/image \(9\); CameraInfo '
     r'topics: none'),
    ([image('/a/image')], ('/a/image', None),
     r'no CameraInfo on /a/camera_info, beside /a/image \(CameraInfo topics: none\): name it by '
     r'--camera-info-topic, or record it'),
    ([*LEFT, TF], ('/nowhere', None),
     r'/nowhere is not in the recording; --image-topic takes one of its image topics: '
     r'/left/image_raw \(9\)'),
    ([*LEFT, TF], ('/tf', None), r'/tf is tf2_msgs/msg/TFMessage; --image-topic takes one of'),
    ([*LEFT, TF], (None, '/tf'),
     r'/tf is tf2_msgs/msg/TFMessage; --camera-info-topic takes one of its CameraInfo topics: '
     r'/left/camera_info \(8\)')])
def test_what_cannot_be_decided_lists_what_there_is(topics, names, text):
    with pytest.raises(TopicError, match=text):
        choose_topics(topics, *names)
