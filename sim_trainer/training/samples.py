"""From a frame to a training sample: a turned, scaled window, the sensor, and the targets."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import transform_points
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.dataset.frames import Frame
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.sensor.effects import apply_sensor, draw_sensor
from sim_trainer.training.network import STRIDE

#: The network sees a window of the frame that is smaller by about this: room for its place, turn
#: and zoom, beyond which the frame's border would be mirrored, without labels for what is there.
MARGIN_PX = 32
#: Sides of the window are multiples of this, as the network wants them.
_MULTIPLE_PX = 32
#: An instance seen less than this is not asked for; below the second number it is background.
LEAST_VISIBLE, LEAST_NOTICED = 0.12, 0.02
#: Radius (cells) round the centre in which cells answer for an instance's keypoints.
ANSWER_RADIUS = 2.5
#: Turn and zoom of the window: a camera that is rolled or has another lens.
TURN_DEG, ZOOM = 8.0, 0.14
OCCLUDER_PROBABILITY = 0.15


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture with its targets.

    Attributes:
        image_rgb: (H, W, 3) uint8.
        heat: (C, h, w) float32, 1 at the centres, falling off as a Gaussian.
        ignore: (C, h, w) bool, cells that the heat loss leaves out.
        owner: (h, w) int16, index of the instance that a cell answers for, -1 for none.
        keypoints_px: one (G, K, 2) float32 per instance, a row per symmetry.
    """

    image_rgb: np.ndarray
    heat: np.ndarray
    ignore: np.ndarray
    owner: np.ndarray
    keypoints_px: list[np.ndarray]


class SampleMaker:
    """Makes sample number n of a run from a frame; the same for the same seed, frame and n."""

    def __init__(self, catalogue: tuple[ObjectModel, ...], seed: int, sensor: SensorConfig
                 ) -> None:
        self._seed, self._catalogue, self._sensor = seed, catalogue, sensor
        # (G, K, 3) per object: the keypoints under every symmetry.
        self._keypoints = [
            np.stack([transform_points(S, model.keypoints_m) for S in model.symmetry.transforms])
            for model in catalogue]

    def __call__(self, number: int, frame: Frame) -> Sample:
        """Sample ``number`` made from a frame."""
        rng = frame_rng(self._seed, number, 'sample')
        height_px, width_px = frame.image_rgb.shape[:2]
        size = sample_size(width_px, height_px)
        A = random_affine(rng, width_px, height_px)
        image = cv2.warpAffine(np.asarray(frame.image_rgb), A, size, flags=cv2.INTER_LINEAR,
                               borderMode=cv2.BORDER_REFLECT_101)
        if rng.random() < OCCLUDER_PROBABILITY:
            _paint_occluders(rng, image)
        image = apply_sensor(image, draw_sensor(rng, self._sensor))
        return self._targets(image, frame, A)

    def _targets(self, image: np.ndarray, frame: Frame, A: np.ndarray) -> Sample:
        height_px, width_px = image.shape[:2]
        h, w = height_px // STRIDE, width_px // STRIDE
        heat = np.zeros((len(self._catalogue), h, w), np.float32)
        ignore = np.zeros(heat.shape, bool)
        owner = np.full((h, w), -1, np.int16)
        nearest = np.full((h, w), ANSWER_RADIUS, np.float32)
        keypoints_px: list[np.ndarray] = []
        ys, xs = np.mgrid[0:h, 0:w].astype(np.float32)
        for instance in frame.instances:
            if instance.visible_fraction < LEAST_NOTICED:
                continue
            points = self._keypoints[instance.object_index]
            pixels = frame.camera.project(transform_points(
                instance.T_camera_object, points.reshape(-1, 3)))
            pixels = (pixels @ A[:, :2].T + A[:, 2]).reshape(*points.shape[:2], 2)
            centre = pixels[0, 0]
            if not (np.isfinite(pixels).all() and (centre > -STRIDE).all()
                    and centre[0] < width_px + STRIDE
                    and centre[1] < height_px + STRIDE):
                continue
            cell = (centre - (STRIDE - 1) / 2) / STRIDE
            distance = np.hypot(xs - cell[0], ys - cell[1])
            layer = instance.object_index
            column, row = int(round(cell[0])), int(round(cell[1]))
            seen = (instance.visible_fraction >= LEAST_VISIBLE and 0 <= column < w
                    and 0 <= row < h)
            if not seen:
                ignore[layer] |= distance < 4
                continue
            sigma = 1.0
            np.maximum(heat[layer], np.exp(-distance ** 2 / (2 * sigma ** 2)), out=heat[layer])
            heat[layer, row, column] = 1.0
            mine = distance < nearest
            owner[mine] = len(keypoints_px)
            nearest[mine] = distance[mine]
            keypoints_px.append(pixels.astype(np.float32))
        ignore &= heat < 0.99
        return Sample(image, heat, ignore, owner, keypoints_px)


def sample_size(width_px: int, height_px: int) -> tuple[int, int]:
    """Width and height of the samples that frames of a size give: 352x256 of 384x288."""
    return tuple(max((side - MARGIN_PX) // _MULTIPLE_PX, 1) * _MULTIPLE_PX
                 for side in (width_px, height_px))


def random_affine(rng: np.random.Generator, width_px: int, height_px: int) -> np.ndarray:
    """A (2, 3) map from frame pixels to sample pixels: turn, zoom and a random place."""
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


def _paint_occluders(rng: np.random.Generator, image: np.ndarray) -> None:
    """Flat patches: hands, cables and boxes between the camera and the table (coarse dropout)."""
    for _ in range(int(rng.integers(1, 5))):
        centre = rng.uniform([0, 0], [image.shape[1], image.shape[0]])
        angles = np.sort(rng.uniform(0, 2 * np.pi, int(rng.integers(3, 8))))
        radius = np.exp(rng.uniform(np.log(4), np.log(30)))
        corners = centre + radius * np.stack([np.cos(angles), np.sin(angles)], 1)
        cv2.fillPoly(image, [np.round(corners).astype(np.int32)],
                     tuple(int(v) for v in rng.integers(0, 256, 3)), cv2.LINE_AA)
