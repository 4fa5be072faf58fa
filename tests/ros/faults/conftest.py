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

"""A cell: the node in a process of its own, the camera in this one."""
import os
import subprocess
import sys
import time

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from diagnostic_msgs.msg import DiagnosticArray  # noqa: E402, I100
from dr_perception.core.transforms import quat_xyzw_from_rotation  # noqa: E402
from dr_perception.ros.camera_conversion import info_from_camera  # noqa: E402
from dr_perception.ros.conversions import stamp_from_ns, stamp_to_ns  # noqa: E402
from dr_perception.ros.image_conversion import image_from_rgb  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from vision_msgs.msg import Detection3DArray  # noqa: E402

MODULE = 'dr_perception.ros.pose_estimator_node'
#: Seconds between the frames of a cell.
PERIOD_S = 0.05
CAMERA_FRAME = 'camera_optical'


class Cell:
    """The node in a process of its own, and the camera of this process."""

    def __init__(self, graph, scene, model, **parameters):
        """Start the node and wait until it is active."""
        self.graph, self.scene = graph, scene
        # Reliable, so that a busy machine loses no pictures that a test counts.
        values = {'model': model, 'providers': '[CPUExecutionProvider]', 'threads': 1,
                  'image_reliability': 'reliable',
                  **parameters}
        arguments = [item for name, value in values.items() for item in ('-p', f'{name}:={value}')]
        self._process = subprocess.Popen(
            [sys.executable, '-m', MODULE, '--ros-args', '-r', f'__ns:={graph.namespace}',
             *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            start_new_session=True, env={**os.environ})
        self.detections = graph.listen(Detection3DArray, 'pose_estimator/detections')
        self.statuses = graph.listen(DiagnosticArray, '/diagnostics')
        for line in self._process.stdout:
            if ' active: ' in line:
                break
        self.camera = scene.camera
        self.plug_in()

    def plug_in(self):
        """Start the camera's publishers."""
        self.images = self.graph.publisher(Image, 'image', qos=2)
        self.infos = self.graph.publisher(CameraInfo, 'camera_info', qos=2)

    def unplug(self):
        """End the camera's publishers, as a killed driver does."""
        self.graph.client.destroy_publisher(self.images)
        self.graph.client.destroy_publisher(self.infos)

    @staticmethod
    def header():
        """Return a header with the time that it is."""
        return Header(stamp=stamp_from_ns(time.time_ns()), frame_id=CAMERA_FRAME)

    def info(self, **changes):
        """Return the camera's CameraInfo, with changed fields."""
        info = info_from_camera(self.header(), self.camera)
        for name, value in changes.items():
            setattr(info, name, value)
        return info

    def image(self, **changes):
        """Return a picture taken now, with changed fields."""
        grey = np.full((self.camera.height_px, self.camera.width_px, 3), 128, np.uint8)
        image = image_from_rgb(self.header(), grey)
        for name, value in changes.items():
            setattr(image, name, value)
        return image

    def frame(self):
        """Send one good picture with its CameraInfo; returns the stamp."""
        image = self.image()
        self.infos.publish(self.info())
        self.images.publish(image)
        return stamp_to_ns(image.header.stamp)

    def seconds_to_correct_poses(self):
        """Send good frames until the poses of one of them are right; how long that took."""
        start_s = time.monotonic()
        sent, seen = set(), len(self.detections.messages)
        while time.monotonic() < start_s + 20.0:
            sent.add(self.frame())
            time.sleep(PERIOD_S)
            for message in self.detections.messages[seen:]:
                if stamp_to_ns(message.header.stamp) in sent:
                    self.check(message)
                    return time.monotonic() - start_s
        raise AssertionError(f'no poses for 20 s; last status: {self.status()}')

    def check(self, message):
        """Check a result against the scene: to 2 mm."""
        found = {d.results[0].hypothesis.class_id: d.results[0].pose.pose.position
                 for d in message.detections}
        assert set(found) == set(self.scene.T_base_objects)
        for name, position in found.items():
            expected = self.scene.T_camera_object(name)[:3, 3]
            assert [position.x, position.y, position.z] == pytest.approx(expected, abs=2e-3)

    def status(self):
        """Return the newest diagnostics: message and values."""
        mine = [s for m in list(self.statuses.messages) for s in m.status
                if 'localization' in s.name]
        return (mine[-1].message, {v.key: v.value for v in mine[-1].values}) if mine else ('', {})

    def wait_for_status(self, text, keep_going=lambda: None, timeout_s=20.0):
        """Wait until the diagnostics tell of the fault, while it goes on."""
        deadline_s = time.monotonic() + timeout_s
        while True:
            message, values = self.status()
            if text in message or any(text in value for value in values.values()):
                return
            assert time.monotonic() < deadline_s, f'{text!r} not in {message!r}, {values}'
            keep_going()
            time.sleep(PERIOD_S)

    def wait_for_message(self, text, keep_going, timeout_s=20.0):
        """Wait until the newest message of the diagnostics has a text."""
        deadline_s = time.monotonic() + timeout_s
        while text not in self.status()[0]:
            assert time.monotonic() < deadline_s, f'{text!r} not in {self.status()!r}'
            keep_going()
            time.sleep(PERIOD_S)

    @property
    def rss_bytes(self):
        """Return the memory that the node's process holds."""
        with open(f'/proc/{self._process.pid}/statm', encoding='ascii') as stream:
            return int(stream.read().split()[1]) * os.sysconf('SC_PAGE_SIZE')

    def close(self):
        """End the node; it must still be alive, and have raised nothing."""
        was_alive = self._process.poll() is None
        self._process.terminate()
        output, _ = self._process.communicate(timeout=20)
        assert was_alive, output
        assert self._process.returncode == 0, output
        assert 'Traceback' not in output, output


@pytest.fixture
def start_cell(ros_graph, scene, tiny_model):
    """Return a function that starts a cell; its end is checked after the test."""
    cells = []

    def start(is_pose_known, **parameters):
        if is_pose_known:
            T = scene.T_base_camera
            parameters['camera_pose'] = [*map(float, T[:3, 3]),
                                         *map(float, quat_xyzw_from_rotation(T[:3, :3]))]
        cells.append(Cell(ros_graph, scene, tiny_model, **parameters))
        cells[-1].seconds_to_correct_poses()
        return cells[-1]
    yield start
    for cell in cells:
        cell.close()
