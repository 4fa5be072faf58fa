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

"""From a frame to a training sample: a turned, scaled window, the sensor, and the targets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import cv2
from dr_perception.core.objects import ObjectModel
from dr_perception.core.plane_scale import (block_centres, plane_channel, plane_codes, spread,
                                            with_channel)
from dr_perception.core.transforms import transform_points
import numpy as np
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.dataset.frames import Frame
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.sensor.effects import apply_sensor, draw_sensor
from sim_trainer.training.canonical import CanonicalKeypoints
from sim_trainer.training.nothing import may_turn, nothing

#: The network sees a window of the frame that is smaller by about this: room for its place, turn
#: and zoom, beyond which the frame's border would be mirrored, without labels for what is there.
MARGIN_PX = 32
#: Sides of the window are multiples of this, as the network wants them.
_MULTIPLE_PX = 32
#: Turn and zoom of the window: a camera that is rolled or has another lens.
TURN_DEG, ZOOM = 5.0, 0.08
OCCLUDER_PROBABILITY = 0.15
#: Samples in which nothing is to be found (``nothing``); with 0.03 something was found in a third
#: of the views upside down.
NOTHING_PROBABILITY = 0.05
#: Samples in which the support plane is not known, and by how much (a part, standard deviation)
#: its scale is told wrong in the others: cameras are calibrated by people.
NO_PLANE_PROBABILITY, PLANE_SCALE_ERROR = 0.15, 0.01


@dataclass(frozen=True, eq=False)
class Seen:
    """An instance as a sample shows it.

    Attributes:
        kind: catalogue index.
        visible_fraction: 0...1.
        number: 1 + its place in the frame, as in ``View.instance_ids``.
        keypoints_px: (G, K, 2) float32, a row per way in which the object looks the same.
    """

    kind: int
    visible_fraction: float
    number: int
    keypoints_px: np.ndarray


@dataclass(frozen=True, eq=False)
class View:
    """What a sample shows before it is turned into targets.

    Attributes:
        width_px, height_px: of the sample.
        seen: its instances.
        A: (2, 3) frame pixels -> sample pixels.
        instance_ids: (H, W) uint8 of the frame, or None.
        occluded: (H, W) bool of the sample, what was painted over; None for nothing.
    """

    width_px: int
    height_px: int
    seen: list[Seen]
    A: np.ndarray
    instance_ids: np.ndarray | None
    occluded: np.ndarray | None


@dataclass(frozen=True, eq=False)
class Targets:
    """What the network should say of a picture.

    Attributes:
        heat: (C, h, w) float32, 1 where a kind is to be marked.
        ignore: (C, h, w) bool, cells that the heat loss leaves out.
        weight: (h, w) float32, what a cell counts in the losses.
        owner: (h, w) int16, index of the instance that a cell answers for, -1 for none.
        keypoints_px: one (G, K, 2) float32 per instance, a row per symmetry.
        surface: (C, h, w) float32, 1 where a kind is seen, and (C, h, w) bool, where nobody is
            asked; None where it is not taught.
    """

    heat: np.ndarray
    ignore: np.ndarray
    weight: np.ndarray
    owner: np.ndarray
    keypoints_px: list[np.ndarray]
    surface: tuple[np.ndarray, np.ndarray] | None = None


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture (H, W, 3 or 4) uint8, as the network takes it, with its targets."""

    image_rgb: np.ndarray
    targets: Targets


class TargetMaker(Protocol):
    """The targets of a head (``training/heads``)."""

    def __call__(self, view: View) -> Targets:
        """Targets of a view."""


class SampleMaker:
    """Makes sample number n of a run from a frame; the same for the same seed, frame and n."""

    def __init__(self, catalogue: tuple[ObjectModel, ...], seed: int, sensor: SensorConfig,
                 targets: TargetMaker, roll_deg: float = 0.0,
                 usual_px_per_m: float = 0.0, plane_z_m: float = 0.0) -> None:
        """Prepare.

        Args:
            catalogue: the objects.
            seed: of the run.
            sensor: its laws.
            targets: of the head.
            roll_deg: by how much the drawn camera is rolled at most.
            usual_px_per_m: see ``InputSpec.plane_px_per_m``; 0: samples have three channels.
            plane_z_m: height of the support in the frames' base.
        """
        self._seed, self._sensor, self._make_targets = seed, sensor, targets
        self._usual_px_per_m, self._plane_z_m = usual_px_per_m, plane_z_m
        self._upside_down = may_turn(roll_deg + TURN_DEG)
        self._keypoints = [CanonicalKeypoints(model) for model in catalogue]

    def __call__(self, number: int, frame: Frame) -> Sample:
        """Sample ``number`` made from a frame."""
        rng = frame_rng(self._seed, number, 'sample')
        height_px, width_px = frame.image_rgb.shape[:2]
        size = sample_size(width_px, height_px)
        A = random_affine(rng, width_px, height_px)
        image = cv2.warpAffine(np.asarray(frame.image_rgb), A, size, flags=cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REFLECT_101)
        seen, ids, occluded = self._seen(frame, A), frame.instance_ids, None
        if rng.random() < NOTHING_PROBABILITY:
            image = nothing(rng, image, self._upside_down)
            seen, ids = [], None if ids is None else np.zeros_like(ids)
        elif rng.random() < OCCLUDER_PROBABILITY:
            occluded = _paint_occluders(rng, image)
        image = apply_sensor(image, draw_sensor(rng, self._sensor))
        if self._usual_px_per_m:
            image = with_channel(image, self._plane_channel(rng, frame, A, *size))
        return Sample(image, self._make_targets(View(
            *size, seen, A, ids, occluded)))

    def _plane_channel(self, rng: np.random.Generator, frame: Frame, A: np.ndarray,
                       width_px: int, height_px: int) -> np.ndarray:
        """(H, W) codes of the plane that the frame's objects stand on, as the sample shows it."""
        known, error = rng.random() >= NO_PLANE_PROBABILITY, rng.normal(0, PLANE_SCALE_ERROR)
        if not known:
            return plane_channel(width_px, height_px, frame.camera, None, 0.0, 1.0)
        centres = block_centres(width_px, height_px)
        linear = A[:, :2]
        pixels = (centres.reshape(-1, 2) - A[:, 2]) @ np.linalg.inv(linear).T
        zoom = np.sqrt(np.linalg.det(linear)) * np.exp(error)
        codes = plane_codes(pixels, frame.camera, frame.T_base_camera, self._plane_z_m,
                            self._usual_px_per_m, zoom)
        return spread(codes.reshape(centres.shape[:2]), width_px, height_px)

    def _seen(self, frame: Frame, A: np.ndarray) -> list[Seen]:
        seen = []
        for number, instance in enumerate(frame.instances, 1):
            points = self._keypoints[instance.object_index].seen_from(instance.T_camera_object)
            pixels = frame.camera.project(transform_points(
                instance.T_camera_object, points.reshape(-1, 3)))
            pixels = (pixels @ A[:, :2].T + A[:, 2]).reshape(*points.shape[:2], 2)
            if np.isfinite(pixels).all():
                seen.append(Seen(instance.object_index, instance.visible_fraction, number,
                                 pixels.astype(np.float32)))
        return seen


def sample_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height of the samples that frames of a size give: 352x256 of 384x288."""
    return tuple(max((side - MARGIN_PX) // _MULTIPLE_PX, 1) * _MULTIPLE_PX
                 for side in (width_px, height_px))


def random_affine(rng: np.random.Generator, width_px: int, height_px: int) -> np.ndarray:
    """Return a (2, 3) map from frame pixels to sample pixels: turn, zoom and a random place."""
    size = np.array(sample_size(width_px, height_px))
    zoom = np.exp(rng.uniform(-ZOOM, ZOOM))
    turn = np.radians(rng.uniform(-TURN_DEG, TURN_DEG))
    c, s = zoom * np.cos(turn), zoom * np.sin(turn)
    linear = np.array([[c, -s], [s, c]])
    slack = np.maximum(np.array([width_px, height_px])
                       - size / zoom, 0)
    middle = np.array([(width_px - 1) / 2, (height_px - 1) / 2])
    middle = middle + (rng.random(2) - 0.5) * slack
    target = (size - 1) / 2
    return np.hstack([linear, (target - linear @ middle)[:, None]])


def _paint_occluders(rng: np.random.Generator, image: np.ndarray) -> np.ndarray:
    """Flat patches: hands, cables and boxes between the camera and the table (coarse dropout).

    Paints in place; where, as (H, W) bool.
    """
    covered = np.zeros(image.shape[:2], np.uint8)
    for _ in range(int(rng.integers(1, 5))):
        centre = rng.uniform([0, 0], [image.shape[1], image.shape[0]])
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        radius = np.exp(rng.uniform(np.log(4), np.log(30)))
        corners = np.round(centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
                           ).astype(np.int32)
        cv2.fillPoly(image, [corners], tuple(int(v) for v in rng.integers(0, 256, 3)),
                     cv2.LINE_AA)
        cv2.fillPoly(covered, [corners], 1)
    return covered > 0
