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

"""A tiny real model, and a real ROS graph: the node under test and a client beside it."""
from dataclasses import dataclass, field
import itertools
from pathlib import Path
import threading
import time
import traceback

import numpy as np
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.core.camera import PinholeCamera  # noqa: E402, I100
from dr_perception.core.contract import METADATA_KEY, ModelContract  # noqa: E402
from dr_perception.core.network_spec import DecoderSpec, InputSpec  # noqa: E402
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,  # noqa: E402
                                           rotation_about, transform_points)

STRIDE_PX, OFFSET_UNIT_PX = 4, 16.0
WIDTH_PX, HEIGHT_PX = 640, 480
#: What ought to happen at once is waited for so long (s): machines are shared.
WAIT_S = 60.0
_numbers = itertools.count()


@dataclass(frozen=True, eq=False)
class ReferenceScene:
    """The camera of the reference scene and objects on its table."""

    camera: PinholeCamera
    T_base_camera: np.ndarray
    T_base_objects: dict

    def T_camera_object(self, name):
        """Pose of an object in the camera's frame."""
        return invert_transform(self.T_base_camera) @ self.T_base_objects[name]


@pytest.fixture(scope='session')
def catalogue():
    """Return the reference scene's objects by name."""
    from sim_trainer.configuration.schema import load_config
    from sim_trainer.objects.catalogue import build_catalogue
    root = Path(__file__).resolve().parents[2]
    config = load_config(root / 'config' / 'tabletop.yaml')
    return {model.name: model for model in build_catalogue(config.objects)}


@pytest.fixture(scope='session')
def scene():
    """Return a cube and a rectangular prism on the table, seen by the reference camera."""
    return ReferenceScene(
        PinholeCamera(615.0, 615.0, 319.5, 239.5, WIDTH_PX, HEIGHT_PX),
        look_at((1.10, 0.0, 0.65), (0.5, 0.0, 0.0)),
        {'cube': make_transform(rotation_about('z', 0.3), (0.45, -0.12, 0.025)),
         'rectangular_prism': make_transform(rotation_about('z', -0.5), (0.55, 0.10, 0.020))})


@pytest.fixture(scope='session')
def make_model(tmp_path_factory, catalogue):
    """Return a function that writes a model.onnx of a scene and returns its path."""
    onnx = pytest.importorskip('onnx', reason='needs onnx: pip install .[train]')

    def make(name, scene, objects=None):
        path = tmp_path_factory.mktemp('model') / f'{name}.onnx'
        models = tuple(catalogue[n] for n in objects) if objects else tuple(catalogue.values())
        contract = ModelContract(
            name=name, objects=models,
            input=InputSpec(32, 615.0, 1.3, 4_000_000),
            decoder=DecoderSpec(STRIDE_PX, OFFSET_UNIT_PX, 0.3, 0.5, (2.0, 0.5, 0.0, 0.0), 1.0,
                                0.0005, 0.002, (2.0, 0.5, 0.0, 0.0), 1.0))
        onnx.save(_constant_graph(onnx, contract, network_answers(contract, scene)), str(path))
        return path
    return make


@pytest.fixture(scope='session')
def tiny_model(make_model, scene):
    """Return the path of a model.onnx that sees the scene in every picture that is not black."""
    return make_model('tiny', scene)


def network_answers(contract, scene):
    """Return what a perfect network would answer: heat, keypoint offsets, log scales."""
    rows, columns = HEIGHT_PX // STRIDE_PX, WIDTH_PX // STRIDE_PX
    K = contract.keypoint_count
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * float(STRIDE_PX)
    centres = grid + (STRIDE_PX - 1) / 2
    heat = np.zeros((1, len(contract.objects), rows, columns), np.float32)
    offsets = np.zeros((1, 2 * K, rows, columns), np.float32)
    nearest = np.full((rows, columns), np.inf)
    for channel, model in enumerate(contract.objects):
        if model.name not in scene.T_base_objects:
            continue
        pixels = scene.camera.project(transform_points(
            scene.T_camera_object(model.name), model.keypoints_m))
        distance = np.linalg.norm(centres - pixels[0], axis=-1)
        heat[0, channel] = 0.98 * np.exp(-(distance / 6.0) ** 2 / 2)
        mine = distance < nearest
        nearest[mine] = distance[mine]
        answer = (pixels - centres[:, :, None]) / OFFSET_UNIT_PX
        answer = answer.reshape(rows, columns, 2 * K).transpose(2, 0, 1)
        offsets[0][:, mine] = answer[:, mine]
    log_scales = np.full((1, K, rows, columns), np.log(0.3), np.float32)
    return {'heat': heat, 'keypoints': offsets, 'log_scales': log_scales}


def _constant_graph(onnx, contract, answers):
    """Return a graph with constant answers, its heat gated by whether any pixel is bright."""
    from onnx import helper, numpy_helper, TensorProto
    constants = {f'{name}_constant': value for name, value in answers.items()}
    constants['level'] = np.array([30.0], np.float32)
    nodes = [
        helper.make_node('Cast', ['image'], ['pixels'], to=TensorProto.FLOAT),
        helper.make_node('ReduceMax', ['pixels'], ['brightest'], keepdims=1),
        helper.make_node('Greater', ['brightest', 'level'], ['is_bright']),
        helper.make_node('Cast', ['is_bright'], ['gate'], to=TensorProto.FLOAT),
        helper.make_node('Mul', ['heat_constant', 'gate'], ['heat']),
        helper.make_node('Identity', ['keypoints_constant'], ['keypoints']),
        helper.make_node('Identity', ['log_scales_constant'], ['log_scales'])]
    graph = helper.make_graph(
        nodes, 'tiny',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['n', 'h', 'w', 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
         for name, value in answers.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    return model


def until(is_true, describe=lambda: '', timeout_s=WAIT_S):
    """Wait for a condition; say what was there instead, when it does not come true."""
    deadline_s = time.monotonic() + timeout_s
    while not is_true():
        assert time.monotonic() < deadline_s, f'waited {timeout_s:g} s in vain: {describe()}'
        time.sleep(0.005)


@pytest.fixture(name='until')
def until_fixture():
    """Return the function that waits for a condition."""
    return until


@dataclass
class Inbox:
    """Messages of one topic, in order of arrival."""

    messages: list = field(default_factory=list)

    def wait(self, count=1, timeout_s=WAIT_S):
        """Return the messages once there are so many."""
        until(lambda: len(self.messages) >= count,
              lambda: f'{len(self.messages)} messages; expected {count}', timeout_s)
        return self.messages

    def wait_for(self, condition, timeout_s=WAIT_S):
        """Return the first message that meets a condition."""
        def matching():
            return [message for message in list(self.messages) if condition(message)]
        until(matching, lambda: f'none of {len(self.messages)} messages met the condition; '
                                f'the last: {self.messages[-1:]}', timeout_s)
        return matching()[0]


class RosGraph:
    """A DDS participant of its own, a client node in a namespace of its own, an executor."""

    until = staticmethod(until)

    def __init__(self):
        """Start the context, the client and the executor's thread."""
        import rclpy
        from rclpy.context import Context
        from rclpy.executors import SingleThreadedExecutor
        self.context = Context()
        rclpy.init(context=self.context)
        self.namespace = f'/test_{next(_numbers)}'
        self.client = rclpy.create_node('client', namespace=self.namespace, context=self.context)
        self.executor = SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.client)
        self._nodes = []
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._spin, daemon=True)
        self._thread.start()

    def _spin(self):
        from rclpy._rclpy_pybind11 import InvalidHandle
        while not self._stopping.is_set():
            # Tests destroy entities (transitions of a node do) from their own thread, maybe while
            # rclpy is about to wait for them; nodes do it on the executor's. The next round knows.
            try:
                self.executor.spin_once(timeout_sec=0.1)
            except InvalidHandle as error:
                frames = [frame.name for frame in traceback.extract_tb(error.__traceback__)]
                if '_wait_for_ready_callbacks' not in frames:       # of a callback: a real one
                    raise

    def start_estimator(self, is_active=True, **values):
        """Return a pose estimator with parameters, active unless told otherwise."""
        from dr_perception.ros.pose_estimator_node import PoseEstimatorNode
        from rclpy.parameter import Parameter
        values = {'providers': ['CPUExecutionProvider'], 'threads': 1, 'max_image_age_s': 0.0,
                  **values}
        node = PoseEstimatorNode(
            context=self.context, namespace=self.namespace,
            parameter_overrides=[Parameter(name, value=value) for name, value in values.items()])
        self._nodes.append(node)
        self.executor.add_node(node)
        if is_active:
            assert node.autostart()
        return node

    def listen(self, kind, topic, qos=10):
        """Return the Inbox of a topic, relative to the namespace."""
        inbox = Inbox()
        self.client.create_subscription(kind, topic, inbox.messages.append, qos)
        return inbox

    def publisher(self, kind, topic, readers=1, qos=10):
        """Return a publisher that its readers have found."""
        publisher = self.client.create_publisher(kind, topic, qos)
        until(lambda: publisher.get_subscription_count() >= readers,
              lambda: f'{topic}: no reader', timeout_s=90.0)
        return publisher

    def call(self, kind, service, request=None):
        """Return a service's answer."""
        client = self.client.create_client(kind, service)
        assert client.wait_for_service(WAIT_S), service
        return self.result_of(client.call_async(request or kind.Request()))

    def result_of(self, future):
        """Return what a future of the client becomes."""
        until(future.done, lambda: 'no answer')
        return future.result()

    def close(self):
        """Stop everything."""
        import rclpy
        self._stopping.set()
        self._thread.join()
        for node in self._nodes:
            node.close()
            node.destroy_node()
        self.client.destroy_node()
        self.executor.shutdown()
        rclpy.try_shutdown(context=self.context)


@pytest.fixture
def make_ros_graph():
    """Return the class of graphs, for a test that stops its own."""
    return RosGraph


@pytest.fixture
def ros_graph():
    """Return a RosGraph that is stopped after the test."""
    graph = RosGraph()
    yield graph
    graph.close()


class CameraClient:
    """Publishes pictures and CameraInfo to a node under test."""

    def __init__(self, graph, camera, is_info_sent=True):
        """Wait until the node has found both topics."""
        from sensor_msgs.msg import CameraInfo, Image
        self._graph, self.camera = graph, camera
        self._stamps = itertools.count(100)
        self.images = graph.publisher(Image, 'image')
        self.infos = graph.publisher(CameraInfo, 'camera_info')
        if is_info_sent:
            self.send_info()

    def header(self):
        """Return a header with a stamp that was not used before."""
        from builtin_interfaces.msg import Time
        from std_msgs.msg import Header
        return Header(stamp=Time(sec=next(self._stamps), nanosec=5), frame_id='camera_optical')

    def info(self):
        """Return the camera's CameraInfo."""
        from dr_perception.ros.camera_conversion import info_from_camera
        return info_from_camera(self.header(), self.camera)

    def image(self, level=128, width_px=WIDTH_PX, height_px=HEIGHT_PX):
        """Return a picture of one grey level."""
        from dr_perception.ros.image_conversion import image_from_rgb
        return image_from_rgb(
            self.header(), np.full((height_px, width_px, 3), level, np.uint8))

    def send_info(self, info=None):
        """Publish a CameraInfo and give it time to arrive before the next picture."""
        info = info or self.info()
        self.infos.publish(info)
        inputs = [node._inputs for node in self._graph._nodes
                  if getattr(node, '_inputs', None) is not None]
        deadline_s = time.monotonic() + 2.0
        while any(one.camera_info is None or one.camera_info.header != info.header
                  for one in inputs) and time.monotonic() < deadline_s:
            time.sleep(0.005)
        time.sleep(0.02 if inputs else 0.1)     # it is heard in another process

    def send_image(self, message=None, **shape):
        """Publish a picture; returns it."""
        message = message or self.image(**shape)
        self.images.publish(message)
        return message


@pytest.fixture
def make_camera_client(ros_graph, scene):
    """Return a function that makes a CameraClient once the node is active."""
    def make(**options):
        return CameraClient(ros_graph, scene.camera, **options)
    return make
