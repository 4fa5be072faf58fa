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

"""A cell of two processes: one fault after another, and correct poses within 2 s of its end."""
from array import array
import time

from dr_perception.ros.conversions import stamp_from_ns, transform_stamped
import numpy as np
import pytest
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

#: The bar: correct poses this long after the fault has ended.
RECOVERY_S = 2.0
FRAME = 'camera_optical'
PERIOD_S = 0.05


@pytest.fixture
def cell(start_cell):
    """Return a running cell whose camera pose is a parameter."""
    return start_cell(is_pose_known=True)


def broken_image(**changes):
    """Return a fault that sends pictures with changed fields and good CameraInfo."""
    def go_on(cell):
        cell.infos.publish(cell.info())
        cell.images.publish(cell.image(**changes))
    return go_on


def broken_info(**changes):
    """Return a fault that sends good pictures with a changed CameraInfo."""
    def go_on(cell):
        cell.infos.publish(cell.info(**changes))
        cell.images.publish(cell.image())
    return go_on


def large_image(cell):
    """Send an 8K picture that no CameraInfo fits."""
    broken_image(width=7680, height=4320, step=7680, encoding='mono8',
                 data=array('B', bytes(7680 * 4320)))(cell)
    time.sleep(0.3)


def late_image(cell):
    """Send a picture with the stamp of a minute ago."""
    image = cell.image()
    image.header.stamp = stamp_from_ns(time.time_ns() - 60_000_000_000)
    cell.images.publish(image)


K_ZERO, K_NAN = np.zeros(9), np.full(9, np.nan)
FAULTS = {
    'wrong step': (broken_image(step=1919), 'image step is 1919 bytes'),
    'truncated': (broken_image(data=array('B', bytes(1000))), 'truncated: 1000 bytes'),
    'unknown encoding': (broken_image(encoding='yuv422_of_mars'), 'yuv422_of_mars'),
    'zero size': (broken_image(width=0, height=0, step=0, data=array('B')), 'image is 0x0 px'),
    '8K picture': (large_image, '7680x4320'),
    'late': (late_image, 'stale_image'),
    'CameraInfo of zeros': (broken_info(k=K_ZERO), 'K'),
    'CameraInfo of NaN': (broken_info(k=K_NAN), 'K'),
    'CameraInfo of another size': (broken_info(width=1280, height=1024), '1280x1024'),
    'CameraInfo of an unknown lens': (broken_info(distortion_model='kaleidoscope', d=[0.1]),
                                      'kaleidoscope'),
}


@pytest.mark.parametrize('name', FAULTS)
def test_bad_input_is_told_and_over_in_two_seconds(cell, name):
    go_on, text = FAULTS[name]
    before = len(cell.detections.messages)
    cell.wait_for_status(text, lambda: go_on(cell))
    for message in cell.detections.messages[before:]:
        cell.check(message)             # none of the broken frames became a wrong pose
    assert cell.seconds_to_correct_poses() < RECOVERY_S


def test_a_camera_that_dies_and_comes_back_with_another_resolution(cell):
    cell.unplug()
    cell.wait_for_status('no images on')
    cell.camera = cell.scene.camera.resized(320, 240)
    cell.plug_in()
    assert cell.seconds_to_correct_poses() < RECOVERY_S
    cell.unplug()
    cell.camera = cell.scene.camera
    cell.plug_in()
    assert cell.seconds_to_correct_poses() < RECOVERY_S


def test_time_that_jumps_back_and_forth(cell):
    for jump_s in (-3600, 3600, -3600):
        image = cell.image()
        image.header.stamp = stamp_from_ns(time.time_ns() + jump_s * 1_000_000_000)
        cell.infos.publish(cell.info())
        cell.images.publish(image)
        time.sleep(0.2)
        assert cell.seconds_to_correct_poses() < RECOVERY_S


def test_a_subscriber_that_never_reads(cell):
    import rclpy
    from rclpy.context import Context
    context = Context()
    rclpy.init(context=context)
    try:
        deaf = rclpy.create_node('deaf', namespace=cell.graph.namespace, context=context)
        deaf.create_subscription(
            Detection3DArray, 'pose_estimator/detections', lambda message: None,
            QoSProfile(depth=1, reliability=ReliabilityPolicy.RELIABLE))
        time.sleep(0.5)
        before = len(cell.detections.messages)
        for _ in range(60):
            cell.frame()
            time.sleep(PERIOD_S)
        assert len(cell.detections.messages) - before > 30
        assert cell.seconds_to_correct_poses() < RECOVERY_S
        deaf.destroy_node()
    finally:
        rclpy.try_shutdown(context=context)


def test_a_camera_with_incompatible_qos(ros_graph, cell):
    ros_graph.client.destroy_publisher(cell.images)
    cell.images = ros_graph.client.create_publisher(Image, 'image', QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    cell.wait_for_status('incompatible RELIABILITY', cell.frame)
    ros_graph.client.destroy_publisher(cell.images)
    cell.images = ros_graph.publisher(Image, 'image', qos=2)
    assert cell.seconds_to_correct_poses() < RECOVERY_S


def transform(parent, child, T, stamp_ns):
    """Return a TFMessage with one transform."""
    return TFMessage(transforms=[transform_stamped(
        Header(stamp=stamp_from_ns(stamp_ns), frame_id=parent), child, T)])


def test_tf_that_is_missing_stale_or_goes_round(ros_graph, scene, start_cell):
    """Without the camera's pose the poses come from the camera alone: right, and less sure."""
    cell = start_cell(is_pose_known=False)
    cell.wait_for_status('camera_pose', cell.frame)
    tf = ros_graph.publisher(TFMessage, '/tf', qos=10)
    good_frame = cell.frame

    def moving():
        tf.publish(transform('base_link', FRAME, scene.T_base_camera, time.time_ns()))
        return good_frame()

    cell.frame = moving
    assert cell.seconds_to_correct_poses() < RECOVERY_S
    cell.wait_for_message('frames/s', moving)
    # Stale: the tree stops while pictures go on.
    cell.frame = good_frame
    cell.wait_for_message('camera_pose', cell.frame)
    cell.frame = moving
    assert cell.seconds_to_correct_poses() < RECOVERY_S
    # A loop: the base hangs below the camera as well.
    cell.wait_for_status('loop', lambda: (
        tf.publish(transform(FRAME, 'base_link', np.eye(4), time.time_ns())),
        good_frame()))
