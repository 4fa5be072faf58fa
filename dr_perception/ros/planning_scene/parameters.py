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

"""The parameters of the node `planning_scene`: declared with description and range."""

from __future__ import annotations

from dataclasses import dataclass
import math
from typing import Any

from dr_perception.ros.conversions import clean_frame_id
from dr_perception.ros.parameters import ParameterError, ParameterSpec
from dr_perception.ros.planning_scene.pose_sampler import SamplingRules
from dr_perception.ros.planning_scene.scene_tracker import SceneRules
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor

OUTPUTS = ('collision_object', 'planning_scene')

SPECS = (
    ParameterSpec('model', '', 'Path of the model.onnx that pose_estimator runs: the shapes, '
                  'symmetries and subframes of its objects; empty: the shipped '
                  'models/tabletop.onnx.', read_only=True),
    ParameterSpec('planning_frame', 'base_link', "Frame of the collision objects, MoveIt's "
                  'planning frame; detections in other frames go through TF. Empty: the frame of '
                  'the detections.', read_only=True),
    ParameterSpec('output', 'collision_object', 'Topic of the objects: collision_object '
                  '(moveit_msgs/CollisionObject) or planning_scene (moveit_msgs/PlanningScene '
                  'diffs).', read_only=True, choices=OUTPUTS),
    ParameterSpec('dry_run', False, 'Only log what would be done; publish nothing.', live=True),
    ParameterSpec('min_score', 0.0, 'Detections of a smaller score are not used.', 0.0, 1.0,
                  live=True),
    ParameterSpec('add_after_hits', 3, 'An object is added after so many sightings near each '
                  'other; a picture without it takes one away.', 1, 1000, live=True),
    ParameterSpec('hit_distance_m', 0.02, 'A sighting farther than this from the one before is '
                  'not near it. Metres.', 0.0, 1.0, live=True),
    ParameterSpec('min_displacement_m', 0.003, 'An object is moved when it is at least this far '
                  'from where the planner has it, or turned by min_rotation_deg. Metres.', 0.0,
                  1.0, live=True),
    ParameterSpec('min_rotation_deg', 3.0, 'An object is moved when it is turned at least by '
                  'this (modulo its symmetry), or displaced by min_displacement_m. Degrees.',
                  0.0, 180.0, live=True),
    ParameterSpec('remove_after_s', 5.0, 'An object that pictures do not show for so long is '
                  'removed; without pictures nothing is. 0.0: never. Seconds.', 0.0, 86400.0,
                  live=True),
    ParameterSpec('remove_on_exit', True, 'Remove what this node added when it ends.', live=True),
    ParameterSpec('max_transform_age_s', 0.5, 'A moving transform may end this much before the '
                  'time of the picture. Seconds.', 0.0, 60.0, live=True),
    ParameterSpec('apply_timeout_s', 5.0, 'Longest wait of ~/apply for apply_planning_scene. '
                  'Seconds.', 0.1, 600.0, live=True),
    ParameterSpec('get_pose_samples', 5, '~/get_pose: samples in a row that must agree.', 1,
                  1000, live=True),
    ParameterSpec('get_pose_timeout_s', 5.0, '~/get_pose: longest wait where the goal has no '
                  'timeout. Seconds.', 0.1, 3600.0, live=True),
    ParameterSpec('get_pose_max_spread_m', 0.003, '~/get_pose: samples agree when none is '
                  'farther than this from their mean. Metres.', 0.0, 1.0, live=True),
    ParameterSpec('get_pose_max_spread_deg', 5.0, '~/get_pose: samples agree when none is turned '
                  'more than this from their mean (modulo symmetry). Degrees.', 0.0, 180.0,
                  live=True),
    ParameterSpec('get_pose_max_std_m', 0.01, '~/get_pose: samples of a larger standard '
                  'deviation of the position, in its worst direction, do not count. Metres.',
                  0.0, 1.0, live=True),
)


@dataclass(frozen=True)
class PlanningSettings:
    """The parameters' values; names and meanings are those of ``SPECS``."""

    model: str
    planning_frame: str
    output: str
    dry_run: bool
    min_score: float
    scene: SceneRules
    remove_on_exit: bool
    max_transform_age_s: float
    apply_timeout_s: float
    get_pose_timeout_s: float
    sampling: SamplingRules


def declare_parameters(node: Any) -> None:
    """Declare every parameter of ``SPECS``; rclpy refuses changes out of type and range.

    Raises:
        ParameterError: an override that cannot be used.
    """
    for spec in SPECS:
        choices = f' One of: {", ".join(spec.choices)}.' if spec.choices else ''
        descriptor = ParameterDescriptor(description=spec.description + choices,
                                         read_only=spec.read_only)
        if spec.low is not None and isinstance(spec.default, int):
            descriptor.integer_range = [
                IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]
        elif spec.low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))]
        try:
            value = node.declare_parameter(spec.name, spec.default, descriptor).value
        except Exception as error:  # rclpy's several; each names the parameter and the types
            raise ParameterError(f'{spec.name}: {" ".join(str(error).split())}') from error
        if spec.choices and value not in spec.choices:
            raise ParameterError(f'{spec.name}: got {value!r}; expected one of '
                                 f'{", ".join(spec.choices)}')


def read_settings(node: Any) -> PlanningSettings:
    """Return the current values."""
    value = {spec.name: node.get_parameter(spec.name).value for spec in SPECS}
    plain = ('model', 'output', 'dry_run', 'min_score', 'remove_on_exit', 'max_transform_age_s',
             'apply_timeout_s', 'get_pose_timeout_s')
    return PlanningSettings(
        **{name: value[name] for name in plain},
        planning_frame=clean_frame_id(value['planning_frame']),
        scene=SceneRules(
            add_after_hits=value['add_after_hits'], hit_distance_m=value['hit_distance_m'],
            min_displacement_m=value['min_displacement_m'],
            min_rotation_rad=math.radians(value['min_rotation_deg']),
            remove_after_s=value['remove_after_s']),
        sampling=SamplingRules(
            samples=value['get_pose_samples'], max_spread_m=value['get_pose_max_spread_m'],
            max_spread_rad=math.radians(value['get_pose_max_spread_deg']),
            max_std_m=value['get_pose_max_std_m'], min_score=value['min_score']))
