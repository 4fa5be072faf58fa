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

"""Another model while the node works: old poses until the swap, new ones after, or the reason."""
import ctypes
import dataclasses
import gc
import os
from pathlib import Path
import sys
import threading
import time
import weakref

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
from dr_perception.core.errors import InferenceError
from dr_perception.core.transforms import make_transform, rotation_about
from dr_perception.ros import output_set, pose_estimator_node
from dr_perception.ros.model_loading import prepare_estimator
from geometry_msgs.msg import PoseWithCovarianceStamped, TransformStamped
from lifecycle_msgs.msg import State
import numpy as np
import pytest
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_msgs.msg import Header
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray, VisionInfo

OLD_OBJECTS, NEW_OBJECTS = {'cube', 'rectangular_prism'}, {'cube', 'cylinder'}
TIMEOUT_S = 30.0
LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


@pytest.fixture(scope='session')
def new_scene(scene):
    """Return a scene with the cube elsewhere, and a cylinder in place of the prism."""
    return dataclasses.replace(scene, T_base_objects={
        'cube': make_transform(rotation_about('z', 0.1), (0.60, 0.15, 0.025)),
        'cylinder': make_transform(np.eye(3), (0.45, -0.05, 0.030))})


@pytest.fixture(scope='session')
def new_model(make_model, new_scene):
    """Return the path of a model that knows two objects alone and sees them elsewhere."""
    return make_model('newer', new_scene, ('cube', 'cylinder'))


class Cell:
    """An active node with the old model, a camera that shows pictures all the time."""

    def __init__(self, graph, make_camera_client, tiny_model, scene, **parameters):
        """Start it."""
        from dr_perception.core.transforms import quat_xyzw_from_rotation
        T = scene.T_base_camera
        self.graph = graph
        self.node = graph.start_estimator(
            model=str(tiny_model), image_reliability='reliable',
            camera_pose=[*map(float, T[:3, 3]), *map(float, quat_xyzw_from_rotation(T[:3, :3]))],
            **parameters)
        self.detections = graph.listen(Detection3DArray, 'pose_estimator/detections')
        self.camera = make_camera_client()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._show, daemon=True)
        self._thread.start()

    def _show(self):
        while not self._stopping.wait(0.05):
            self.camera.send_image()

    def stop(self):
        """End the pictures."""
        self._stopping.set()
        self._thread.join()

    def next(self, count=3):  # noqa: A003
        """Return the objects of the next messages; each must be whole."""
        start = len(self.detections.messages)
        messages = self.detections.wait(start + count, TIMEOUT_S)[start:]
        return [names(message) for message in messages]

    def set_model(self, path):
        """Set the parameter."""
        result = self.node.set_parameters([Parameter('model', value=str(path))])[0]
        assert result.successful, result.reason

    def reload(self, path=None):
        """Return the answer of the service, after the parameter was set."""
        if path is not None:
            self.set_model(path)
        return call_load_model(self.graph)


def names(message):
    """Return the objects of a message; never those of two models."""
    return {d.results[0].hypothesis.class_id for d in message.detections}


def request_load_model(graph):
    """Return the future of a call of the service."""
    clients = [c for c in graph.client.clients if c.srv_type is Trigger]    # one for all calls
    client = clients[0] if clients else graph.client.create_client(
        Trigger, 'pose_estimator/load_model')
    assert client.wait_for_service(TIMEOUT_S)
    return client.call_async(Trigger.Request())


def call_load_model(graph):
    """Return the answer of the service."""
    return graph.result_of(request_load_model(graph))


@pytest.fixture
def cell(ros_graph, make_camera_client, tiny_model, scene):
    """Return a cell at work."""
    made = Cell(ros_graph, make_camera_client, tiny_model, scene)
    assert made.next(2) == [OLD_OBJECTS] * 2
    yield made
    made.stop()


@pytest.fixture
def gate(monkeypatch):
    """Return an event without which no reload gets on, and one that tells that it has begun."""
    opened, begun = threading.Event(), threading.Event()

    def wait_and_prepare(*args):
        if threading.current_thread().name == 'model_loader':   # configuring goes on
            begun.set()
            assert opened.wait(TIMEOUT_S)
        return prepare_estimator(*args)
    monkeypatch.setattr(pose_estimator_node, 'prepare_estimator', wait_and_prepare)
    yield opened, begun
    opened.set()


def positions(message, T_base_camera):
    """Return positions in the base frame by object."""
    found = {}
    for detection in message.detections:
        p = detection.results[0].pose.pose.position
        found[detection.results[0].hypothesis.class_id] = (
            T_base_camera @ [p.x, p.y, p.z, 1.0])[:3]
    return found


def test_old_poses_until_the_swap_and_new_ones_after(cell, gate, new_model, scene, new_scene):
    opened, begun = gate
    cell.set_model(new_model)
    assert cell.next() == [OLD_OBJECTS] * 3     # the parameter alone changes nothing
    future = request_load_model(cell.graph)
    assert begun.wait(TIMEOUT_S)
    assert cell.next(10) == [OLD_OBJECTS] * 10  # images go on while the new one is loaded
    assert not future.done()
    opened.set()
    answer = cell.graph.result_of(future)
    assert answer.success
    assert answer.message.startswith('model newer (sha256 ')
    assert ' on CPUExecutionProvider took the place of tiny (sha256 ' in answer.message
    cell.next(1)
    assert cell.next(5) == [NEW_OBJECTS] * 5
    kinds = [names(message) for message in cell.detections.messages]
    swap = kinds.index(NEW_OBJECTS)
    assert kinds[:swap] == [OLD_OBJECTS] * swap     # once, and no frame of both
    assert kinds[swap:] == [NEW_OBJECTS] * (len(kinds) - swap)
    for message, truth in [(cell.detections.messages[0], scene),
                           (cell.detections.messages[-1], new_scene)]:
        for name, p_base in positions(message, scene.T_base_camera).items():
            assert np.allclose(p_base, truth.T_base_objects[name][:3, 3], atol=0.002)
    assert not cell.node._statistics.snapshot().errors


def test_latched_model_and_frames_of_others_follow_the_model(cell, new_model, scene):
    infos = cell.graph.listen(VisionInfo, 'pose_estimator/vision_info', LATCHED)
    assert infos.wait(1)[0].method.startswith('tiny (sha256 ')
    statics = cell.graph.publisher(TFMessage, '/tf_static', qos=LATCHED)
    transforms = cell.graph.listen(TFMessage, '/tf', 100)
    # Somebody else's frame, of an object that only the new model knows.
    statics.publish(TFMessage(transforms=[TransformStamped(
        header=Header(frame_id='shelf'), child_frame_id='cylinder_0')]))
    assert cell.reload(new_model).success
    info = infos.wait(2)[1]
    assert info.method.startswith('newer (sha256 ') and info.database_version == 2
    prefix = f'{cell.graph.namespace}/pose_estimator'.strip('/').replace('/', '_')
    transforms.wait_for(lambda message: f'{prefix}_cylinder_0' in {
        transform.child_frame_id for transform in message.transforms})


def test_topics_of_objects_come_and_go(cell, new_model, tiny_model):
    def pose_topics():
        return {name.split('/')[-2] for name, _ in cell.node.get_publisher_names_and_types_by_node(
            'pose_estimator', cell.graph.namespace) if name.endswith('/pose')}
    everything = pose_topics()
    assert len(everything) == 8
    cubes = cell.graph.listen(PoseWithCovarianceStamped, 'pose_estimator/cube/pose')
    prisms = cell.graph.listen(
        PoseWithCovarianceStamped, 'pose_estimator/rectangular_prism/pose')
    prisms.wait(1)
    assert cell.reload(new_model).success
    cell.graph.until(lambda: pose_topics() == {'cube', 'cylinder'}, pose_topics)
    cell.next(2)
    prisms.messages.clear()
    cell.next(2)
    assert not prisms.messages
    assert cell.reload(tiny_model).success
    prisms.wait(3)      # made while the node is active, and not silent
    # The cube's topic was there all the time: no message is missing.
    cell.stop()
    last = cell.detections.messages[-1].header.stamp.sec
    cubes.wait_for(lambda message: message.header.stamp.sec == last)
    stamps = [message.header.stamp.sec for message in cubes.messages]
    assert set(stamps) == {m.header.stamp.sec for m in cell.detections.messages
                           if m.header.stamp.sec >= stamps[0]}


def no_file(path):
    """Leave nothing there."""


def no_contract(path):
    """Leave a graph without a contract."""
    import onnx
    model = onnx.load(str(path.with_name('good.onnx')))
    model.ClearField('metadata_props')
    path.write_bytes(model.SerializeToString())


@pytest.mark.parametrize('write, text', [
    (no_file, 'there is no such model file'), (Path.touch, 'the file is empty'),
    (lambda path: path.write_bytes(os.urandom(50_000)), 'ONNX Runtime cannot open it'),
    (lambda path: path.write_bytes(path.with_name('good.onnx').read_bytes()[:9000]),
     'ONNX Runtime cannot open it'),
    (no_contract, 'carries no dr_perception contract')])
def test_garbage_is_refused_and_the_old_one_stays(cell, new_model, tmp_path, write, text):
    statuses = cell.graph.listen(DiagnosticArray, '/diagnostics')
    (tmp_path / 'good.onnx').write_bytes(new_model.read_bytes())
    path = tmp_path / 'model.onnx'
    write(path)
    answer = cell.reload(path)
    assert not answer.success
    assert answer.message.startswith(f'the model was not exchanged: {path}: ')
    assert text in answer.message and '\n' not in answer.message
    assert cell.next() == [OLD_OBJECTS] * 3
    told = statuses.wait_for(lambda m: m.status[0].message == answer.message).status[0]
    assert told.level == DiagnosticStatus.WARN
    assert {i.key: i.value for i in told.values}['model'].startswith('tiny (sha256 ')
    path.write_bytes(new_model.read_bytes())    # mended
    assert cell.reload().success
    cell.next(1)
    assert cell.next() == [NEW_OBJECTS] * 3
    statuses.messages.clear()
    assert statuses.wait(2)[-1].status[0].message.endswith('frames/s')


def test_a_file_replaced_by_garbage_while_it_is_loaded(cell, gate, new_model, tmp_path):
    opened, begun = gate
    path = tmp_path / 'model.onnx'
    path.write_bytes(new_model.read_bytes())
    cell.set_model(path)
    future = request_load_model(cell.graph)
    assert begun.wait(TIMEOUT_S)
    path.write_bytes(os.urandom(100_000))
    opened.set()
    assert 'ONNX Runtime cannot open it' in cell.graph.result_of(future).message
    assert cell.next() == [OLD_OBJECTS] * 3


def test_a_model_without_a_wanted_object_is_refused(
        ros_graph, make_camera_client, tiny_model, new_model, scene):
    cell = Cell(ros_graph, make_camera_client, tiny_model, scene, objects=['rectangular_prism'])
    answer = cell.reload(new_model)
    assert not answer.success
    assert ('objects: the model does not know rectangular_prism; it knows cube, cylinder'
            in answer.message)
    cell.next(1)
    assert cell.next() == [{'rectangular_prism'}] * 3
    cell.stop()


@pytest.mark.parametrize('error, text', [
    (InferenceError('out of memory on X'), 'out of memory on X'),
    (ZeroDivisionError('a bug'), 'a bug')])
def test_a_model_that_does_not_run_is_refused(cell, monkeypatch, new_model, error, text):
    def fail(estimator):
        raise error
    monkeypatch.setattr('dr_perception.ros.model_loading.warm_up', fail)
    assert cell.reload(new_model).message == f'the model was not exchanged: {text}'
    assert cell.next() == [OLD_OBJECTS] * 3


def test_a_swap_that_fails_leaves_the_old_topics(cell, monkeypatch, new_model, tiny_model):
    assert cell.reload(new_model).success
    create = cell.node.create_lifecycle_publisher

    def refuse(kind, topic, *args, **kwargs):
        if 'pyramid' in topic:
            raise RuntimeError('no more topics')
        return create(kind, topic, *args, **kwargs)
    monkeypatch.setattr(cell.node, 'create_lifecycle_publisher', refuse)
    answer = cell.reload(tiny_model)
    assert not answer.success and 'no more topics' in answer.message
    cylinders = cell.graph.listen(PoseWithCovarianceStamped, 'pose_estimator/cylinder/pose')
    cylinders.wait(2)
    cell.next(1)
    assert cell.next() == [NEW_OBJECTS] * 3
    monkeypatch.undo()
    assert cell.reload(tiny_model).success


def test_two_requests_are_served_one_after_the_other(cell, gate, new_model):
    opened, begun = gate
    cell.set_model(new_model)
    first = request_load_model(cell.graph)
    assert begun.wait(TIMEOUT_S)
    begun.clear()
    second = request_load_model(cell.graph)
    assert not begun.wait(0.5)
    opened.set()
    assert 'took the place of tiny' in cell.graph.result_of(first).message
    assert 'took the place of newer' in cell.graph.result_of(second).message


def test_the_answer_needs_no_other_event_to_wake_the_executor(
        ros_graph, gate, tiny_model, new_model):
    opened, begun = gate
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model))
    node.trigger_configure()
    node.set_parameters([Parameter('model', value=str(new_model))])
    for timer in node.timers:
        timer.cancel()
    ros_graph.executor.remove_node(node)
    executor = SingleThreadedExecutor(context=ros_graph.context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    future = request_load_model(ros_graph)
    assert begun.wait(TIMEOUT_S)
    time.sleep(0.2)
    opened.set()
    try:
        assert ros_graph.result_of(future).success
    finally:
        executor.shutdown()
        thread.join(TIMEOUT_S)


def test_an_inactive_node_takes_it_too(ros_graph, make_camera_client, tiny_model, new_model):
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model),
                                     camera_pose=[1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0])
    answer = call_load_model(ros_graph)
    assert not answer.success
    assert 'the node holds none; configure it' in answer.message
    node.trigger_configure()
    assert not node._reloader.problem
    assert node.set_parameters([Parameter('model', value=str(new_model))])[0].successful
    assert call_load_model(ros_graph).success
    assert node._state_machine.current_state[0] == State.PRIMARY_STATE_INACTIVE
    detections = ros_graph.listen(Detection3DArray, 'pose_estimator/detections')
    node.trigger_activate()
    make_camera_client().send_image()
    assert {m.name for m in node._estimator.contract.objects} == NEW_OBJECTS
    detections.wait(1, TIMEOUT_S)


@pytest.mark.parametrize('is_configured_again', [False, True])
def test_a_node_cleaned_up_meanwhile_is_left_alone(
        ros_graph, gate, tiny_model, new_model, is_configured_again):
    opened, begun = gate
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model))
    node.trigger_configure()
    node.set_parameters([Parameter('model', value=str(new_model))])
    future = request_load_model(ros_graph)
    assert begun.wait(TIMEOUT_S)
    node.trigger_cleanup()
    if is_configured_again:
        node.trigger_configure()
    opened.set()
    message = ros_graph.result_of(future).message
    assert 'the node was cleaned up or configured meanwhile' in message
    assert (node._estimator is not None) == is_configured_again


def resident_bytes():
    """Return what this process holds in memory, without what was freed and is kept for reuse."""
    gc.collect()
    if sys.platform == 'linux':
        getattr(ctypes.CDLL(None), 'malloc_trim', lambda _: None)(0)
    return int(Path('/proc/self/statm').read_text().split()[1]) * os.sysconf('SC_PAGE_SIZE')


def test_memory_does_not_grow_over_twenty_reloads(cell, new_model, tiny_model):
    paths = [new_model, tiny_model]
    for path in paths * 3:
        assert cell.reload(path).success
    entities = len(cell.node._managed_entities)
    before, estimators = resident_bytes(), []
    for path in paths * 10:
        estimators.append(weakref.ref(cell.node._estimator))
        assert cell.reload(path).success
    cell.next(2)
    grown_bytes = resident_bytes() - before
    assert sum(reference() is not None for reference in estimators) == 0
    # Twenty forgotten models are 250 MB; the allocator's own ups and downs reach 35 MB.
    assert grown_bytes < 80e6
    assert len(cell.node._managed_entities) == entities


def test_a_process_that_ends_while_a_model_is_loaded(
        monkeypatch, make_ros_graph, gate, tiny_model):
    raised, (opened, begun) = [], gate
    monkeypatch.setattr(threading, 'excepthook', raised.append)
    graph = make_ros_graph()
    graph.start_estimator(is_active=False, model=str(tiny_model)).trigger_configure()
    request_load_model(graph)
    assert begun.wait(TIMEOUT_S)
    (loader,) = [thread for thread in threading.enumerate() if thread.name == 'model_loader']
    assert loader.daemon    # the process does not wait for it
    graph.close()
    opened.set()
    loader.join(TIMEOUT_S)
    assert not loader.is_alive() and not raised


def test_an_output_that_cannot_be_changed_is_made_anew(ros_graph):
    class Fixed:

        def __init__(self, node, objects):
            self.objects, self.is_closed = objects, False
            if objects == ('bad',):
                raise ValueError('bad')

        def close(self):
            self.is_closed = True

    class Changing(Fixed):

        def update_objects(self, objects):
            self.objects = objects

    fixed, changing = Fixed(None, ('a',)), Changing(None, ('a',))
    result = output_set.update_outputs(None, [changing, fixed], ('a',), ('b',))
    assert result[0] is changing and changing.objects == ('b',) and not changing.is_closed
    assert result[1] is not fixed and result[1].objects == ('b',) and fixed.is_closed
    with pytest.raises(ValueError, match='bad'):
        output_set.update_outputs(None, result, ('b',), ('bad',))
    assert changing.objects == ('b',) and not result[1].is_closed
