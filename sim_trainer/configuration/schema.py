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

"""What a scene YAML holds: every key with its meaning, unit and default.

Lengths are metres, angles degrees where the name says ``_deg``. A range is ``[low, high]``
(uniform) or one number (constant).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError, PerceptionError
from dr_perception.core.transforms import look_at, rotation_about
import numpy as np
from sim_trainer.configuration.calibration_error import CalibrationErrorConfig
from sim_trainer.configuration.laws import Range
from sim_trainer.configuration.loader import apply_overrides, build, read_yaml, shorten
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.configuration.randomization import RandomizationConfig
from sim_trainer.configuration.training import TrainingConfig
from sim_trainer.errors import ConfigurationError


@dataclass(frozen=True)
class CameraConfig:
    """The real camera: its calibration and where it nominally stands."""

    width_px: int
    height_px: int
    fx_px: float
    fy_px: float
    cx_px: float
    cy_px: float
    position_m: tuple[float, float, float]
    look_at_m: tuple[float, float, float]
    #: turn of the picture about the view direction; 0: the picture's x axis is horizontal
    roll_deg: float = 0.0
    #: none, plumb_bob, rational_polynomial or equidistant, as in sensor_msgs/CameraInfo
    distortion_model: str = 'none'
    #: its coefficients (CameraInfo: d)
    distortion: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if not (16 <= self.width_px <= 8192 and 16 <= self.height_px <= 8192):
            raise ConfigurationError(f'camera: size {self.width_px}x{self.height_px} px; expected '
                                     '16...8192 px a side')
        if self.fx_px <= 0 or self.fy_px <= 0:
            raise ConfigurationError(f'camera: focal lengths {self.fx_px:g}, {self.fy_px:g} px; '
                                     'expected positive numbers in pixels')
        if np.linalg.norm(self.position_m) > 20:
            raise ConfigurationError(f'camera.position_m: {list(self.position_m)} is over 20 m '
                                     'from the base; give metres, not millimetres')
        try:
            camera = self.camera
            # What a robot's CameraInfo is refused for: an hour of training would be for nothing.
            PinholeCamera.from_matrix(camera.K, self.width_px, self.height_px,
                                      np.array(self.distortion) if self.distortion else None,
                                      self.distortion_model if self.distortion else None)
        except CameraError as error:
            raise ConfigurationError(f'camera: {error}') from error
        try:
            self.T_base_camera
        except ValueError as error:
            raise ConfigurationError(
                f'camera: looks from position_m {list(self.position_m)} to look_at_m '
                f'{list(self.look_at_m)}: {error}; move look_at_m a little aside') from error

    @classmethod
    def from_yaml(cls, value: Any, where: str) -> CameraConfig:
        """Parse the section; ``file`` stands for the numbers of a calibration file.

        ``file`` takes what ``read_camera`` does, relative to the working directory; numbers given
        beside it win.
        """
        if isinstance(value, dict) and 'file' in value:
            from sim_trainer.lab.camera_files import camera_keys, read_camera
            if not isinstance(value['file'], str):
                raise ConfigurationError(f'{where}.file: got {shorten(value["file"])}; expected '
                                         'the path of a camera calibration')
            try:
                known = camera_keys(read_camera(value['file']))
            except PerceptionError as error:
                raise ConfigurationError(f'{where}.file: {error}') from error
            value = {**known, **{key: v for key, v in value.items() if key != 'file'}}
        return build(cls, value, where)

    @property
    def camera(self) -> PinholeCamera:
        """The calibrated camera."""
        return PinholeCamera(self.fx_px, self.fy_px, self.cx_px, self.cy_px, self.width_px,
                             self.height_px, self.distortion_model, self.distortion)

    @property
    def T_base_camera(self) -> np.ndarray:
        """The nominal pose (4x4)."""
        return self.pose_at(self.position_m)

    def lowered(self, height_m: float) -> CameraConfig:
        """Return the camera where it stands in a base frame that lies higher by this."""
        (x, y, z), (a, b, c) = self.position_m, self.look_at_m
        return replace(self, position_m=(x, y, z - height_m), look_at_m=(a, b, c - height_m))

    def pose_at(self, position_m: Sequence[float]) -> np.ndarray:
        """Return the pose (4x4) from another position, looking at the same point, rolled alike."""
        T_base_camera = look_at(position_m, self.look_at_m)
        T_base_camera[:3, :3] = T_base_camera[:3, :3] @ rotation_about(
            'z', np.radians(self.roll_deg))
        return T_base_camera


@dataclass(frozen=True)
class WorkspaceConfig:
    """The part of the table where objects stand, in the base frame."""

    x_m: Range
    y_m: Range
    #: height of the table top
    z_m: float = 0.0

    def __post_init__(self) -> None:
        for name, span in (('x_m', self.x_m), ('y_m', self.y_m)):
            if span.high - span.low < 0.02 or max(abs(span.low), abs(span.high)) > 5:
                raise ConfigurationError(
                    f'workspace.{name}: [{span.low:g}, {span.high:g}] m; expected a span of at '
                    'least 0.02 m within 5 m of the base (metres, not millimetres)')
        if not abs(self.z_m) <= 5:
            raise ConfigurationError(f'workspace.z_m: {self.z_m:g} m; expected the height of the '
                                     'table top within 5 m of the base (metres, not millimetres)')


@dataclass(frozen=True)
class BopSourceConfig:
    """A BOP data set whose pictures are mixed with the drawn ones."""

    #: folder of the data set
    path: str
    #: its split, such as train_pbr
    split: str
    #: part of the training samples that come from it
    share: float

    def __post_init__(self) -> None:
        if not 0 < self.share < 1:
            raise ConfigurationError(f'frames.bop: share {self.share:g} of {self.path}; expected '
                                     'a number between 0 and 1')


@dataclass(frozen=True)
class FramesConfig:
    """The pictures drawn for training, and those mixed with them."""

    #: distinct pictures drawn in the whole run, each once
    count: int = 16000
    #: pictures held in memory at a time; each is used several times while it is there
    pool_count: int = 3000
    #: drawn window, pixels of the camera; windows are placed at random over the picture
    window_width_px: int = 384
    window_height_px: int = 288
    #: the camera's picture is drawn at this scale (0.5: half the size)
    scale: float = 1.0
    #: worker processes; 0 means one per core
    workers: int = 0
    #: BOP data sets mixed with the drawn pictures
    bop: tuple[BopSourceConfig, ...] = ()

    def __post_init__(self) -> None:
        if not 1 <= self.count <= 10_000_000:
            raise ConfigurationError(f'frames.count: {self.count}; expected 1...10,000,000')
        if self.pool_count < 1:
            raise ConfigurationError(f'frames.pool_count: {self.pool_count}; expected 1 or more')
        if self.workers < 0:
            raise ConfigurationError(f'frames.workers: {self.workers}; expected 0 (one per core) '
                                     'or more')
        if sum(source.share for source in self.bop) >= 1:
            raise ConfigurationError('frames.bop: the shares add up to 1 or more; leave a part '
                                     'for the drawn pictures')
        if not 0.05 <= self.scale <= 4:
            raise ConfigurationError(f'frames.scale: {self.scale:g}; expected 0.05...4')
        if min(self.window_width_px, self.window_height_px) < 64:
            raise ConfigurationError('frames: the window is smaller than 64 px')


@dataclass(frozen=True)
class SceneConfig:
    """A whole scene YAML."""

    name: str
    camera: CameraConfig
    workspace: WorkspaceConfig
    objects: tuple[ObjectConfig, ...]
    seed: int = 1
    #: URDF of the arm: a path, or a name inside pybullet_data; null for none
    arm_urdf: str | None = 'kuka_iiwa/model.urdf'
    #: what camera and support may differ by from the calibration
    calibration_error: CalibrationErrorConfig = field(default_factory=CalibrationErrorConfig)
    randomization: RandomizationConfig = field(default_factory=RandomizationConfig)
    frames: FramesConfig = field(default_factory=FramesConfig)
    training: TrainingConfig = field(default_factory=TrainingConfig)

    def __post_init__(self) -> None:
        names = [entry.name for entry in self.objects]
        if not names:
            raise ConfigurationError('objects: the list is empty; name at least one object')
        for name in names:
            if names.count(name) > 1:
                raise ConfigurationError(f'objects: the name {name!r} stands twice; names are '
                                         'unique')
        if self.training.model == 'tobin2017' and self.training.object_name not in names:
            raise ConfigurationError(
                f'training.object_name: {self.training.object_name!r}; tobin2017 localizes one '
                f'object, one of {", ".join(names)}')
        camera_z_m, table_z_m = self.camera.position_m[2], self.workspace.z_m
        if camera_z_m <= table_z_m:
            raise ConfigurationError(
                f'camera.position_m: z = {camera_z_m:g}; the camera must stand above the table '
                f'top (z = {table_z_m:g}: workspace.z_m)')
        if self.seed < 0:
            raise ConfigurationError(f'seed: {self.seed}; expected 0 or more')


def load_config(path: str | Path, overrides: list[str] = ()) -> SceneConfig:
    """Read and check a scene YAML.

    Raises:
        ConfigurationError: one line with the file, the dotted path and what it takes.
    """
    file = Path(path)
    data = read_yaml(file)
    apply_overrides(data, list(overrides))
    try:
        return build(SceneConfig, data)
    except ConfigurationError as error:
        raise ConfigurationError(f'{file}: {error}') from error
