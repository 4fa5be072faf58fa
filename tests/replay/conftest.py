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

"""Recordings written by rosbags' own writer, and a tiny real model that sees two objects."""
import json

import numpy as np
import pytest

pytest.importorskip('rosbags', reason='needs rosbags: pip install .[replay]')

from dr_perception.core.camera import PinholeCamera  # noqa: E402, I100
from dr_perception.core.contract import METADATA_KEY, ModelContract  # noqa: E402
from dr_perception.core.network_spec import DecoderSpec, InputSpec  # noqa: E402
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,  # noqa: E402
                                           quat_xyzw_from_rotation, rotation_about,
                                           transform_points)
from rosbags.rosbag2 import CompressionFormat, CompressionMode, StoragePlugin, Writer  # noqa: E402
from rosbags.typesys import get_typestore, Stores  # noqa: E402

S = 1_000_000_000
START_NS = 1_700_000_000 * S
STRIDE_PX, OFFSET_UNIT_PX = 4, 16.0
T_BASE_OBJECTS = {
    'cube': make_transform(rotation_about('z', 0.3), (0.45, -0.12, 0.025)),
    'rectangular_prism': make_transform(rotation_about('z', -0.5), (0.55, 0.10, 0.020))}


@pytest.fixture(scope='session')
def camera():
    """Return the camera of the reference scene."""
    return PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)


@pytest.fixture(scope='session')
def T_base_camera():
    """Return its nominal pose."""
    return look_at((1.10, 0.0, 0.65), (0.5, 0.0, 0.0))


@pytest.fixture(scope='session')
def tiny_model(tmp_path_factory, repository_root, camera, T_base_camera):
    """Return the path of a model that sees two objects in every picture that is not black.

    The redder the picture, the less it is sure, so that a wrong order of channels shows.
    """
    onnx = pytest.importorskip('onnx', reason='needs onnx: pip install .[train]')
    from dr_perception.inference.session import OnnxNetwork
    objects = OnnxNetwork(repository_root / 'models' / 'tabletop.onnx').contract.objects
    contract = ModelContract(
        name='tiny', objects=objects, input=InputSpec(32, 615.0, 1.3, 4_000_000),
        decoder=DecoderSpec(STRIDE_PX, OFFSET_UNIT_PX, 0.3, 0.5, (0.0, 0.2, -0.5, 0.0), 1.0,
                            0.0005, 0.002, (0.0, 0.2, -0.5, 0.0), 1.0))
    path = tmp_path_factory.mktemp('model') / 'tiny.onnx'
    onnx.save(_graph(onnx, contract, _answers(contract, camera, T_base_camera)), str(path))
    return path


def _answers(contract, camera, T_base_camera):
    """Return what a perfect network would answer: heat, keypoint offsets, log scales."""
    rows, columns = camera.height_px // STRIDE_PX, camera.width_px // STRIDE_PX
    grid = np.stack(np.meshgrid(np.arange(columns), np.arange(rows)), -1) * float(STRIDE_PX)
    centres = grid + (STRIDE_PX - 1) / 2
    count = contract.keypoint_count
    heat = np.zeros((1, len(contract.objects), rows, columns), np.float32)
    offsets = np.zeros((1, 2 * count, rows, columns), np.float32)
    nearest = np.full((rows, columns), np.inf)
    for channel, model in enumerate(contract.objects):
        if model.name not in T_BASE_OBJECTS:
            continue
        T_camera_object = invert_transform(T_base_camera) @ T_BASE_OBJECTS[model.name]
        pixels = camera.project(transform_points(T_camera_object, model.keypoints_m))
        distance = np.linalg.norm(centres - pixels[0], axis=-1)
        heat[0, channel] = 0.98 * np.exp(-(distance / 6.0) ** 2 / 2)
        mine = distance < nearest
        nearest[mine] = distance[mine]
        answer = (pixels - centres[:, :, None]) / OFFSET_UNIT_PX
        answer = answer.reshape(rows, columns, 2 * count).transpose(2, 0, 1)
        offsets[0][:, mine] = answer[:, mine]
    return {'heat': heat, 'keypoints': offsets,
            'log_scales': np.full((1, count, rows, columns), -1.2, np.float32)}


def _graph(onnx, contract, answers):
    from onnx import helper, numpy_helper, TensorProto
    constants = {f'{name}_constant': value for name, value in answers.items()}
    constants.update(level=np.array([30.0], np.float32), red=np.array(0),
                     unsure=np.array(0.005, np.float32))
    node = helper.make_node
    nodes = [
        node('Cast', ['image'], ['pixels'], to=TensorProto.FLOAT),
        node('ReduceMax', ['pixels'], ['brightest'], keepdims=1),
        node('Greater', ['brightest', 'level'], ['is_bright']),
        node('Cast', ['is_bright'], ['gate'], to=TensorProto.FLOAT),
        node('Mul', ['heat_constant', 'gate'], ['heat']),
        node('Gather', ['pixels', 'red'], ['reds'], axis=3),
        node('ReduceMean', ['reds'], ['mean_red'], keepdims=0),
        node('Mul', ['mean_red', 'unsure'], ['more']),
        node('Add', ['log_scales_constant', 'more'], ['log_scales']),
        node('Identity', ['keypoints_constant'], ['keypoints'])]
    graph = helper.make_graph(
        nodes, 'tiny',
        [helper.make_tensor_value_info('image', TensorProto.UINT8, ['n', 'h', 'w', 3])],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, value.shape)
         for name, value in answers.items()],
        [numpy_helper.from_array(value, name) for name, value in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid('', 17)], ir_version=9)
    helper.set_model_props(model, {METADATA_KEY: contract.to_json()})
    return model


class BagWriter:
    """Writes one recording; every message is recorded 2 ms after its stamp.

    Args:
        path: the folder to make.
        storage: 'mcap' or 'db3'.
        is_compressed: chunks of an MCAP file are packed with zstd.
    """

    def __init__(self, path, storage='mcap', is_compressed=False):
        self.store = get_typestore(Stores.ROS2_JAZZY)
        self.path = path
        plugin = {'mcap': StoragePlugin.MCAP, 'db3': StoragePlugin.SQLITE3}[storage]
        self._writer = Writer(path, version=9, storage_plugin=plugin)
        if is_compressed:
            self._writer.set_compression(CompressionMode.STORAGE, CompressionFormat.ZSTD)
        self._connections = {}

    def __enter__(self):
        self._writer.open()
        return self

    def __exit__(self, *_):
        self._writer.close()

    def make(self, kind, **fields):
        """Return a message of a ROS type."""
        return self.store.types[kind](**fields)

    def header(self, t_s, frame_id='camera_optical'):
        """Return a header; times are seconds after the start."""
        stamp_ns = START_NS + round(t_s * S)
        return self.make('std_msgs/msg/Header', frame_id=frame_id, stamp=self.make(
            'builtin_interfaces/msg/Time', sec=stamp_ns // S, nanosec=stamp_ns % S))

    def write(self, topic, t_s, message, kind=None):
        """Record a message."""
        kind = kind or message.__msgtype__
        if topic not in self._connections:
            self._connections[topic] = self._writer.add_connection(
                topic, kind, typestore=self.store)
        self._writer.write(self._connections[topic], START_NS + round(t_s * S) + 2_000_000,
                           self.store.serialize_cdr(message, kind))

    def image(self, t_s, pixels, encoding='rgb8', topic='/camera/image_raw', padding=0, **fields):
        """Record an Image of (H, W) or (H, W, C) uint8 in the order of the encoding."""
        height, width = pixels.shape[:2]
        rows = np.zeros((height, pixels.size // height + padding), np.uint8)
        rows[:, :pixels.size // height] = pixels.reshape(height, -1)
        self.write(topic, t_s, self.make('sensor_msgs/msg/Image', **{
            'header': self.header(t_s), 'height': height, 'width': width, 'encoding': encoding,
            'is_bigendian': 0, 'step': rows.shape[1], 'data': rows.ravel(), **fields}))

    def compressed(self, t_s, data, topic='/camera/image_raw/compressed'):
        """Record a CompressedImage of a file's bytes."""
        self.write(topic, t_s, self.make(
            'sensor_msgs/msg/CompressedImage', header=self.header(t_s), format='rgb8; compressed',
            data=np.frombuffer(bytes(data), np.uint8)))

    def info(self, t_s, camera, topic='/camera/camera_info', P=None):
        """Record a CameraInfo."""
        d = np.array(camera.distortion or np.zeros(5))
        P = np.hstack([camera.K, np.zeros((3, 1))]) if P is None else P
        self.write(topic, t_s, self.make(
            'sensor_msgs/msg/CameraInfo', header=self.header(t_s), height=camera.height_px,
            width=camera.width_px, distortion_model='plumb_bob', d=d, k=camera.K.ravel(),
            r=np.eye(3).ravel(), p=P.ravel(), binning_x=0, binning_y=0,
            roi=self.make('sensor_msgs/msg/RegionOfInterest', x_offset=0, y_offset=0, height=0,
                          width=0, do_rectify=False)))

    def transform(self, t_s, T_parent_child, parent='base_link', child='camera_optical',
                  topic='/tf_static'):
        """Record a transform."""
        x, y, z = (float(v) for v in T_parent_child[:3, 3])
        qx, qy, qz, qw = (float(v) for v in quat_xyzw_from_rotation(T_parent_child[:3, :3]))
        self.write(topic, t_s, self.make('tf2_msgs/msg/TFMessage', transforms=[self.make(
            'geometry_msgs/msg/TransformStamped', header=self.header(t_s, parent),
            child_frame_id=child, transform=self.make(
                'geometry_msgs/msg/Transform',
                translation=self.make('geometry_msgs/msg/Vector3', x=x, y=y, z=z),
                rotation=self.make('geometry_msgs/msg/Quaternion', x=qx, y=qy, z=qz, w=qw)))]))


@pytest.fixture(scope='session')
def bag_writer():
    """Return the class."""
    return BagWriter


def picture(number=0, red=120):
    """Return a pattern (480, 640, 3) that depends on the number."""
    rng = np.random.default_rng(number)
    image_rgb = np.full((480, 640, 3), (red, 90, 60), np.uint8)
    image_rgb[:, :, 0] += rng.integers(0, 40, (480, 640)).astype(np.uint8)
    return image_rgb


@pytest.fixture(scope='session')
def make_picture():
    """Return the function that makes test pictures."""
    return picture


@pytest.fixture
def simple_bag(tmp_path, camera, T_base_camera):
    """Return the path of an MCAP recording of 6 pictures, 0.1 s apart, with static TF."""
    path = tmp_path / 'simple'
    with BagWriter(path) as bag:
        bag.transform(0.0, T_base_camera)
        for number in range(6):
            bag.info(0.1 * number, camera)
            bag.image(0.1 * number, picture(number))
    return path


@pytest.fixture
def replayed(tmp_path, tiny_model):
    """Return a function that runs the command in this process: exit code and output folder."""
    from dr_perception.replay.command import main

    def run(bag, *options, output='out', code=0):
        folder = tmp_path / output
        arguments = [str(bag), '--output', str(folder), '--model', str(tiny_model), '--threads',
                     '1', '--no-video', *map(str, options)]
        if '--video' in options:
            arguments = [a for a in arguments if a not in ('--no-video', '--video')]
        assert main(arguments) == code
        return folder
    return run


@pytest.fixture
def records():
    """Return a function that reads poses.jsonl of a folder."""
    return lambda folder: [json.loads(line) for line in
                           (folder / 'poses.jsonl').read_text(encoding='utf-8').splitlines()]
