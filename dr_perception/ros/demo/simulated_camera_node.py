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

"""The node `simulated_camera`: pictures of drawn scenes, with CameraInfo, TF and the truth.

The one module of dr_perception that imports sim_trainer, and only inside a function: the node is
a tool of the demo, not of the robot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
import functools
import itertools
import sys
from typing import Any

import cv2
from dr_perception.core.errors import MissingDependencyError
from dr_perception.core.resources import find_resource
from dr_perception.core.transforms import invert_transform
from dr_perception.ros.camera_conversion import info_from_camera
from dr_perception.ros.conversions import pose_with_covariance, transform_stamped
from dr_perception.ros.demo.scene_painter import (PaintedScene, ScenePainter, TrueInstance,
                                                  visible_part)
from dr_perception.ros.image_conversion import image_from_rgb
from dr_perception.ros.node_process import run_node
import numpy as np
from rcl_interfaces.msg import FloatingPointRange, IntegerRange, ParameterDescriptor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.qos import HistoryPolicy, QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage
from vision_msgs.msg import (Detection3D, Detection3DArray, ObjectHypothesis,
                             ObjectHypothesisWithPose)

DEFAULT_CONFIG = 'config/tabletop.yaml'
#: The reference scene as a robot cell has it: a fixed, calibrated camera, upright objects that do
#: not crowd each other, a few distractors that the training never drew (another seed).
REFERENCE_OVERRIDES = (
    'randomization.objects.tumbled=0', 'randomization.objects.dropped=0',
    'randomization.objects.crowded=0', 'randomization.objects.count=[4, 8]',
    'randomization.distractors.count=[0, 4]', 'randomization.viewpoint.enabled=false',
    'randomization.objects.hidden=0')
# Reliable writers serve best-effort readers too; drivers offer the same.
_CAMERA_QOS = QoSProfile(history=HistoryPolicy.KEEP_LAST, depth=2,
                         reliability=ReliabilityPolicy.RELIABLE)


class SimulatedCameraNode(Node):
    """Shows one drawn scene after the other, each as a short film with fresh noise."""

    def __init__(self, **kwargs) -> None:
        super().__init__('simulated_camera', **kwargs)
        self._declare()
        values = {name: self.get_parameter(name).value for name in (
            'config', 'scenes', 'first_scene', 'seed', 'scene_s', 'rate_hz', 'noise_std',
            'base_frame', 'camera_frame')}
        self._scene_s, self._noise_std = values['scene_s'], values['noise_std']
        self._base_frame, self._camera_frame = values['base_frame'], values['camera_frame']
        self._image_publisher = self.create_publisher(Image, 'image', _CAMERA_QOS)
        self._info_publisher = self.create_publisher(CameraInfo, 'camera_info', _CAMERA_QOS)
        self._tf_publisher = self.create_publisher(TFMessage, '/tf', 100)
        self._truth_publisher = self.create_publisher(
            Detection3DArray, '~/ground_truth', QoSProfile(depth=50))
        self._rng = np.random.default_rng(values['seed'])
        self._noise: np.ndarray | None = None
        self._scene: PaintedScene | None = None
        self._shown_since_ns, self._period_s = 0, 1.0 / values['rate_hz']
        self._is_waiting = False
        first, count = values['first_scene'], values['scenes']
        indices = (first + i % count for i in itertools.count()) if count else (
            itertools.count(first))
        self._painter = ScenePainter(functools.partial(
            painted_scenes, values['config'] or str(find_resource(DEFAULT_CONFIG)),
            [*REFERENCE_OVERRIDES, f'seed={values["seed"]}',
             *(self.get_parameter_or('overrides').value or [])], indices))
        self.create_timer(self._period_s, self._show)

    def close(self) -> None:
        """Stop drawing."""
        self._painter.close()

    def _declare(self) -> None:
        def declare(name: str, default: Any, description: str, low: Any = None,
                    high: Any = None) -> None:
            descriptor = ParameterDescriptor(description=description, read_only=True)
            if isinstance(low, float):
                descriptor.floating_point_range = [
                    FloatingPointRange(from_value=low, to_value=high)]
            elif low is not None:
                descriptor.integer_range = [
                    IntegerRange(from_value=low, to_value=high, step=1)]
            self.declare_parameter(name, default, descriptor)

        declare('config', '', 'Scene YAML; empty: the shipped config/tabletop.yaml.')
        declare('overrides', Parameter.Type.STRING_ARRAY, 'Changes of the scene, each '
                'key.path=value; they come after those that make the reference scene.')
        declare('rate_hz', 15.0, 'Pictures a second.', 0.1, 240.0)
        declare('scene_s', 2.0, 'How long a scene is shown. Seconds.', 0.05, 3600.0)
        declare('scenes', 0, 'Show so many scenes, again and again; 0: ever new ones.', 0, 100000)
        declare('first_scene', 0, 'Index of the first scene.', 0, 10**9)
        declare('seed', 71, 'Seed of scenes and noise; not one that models are trained with.', 0,
                2**31 - 1)
        declare('noise_std', 2.0, 'Noise that changes from picture to picture: standard '
                'deviation in grey levels.', 0.0, 50.0)
        declare('base_frame', 'base_link', 'Base frame of the scene.')
        declare('camera_frame', 'camera_optical_frame', 'Optical frame of the camera.')

    def _show(self) -> None:
        """Publish one picture of the scene at hand, or of the next one when its time has come."""
        now = self.get_clock().now()
        age_s = (now.nanoseconds - self._shown_since_ns) * 1e-9
        # Half a period early or late: the timer's jitter must not cost a picture.
        if self._scene is None or age_s > self._scene_s - self._period_s / 2:
            following = self._painter.take()
            if following is not None:
                self._scene, self._shown_since_ns = following, now.nanoseconds
                self.get_logger().info(
                    f'scene {following.index}: {len(following.instances)} objects')
            elif self._scene is None:
                return
        scene = self._scene
        header = Header(stamp=now.to_msg(), frame_id=self._camera_frame)
        # First what belongs to the picture, so that it is there when the picture arrives.
        self._tf_publisher.publish(TFMessage(transforms=[transform_stamped(
            Header(stamp=header.stamp, frame_id=self._base_frame), self._camera_frame,
            scene.T_base_camera)]))
        self._info_publisher.publish(info_from_camera(header, scene.camera))
        self._truth_publisher.publish(truth_message(header, scene))
        self._image_publisher.publish(image_from_rgb(header, self._with_noise(scene.image_rgb)))

    def _with_noise(self, image_rgb: np.ndarray) -> np.ndarray:
        if self._noise_std <= 0:
            return image_rgb
        height_px, width_px = image_rgb.shape[:2]
        if self._noise is None or self._noise.shape[0] != height_px + 64 or (
                self._noise.shape[1] != width_px + 64):
            self._noise = np.round(self._rng.normal(
                0.0, self._noise_std, (height_px + 64, width_px + 64, 3))).astype(np.int16)
        top, left = self._rng.integers(0, 64, 2)
        return cv2.add(image_rgb, self._noise[top:top + height_px, left:left + width_px],
                       dtype=cv2.CV_8U)


def painted_scenes(config_path: str, overrides: list[str],
                   indices: Iterable[int]) -> Iterator[PaintedScene]:
    """Draw the scenes of some frame indices.

    Args:
        config_path: scene YAML.
        overrides: changes of it, each `key.path=value`.
        indices: which scenes.

    Raises:
        MissingDependencyError: what the simulation needs is not installed.
        PerceptionError: the configuration cannot be used.
    """
    try:
        from sim_trainer.configuration.schema import load_config
        from sim_trainer.rendering.factory import make_renderer
        from sim_trainer.scene.generator import SceneGenerator
        config = load_config(config_path, overrides)
        generator = SceneGenerator(config)
        renderer = make_renderer(config, generator)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(f'the simulated camera needs {error.name}: pip install '
                                     "'dr_perception[demo]'") from error
    vertices_m = {model.name: model.vertices_m for model in generator.catalogue}
    try:
        for index in indices:
            scene = generator.scene(index, whole_picture=True)
            picture = renderer.draw(scene)
            T_camera_base = invert_transform(scene.T_base_camera)
            instances = []
            for number, body in enumerate(scene.instances, start=1):
                T_camera_object = T_camera_base @ body.T_base_body
                visible_px = int((picture.instance_ids == number).sum())
                instances.append(TrueInstance(body.object_name, T_camera_object, visible_part(
                    scene.camera, T_camera_object, vertices_m[body.object_name], visible_px)))
            yield PaintedScene(index, np.ascontiguousarray(picture.image_rgb), scene.camera,
                               scene.T_base_camera, tuple(instances))
    finally:
        renderer.close()
        generator.close()


def truth_message(header: Header, scene: PaintedScene) -> Detection3DArray:
    """Return the true poses in the camera's frame; each score is the visible part."""
    message = Detection3DArray(header=header)
    for number, instance in enumerate(scene.instances):
        message.detections.append(Detection3D(
            header=header, id=f'{instance.object_name}_{number}',
            results=[ObjectHypothesisWithPose(
                hypothesis=ObjectHypothesis(class_id=instance.object_name,
                                            score=float(instance.visibility)),
                pose=pose_with_covariance(instance.T_camera_object, np.zeros((6, 6))))]))
    return message


def main(args: list[str] | None = None) -> int:
    """Run the node; exit code 0 after a signal, 2 when scenes cannot be drawn."""
    return run_node(SimulatedCameraNode, args)


if __name__ == '__main__':
    sys.exit(main())
