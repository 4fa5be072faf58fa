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

"""The node `planning_scene`: detections in, collision objects out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
import time
from typing import Any

from builtin_interfaces.msg import Time
from dr_perception.core.contract_file import read_contract
from dr_perception.core.errors import PerceptionError
from dr_perception.core.resources import find_resource
from dr_perception.core.transform_buffer import TransformBuffer, TransformError
from dr_perception.ros.conversions import clean_frame_id, NS_PER_S, stamp_from_ns, stamp_to_ns
from dr_perception.ros.model_loading import DEFAULT_MODEL
from dr_perception.ros.planning_scene import parameters
from dr_perception.ros.planning_scene.collision_objects import collision_object
from dr_perception.ros.planning_scene.detection_reading import read_samples
from dr_perception.ros.planning_scene.pose_action import PoseAction
from dr_perception.ros.planning_scene.scene_output import SceneOutput
from dr_perception.ros.planning_scene.scene_tracker import (Command, Operation, SceneTracker,
                                                            Sighting)
from dr_perception.ros.time_jumps import call_when_time_goes_back
from moveit_msgs.msg import AttachedCollisionObject, CollisionObject, PlanningScene
import numpy as np
from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.qos import DurabilityPolicy, QoSProfile
from std_srvs.srv import Trigger
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import Detection3DArray

_RESULTS_QOS = QoSProfile(depth=5)
_ATTACHED_QOS = QoSProfile(depth=100)
_TF_QOS = QoSProfile(depth=100)
_TF_STATIC_QOS = QoSProfile(depth=100, durability=DurabilityPolicy.TRANSIENT_LOCAL)
_LOOK_PERIOD_S = 0.5
_SILENCE_S = 5.0
_WARNING_PERIOD_S = 5.0


class PlanningSceneNode(Node):
    """Keeps the planning scene as the detections say; see docs/integration.md."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__('planning_scene', **kwargs)
        try:
            parameters.declare_parameters(self)
            self.settings = parameters.read_settings(self)
            path = self.settings.model or str(find_resource(DEFAULT_MODEL))
            self._models = {model.name: model for model in read_contract(path).objects}
        except PerceptionError:
            self.destroy_node()
            raise
        symmetries = {name: model.symmetry for name, model in self._models.items()}
        self._tracker = SceneTracker(symmetries, self.settings.scene)
        self._transforms = TransformBuffer(self.settings.max_transform_age_s)
        self._jumps = call_when_time_goes_back(
            self, lambda: self._transforms.forget_moving())
        self._has_tf = self._is_closed = False
        self._plan_frame, self._stamp = self.settings.planning_frame, Time()
        self._last_arrival_s: float | None = None
        self._output = SceneOutput(self, self.settings.output)
        self._told: dict[str, Command] = {}     # what the planner has from this
        subscription = self.create_subscription(
            Detection3DArray, 'detections', self._on_detections, _RESULTS_QOS)
        self.create_subscription(AttachedCollisionObject, 'attached_collision_object',
                                 self._on_attached, _ATTACHED_QOS)
        self.create_subscription(PlanningScene, 'monitored_planning_scene', self._on_scene,
                                 _ATTACHED_QOS)
        self.create_service(Trigger, '~/apply', self._on_apply,
                            callback_group=self._output.group)
        self._pose_action = PoseAction(self, symmetries, lambda: self.settings, self._transform,
                                       subscription.topic_name)
        self.add_post_set_parameters_callback(self._refresh_settings)
        self.create_timer(_LOOK_PERIOD_S, self._look_round,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))
        self.get_logger().info(
            f'{subscription.topic_name} -> {self._output.topic}'
            f'{" (dry run: nothing is published)" if self.settings.dry_run else ""}, objects of '
            f'{path}')

    def close(self) -> None:
        """Remove what this added, where that is wanted and still possible, and end."""
        if self._is_closed:
            return
        self._is_closed = True
        self._jumps.unregister()
        if self.settings.remove_on_exit and self.context.ok():
            commands = self._tracker.clear()
            self._send(commands)
            if commands and self._is_speaking:
                self._output.flush()
        self._pose_action.close()

    @property
    def _is_speaking(self) -> bool:
        return self._output.is_heard and not self.settings.dry_run

    def _on_detections(self, message: Detection3DArray) -> None:
        self._last_arrival_s = time.monotonic()
        stamp_ns = stamp_to_ns(message.header.stamp) or self.get_clock().now().nanoseconds
        frame = clean_frame_id(message.header.frame_id)
        plan_frame = self.settings.planning_frame or frame
        if not plan_frame:
            self._warn('detections without a frame_id cannot be used')
            return
        try:
            T_plan_header = self._transform(plan_frame, frame, stamp_ns)
        except TransformError as error:
            self._warn(f'detections are not used: {error}')
            return
        self._plan_frame, self._stamp = plan_frame, stamp_from_ns(stamp_ns)
        samples = [sample for sample in read_samples(message, T_plan_header)
                   if self._is_known(sample.object_name)]
        self._pose_action.add_picture(samples, plan_frame, stamp_ns)
        commands = self._tracker.update(
            [Sighting(sample.instance_name, sample.object_name, sample.T_plan_object)
             for sample in samples if sample.score >= self.settings.min_score],
            stamp_ns / NS_PER_S)
        self._send(commands)

    def _is_known(self, object_name: str) -> bool:
        if object_name not in self._models:
            self._warn(f'the model has no object {object_name!r} (it has '
                       f'{", ".join(self._models)}); set the parameter model to the one that '
                       'pose_estimator runs')
        return object_name in self._models

    def _send(self, commands: Sequence[Command]) -> None:
        for command in commands:
            x, y, z = command.T_plan_object[:3, 3]
            text = (f'{command.operation.value} {command.instance_name} at ({x:.3f}, {y:.3f}, '
                    f'{z:.3f}) m in {self._plan_frame}')
            if self.settings.dry_run:
                self.get_logger().info(f'dry run: would {text}')
            elif command.operation is Operation.MOVE or not self._is_speaking:
                self.get_logger().debug(text)
            else:
                self.get_logger().info(text)
        if self._is_speaking:
            self._output.publish(self._messages(commands))
            self._note_told(commands)

    def _note_told(self, commands: Sequence[Command]) -> None:
        for command in commands:
            if command.operation is Operation.REMOVE:
                self._told.pop(command.instance_name, None)
            else:
                self._told[command.instance_name] = command

    def _messages(self, commands: Sequence[Command]) -> list[CollisionObject]:
        return [collision_object(command, self._models, self._plan_frame, self._stamp)
                for command in commands]

    def _on_attached(self, message: AttachedCollisionObject) -> None:
        name, is_removed = message.object.id, message.object.operation == CollisionObject.REMOVE
        if not is_removed:
            self._tracker.attach(name, message.link_name)
        elif name:
            self._tracker.detach(name)
        else:
            self._tracker.detach_link(message.link_name)

    def _on_scene(self, message: PlanningScene) -> None:
        """Take MoveIt's own account of what is attached: whole, or what changed."""
        listed = message.robot_state.attached_collision_objects
        if not message.is_diff:
            self._tracker.set_attached({item.object.id: item.link_name for item in listed})
            return
        for item in listed:
            self._on_attached(item)
        held = {item.object.id for item in listed}
        for item in message.world.collision_objects:
            # What is in the world is in no hand: MoveIt puts back there what it detaches.
            if item.operation != CollisionObject.REMOVE and item.id not in held:
                self._tracker.detach(item.id)

    async def _on_apply(self, request: Trigger.Request,
                        response: Trigger.Response) -> Trigger.Response:
        commands = self._tracker.scene()
        if self.settings.dry_run:
            response.message = f'dry run: would apply {len(commands)} objects'
            return response
        response.success, response.message = await self._output.apply(
            self._messages(commands), self.settings.apply_timeout_s)
        if response.success:
            self._tracker.mark_sent(commands)
            self._note_told(commands)
        return response

    def _look_round(self) -> None:
        was_heard = self._output.is_heard
        if self._output.look_for_listeners():
            self._tell_everything()
        elif was_heard and not self._output.is_heard:
            self.get_logger().warning(f'nobody listens to {self._output.topic} any more; whoever '
                                      'comes is told everything anew')
            self._tracker.set_attached({})
            self._told.clear()
        if self._last_arrival_s and time.monotonic() - self._last_arrival_s > _SILENCE_S:
            self._last_arrival_s = None
            self.get_logger().warning(f'no detections for {_SILENCE_S:g} s: the planning scene '
                                      'stays as it is')

    def _tell_everything(self) -> None:
        """Tell a new listener, who knows nothing yet."""
        commands = self._tracker.scene()
        self._tracker.mark_sent(commands)
        self._send(commands)

    def _transform(self, target: str, source: str, stamp_ns: int) -> np.ndarray:
        if target == source:
            return np.eye(4)
        if not self._has_tf:    # absolute names, as tf2's listeners have them
            self._has_tf = True
            self.create_subscription(
                TFMessage, '/tf', lambda m: self._transforms.add_message(m, False), _TF_QOS)
            self.create_subscription(
                TFMessage, '/tf_static', lambda m: self._transforms.add_message(m, True),
                _TF_STATIC_QOS)
        return self._transforms.lookup(target, source, stamp_ns)

    def _refresh_settings(self, changes: Any) -> None:
        was_dry_run = self.settings.dry_run
        self.settings = parameters.read_settings(self)
        self._tracker.rules = self.settings.scene
        self._transforms.max_age_s = self.settings.max_transform_age_s
        if was_dry_run and not self.settings.dry_run:
            self._send([replace(told, operation=Operation.REMOVE)
                        for name, told in self._told.items()
                        if name not in (*self._tracker.added, *self._tracker.attached)])
            self._tell_everything()

    def _warn(self, text: str) -> None:
        self.get_logger().warning(text, throttle_duration_sec=_WARNING_PERIOD_S)
