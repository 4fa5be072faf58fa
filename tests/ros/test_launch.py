"""The launch files, where ROS's launch can be imported."""
import importlib.util
from pathlib import Path

import pytest

# Not only 'launch': the folder of that name is one for Python, too.
pytest.importorskip(
    'launch.actions', reason='launch has no wheel on PyPI: needs a ROS installation')
pytest.importorskip(
    'launch_ros', reason='launch_ros has no wheel on PyPI: needs a ROS installation')

import launch  # noqa: E402

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
    assert len(declared) >= 8
    for argument in declared:
        assert argument.default_value is not None and len(argument.description) > 10


def test_arguments_reach_the_node_with_their_types():
    parameters = load('bringup.launch.py').node_parameters({
        'model': 'm.onnx', 'camera_pose': '1 0 0.5, 0 0 0 1', 'providers': 'A,B',
        'autostart': 'true', 'publish_tf': 'false', 'min_score': '0.5', 'target_frame': ''})
    assert parameters == {
        'model': 'm.onnx', 'camera_pose': [1.0, 0.0, 0.5, 0.0, 0.0, 0.0, 1.0],
        'providers': ['A', 'B'], 'autostart': True, 'publish_tf': False, 'min_score': 0.5}


def test_launch_arguments_are_parameters_of_the_node():
    from dr_perception.ros import parameters
    from dr_perception.ros.publishers import registered_outputs
    module = load('bringup.launch.py')
    texts = {entry.name: '0.5' for entry in module.ARGUMENTS}
    known = {spec.name for spec in parameters.SPECS} | {'use_sim_time'}
    assert set(module.node_parameters(texts)) <= known
    assert set(module.OUTPUTS) == {entry.name for entry in registered_outputs()}


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


def test_camera_info_defaults_to_the_one_beside_the_image():
    from launch_ros.actions import LifecycleNode
    context, made = entities('bringup.launch.py', image='/camera/left/image_raw')
    node = next(entity for entity in made if isinstance(entity, LifecycleNode))
    node._perform_substitutions(context)
    assert ('camera_info', '/camera/left/camera_info') in node.expanded_remapping_rules
