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

"""The demo without a camera: simulated camera, pose estimator and monitor.

    ros2 launch dr_perception sim_demo.launch.py duration:=30

The arguments of bringup.launch.py may be given, too.
"""

from launch import LaunchDescription
from launch.actions import (DeclareLaunchArgument, IncludeLaunchDescription, RegisterEventHandler,
                            SetEnvironmentVariable, Shutdown)
from launch.event_handlers import OnProcessExit
from launch.launch_description_sources import PythonLaunchDescriptionSource
from launch.substitutions import LaunchConfiguration, PathJoinSubstitution
from launch_ros.actions import Node
from launch_ros.parameter_descriptions import ParameterValue
from launch_ros.substitutions import FindPackageShare

ARGUMENTS = [
    DeclareLaunchArgument(
        'duration', default_value='30.0',
        description='Seconds of detections; then a table is printed and all ends. 0: for ever.'),
    DeclareLaunchArgument(
        'config', default_value='',
        description='Scene YAML of the simulated camera; empty: config/tabletop.yaml.'),
    DeclareLaunchArgument(
        'rate', default_value='15.0', description='Pictures a second.'),
    DeclareLaunchArgument(
        'scene_time', default_value='2.0', description='Seconds that a scene is shown.'),
    DeclareLaunchArgument(
        'scenes', default_value='0',
        description='Show so many scenes, again and again; 0: ever new ones.'),
    DeclareLaunchArgument(
        'json', default_value='', description="File for the monitor's figures; empty: none."),
    # Declared before the include, whose default is for a robot with a GPU.
    DeclareLaunchArgument(
        'providers', default_value='CPUExecutionProvider',
        description='ONNX Runtime execution providers, by commas, in order of preference.'),
    DeclareLaunchArgument(
        'model', default_value='',
        description='Path of the model.onnx; empty: the shipped models/tabletop.onnx.'),
]


def number(name):
    """Return a launch argument as a parameter of type double."""
    return ParameterValue(LaunchConfiguration(name), value_type=float)


def text(name):
    """Return a launch argument as a parameter of type string."""
    return ParameterValue(LaunchConfiguration(name), value_type=str)


def generate_launch_description():
    """Return the arguments, the three nodes, and the end when the monitor is done."""
    share = FindPackageShare('dr_perception')
    camera = Node(
        package='dr_perception', executable='simulated_camera', name='simulated_camera',
        output='screen', parameters=[{
            'config': text('config'), 'rate_hz': number('rate'), 'scene_s': number('scene_time'),
            'scenes': ParameterValue(LaunchConfiguration('scenes'), value_type=int)}])
    monitor = Node(
        package='dr_perception', executable='monitor', name='monitor', output='screen',
        parameters=[{'duration_s': number('duration'), 'json': text('json'),
                     'model': text('model')}],
        remappings=[('detections', '/pose_estimator/detections'),
                    ('ground_truth', '/simulated_camera/ground_truth')])
    return LaunchDescription([
        *ARGUMENTS,
        # Pictures are larger than the default shared memory of Fast DDS.
        SetEnvironmentVariable('FASTRTPS_DEFAULT_PROFILES_FILE', PathJoinSubstitution(
            [share, 'config', 'fastdds_large_images.xml'])),
        IncludeLaunchDescription(PythonLaunchDescriptionSource(PathJoinSubstitution(
            [share, 'launch', 'bringup.launch.py']))),
        camera, monitor,
        RegisterEventHandler(OnProcessExit(
            target_action=monitor, on_exit=[Shutdown(reason='the monitor is done')]))])
