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

"""The messages of `~/detections` are filled anew for each frame: nothing of another stays."""
from dr_perception.core.transforms import make_transform, rotation_from_rotvec
from dr_perception.ros.conversions import pose_to_matrix
from dr_perception.ros.frame_result import FrameResult, ObjectInstance
from dr_perception.ros.publishers.detections import DetectionsPublisher
import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from std_msgs.msg import Header
from vision_msgs.msg import Detection3DArray


class _Wire:
    """A node and its publisher: keeps what is published as bytes, as DDS does."""

    def __init__(self):
        self.sent = []

    def create_lifecycle_publisher(self, *_, **__):
        return self

    def publish(self, message):
        self.sent.append(serialize_message(message))


def _instance(rng, number):
    root = rng.normal(size=(6, 6))
    return ObjectInstance(
        f'thing{number}', f'thing{number}_0', rng.random(),
        np.eye(4), make_transform(rotation_from_rotvec(rng.normal(size=3)), rng.normal(size=3)),
        root @ root.T, make_transform(np.eye(3), rng.normal(size=3)), rng.random(3))


@pytest.mark.parametrize('counts', [(3, 1, 0, 2), (1, 4, 4)])
def test_frames_do_not_mix(counts):
    rng, wire = np.random.default_rng(0), _Wire()
    publisher = DetectionsPublisher(wire, ())
    results = [FrameResult(Header(frame_id=f'frame{i}'), Header(), None, None,
                           tuple(_instance(rng, 10 * i + k) for k in range(count)), {})
               for i, count in enumerate(counts)]
    for result in results:
        publisher.publish(result)
    for result, sent in zip(results, wire.sent, strict=True):
        message = deserialize_message(sent, Detection3DArray)
        assert message.header == result.header
        assert len(message.detections) == len(result.instances)
        for found, instance in zip(message.detections, result.instances):
            assert found.header == result.header and found.id == instance.instance_name
            assert len(found.results) == 1
            hypothesis, pose = found.results[0].hypothesis, found.results[0].pose
            assert hypothesis.class_id == instance.object_name
            assert hypothesis.score == instance.score
            assert np.allclose(pose_to_matrix(pose.pose), instance.T_output_object)
            assert np.array_equal(np.reshape(pose.covariance, (6, 6)), instance.covariance)
            assert np.allclose(pose_to_matrix(found.bbox.center),
                               instance.T_output_object @ instance.T_object_box)
            size = found.bbox.size
            assert np.array_equal([size.x, size.y, size.z], instance.box_size_m)
