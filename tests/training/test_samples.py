"""Samples: the window fits the frame, and the targets lie where the objects are seen."""

from pathlib import Path

import numpy as np
import pytest

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import look_at, make_transform
from sim_trainer.configuration.schema import load_config
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.dataset.frames import Frame
from sim_trainer.dataset.labels import InstanceLabel
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.training.network import STRIDE
from sim_trainer.training.samples import random_affine, sample_size, SampleMaker


@pytest.mark.parametrize('frame, sample', [((384, 288), (352, 256)), ((288, 224), (256, 192)),
                                           ((160, 128), (128, 96)), ((64, 64), (32, 32))])
def test_the_window_is_smaller_than_the_frame(frame, sample):
    assert sample_size(*frame) == sample


def test_most_of_a_sample_is_frame_and_not_its_mirror_image():
    rng = np.random.default_rng(0)
    outside = []
    for _ in range(300):
        A = random_affine(rng, 288, 224)
        width, height = sample_size(288, 224)
        corners = np.array([[0, 0], [width - 1, 0], [0, height - 1], [width - 1, height - 1]])
        source = (corners - A[:, 2]) @ np.linalg.inv(A[:, :2]).T
        outside.append(np.maximum(-source, source - [287, 223]).max())
    assert np.mean(np.array(outside) > 0) < 0.85 and np.max(outside) < 48


def test_a_marked_centre_is_where_the_heat_is():
    """A white dot at the projection of the object's origin comes out at the hottest cell."""
    config = load_config(Path(__file__).parents[2] / 'config' / 'tabletop.yaml')
    catalogue = build_catalogue(config.objects)
    camera = PinholeCamera(300.0, 300.0, 143.5, 111.5, 288, 224)
    T_base_camera = look_at([0.9, 0.1, 0.5], [0.5, 0, 0])
    T_camera_object = np.linalg.inv(T_base_camera) @ make_transform(np.eye(3), [0.5, 0, 0.025])
    u, v = np.round(camera.project(T_camera_object[:3, 3][None])[0]).astype(int)
    image = np.zeros((224, 288, 3), np.uint8)
    image[v - 1:v + 2, u - 1:u + 2] = 255
    frame = Frame(image, camera, T_base_camera, [InstanceLabel(1, T_camera_object, 1.0)])
    maker = SampleMaker(catalogue, 3, SensorConfig(enabled=False))
    seen = 0
    for number in range(30):
        sample = maker(number, frame)
        bright = sample.image_rgb.min(-1)
        if bright.max() < 200 or len(sample.keypoints_px) != 1:
            continue    # painted over by an occluder
        row, column = np.unravel_index(sample.heat[1].argmax(), sample.heat[1].shape)
        weights = np.where(bright > 150, bright, 0).astype(float)
        ys, xs = np.mgrid[:bright.shape[0], :bright.shape[1]]
        if weights[max(row * 4 - 12, 0):row * 4 + 16,
                   max(column * 4 - 12, 0):column * 4 + 16].sum() < 0.95 * weights.sum():
            continue    # an occluder is white too
        seen += 1
        centre = np.array([(xs * weights).sum(), (ys * weights).sum()]) / weights.sum()
        cell = np.array([column, row]) * STRIDE + (STRIDE - 1) / 2
        assert np.abs(centre - cell).max() < 3.2
        assert np.abs(centre - sample.keypoints_px[0][0, 0]).max() < 1.0
    assert seen > 20
