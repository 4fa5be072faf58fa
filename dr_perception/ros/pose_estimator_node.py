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

"""The lifecycle node `pose_estimator`: images in, object poses out."""

from __future__ import annotations

from collections.abc import Callable
import sys
import threading
import time
import traceback
from typing import TYPE_CHECKING

from dr_perception.core.errors import PerceptionError
from dr_perception.core.transform_buffer import TransformBuffer
from dr_perception.ros import parameters
from dr_perception.ros.conversions import NS_PER_S, stamp_to_ns
from dr_perception.ros.diagnostics import DiagnosticsPublisher, NodeHealth, PERIOD_S, transform_age
from dr_perception.ros.frame_processor import error_kind, FrameProcessor
from dr_perception.ros.frame_statistics import FrameStatistics
from dr_perception.ros.frame_worker import FrameWorker
from dr_perception.ros.hot_reload import ModelReloader
from dr_perception.ros.inputs import ArrivedImage, FrameInputs
from dr_perception.ros.model_loading import prepare_estimator
from dr_perception.ros.node_process import run_node
from dr_perception.ros.output_set import create_outputs, update_outputs
from dr_perception.ros.time_jumps import call_when_time_goes_back
from rclpy.clock import Clock, ClockType
from rclpy.executors import SingleThreadedExecutor
from rclpy.lifecycle import LifecycleNode, TransitionCallbackReturn

if TYPE_CHECKING:
    from dr_perception import PoseEstimator

SUCCESS, FAILURE = TransitionCallbackReturn.SUCCESS, TransitionCallbackReturn.FAILURE


class PoseEstimatorNode(LifecycleNode):
    """Loads and verifies the model in configure; subscribes and publishes while active."""

    def __init__(self, open_network: Callable | None = None, gives_way_on_tf: bool = False,
                 **kwargs) -> None:
        super().__init__('pose_estimator', **kwargs)
        self._open_network = open_network   # shared with the nodes of other cameras
        self.gives_way_on_tf = gives_way_on_tf      # one of them has the plain names
        self._statistics = FrameStatistics()
        self._estimator = self._worker = self._processor = self._inputs = None
        self._outputs = []
        self._transition_error = self._provider_problem = ''
        self._active_since_s, self._camera_frame = None, ''
        self._frame_lock = threading.Lock()  # held while a frame is in work, and by a swap
        try:
            parameters.declare_parameters(self)
            self.settings = parameters.read_settings(self)
        except PerceptionError:
            self.destroy_node()
            raise
        self._transforms = TransformBuffer(self.settings.max_transform_age_s)
        self.add_on_set_parameters_callback(lambda changes: parameters.check_change(
            self, changes, self._estimator is not None, self._known_objects()))
        self.add_post_set_parameters_callback(self._refresh_settings)
        self._diagnostics = DiagnosticsPublisher(self)
        self._reloader = ModelReloader(self, lambda: parameters.read_settings(self),
                                       self._prepare, lambda: self._estimator,
                                       self._swap_model)
        # Simulated time that begins again leaves transforms of another time behind.
        self._jumps = call_when_time_goes_back(
            self, lambda: self._transforms.forget_moving())
        # A steady clock: the report must not stop with simulated time.
        self.create_timer(PERIOD_S, self._publish_diagnostics,
                          clock=Clock(clock_type=ClockType.STEADY_TIME))

    @property
    def estimator(self) -> PoseEstimator | None:
        """The model in use; None while unconfigured."""
        return self._estimator

    def autostart(self) -> bool:
        """Configure and activate; False when that failed (the reason is logged)."""
        return self.trigger_configure() == SUCCESS and self.trigger_activate() == SUCCESS

    def close(self) -> None:
        """Stop the thread and free everything, in whatever state the node is."""
        self._jumps.unregister()
        self._stop_inputs()
        self._release()

    def on_configure(self, state) -> TransitionCallbackReturn:
        """Load and verify the model, warm it up, create the publishers."""
        start_s = time.monotonic()
        try:
            self.settings = parameters.read_settings(self)
            self._estimator, self._provider_problem = self._prepare(self.settings)
            objects = self._estimator.contract.objects
            self._outputs = create_outputs(self, self.settings.outputs, objects)
        except Exception as error:  # rclpy would swallow it without a word
            self._release()
            self._transition_error = f'not configured: {error}'
            return self._fail('configure', error)
        self._transition_error = self._reloader.problem = ''
        if self._provider_problem:
            self.get_logger().warning(self._provider_problem)
        self.get_logger().info(
            f'model {self._model_text()}: {len(objects)} objects on '
            f'{self._estimator.active_providers[0]}, ready in {time.monotonic() - start_s:.1f} s')
        return super().on_configure(state)

    def on_activate(self, state) -> TransitionCallbackReturn:
        """Start the thread, then subscribe."""
        try:
            self._statistics.reset()
            self._transforms = TransformBuffer(self.settings.max_transform_age_s)
            self._processor = self._make_processor(self._estimator)
            self._worker = FrameWorker(self._process, self._report_exception)
            self._worker.start()
            self._inputs = FrameInputs(self, self.settings, self._transforms, self._on_image)
        except Exception as error:  # rclpy would swallow it without a word
            self._stop_inputs()
            self._transition_error = f'not activated: {error}'
            return self._fail('activate', error)
        self._transition_error = ''
        self._active_since_s = time.monotonic()
        self.get_logger().info(
            f'active: {self._inputs.image_topic} -> {self.resolve_topic_name("~/detections")}')
        return super().on_activate(state)

    def on_deactivate(self, state) -> TransitionCallbackReturn:
        """Unsubscribe and stop the thread."""
        self._stop_inputs()
        return super().on_deactivate(state)

    def on_cleanup(self, state) -> TransitionCallbackReturn:
        """Free the model and the publishers."""
        self._release()
        return super().on_cleanup(state)

    def on_shutdown(self, state) -> TransitionCallbackReturn:
        """Stop and free everything."""
        self.close()
        return super().on_shutdown(state)

    def on_error(self, state) -> TransitionCallbackReturn:
        """Back to unconfigured, with nothing left behind."""
        self.close()
        return SUCCESS

    def _on_image(self, arrived: ArrivedImage) -> None:
        self._statistics.count_received()
        if self._worker is not None and self._worker.put(arrived):
            self._statistics.count_dropped()

    def _prepare(self, settings: parameters.Settings) -> tuple[PoseEstimator, str]:
        return prepare_estimator(settings, self.get_logger().info, self._open_network)

    def _make_processor(self, estimator: PoseEstimator) -> FrameProcessor:
        return FrameProcessor(estimator, self._transforms, self._report)

    def _swap_model(self, estimator: PoseEstimator, provider_problem: str) -> None:
        """Put a prepared model in the old one's place, between two frames."""
        before = self._estimator
        with self._frame_lock:
            self._estimator = estimator     # outputs that are made anew ask for it
            try:
                self._outputs = update_outputs(
                    self, self._outputs, before.contract.objects, estimator.contract.objects)
            except Exception:
                self._estimator = before
                raise
            self._provider_problem = provider_problem
            if self._processor is not None:
                self._processor = self._make_processor(estimator)
            if self._inputs is not None:  # publishers that are new are silent until told
                super().on_activate(None)

    def _process(self, arrived: ArrivedImage) -> None:
        """One frame, on the worker's thread."""
        with self._frame_lock:
            self._process_locked(arrived)

    def _process_locked(self, arrived: ArrivedImage) -> None:
        settings, clock, inputs = self.settings, self.get_clock(), self._inputs
        if inputs is None:  # being deactivated
            return
        image = inputs.read(arrived)
        waiting_ms = (time.perf_counter() - arrived.time_s) * 1e3
        self._camera_frame, stamp_ns = image.header.frame_id, stamp_to_ns(image.header.stamp)
        result = self._processor.process(
            image, inputs.camera_info, settings, clock.now().nanoseconds)
        processed_s, latency_ms, timing_ms = time.perf_counter(), None, {}
        for number, publisher in enumerate(self._outputs):
            try:
                publisher.publish(result)
            except Exception as error:  # the other outputs must not suffer
                self._report_exception(error)
            if number == 0:
                timing_ms = {'waiting': waiting_ms, **result.timing_ms,
                             'publish': (time.perf_counter() - processed_s) * 1e3}
                if stamp_ns:
                    latency_ms = (clock.now().nanoseconds - stamp_ns) * 1e3 / NS_PER_S
                    timing_ms = {'transport': (arrived.node_ns - stamp_ns) * 1e3 / NS_PER_S,
                                 **timing_ms}
        self._statistics.count_processed(latency_ms, timing_ms, [
            not instance.out_of_range for instance in result.instances])

    def _report(self, kind: str, text: str) -> None:
        line = self._statistics.count_error(kind, text)
        if line:
            self.get_logger().warning(line)

    def _report_exception(self, error: Exception) -> None:
        if not self.context.ok():  # publishing fails while the process ends
            return
        kind = error_kind(error)
        line = self._statistics.count_error(kind, str(error) or type(error).__name__)
        if line and kind == 'internal':
            line += '\n' + ''.join(traceback.format_exception(error))
        if line:
            self.get_logger().error(line)

    def _fail(self, action: str, error: Exception) -> TransitionCallbackReturn:
        is_bug = not isinstance(error, PerceptionError)
        details = '\n' + ''.join(traceback.format_exception(error)) if is_bug else ''
        self.get_logger().error(f'cannot {action}: {error}{details}')
        return FAILURE

    def _stop_inputs(self) -> None:
        if self._inputs is not None:
            self._inputs.close()
        self._inputs = self._active_since_s = None
        if self._worker is not None and not self._worker.stop():
            self.get_logger().error('the frame in work did not end within 5 s')
        self._worker = None

    def _release(self) -> None:
        for publisher in self._outputs:
            publisher.close()
        self._outputs, self._estimator, self._processor = [], None, None

    def _refresh_settings(self, changes) -> None:
        self.settings = parameters.read_settings(self)
        self._transforms.max_age_s = self.settings.max_transform_age_s

    def _known_objects(self) -> tuple[str, ...]:
        estimator = self._estimator
        return () if estimator is None else tuple(m.name for m in estimator.contract.objects)

    def _model_text(self) -> str:
        estimator = self._estimator
        return '' if estimator is None else (
            f'{estimator.contract.name} (sha256 {estimator.model_sha256[:12]})')

    def _publish_diagnostics(self) -> None:
        settings, active_since_s, inputs = self.settings, self._active_since_s, self._inputs
        info = inputs.camera_info if inputs else None
        health = NodeHealth(
            state=self._state_machine.current_state[1],
            active_s=time.monotonic() - active_since_s if active_since_s else 0.0,
            transition_error=self._transition_error,
            image_topic=inputs.image_topic if inputs else '',
            camera_info_topic=inputs.camera_info_topic if inputs else '',
            image_publishers=self.count_publishers(inputs.image_topic) if inputs else 0,
            qos_problem=inputs.qos_problem if inputs else '',
            lost_images=inputs.lost_images if inputs else 0,
            camera_info=f'{info.width}x{info.height} px' if info else 'not received',
            camera_pose='TF' if settings.T_base_camera is None else 'parameter camera_pose',
            transform_problem=self._transforms.last_problem,
            transform_age='' if settings.T_base_camera is not None else transform_age(
                self._transforms, settings.base_frame, self._camera_frame,
                self.get_clock().now().nanoseconds),
            provider=', '.join(self._estimator.active_providers) if self._estimator else '',
            provider_problem=self._provider_problem, reload_problem=self._reloader.problem,
            model=self._model_text(), statistics=self._statistics.snapshot())
        self._diagnostics.publish(settings.hardware_id or self._camera_frame, health)


def _run(node: PoseEstimatorNode, executor: SingleThreadedExecutor) -> int:
    if node.settings.autostart and not node.autostart():
        # Told to end while it loaded: no failure.
        return 2 if node.context.ok() else 0
    executor.spin()
    return 0


def main(args: list[str] | None = None) -> int:
    """Run the node; exit code 0 after a signal, 2 when it could not be started."""
    return run_node(PoseEstimatorNode, args, _run)


if __name__ == '__main__':
    sys.exit(main())
