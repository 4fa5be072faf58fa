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

"""The pose estimator, configured and active: camera in, poses out.

    ros2 launch dr_perception bringup.launch.py image:=/camera/image_raw

Arguments left empty keep the value of `params_file`, or else the node's own default.
"""

from pathlib import Path

from ament_index_python.packages import get_package_prefix, PackageNotFoundError
from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, LogInfo, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import LifecycleNode, Node

OUTPUTS = ('detections', 'poses', 'object_poses', 'tf', 'markers', 'debug_image', 'vision_info')
#: Beside this folder in the checkout as in the installed package.
RVIZ_CONFIG = Path(__file__).parents[1] / 'config' / 'dr_perception.rviz'
BOOLEANS = ('true', 'false')

ARGUMENTS = [
    DeclareLaunchArgument(
        'model', default_value='',
        description='Path of the model.onnx; empty: the shipped models/tabletop.onnx.'),
    DeclareLaunchArgument(
        'image', default_value='image', description='Topic of the images (sensor_msgs/Image, or '
        'with image_transport:=compressed the base name of the CompressedImage topic).'),
    DeclareLaunchArgument(
        'camera_info', default_value='', description='Topic of the CameraInfo; empty: '
        'camera_info beside the image topic.'),
    DeclareLaunchArgument(
        'image_transport', default_value='', choices=['', 'raw', 'compressed'],
        description='Read raw or compressed images; empty: raw.'),
    DeclareLaunchArgument(
        'image_reliability', default_value='', choices=['', 'best_effort', 'reliable'],
        description='Reliability of the image subscription; reliable loses no large images, and '
        'reads only cameras that publish reliably; empty: best_effort.'),
    DeclareLaunchArgument(
        'image_is_rectified', default_value='', choices=['', *BOOLEANS],
        description='The images are rectified: P of the CameraInfo holds instead of K and D; '
        'empty: false.'),
    DeclareLaunchArgument(
        'namespace', default_value='', description='Namespace of the node.'),
    DeclareLaunchArgument(
        'base_frame', default_value='',
        description='Frame whose plane z = 0 the objects stand on; empty: base_link.'),
    DeclareLaunchArgument(
        'target_frame', default_value='',
        description='Frame of the outputs; empty: the frame of the image.'),
    DeclareLaunchArgument(
        'camera_pose', default_value='',
        description='Pose of the camera in base_frame, seven numbers "x y z qx qy qz qw" (metres, '
        'optical frame); empty: from TF.'),
    DeclareLaunchArgument(
        'providers', default_value='', description='ONNX Runtime execution providers, by commas, '
        'in order of preference; empty: CUDAExecutionProvider,CPUExecutionProvider.'),
    DeclareLaunchArgument(
        'strict_provider', default_value='', choices=['', *BOOLEANS],
        description='Refuse to run on another provider than the first; empty: false.'),
    DeclareLaunchArgument(
        'precision', default_value='', choices=['', 'fp32', 'fp16'],
        description='Precision of the network; fp16 with TensorRT only. Empty: fp32.'),
    DeclareLaunchArgument(
        'gpu_memory_limit_mb', default_value='',
        description='Most GPU memory of the network, MiB; empty or 0: no limit.'),
    DeclareLaunchArgument(
        'engine_cache', default_value='',
        description="Folder of TensorRT's engines; empty: in the cache folder of the user."),
    DeclareLaunchArgument(
        'tracking', default_value='', choices=['', 'off', 'constant_pose', 'constant_velocity'],
        description='Follow objects from image to image; empty: off.'),
    DeclareLaunchArgument(
        'track_confirm_hits', default_value='',
        description='With tracking: publish an object once so many images showed it; empty: 3.'),
    DeclareLaunchArgument(
        'track_expiry_s', default_value='',
        description='With tracking: give up an object not found for so long, s; empty: 1.'),
    DeclareLaunchArgument(
        'min_score', default_value='',
        description="Publish instances from this score (0 ... 1); empty: the model's threshold."),
    DeclareLaunchArgument(
        'objects', default_value='',
        description='Publish only these objects of the model, by commas; empty: all.'),
    DeclareLaunchArgument(
        'autostart', default_value='', choices=['', *BOOLEANS],
        description='Configure and activate at the start; false: a lifecycle manager does. '
        'Empty: true.'),
    DeclareLaunchArgument(
        'params_file', default_value='',
        description='YAML file with parameters; other arguments that are given come before it.'),
    DeclareLaunchArgument(
        'use_sim_time', default_value='', choices=['', *BOOLEANS],
        description='Take the time from /clock (simulators, recordings); empty: false.'),
    DeclareLaunchArgument(
        'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
        description='Least level of log lines.'),
    DeclareLaunchArgument(
        'rviz', default_value='false', choices=BOOLEANS,
        description='Start RViz with config/dr_perception.rviz, if the package rviz2 is there.'),
    DeclareLaunchArgument(
        'rviz_fixed_frame', default_value='', description='Fixed frame of RViz; empty: '
        'target_frame, or else base_frame. Without TF the frame of the camera shows something.'),
    DeclareLaunchArgument(
        'planning_scene', default_value='false', choices=BOOLEANS,
        description="Also start the node planning_scene: detections to MoveIt's collision "
        'objects, in base_frame; its parameters come from params_file.'),
    *(DeclareLaunchArgument(
        f'publish_{name}', default_value='', choices=['', *BOOLEANS],
        description=f'Publish the output {name}; empty: true.') for name in OUTPUTS),
]


def node_parameters(values):
    """Return the node's parameters.

    Args:
        values: launch arguments, name -> text; empty ones are left out.
    """
    def numbers(text):
        return [float(item) for item in text.replace(',', ' ').strip('[] ').split()]

    def names(text):
        return text.replace(',', ' ').strip('[] ').split()

    def boolean(text):
        return text == 'true'

    readers = {
        'model': str, 'image_transport': str,
        'image_reliability': str, 'image_is_rectified': boolean,
        'base_frame': str, 'target_frame': str, 'camera_pose': numbers, 'providers': names,
        'strict_provider': boolean, 'precision': str, 'gpu_memory_limit_mb': int,
        'engine_cache': str, 'tracking': str, 'track_confirm_hits': int,
        'track_expiry_s': float, 'min_score': float, 'objects': names, 'autostart': boolean,
        'use_sim_time': boolean, **{f'publish_{name}': boolean for name in OUTPUTS}}
    return {name: read(values[name]) for name, read in readers.items() if values.get(name)}


def planning_scene_node(values, has_file):
    """Return the node planning_scene.

    Args:
        values: launch arguments, name -> text, that were given.
        has_file: there is a params_file.
    """
    parameters = {}
    if values.get('base_frame'):
        parameters['planning_frame'] = values['base_frame']
    if values.get('model'):
        parameters['model'] = values['model']
    if values.get('use_sim_time'):
        parameters['use_sim_time'] = values['use_sim_time'] == 'true'
    return Node(
        package='dr_perception', executable='planning_scene', name='planning_scene',
        namespace=values.get('namespace', ''), output='screen',
        parameters=[*([values['params_file']] if has_file else []), parameters],
        ros_arguments=['--log-level', values.get('log_level', 'info')])


def make_nodes(context):
    """Return the nodes; runs when the arguments are known."""
    values = {entry.name: LaunchConfiguration(entry.name).perform(context)
              for entry in ARGUMENTS}
    image = values['image']
    # A params_file must not lose against defaults, only against what was given: what is a
    # parameter is empty unless it was.
    has_file = bool(values['params_file'])
    extra = [planning_scene_node(values, has_file)] if values['planning_scene'] == 'true' else []
    return [*extra, LifecycleNode(
        package='dr_perception', executable='pose_estimator', name='pose_estimator',
        namespace=values['namespace'], output='screen',
        parameters=[*([values['params_file']] if has_file else []), node_parameters(values)],
        remappings=[('image', image), ('image/compressed', f'{image}/compressed'),
                    ('camera_info', values['camera_info'] or camera_info_beside(image))],
        ros_arguments=['--log-level', values['log_level']])]


def make_rviz(context):
    """Return RViz where it is wanted and there; runs when the arguments are known."""
    values = {entry.name: LaunchConfiguration(entry.name).perform(context)
              for entry in ARGUMENTS}
    if values['rviz'] != 'true':
        return []
    try:
        get_package_prefix('rviz2')
    except PackageNotFoundError:
        return [LogInfo(msg='rviz:=true, but there is no package rviz2; the pose estimator runs '
                        'without it (apt install ros-$ROS_DISTRO-rviz2)')]
    return [Node(
        package='rviz2', executable='rviz2', name='rviz', output='screen',
        arguments=['-d', str(RVIZ_CONFIG), '-f', rviz_fixed_frame(values)],
        parameters=[{'use_sim_time': values['use_sim_time'] == 'true'}],
        remappings=rviz_remappings(values))]


def rviz_fixed_frame(values):
    """Return the frame that RViz shows everything in, from launch arguments."""
    return (values['rviz_fixed_frame'] or values['target_frame'] or values['base_frame']
            or 'base_link')


def rviz_remappings(values):
    """Return the rules that lead the topics of the RViz configuration to those of the node."""
    namespace = values['namespace'].strip('/')
    above = f'/{namespace}' if namespace else ''

    def absolute(topic):
        return topic if topic.startswith('/') else f'{above}/{topic}'

    image = absolute(values['image'])
    info = absolute(values['camera_info'] or camera_info_beside(values['image']))
    return [
        ('/image', image), ('/image/compressed', f'{image}/compressed'), ('/camera_info', info),
        *((f'/pose_estimator/{name}', f'{above}/pose_estimator/{name}')
          for name in ('markers', 'poses', 'debug_image', 'debug_image/compressed'))]


def camera_info_beside(image):
    """Return the topic camera_info beside an image topic."""
    return '/'.join([*image.split('/')[:-1], 'camera_info'])


def generate_launch_description():
    """Return the arguments, the nodes, and RViz where it is wanted."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=make_nodes),
                              OpaqueFunction(function=make_rviz)])
