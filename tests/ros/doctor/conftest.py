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

"""A camera that publishes on and on beside the doctor, and the doctor in the same graph."""
import json
import threading
import time

import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.ros.camera_conversion import info_from_camera  # noqa: E402, I100
from dr_perception.ros.conversions import stamp_from_ns, transform_stamped  # noqa: E402
from dr_perception.ros.doctor.command import main  # noqa: E402
from dr_perception.ros.image_conversion import image_from_rgb  # noqa: E402
from geometry_msgs.msg import TransformStamped  # noqa: E402
import numpy as np  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile  # noqa: E402
from sensor_msgs.msg import CameraInfo, Image  # noqa: E402
from std_msgs.msg import Header  # noqa: E402
from tf2_msgs.msg import TFMessage  # noqa: E402

CAMERA_FRAME = 'camera_optical'
PERIOD_S = 0.1


class StreamingCamera:
    """Publishes pictures with CameraInfo and TF, ten a second, on a thread of its own.

    Attributes:
        age_s: how old the stamps are.
        info_changes: fields of the CameraInfo that are not the camera's.
    """

    def __init__(self, graph, scene, image_qos, transform, age_s, info_changes, topic):
        """Start at once; ``transform`` is 'static', 'moving' or None."""
        self._graph, self._scene = graph, scene
        self._transform, self._age_s, self._info_changes = transform, age_s, info_changes
        client = graph.client
        self._images = client.create_publisher(Image, topic, image_qos)
        self._infos = client.create_publisher(CameraInfo, 'camera_info', 2)
        self._moving = client.create_publisher(TFMessage, '/tf', 10)
        latched = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)
        self._static = client.create_publisher(TFMessage, '/tf_static', latched)
        if transform == 'static':
            self._static.publish(self._pose(self._header()))
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _header(self):
        return Header(stamp=stamp_from_ns(time.time_ns() - int(self._age_s * 1e9)),
                      frame_id=CAMERA_FRAME)

    def _pose(self, header) -> TFMessage:
        base = Header(stamp=header.stamp, frame_id='base_link')
        transform: TransformStamped = transform_stamped(base, CAMERA_FRAME,
                                                        self._scene.T_base_camera)
        return TFMessage(transforms=[transform])

    def _run(self):
        camera = self._scene.camera
        grey = np.full((camera.height_px, camera.width_px, 3), 128, np.uint8)
        while not self._stopping.is_set():
            header = self._header()
            if self._transform == 'moving':
                self._moving.publish(self._pose(header))
            info = info_from_camera(header, camera)
            for name, value in self._info_changes.items():
                setattr(info, name, value)
            self._infos.publish(info)
            self._images.publish(image_from_rgb(header, grey))
            time.sleep(PERIOD_S)

    def close(self):
        """Stop publishing."""
        self._stopping.set()
        self._thread.join()
        for publisher in (self._images, self._infos, self._moving, self._static):
            self._graph.client.destroy_publisher(publisher)


@pytest.fixture
def start_camera(ros_graph, scene):
    """Return a function that starts a StreamingCamera."""
    cameras = []

    def start(image_qos=2, transform='static', age_s=0.0, topic='image', **info_changes):
        cameras.append(StreamingCamera(ros_graph, scene, image_qos, transform, age_s,
                                       info_changes, topic))
        return cameras[-1]
    yield start
    for camera in cameras:
        camera.close()


class Diagnosis:
    """What the doctor printed as JSON."""

    def __init__(self, exit_code, text):
        """Parse the report."""
        self.exit_code, self.report = exit_code, json.loads(text)

    def section(self, title):
        """Return a section by its title."""
        return self.report['sections'][title]

    def findings(self, title, level=None):
        """Return the findings of a section as (level, text, remedy)."""
        return [(f['level'], f['text'], f['remedy']) for f in self.section(title)['findings']
                if level in (None, f['level'])]

    def only(self, title, level):
        """Return (text, remedy) of the one finding of a level in a section."""
        found = self.findings(title, level)
        assert len(found) == 1, self.findings(title)
        return found[0][1:]


@pytest.fixture
def diagnose(ros_graph, tiny_model, capfd):
    """Return a function that runs the doctor on the test's graph and parses what it prints."""
    def run(*options, seconds='3', image='image', model=None):
        arguments = ['--json', '--seconds', seconds, '--model', str(model or tiny_model)]
        if image:
            arguments += ['--image', f'{ros_graph.namespace}/{image}']
        capfd.readouterr()
        code = main([*arguments, *options])
        return Diagnosis(code, capfd.readouterr().out)
    return run
