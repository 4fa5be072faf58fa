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

"""Where the scene's commands go: a topic, and on request MoveIt's apply_planning_scene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dr_perception.ros.planning_scene.collision_objects import scene_diff
from dr_perception.ros.planning_scene.waiting import wait_for
from moveit_msgs.msg import CollisionObject, PlanningScene
from moveit_msgs.srv import ApplyPlanningScene
from rclpy.callback_groups import ReentrantCallbackGroup
from rclpy.duration import Duration
from rclpy.qos import QoSProfile

# An object's ADD and its MOVEs are a history, none of which may be lost.
_QOS = QoSProfile(depth=100)
_FLUSH = Duration(seconds=1)


class SceneOutput:
    """Publishes collision objects, one by one or as diffs.

    Args:
        node: the node.
        output: 'collision_object' or 'planning_scene'.
    """

    def __init__(self, node: Any, output: str) -> None:
        self._node = node
        self._as_diffs = output == 'planning_scene'
        kind = PlanningScene if self._as_diffs else CollisionObject
        self._publisher = node.create_publisher(kind, output, _QOS)
        self.group = ReentrantCallbackGroup()
        self._client = node.create_client(ApplyPlanningScene, 'apply_planning_scene',
                                          callback_group=self.group)
        self._found: set[tuple[int, ...]] = set()
        self._believed: set[tuple[int, ...]] = set()

    @property
    def topic(self) -> str:
        """The topic's full name."""
        return self._publisher.topic_name

    @property
    def is_heard(self) -> bool:
        """Whether somebody listens."""
        return bool(self._believed)

    def look_for_listeners(self) -> bool:
        """Whether somebody new listens; to be called now and then.

        A planner that was just found may not have found this publisher yet, so it is believed
        at the second look. One that was killed stays in the graph for up to 20 s, and its
        successor is another one by its identifier only.
        """
        found = {tuple(info.endpoint_gid)
                 for info in self._node.get_subscriptions_info_by_topic(self.topic)}
        before, self._believed = self._believed, found & self._found
        self._found = found
        return bool(self._believed - before)

    def publish(self, objects: Sequence[CollisionObject]) -> None:
        """Publish the changes of one picture."""
        if not objects:
            return
        for message in [scene_diff(objects)] if self._as_diffs else objects:
            self._publisher.publish(message)

    def flush(self) -> None:
        """Wait until all listeners have what was published, or a second has passed."""
        self._publisher.wait_for_all_acked(_FLUSH)

    async def apply(self, objects: Sequence[CollisionObject],
                    timeout_s: float) -> tuple[bool, str]:
        """Send objects through MoveIt's service; success, and one line about it."""
        name = self._node.resolve_service_name(self._client.srv_name)
        if not self._client.service_is_ready():
            return False, (f'nobody offers {name}; is move_group running, with its capability '
                           'ApplyPlanningSceneService? The objects go out on '
                           f'{self.topic} all the same')
        future = self._client.call_async(ApplyPlanningScene.Request(scene=scene_diff(objects)))
        if not await wait_for(self._node, future, timeout_s):
            self._client.remove_pending_request(future)
            return False, f'{name} did not answer within {timeout_s:g} s (apply_timeout_s)'
        if not future.result().success:
            return False, f'{name} refused the scene; the log of move_group says why'
        names = ', '.join(message.id for message in objects) or 'no objects'
        return True, f'{name} took {names}'
