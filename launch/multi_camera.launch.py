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

"""Several cameras in one process, with one network for all of them.

    ros2 launch dr_perception multi_camera.launch.py cameras:=left,right params_file:=cell.yaml

Camera `left` reads /left/image and publishes /left/pose_estimator/detections and the rest.
"""

from launch import LaunchDescription
from launch.actions import DeclareLaunchArgument, OpaqueFunction
from launch.substitutions import LaunchConfiguration
from launch_ros.actions import Node

ARGUMENTS = [
    DeclareLaunchArgument(
        'cameras', default_value='',
        description='Namespaces of the cameras, by commas: left,right. At least one.'),
    DeclareLaunchArgument(
        'params_file', default_value='', description='YAML with parameters; those of one camera '
        'below /<camera>/pose_estimator, those of all below /**; empty: none.'),
    DeclareLaunchArgument(
        'image', default_value='image', description='Topic of the images in the namespace of each '
        'camera; camera_info is read beside it.'),
    DeclareLaunchArgument(
        'target_frame', default_value='',
        description='Frame of the outputs; empty: the frame of each image.'),
    DeclareLaunchArgument(
        'log_level', default_value='info', choices=['debug', 'info', 'warn', 'error', 'fatal'],
        description='Least level of log lines.'),
]


def make_node(context):
    """Return the process with all cameras; runs when the arguments are known."""
    values = {entry.name: LaunchConfiguration(entry.name).perform(context)
              for entry in ARGUMENTS}
    # An empty list has no type; the process says what is missing.
    parameters = {'cameras': values['cameras'].split(',')}
    if values['target_frame']:
        parameters['target_frame'] = values['target_frame']
    image = values['image']
    beside = '/'.join([*image.split('/')[:-1], 'camera_info'])
    # No name: it would hold for the node of every camera.
    return [Node(
        package='dr_perception', executable='multi_camera', output='screen',
        parameters=[*([values['params_file']] if values['params_file'] else []), parameters],
        remappings=[('image', image), ('image/compressed', f'{image}/compressed'),
                    ('camera_info', beside)],
        ros_arguments=['--log-level', values['log_level']])]


def generate_launch_description():
    """Return the arguments and the process."""
    return LaunchDescription([*ARGUMENTS, OpaqueFunction(function=make_node)])
