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

"""`~/load_model`: another model while the node works; the old one stays when the new one fails."""

from __future__ import annotations

from collections.abc import Callable
import threading
import time
import traceback
from typing import Any, TYPE_CHECKING

from dr_perception.core.errors import PerceptionError
from dr_perception.ros.parameters import Settings
from rclpy.callback_groups import MutuallyExclusiveCallbackGroup
from rclpy.task import Future
from std_srvs.srv import Trigger

if TYPE_CHECKING:
    from dr_perception import PoseEstimator


class ReloadError(PerceptionError):
    """A model that cannot be exchanged in the node's state."""


class ModelReloader:
    """Loads the model of the parameter ``model`` on request, checks it, warms it up, swaps.

    Loading happens on a thread of its own, so images go on through the old model; the swap
    happens on the executor's, where the transitions of the lifecycle happen too. A request that
    comes while another is at work waits for it.

    Args:
        node: the node.
        read_settings: its parameters now.
        prepare: settings -> an estimator that is ready, and what is wrong with its provider.
        current: the estimator that is in use, None where there is none.
        swap: puts an estimator, and what is wrong with its provider, in the old one's place.
    """

    def __init__(self, node: Any, read_settings: Callable[[], Settings],
                 prepare: Callable[[Settings], tuple[PoseEstimator, str]],
                 current: Callable[[], PoseEstimator | None],
                 swap: Callable[[PoseEstimator, str], None]) -> None:
        self._node, self._read_settings, self._prepare = node, read_settings, prepare
        self._current, self._swap = current, swap
        #: Why the last request failed; '' when it did not, or the node was configured since.
        self.problem = ''
        # A group of its own: the images' group must not wait until the model is there.
        node.create_service(Trigger, '~/load_model', self._on_request,
                            callback_group=MutuallyExclusiveCallbackGroup())

    async def _on_request(self, request: Trigger.Request,
                          response: Trigger.Response) -> Trigger.Response:
        try:
            response.message = await self._reload()
        except Exception as error:  # rclpy would end the node with it
            self.problem = f'the model was not exchanged: {error}'
            response.success, response.message = False, self.problem
            is_bug = not isinstance(error, PerceptionError)
            details = '\n' + ''.join(traceback.format_exception(error)) if is_bug else ''
            self._node.get_logger().error(f'{self.problem}{details}')
        else:
            self.problem, response.success = '', True
            self._node.get_logger().info(response.message)
        return response

    async def _reload(self) -> str:
        start_s, before = time.monotonic(), self._current()
        if before is None:
            raise ReloadError('the node holds none; configure it, which loads the model of the '
                              'parameter `model` (ros2 lifecycle set)')
        estimator, problem = await self._load(self._read_settings())
        if self._current() is not before:
            raise ReloadError('the node was cleaned up or configured meanwhile; call '
                              '~/load_model again if the model is still to be exchanged')
        self._swap(estimator, problem)
        return (f'model {estimator.contract.name} (sha256 {estimator.model_sha256[:12]}) on '
                f'{estimator.active_providers[0]} took the place of {before.contract.name} '
                f'(sha256 {before.model_sha256[:12]}) after {time.monotonic() - start_s:.1f} s'
                + (f'; {problem}' if problem else ''))

    def _load(self, settings: Settings) -> Future:
        future, executor = Future(), self._node.executor

        def load() -> None:
            try:
                loaded = self._prepare(settings)
            except Exception as error:  # handed on to whoever waits
                future.set_exception(error)
            else:
                future.set_result(loaded)
            executor.wake()     # or it would go on with the request at the next event only
        threading.Thread(target=load, name='model_loader', daemon=True).start()
        return future
