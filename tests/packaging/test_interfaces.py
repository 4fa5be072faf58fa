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

"""Generated message packages: equal to upstream's, and understood across processes."""
import importlib
from pathlib import Path
import subprocess
import sys

from dr_perception.ros.interfaces import compilation, definitions, generation, installation
from dr_perception.ros.interfaces.__main__ import main
from dr_perception.ros.interfaces.errors import InterfaceError, TypeHashError
import pytest

rclpy = pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')
needs_generators = pytest.mark.skipif(
    not installation.has_generators(sys.prefix),
    reason='needs the message generators of the ROS wheels: pip install .[ros]')

PUBLISHER = """
import sys
import rclpy
from rclpy.qos import DurabilityPolicy, QoSProfile
from vision_msgs.msg import Detection3D, Detection3DArray, ObjectHypothesisWithPose

rclpy.init()
node = rclpy.create_node('interface_publisher')
publisher = node.create_publisher(Detection3DArray, 'interface_round_trip', QoSProfile(
    depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
message = Detection3DArray()
message.header.frame_id = 'camera'
message.header.stamp.sec = 7
for number in range(3):
    detection = Detection3D(id=str(number))
    detection.bbox.size.x = 0.05
    result = ObjectHypothesisWithPose()
    result.hypothesis.class_id = 'cube'
    result.hypothesis.score = 0.5 + number / 8
    result.pose.pose.position.z = 0.75
    result.pose.covariance[35] = 2.5
    detection.results = [result]
    message.detections.append(detection)
publisher.publish(message)
sys.stdin.read()
"""


@pytest.fixture(scope='module')
def described(tmp_path_factory):
    """Return a folder with the type descriptions of all packages, hashes not checked yet."""
    build = tmp_path_factory.mktemp('described')
    for package in definitions.PACKAGES:
        generation.describe_package(package, build, sys.prefix, expected_hashes={})
    return build


@needs_generators
@pytest.mark.parametrize('type_name', sorted(definitions.TYPE_HASHES))
def test_type_hash_equals_upstreams(type_name, described):
    share = described / 'share' / type_name.split('/')[0]
    assert generation.read_type_hash(share, type_name) == definitions.TYPE_HASHES[type_name]


@needs_generators
def test_a_changed_field_changes_the_hash_and_is_refused(tmp_path):
    package = definitions.InterfacePackage(
        'object_recognition_msgs', '0', (), {'ObjectType': 'string key\nstring database'}, False)
    with pytest.raises(TypeHashError, match='object_recognition_msgs/msg/ObjectType') as info:
        generation.describe_package(package, tmp_path, sys.prefix)
    assert info.value.got.startswith('RIHS01_')
    assert info.value.got != info.value.expected
    assert info.value.got in str(info.value)
    assert info.value.expected in str(info.value)


@needs_generators
@pytest.mark.parametrize('type_name', sorted(definitions.TYPE_HASHES))
def test_installed_type_hash_equals_upstreams(type_name):
    package_name = type_name.split('/')[0]
    share = Path(sys.prefix) / 'share' / package_name
    assert generation.read_type_hash(share, type_name) == definitions.TYPE_HASHES[type_name]


@needs_generators
def test_a_second_run_only_verifies(capsys):
    recorded = installation.read_record(sys.prefix)['fingerprint']
    assert recorded == installation.fingerprint(), 'run python -m dr_perception.ros.interfaces'
    assert main([]) == 0
    output = capsys.readouterr().out
    assert 'generated' not in output
    names = ', '.join(package.name for package in definitions.PACKAGES)
    assert f'verified: {names}' in output


@pytest.mark.parametrize('package', definitions.PACKAGES, ids=lambda package: package.name)
def test_every_type_is_importable_and_filled_with_defaults(package):
    module = importlib.import_module(f'{package.name}.msg')
    for type_name in package.messages:
        assert getattr(module, type_name)() == getattr(module, type_name)()


@pytest.mark.parametrize('package_name, kind, name', [
    (package.name, kind, name) for package in definitions.PACKAGES
    for kind, name, _ in package.interfaces() if kind != 'msg'])
def test_services_and_actions_are_importable_with_their_messages(package_name, kind, name):
    interface = getattr(importlib.import_module(f'{package_name}.{kind}'), name)
    parts = {'srv': ('Request', 'Response'), 'action': ('Goal', 'Result', 'Feedback')}[kind]
    for part in parts:
        assert getattr(interface, part)() == getattr(interface, part)()


def test_a_service_and_an_action_are_answered():
    from moveit_msgs.srv import ApplyPlanningScene
    from rclpy.action import ActionClient, ActionServer
    from rclpy.executors import SingleThreadedExecutor
    from tf2_msgs.action import LookupTransform

    def answer(request, response):
        response.success = request.scene.is_diff
        return response

    def execute(goal):
        result = LookupTransform.Result()
        result.transform.child_frame_id = goal.request.source_frame
        goal.succeed()
        return result

    context = rclpy.Context()
    rclpy.init(context=context)
    node = rclpy.create_node('interface_server', context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    try:
        node.create_service(ApplyPlanningScene, 'apply', answer)
        server = ActionServer(node, LookupTransform, 'look_up', execute)
        client = node.create_client(ApplyPlanningScene, 'apply')
        actions = ActionClient(node, LookupTransform, 'look_up')
        assert client.wait_for_service(20.0) and actions.wait_for_server(20.0)
        request = ApplyPlanningScene.Request()
        request.scene.is_diff = True
        future = client.call_async(request)
        executor.spin_until_future_complete(future, 20.0)
        assert future.result().success is True
        accepted = actions.send_goal_async(LookupTransform.Goal(source_frame='cube_0'))
        executor.spin_until_future_complete(accepted, 20.0)
        result = accepted.result().get_result_async()
        executor.spin_until_future_complete(result, 20.0)
        assert result.result().result.transform.child_frame_id == 'cube_0'
        server.destroy()
        actions.destroy()
    finally:
        node.destroy_node()
        rclpy.shutdown(context=context)


def test_collision_object_operations_are_single_bytes():
    from moveit_msgs.msg import CollisionObject
    operations = [CollisionObject.ADD, CollisionObject.REMOVE,
                  CollisionObject.APPEND, CollisionObject.MOVE]
    assert operations == [b'\x00', b'\x01', b'\x02', b'\x03']


def test_serialized_messages_come_back_equal():
    from geometry_msgs.msg import TransformStamped
    from moveit_msgs.msg import CollisionObject
    from rclpy.serialization import deserialize_message, serialize_message
    from tf2_msgs.msg import TFMessage
    transform = TransformStamped(child_frame_id='cube_0')
    transform.transform.translation.x = 0.25
    collision = CollisionObject(id='cube_0', operation=CollisionObject.MOVE)
    collision.type.key = 'cube'
    for message in (TFMessage(transforms=[transform]), collision):
        assert deserialize_message(serialize_message(message), type(message)) == message


def test_detections_reach_another_process():
    from rclpy.executors import SingleThreadedExecutor
    from rclpy.qos import DurabilityPolicy, QoSProfile
    from vision_msgs.msg import Detection3DArray
    received = []
    context = rclpy.Context()
    rclpy.init(context=context)
    publisher = subprocess.Popen(
        [sys.executable, '-c', PUBLISHER], stdin=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        node = rclpy.create_node('interface_subscriber', context=context)
        node.create_subscription(
            Detection3DArray, 'interface_round_trip', received.append,
            QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL))
        executor = SingleThreadedExecutor(context=context)
        executor.add_node(node)
        for _ in range(300):
            executor.spin_once(timeout_sec=0.1)
            if received or publisher.poll() is not None:
                break
    finally:
        errors = publisher.communicate(timeout=30)[1].decode()  # end of input ends it
        rclpy.shutdown(context=context)
    assert received, f'nothing arrived within 30 s; the publisher wrote: {errors}'
    message = received[0]
    assert message.header.frame_id == 'camera'
    assert message.header.stamp.sec == 7
    assert [detection.id for detection in message.detections] == ['0', '1', '2']
    result = message.detections[2].results[0]
    assert (result.hypothesis.class_id, result.hypothesis.score) == ('cube', 0.75)
    assert result.pose.pose.position.z == 0.75
    assert result.pose.covariance[35] == 2.5


def test_missing_compiler_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setattr(compilation.shutil, 'which', lambda program: None)
    with pytest.raises(InterfaceError, match=r'gcc is not installed: apt-get install g\+\+'):
        compilation.check_build_tools()


def test_missing_headers_are_one_line_with_the_remedy(monkeypatch, tmp_path):
    monkeypatch.setattr(compilation.shutil, 'which', lambda program: '/usr/bin/' + program)
    monkeypatch.setattr(
        compilation.sysconfig, 'get_paths', lambda: {'include': str(tmp_path)})
    with pytest.raises(InterfaceError, match=r'Python\.h is missing: apt-get install python3'):
        compilation.check_build_tools()


def test_missing_wheels_are_one_line_with_the_pip_command(monkeypatch, capsys):
    monkeypatch.setattr(installation, 'has_generators', lambda prefix: False)
    monkeypatch.setattr(installation.importlib.util, 'find_spec', lambda name: None)
    assert main([]) == 2
    error = capsys.readouterr().err
    assert 'the ROS wheels are not installed' in error
    assert "-m pip install '.[ros]'" in error
    assert error.count('\n') == 1


def test_a_ros_installation_without_the_packages_names_the_apt_packages(monkeypatch, tmp_path):
    monkeypatch.setattr(installation, 'has_generators', lambda prefix: False)
    monkeypatch.setattr(installation, 'find_provided', lambda recorded: {})
    monkeypatch.setenv('ROS_DISTRO', 'jazzy')
    with pytest.raises(InterfaceError, match='ros-jazzy-tf2-msgs ros-jazzy-vision-msgs'):
        installation.ensure_interfaces(tmp_path)


def test_packages_of_a_ros_installation_are_left_alone(monkeypatch, tmp_path):
    everything = {package.name: '/somewhere' for package in definitions.PACKAGES}
    monkeypatch.setattr(installation, 'find_provided', lambda recorded: everything)
    outcome = installation.ensure_interfaces(tmp_path)
    assert dict(outcome.provided) == everything
    assert list(tmp_path.iterdir()) == []


def test_an_interrupted_installation_still_counts_as_ours(tmp_path):
    installation.write_record(tmp_path, ['vision_msgs'], None, {})
    record = installation.read_record(tmp_path)
    assert 'vision_msgs' not in installation.find_provided(record['packages'])
    assert not installation.is_intact(tmp_path, record)


def test_a_file_that_lost_its_contents_is_noticed(tmp_path):
    (tmp_path / 'a').write_text('abc')
    installation.write_record(tmp_path, [], 'x', {'a': 3})
    assert installation.is_intact(tmp_path, installation.read_record(tmp_path))
    (tmp_path / 'a').write_text('')
    assert not installation.is_intact(tmp_path, installation.read_record(tmp_path))
