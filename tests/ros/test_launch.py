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

"""The launch files, where ROS's launch can be imported."""
import importlib.util
from pathlib import Path

import pytest

# Not only 'launch': the folder of that name is one for Python, too.
pytest.importorskip(
    'launch.actions', reason='launch has no wheel on PyPI: needs a ROS installation')
pytest.importorskip(
    'launch_ros', reason='launch_ros has no wheel on PyPI: needs a ROS installation')

import launch  # noqa: E402, I100

FOLDER = Path(__file__).resolve().parents[2] / 'launch'


def load(name):
    """Return a launch file as a module."""
    spec = importlib.util.spec_from_file_location(name.split('.')[0], FOLDER / name)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def entities(name, **arguments):
    """Return what a launch file makes of arguments."""
    context = launch.LaunchContext()
    description = load(name).generate_launch_description()
    context.launch_configurations.update(arguments)
    made = []
    for entity in description.entities:
        made += [entity, *(entity.visit(context) or [])]
    return context, made


@pytest.mark.parametrize('name', sorted(path.name for path in FOLDER.glob('*.launch.py')))
def test_every_argument_is_described_at_the_top_level(name):
    description = load(name).generate_launch_description()
    declared = [entity for entity in description.entities
                if isinstance(entity, launch.actions.DeclareLaunchArgument)]
    assert len(declared) >= 5
    for argument in declared:
        assert argument.default_value is not None and len(argument.description) > 10


def test_arguments_reach_the_node_with_their_types():
    parameters = load('bringup.launch.py').node_parameters({
        'model': 'm.onnx', 'camera_pose': '1 0 0.5, 0 0 0 1', 'providers': 'A,B',
        'autostart': 'true', 'publish_tf': 'false', 'min_score': '0.5', 'target_frame': '',
        'gpu_memory_limit_mb': '512', 'tracking': 'constant_pose', 'track_expiry_s': '2'})
    assert parameters == {
        'model': 'm.onnx', 'camera_pose': [1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0],
        'providers': ['A', 'B'], 'autostart': True, 'publish_tf': False, 'min_score': 0.5,
        'gpu_memory_limit_mb': 512, 'tracking': 'constant_pose', 'track_expiry_s': 2.0}
    assert isinstance(parameters['track_expiry_s'], float)


def test_launch_arguments_are_parameters_of_the_node():
    from dr_perception.ros import parameters
    from dr_perception.ros.publishers import registered_outputs
    module = load('bringup.launch.py')
    texts = {entry.name: '5' for entry in module.ARGUMENTS}
    known = {spec.name for spec in parameters.SPECS} | {'use_sim_time'}
    assert set(module.node_parameters(texts)) <= known
    assert set(module.OUTPUTS) == {entry.name for entry in registered_outputs()}


def test_what_is_given_comes_before_the_params_file_and_what_is_not_does_not():
    module = load('bringup.launch.py')
    texts = {entry.name: ''.join(part.text for part in entry.default_value)
             for entry in module.ARGUMENTS}
    assert module.node_parameters(texts) == {}
    given = {'autostart': 'true', 'use_sim_time': 'false', 'image_reliability': 'best_effort',
             'image_transport': 'raw', 'strict_provider': 'false', 'image_is_rectified': 'false'}
    assert module.node_parameters({**texts, **given}) == {
        'autostart': True, 'use_sim_time': False, 'image_reliability': 'best_effort',
        'image_transport': 'raw', 'strict_provider': False, 'image_is_rectified': False}


def test_the_planning_scene_node_starts_where_it_is_wanted(tmp_path):
    from launch_ros.actions import Node

    def executables(**arguments):
        context, made = entities('bringup.launch.py', **arguments)
        nodes = [entity for entity in made if isinstance(entity, Node)]
        for node in nodes:
            node._perform_substitutions(context)
        return {node.node_executable: node for node in nodes}

    assert list(executables()) == ['pose_estimator']
    nodes = executables(planning_scene='true', base_frame='world', model='m.onnx',
                        namespace='cell', use_sim_time='true')
    assert set(nodes) == {'pose_estimator', 'planning_scene'}
    node = nodes['planning_scene']
    assert node.node_name == '/cell/planning_scene'
    text = ''.join(open(path).read() for path, is_file in node._Node__expanded_parameter_arguments
                   if is_file)
    for line in ('planning_frame: world', 'model: m.onnx', 'use_sim_time: true'):
        assert line in text


def test_several_cameras_are_one_process_without_a_name():
    from launch_ros.actions import Node
    context, made = entities('multi_camera.launch.py', cameras='left,cell/right',
                             image='color/image_raw', target_frame='base_link')
    [node] = [entity for entity in made if isinstance(entity, Node)]
    node._perform_substitutions(context)
    assert node.node_executable == 'multi_camera'
    assert node.node_name.endswith(Node.UNSPECIFIED_NODE_NAME)
    assert ('camera_info', 'color/camera_info') in node.expanded_remapping_rules
    text = ''.join(open(path).read() for path, is_file in node._Node__expanded_parameter_arguments
                   if is_file)
    for part in ('cameras:', '- left', '- cell/right', 'target_frame: base_link'):
        assert part in text


def test_camera_info_defaults_to_the_one_beside_the_image():
    from launch_ros.actions import LifecycleNode
    context, made = entities('bringup.launch.py', image='/camera/left/image_raw')
    node = next(entity for entity in made if isinstance(entity, LifecycleNode))
    node._perform_substitutions(context)
    assert ('camera_info', '/camera/left/camera_info') in node.expanded_remapping_rules


def started(name, **arguments):
    """Return the kinds and the entities that a launch file makes at last."""
    context, made = entities(name, **arguments)
    return context, {type(entity).__name__: entity for entity in made
                     if not isinstance(entity, launch.actions.DeclareLaunchArgument)}


def test_rviz_is_started_only_when_asked_for(monkeypatch):
    _, made = started('bringup.launch.py')
    assert 'LifecycleNode' in made and 'Node' not in made and 'LogInfo' not in made


def test_without_rviz_it_says_so_and_starts_the_node_all_the_same(monkeypatch):
    monkeypatch.setenv('AMENT_PREFIX_PATH', '/nowhere')
    context, made = started('bringup.launch.py', rviz='true')
    assert 'LifecycleNode' in made and 'Node' not in made
    text = launch.utilities.perform_substitutions(context, made['LogInfo'].msg)
    assert 'there is no package rviz2' in text and 'apt install' in text


def test_rviz_gets_the_configuration_the_frame_and_the_topics(monkeypatch, tmp_path):
    marker = tmp_path / 'share' / 'ament_index' / 'resource_index' / 'packages' / 'rviz2'
    marker.parent.mkdir(parents=True)
    marker.write_text('')
    monkeypatch.setenv('AMENT_PREFIX_PATH', str(tmp_path))
    context, made = started('bringup.launch.py', rviz='true', namespace='cell', image='cam/image',
                            base_frame='table')
    rviz = made['Node']
    assert rviz.node_package == 'rviz2'
    rviz._perform_substitutions(context)
    command = [launch.utilities.perform_substitutions(context, part) for part in rviz.cmd[1:5]]
    assert command == ['-d', str(FOLDER.parent / 'config' / 'dr_perception.rviz'), '-f', 'table']
    assert Path(command[1]).is_file()
    rules = dict(rviz.expanded_remapping_rules)
    assert rules['/image'] == '/cell/cam/image'
    assert rules['/camera_info'] == '/cell/cam/camera_info'
    assert rules['/pose_estimator/markers'] == '/cell/pose_estimator/markers'


@pytest.mark.parametrize('arguments, frame', [
    ({}, 'base_link'), ({'base_frame': 'table'}, 'table'),
    ({'base_frame': 'table', 'target_frame': 'map'}, 'map'),
    ({'target_frame': 'map', 'rviz_fixed_frame': 'camera'}, 'camera')])
def test_the_fixed_frame_of_rviz(arguments, frame):
    module = load('bringup.launch.py')
    values = {'base_frame': '', 'target_frame': '', 'rviz_fixed_frame': '', **arguments}
    assert module.rviz_fixed_frame(values) == frame


def test_rviz_reads_the_topics_that_its_configuration_names():
    yaml = pytest.importorskip('yaml')
    module = load('bringup.launch.py')
    rules = dict(module.rviz_remappings(
        {'namespace': '', 'image': '/camera/image_raw', 'camera_info': ''}))
    displays = yaml.safe_load(module.RVIZ_CONFIG.read_text())['Visualization Manager']['Displays']
    topics = {entry['Topic']['Value'] for entry in displays if 'Topic' in entry}
    assert topics <= set(rules)
    assert rules['/image'] == '/camera/image_raw'
    assert rules['/camera_info'] == '/camera/camera_info'
