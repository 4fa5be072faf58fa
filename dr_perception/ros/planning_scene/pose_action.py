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

"""`~/get_pose`: N agreeing samples of one object within a time, or the reason why not.

The action's type is tf2_msgs/LookupTransform: the object's frame is what is looked up, and its
result has a place for the reason. ``source_frame`` is the object or instance, ``target_frame``
the frame of the answer, ``source_time`` the earliest picture that counts.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transform_buffer import TransformError
from dr_perception.ros.conversions import (clean_frame_id, NS_PER_S, stamp_from_ns, stamp_to_ns,
                                           transform_stamped)
from dr_perception.ros.planning_scene.parameters import PlanningSettings
from dr_perception.ros.planning_scene.pose_sampler import Agreement, PoseSampler, Refusal, Sample
from dr_perception.ros.planning_scene.waiting import wait_for
import numpy as np
from rclpy.action import ActionServer, CancelResponse
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.task import Future
from std_msgs.msg import Header
from tf2_msgs.action import LookupTransform
from tf2_msgs.msg import TF2Error

_ERRORS = {Refusal.STALE: TF2Error.TIMEOUT_ERROR, Refusal.NOT_SEEN: TF2Error.LOOKUP_ERROR,
           Refusal.MOVING: TF2Error.TRANSFORM_ERROR, Refusal.UNCERTAIN: TF2Error.TRANSFORM_ERROR}


class PoseAction:
    """The action server; several goals may wait at a time.

    Args:
        node: the node.
        symmetries: object name -> its group.
        settings: gives the current parameters.
        find_transform: ``T_target_source`` of (target, source, stamp_ns); raises TransformError.
        topic: of the detections, for the reasons.
    """

    def __init__(self, node: Any, symmetries: Mapping[str, Symmetry],
                 settings: Callable[[], PlanningSettings],
                 find_transform: Callable[[str, str, int], np.ndarray], topic: str) -> None:
        self._node, self._symmetries, self._settings = node, symmetries, settings
        self._find_transform, self._topic = find_transform, topic
        self._waiting: dict[PoseSampler, Future] = {}
        self._canceling: dict[bytes, Future] = {}
        self._plan_frame = ''
        self._server = ActionServer(
            node, LookupTransform, '~/get_pose', self._execute,
            cancel_callback=self._cancel, callback_group=ReentrantCallbackGroup())

    def add_picture(self, samples: Sequence[Sample], plan_frame: str, stamp_ns: int) -> None:
        """Take over what one picture shows."""
        self._plan_frame = plan_frame
        for sampler, found in list(self._waiting.items()):
            answer = sampler.add_picture(samples, stamp_ns)
            if answer is not None and not found.done():
                found.set_result(answer)

    def close(self) -> None:
        """Destroy the server."""
        self._server.destroy()

    def _cancel(self, goal_handle: Any) -> CancelResponse:
        found = self._canceling.get(bytes(goal_handle.goal_id.uuid))
        if found is not None and not found.done():
            found.set_result(None)
        return CancelResponse.ACCEPT

    async def _execute(self, goal_handle: Any) -> LookupTransform.Result:
        goal, settings = goal_handle.request, self._settings()
        problem = self._wrong_goal(goal)
        if problem:
            return _refused(goal_handle, TF2Error.INVALID_ARGUMENT_ERROR, problem)
        timeout_s = goal.timeout.sec + goal.timeout.nanosec / NS_PER_S
        timeout_s = timeout_s if timeout_s > 0 else settings.get_pose_timeout_s
        sampler = PoseSampler(goal.source_frame, self._symmetries, settings.sampling,
                              stamp_to_ns(goal.source_time))
        self._begin_listening(goal.target_frame)
        key, found = bytes(goal_handle.goal_id.uuid), Future()
        self._waiting[sampler] = self._canceling[key] = found
        try:
            await wait_for(self._node, found, timeout_s)
        finally:
            del self._waiting[sampler], self._canceling[key]
        if goal_handle.is_cancel_requested:
            result = _result(TF2Error.TIMEOUT_ERROR, f'{goal.source_frame}: canceled')
            goal_handle.canceled()
            return result
        if not found.done():
            kind, text = sampler.refusal(timeout_s, self._topic)
            return _refused(goal_handle, _ERRORS[kind], text)
        return self._answer(goal_handle, found.result())

    def _wrong_goal(self, goal: LookupTransform.Goal) -> str:
        if goal.advanced:
            return 'advanced lookups are not for objects; leave `advanced` false'
        known = self._symmetries
        if goal.source_frame in known or any(
                goal.source_frame.startswith(f'{name}_') for name in known):
            return ''
        return (f'source_frame {goal.source_frame!r} is neither an object of the model nor an '
                f'instance <object>_<n>; it knows {", ".join(known)}')

    def _begin_listening(self, target_frame: str) -> None:
        """Ask for the transform once now, so that TF is there when the answer is."""
        try:
            self._find_transform(clean_frame_id(target_frame) or self._plan_frame,
                                 self._plan_frame, 0)
        except TransformError:
            pass    # the answer will say so if it is still true then

    def _answer(self, goal_handle: Any, answer: Agreement) -> LookupTransform.Result:
        frame = clean_frame_id(goal_handle.request.target_frame) or self._plan_frame
        try:
            T_target_plan = self._find_transform(frame, self._plan_frame, answer.stamp_ns)
        except TransformError as error:
            return _refused(goal_handle, TF2Error.CONNECTIVITY_ERROR, str(error))
        result = _result(TF2Error.NO_ERROR, '')
        result.transform = transform_stamped(
            Header(stamp=stamp_from_ns(answer.stamp_ns), frame_id=frame), answer.instance_name,
            T_target_plan @ answer.T_plan_object)
        goal_handle.succeed()
        return result


def _result(code: int, text: str) -> LookupTransform.Result:
    return LookupTransform.Result(error=TF2Error(error=code, error_string=text))


def _refused(goal_handle: Any, code: int, text: str) -> LookupTransform.Result:
    goal_handle.abort()
    return _result(code, text)
