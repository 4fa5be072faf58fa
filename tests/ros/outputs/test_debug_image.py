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

"""`~/debug_image`, raw and compressed: drawn for those who look, in the image's own frame."""
import cv2
from dr_perception.ros.image_conversion import rgb_from_compressed, rgb_from_image
from dr_perception.ros.publishers import debug_image
import numpy as np
import pytest
from sensor_msgs.msg import CompressedImage, Image
from vision_msgs.msg import Detection3DArray


@pytest.fixture
def counted(monkeypatch):
    """Return the list of calls of the functions that cost something."""
    calls = []
    for name in ('draw_object', 'image_from_rgb', 'jpeg_from_rgb', 'feature_edges'):
        def call(*args, original=getattr(debug_image, name), name=name):
            calls.append(name)
            return original(*args)
        monkeypatch.setattr(debug_image, name, call)
    return calls


def test_raw_and_compressed_show_the_same(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask):
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    raw = ros_graph.listen(Image, 'pose_estimator/debug_image')
    compressed = ros_graph.listen(CompressedImage, 'pose_estimator/debug_image/compressed')
    image, picture, jpeg = ask(make_camera_client(), raw, compressed)
    drawn = rgb_from_image(picture)
    assert drawn.shape == (480, 640, 3) and picture.encoding == 'rgb8'
    assert (drawn != 128).any() and (drawn == 128).mean() > 0.8
    # image_transport: what it was; how it is packed; what unpacking gives.
    assert jpeg.format == 'rgb8; jpeg compressed bgr8'
    assert bytes(jpeg.data[:2]) == b'\xff\xd8' and len(jpeg.data) < 0.1 * len(picture.data)
    unpacked = rgb_from_compressed(jpeg)
    assert cv2.PSNR(drawn, unpacked) > 25
    # The right channel order: the swapped one is farther off.
    swapped = np.ascontiguousarray(unpacked[..., ::-1])
    assert cv2.PSNR(drawn, unpacked) > cv2.PSNR(drawn, swapped) + 1


def test_nothing_is_drawn_while_nobody_looks(
        ros_graph, make_camera_client, tiny_model, camera_pose, ask, counted):
    ros_graph.start_estimator(model=str(tiny_model), camera_pose=camera_pose)
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    camera = make_camera_client()
    ask(camera, detections)
    ask(camera, detections)
    assert counted == []
    compressed = ros_graph.listen(CompressedImage, 'pose_estimator/debug_image/compressed')
    ask(camera, compressed)
    assert {'draw_object', 'jpeg_from_rgb', 'feature_edges'} == set(counted)
    raw = ros_graph.listen(Image, 'pose_estimator/debug_image')
    counted.clear()
    ask(camera, raw, compressed)
    # Both of one drawing: two objects a picture.
    assert counted.count('draw_object') <= 2 * counted.count('jpeg_from_rgb')
    assert 'image_from_rgb' in counted and 'feature_edges' not in counted
