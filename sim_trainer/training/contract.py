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

"""The contract of a trained network, before calibration."""

from __future__ import annotations

from collections.abc import Sequence
import math
import platform
from typing import Any

from dr_perception.core.contract import ModelContract
from dr_perception.core.network_spec import DecoderSpec, EDGELESS_WEIGHT_COUNT, InputSpec
from dr_perception.core.objects import ObjectModel
from dr_perception.core.trained_range import DISTANCE_KEY, ELEVATION_KEY, view_elevation_deg
import numpy as np
from sim_trainer import __version__
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.dataset.frames import scene_key
from sim_trainer.training.networks.keypoints import OFFSET_UNIT_PX
import torch

#: By how much a picture lies beside where a careful calibration of the camera puts it: simulation
#: knows its cameras exactly, and covariances learned there would promise more than a lens keeps.
IMAGE_SIGMA_PX = 0.2
#: Trust in the support plane, beside what the calibration may be off.
PLANE_SIGMA_M, TILT_SIGMA_RAD = 0.001, 0.01
#: A detection is published when it is more likely right than wrong; calibration may raise it.
SCORE_THRESHOLD = 0.5
#: Objects seen less than this say nothing of what training covers.
_SEEN = 0.1
#: A few hundred objects do not reach the ends of what training draws.
_DISTANCE_ROOM_M, _ELEVATION_ROOM_DEG = 0.02, 1.0


def make_contract(config: SceneConfig, catalogue: tuple[ObjectModel, ...],
                  pictures: Sequence[BopPicture] = ()) -> ModelContract:
    """Return what the runtime has to know of a network that this configuration trained.

    Args:
        config: of the run.
        catalogue: its objects.
        pictures: of training's own kind; they say which views it covers.
    """
    camera, network = config.camera, config.training.network
    error = config.calibration_error
    # Until calibrated: the heat.
    plain_weights = (0.0, 1.0) + (0.0,) * (EDGELESS_WEIGHT_COUNT - 2)
    reach = np.linalg.norm(np.array(config.randomization.viewpoint.box_m)) / 2
    nominal = np.linalg.norm(np.array(camera.position_m) - camera.look_at_m)
    focal_px = float(np.sqrt(camera.fx_px * camera.fy_px)) * config.frames.scale
    return ModelContract(
        name=config.name, objects=catalogue, support_plane_z_m=config.workspace.z_m,
        input=InputSpec(multiple_px=32, focal_px=focal_px, focal_tolerance=1.12,
                        max_pixels=1_500_000,
                        plane_px_per_m=usual_px_per_m(config) if network.sees_plane else 0.0),
        decoder=DecoderSpec(
            head=network.head, stride_px=network.stride, offset_unit_px=OFFSET_UNIT_PX,
            peak_threshold=0.15, score_threshold=SCORE_THRESHOLD, score_weights=plain_weights,
            covariance_scale=1.0, plane_sigma_m=math.hypot(PLANE_SIGMA_M, error.height_m),
            tilt_sigma_rad=math.hypot(TILT_SIGMA_RAD, error.tilt_rad),
            camera_score_weights=plain_weights, camera_covariance_scale=1.0,
            image_sigma_px=IMAGE_SIGMA_PX),
        trained_range={'camera_distance_m': [round(float(nominal - reach), 3),
                                             round(float(nominal + reach), 3)],
                       'camera_position_m': list(camera.position_m),
                       'camera_box_m': list(config.randomization.viewpoint.box_m),
                       **_covered(pictures)},
        provenance={'trainer': f'sim_trainer {__version__}', 'scene_key': scene_key(config),
                    'seed': config.seed, 'pictures': config.frames.count,
                    'steps': config.training.steps, 'batch_size': config.training.batch_size,
                    'network': vars(network).copy(), 'torch': torch.__version__,
                    'machine': platform.processor() or platform.machine()})


def usual_px_per_m(config: SceneConfig) -> float:
    """Pixels that a metre takes where the nominal camera looks at."""
    camera = config.camera
    distance_m = np.linalg.norm(np.array(camera.position_m) - camera.look_at_m)
    return round(float(np.sqrt(camera.fx_px * camera.fy_px)) * config.frames.scale
                 / float(distance_m), 2)


def _covered(pictures: Sequence[BopPicture]) -> dict[str, Any]:
    """Return the distances and view angles of what is seen in pictures, with a little room."""
    views = [(float(np.linalg.norm(i.T_camera_object[:3, 3])),
              view_elevation_deg(i.T_camera_object, picture.T_base_camera))
             for picture in pictures for i in picture.instances
             if i.visible_fraction is None or i.visible_fraction > _SEEN]
    if not views:
        return {}
    distance_m, elevation_deg = np.array(views).T
    return {key: [round(float(v.min() - room), 3), round(float(v.max() + room), 3)]
            for key, v, room in ((DISTANCE_KEY, distance_m, _DISTANCE_ROOM_M),
                                 (ELEVATION_KEY, elevation_deg, _ELEVATION_ROOM_DEG))}
