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

"""The node's parameters: declared with description and range, checked, read as one value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from dr_perception.core.errors import PerceptionError
from dr_perception.core.tracking.motion import MOTION_MODELS
from dr_perception.ros.conversions import clean_frame_id, transform_from_seven
from dr_perception.ros.publishers import registered_outputs
import numpy as np
from rcl_interfaces.msg import (FloatingPointRange, IntegerRange, ParameterDescriptor,
                                SetParametersResult)
from rclpy.parameter import Parameter

_SWITCH_PREFIX = 'publish_'
TRACKING_OFF = 'off'
_AT_CONFIGURE = 'Takes effect while the node configures.'
_AT_RELOAD = 'Takes effect while the node configures, or by the service ~/load_model.'


class ParameterError(PerceptionError, ValueError):
    """A parameter value that cannot be used; the text begins with the parameter's name."""


@dataclass(frozen=True)
class ParameterSpec:
    """One parameter.

    Attributes:
        name, default, description: as ROS shows them. An empty list is a list of ``kind``.
        low, high: range of a number.
        read_only: set at the start only.
        live: may change in every state; others only while the node is unconfigured.
        reloaded: may change in every state too, and waits there for ``~/load_model``.
        choices: the only texts allowed.
        kind: type of an empty list.
    """

    name: str
    default: Any
    description: str
    low: float | None = None
    high: float | None = None
    read_only: bool = False
    live: bool = False
    reloaded: bool = False
    choices: tuple[str, ...] = ()
    kind: Parameter.Type | None = None


SPECS = (
    ParameterSpec('model', '', 'Path of the model.onnx; empty: the shipped models/tabletop.onnx.',
                  reloaded=True),
    ParameterSpec('providers', ['CUDAExecutionProvider', 'CPUExecutionProvider'],
                  'ONNX Runtime execution providers, in order of preference.'),
    ParameterSpec('strict_provider', False,
                  'Refuse to configure when the first of `providers` does not become active, '
                  'instead of warning and going on with a later one.'),
    ParameterSpec('precision', 'fp32', 'Precision of the network. fp16 where the first active '
                  'provider can make it of an fp32 model (TensorRT); others go on in fp32 and '
                  'warn.', choices=('fp32', 'fp16')),
    ParameterSpec('gpu_memory_limit_mb', 0, 'Most GPU memory of the network, MiB; 0: no limit. '
                  'CUDA: the arena; TensorRT: the workspace of its engine.', 0, 1_048_576),
    ParameterSpec('engine_cache', '', 'Folder where TensorRT keeps the engines it builds; empty: '
                  'dr_perception/engines in the cache folder of the user (XDG_CACHE_HOME).'),
    ParameterSpec('threads', 0, 'CPU threads of the network; 0: one for each core.', 0, 256),
    ParameterSpec('base_frame', 'base_link',
                  'Frame whose plane z = 0 (or the height that the model was trained for) the '
                  'objects stand on; camera_pose is given in it.'),
    ParameterSpec('camera_pose', [], 'Pose of the camera (optical frame) in base_frame: x y z in '
                  'metres, qx qy qz qw. Empty: it comes from TF.',
                  kind=Parameter.Type.DOUBLE_ARRAY),
    ParameterSpec('target_frame', '', 'Frame of all outputs; empty: the frame of the image.'),
    ParameterSpec('image_transport', 'raw', 'Which topic is read: `image` (raw) or '
                  '`image/compressed` (compressed).', choices=('raw', 'compressed')),
    ParameterSpec('image_reliability', 'best_effort', 'Reliability of the image subscription. '
                  'best_effort reads every camera; reliable loses no large images, and reads only '
                  'cameras that publish reliably.', choices=('best_effort', 'reliable')),
    ParameterSpec('image_is_rectified', False, 'The images are rectified: P of the CameraInfo '
                  'holds, without distortion, instead of K and D.'),
    ParameterSpec('min_score', 0.0, 'Only instances with at least this score are published; 0 '
                  "leaves the choice to the model's own threshold.", 0.0, 1.0, live=True),
    ParameterSpec('objects', [], 'Only these objects of the model are published; empty: all '
                  '(ros2 param set knows no empty list: give one empty name).',
                  live=True, kind=Parameter.Type.STRING_ARRAY),
    ParameterSpec('max_image_age_s', 1.0, 'An image older than this when its turn comes is '
                  'dropped; 0.0: no limit. Seconds.', 0.0, 3600.0, live=True),
    ParameterSpec('transform_timeout_s', 0.05, 'Longest wait for a moving transform at the time '
                  'of the image. Seconds.', 0.0, 1.0, live=True),
    ParameterSpec('max_transform_age_s', 0.5, 'A moving transform may end this much before the '
                  'time of the image. Seconds.', 0.0, 60.0, live=True),
    ParameterSpec('tracking', TRACKING_OFF, 'Follow objects from image to image: off publishes '
                  'what each image shows; constant_pose is for objects that rest most of the '
                  'time, constant_velocity for those that are carried along.',
                  live=True, choices=(TRACKING_OFF, *MOTION_MODELS)),
    ParameterSpec('track_confirm_hits', 3, 'With tracking, an object is published once so many '
                  'images showed it; an image without it takes one away.', 1, 100, live=True),
    ParameterSpec('track_expiry_s', 1.0, 'With tracking, an object that was not found for so '
                  'long, while images came, is given up; until then it is published, its score '
                  'falling. 0: at once. Seconds.', 0.0, 60.0, live=True),
    ParameterSpec('track_position_noise', 0.002, 'With tracking, how far an object wanders from '
                  'its motion model in 1 s, standard deviation: metres (constant_pose), or m/s of '
                  'its velocity (constant_velocity). Larger follows faster, smaller smooths '
                  'more.', 1e-4, 10.0, live=True),
    ParameterSpec('track_rotation_noise', 0.02, 'The same of the rotation: rad (constant_pose), '
                  'or rad/s (constant_velocity).', 1e-4, 100.0, live=True),
    ParameterSpec('autostart', True, 'Configure and activate by itself at the start; false leaves '
                  'that to a lifecycle manager.', read_only=True),
    ParameterSpec('hardware_id', '', 'hardware_id of the diagnostics; empty: the frame of the '
                  'camera.', live=True),
    *(ParameterSpec(f'{_SWITCH_PREFIX}{entry.name}', True, f'Publish {entry.description}.')
      for entry in registered_outputs()),
)


@dataclass(frozen=True, eq=False)
class Settings:
    """The parameters' values; the names and meanings are those of ``SPECS``."""

    model: str
    providers: tuple[str, ...]
    strict_provider: bool
    precision: str
    gpu_memory_limit_mb: int
    engine_cache: str
    threads: int
    base_frame: str
    T_base_camera: np.ndarray | None
    target_frame: str
    image_transport: str
    image_reliability: str
    image_is_rectified: bool
    min_score: float
    objects: frozenset[str]
    max_image_age_s: float
    transform_timeout_s: float
    max_transform_age_s: float
    tracking: str
    track_confirm_hits: int
    track_expiry_s: float
    track_position_noise: float
    track_rotation_noise: float
    autostart: bool
    hardware_id: str
    outputs: frozenset[str]


def declare_parameters(node: Any) -> None:
    """Declare every parameter of ``SPECS`` and guard its changes.

    Raises:
        ParameterError: an override that cannot be used.
    """
    for spec in SPECS:
        descriptor = ParameterDescriptor(description=_description(spec), read_only=spec.read_only)
        if isinstance(spec.default, int) and spec.low is not None:
            descriptor.integer_range = [
                IntegerRange(from_value=int(spec.low), to_value=int(spec.high), step=1)]
        elif spec.low is not None:
            descriptor.floating_point_range = [
                FloatingPointRange(from_value=float(spec.low), to_value=float(spec.high))]
        try:
            if spec.kind is None:
                node.declare_parameter(spec.name, spec.default, descriptor)
            elif node.declare_parameter(spec.name, spec.kind, descriptor).value is None:
                # An empty list has no type of its own, so it cannot be the declared default.
                node.set_parameters([Parameter(spec.name, spec.kind, spec.default)])
        except Exception as error:  # rclpy's several; each names the parameter and the types
            raise ParameterError(f'{spec.name}: {" ".join(str(error).split())}') from error
    read_settings(node)


def read_settings(node: Any) -> Settings:
    """Return the current values.

    Raises:
        ParameterError: a value that cannot be used.
    """
    values = {spec.name: node.get_parameter(spec.name).value for spec in SPECS}
    return settings_from_values(values)


def settings_from_values(values: dict[str, Any]) -> Settings:
    """Return checked settings of parameter values, by name.

    Raises:
        ParameterError: a value that cannot be used.
    """
    for spec in SPECS:
        value = values[spec.name]
        if spec.choices and value not in spec.choices:
            raise ParameterError(f'{spec.name}: got {value!r}; expected one of '
                                 f'{", ".join(spec.choices)}')
        if spec.low is not None and not spec.low <= value <= spec.high:
            raise ParameterError(f'{spec.name}: got {value:g}; expected {spec.low:g} ... '
                                 f'{spec.high:g}')
    camera_pose = list(values['camera_pose'] or [])
    try:
        T_base_camera = transform_from_seven(camera_pose) if camera_pose else None
    except ValueError as error:
        raise ParameterError(f'camera_pose: {error}') from error
    providers = tuple(name for name in values['providers'] if name)
    if not providers:
        raise ParameterError('providers: the list is empty; name at least CPUExecutionProvider')
    base_frame = clean_frame_id(values['base_frame'])
    if not base_frame:
        raise ParameterError('base_frame: is empty; expected the name of a frame')
    outputs = frozenset(entry.name for entry in registered_outputs()
                        if values[f'{_SWITCH_PREFIX}{entry.name}'])
    return Settings(
        providers=providers, base_frame=base_frame, T_base_camera=T_base_camera,
        target_frame=clean_frame_id(values['target_frame']),
        objects=frozenset(name for name in values['objects'] or () if name), outputs=outputs,
        **{name: values[name] for name in (
            'model', 'strict_provider', 'precision', 'gpu_memory_limit_mb', 'engine_cache',
            'threads', 'image_transport', 'image_reliability', 'image_is_rectified',
            'min_score', 'max_image_age_s', 'transform_timeout_s',
            'max_transform_age_s', 'tracking', 'track_confirm_hits', 'track_expiry_s',
            'track_position_noise', 'track_rotation_noise', 'autostart', 'hardware_id')})


def check_change(node: Any, changes: list[Parameter], is_configured: bool,
                 known_objects: tuple[str, ...]) -> SetParametersResult:
    """Whether parameters may change, and if not, why.

    Args:
        node: the node they belong to.
        changes: the new values.
        is_configured: the node holds a model.
        known_objects: the model's objects, where there is one.
    """
    specs = {spec.name: spec for spec in SPECS}
    own = [change for change in changes if change.name in specs]
    for change in own:
        spec = specs[change.name]
        if is_configured and not (spec.live or spec.reloaded):
            return SetParametersResult(successful=False, reason=(
                f'{change.name}: takes effect while the node configures; deactivate and clean it '
                'up first (ros2 lifecycle set)'))
    values = {name: node.get_parameter(name).value for name in specs if node.has_parameter(name)}
    values.update((change.name, change.value) for change in own)
    if len(values) == len(specs):
        try:
            check_objects(settings_from_values(values), known_objects)
        except (ParameterError, TypeError) as error:
            return SetParametersResult(successful=False, reason=str(error))
    return SetParametersResult(successful=True)


def check_objects(settings: Settings, known_objects: tuple[str, ...]) -> None:
    """Check the object list against the model's objects, where these are known.

    Raises:
        ParameterError: a name that the model does not have.
    """
    unknown = sorted(settings.objects - set(known_objects)) if known_objects else []
    if unknown:
        raise ParameterError(f'objects: the model does not know {", ".join(unknown)}; it knows '
                             f'{", ".join(known_objects)}')


def _description(spec: ParameterSpec) -> str:
    choices = f' One of: {", ".join(spec.choices)}.' if spec.choices else ''
    suffix = ('' if spec.live or spec.read_only else
              f' {_AT_RELOAD}' if spec.reloaded else f' {_AT_CONFIGURE}')
    return f'{spec.description}{choices}{suffix}'
