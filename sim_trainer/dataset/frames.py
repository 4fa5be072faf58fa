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

"""Training pictures with their truth, and the fixed-size row in which processes hand labels on."""

from __future__ import annotations

import dataclasses
import hashlib
import json

from dr_perception.core.camera import PinholeCamera
import numpy as np
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.labels import InstanceLabel
from sim_trainer.errors import TrainingError
from sim_trainer.scene.record import SceneRecord

#: As many as randomization.objects.count allows.
MAX_INSTANCES = 100
LABEL_DTYPE = np.dtype([
    ('count', np.uint8), ('object_index', np.int16, MAX_INSTANCES),
    ('T_camera_object', np.float64, (MAX_INSTANCES, 4, 4)),
    ('visible_fraction', np.float32, MAX_INSTANCES), ('intrinsics', np.float64, 4),
    ('T_base_camera', np.float64, (4, 4))])


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One training picture with its truth; lengths are metres.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        camera, T_base_camera: how it was taken.
        instances: what is in it.
        instance_ids: (H, W) uint8, 0 or 1 + the index of the instance that is seen there; None
            where nobody knows (a BOP data set without masks).
    """

    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray
    instances: list[InstanceLabel]
    instance_ids: np.ndarray | None = None


def frame_shape(config: SceneConfig) -> tuple[int, int, int]:
    """Height, width and channels of the training pictures of a configuration."""
    frames = config.frames
    return (min(frames.window_height_px, round(config.camera.height_px * frames.scale)),
            min(frames.window_width_px, round(config.camera.width_px * frames.scale)), 3)


def labels_to_row(scene: SceneRecord, labels: list[InstanceLabel]) -> np.ndarray:
    """Return the labels of a picture as a row () of ``LABEL_DTYPE``.

    Raises:
        TrainingError: more than ``MAX_INSTANCES`` objects; to drop some would teach that what
            they cover is background.
    """
    if len(labels) > MAX_INSTANCES:
        raise TrainingError(f'a scene has {len(labels)} objects and a picture has room for the '
                            f'labels of {MAX_INSTANCES}; lower randomization.objects.count')
    camera = scene.camera
    row = np.zeros((), LABEL_DTYPE)
    row['count'] = len(labels)
    row['intrinsics'] = camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px
    row['T_base_camera'] = scene.T_base_camera
    for i, label in enumerate(labels):
        row['object_index'][i] = label.object_index
        row['T_camera_object'][i] = label.T_camera_object
        row['visible_fraction'][i] = label.visible_fraction
    return row


def row_to_frame(image_rgb: np.ndarray, instance_ids: np.ndarray, row: np.ndarray,
                 camera: PinholeCamera) -> Frame:
    """Return the frame of a picture and its row; copies all.

    Args:
        image_rgb: (H, W, 3) uint8.
        instance_ids: (H, W) uint8.
        row: () of ``LABEL_DTYPE``.
        camera: gives the lens's distortion, which all pictures of a run share.
    """
    fx, fy, cx, cy = (float(value) for value in row['intrinsics'])
    instances = [InstanceLabel(int(row['object_index'][i]), row['T_camera_object'][i].copy(),
                               float(row['visible_fraction'][i])) for i in range(row['count'])]
    seen = PinholeCamera(fx, fy, cx, cy, image_rgb.shape[1], image_rgb.shape[0],
                         camera.distortion_model, camera.distortion)
    return Frame(image_rgb.copy(), seen, row['T_base_camera'].copy(), instances,
                 instance_ids.copy())


def scene_key(config: SceneConfig) -> str:
    """Return a hash of all that a picture depends on (not of how the network is trained)."""
    data = dataclasses.asdict(config)
    data.pop('training')
    if not config.calibration_error.acts:       # the key of before there was this section
        data.pop('calibration_error')
    if not config.workspace.z_m:                # likewise
        data['workspace'].pop('z_m')
    for entry in data['objects']:
        entry.pop('subframes')      # where to grasp an object is not to be seen
        if not entry['size_spread']:
            entry.pop('size_spread')
    data['frames'] = {k: v for k, v in data['frames'].items()
                      if k not in ('workers', 'count', 'pool_count', 'bop')}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]
