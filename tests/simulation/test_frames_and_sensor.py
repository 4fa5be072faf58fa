"""Frames on disk and the sensor's effects."""

import dataclasses
import shutil
from collections import namedtuple

import numpy as np
import pytest

from sim_trainer.dataset.frames import draw_frames, FrameStore
from sim_trainer.errors import DatasetError, TrainingError
from sim_trainer.sensor.effects import apply_sensor, draw_sensor, SensorDraw

OFF = SensorDraw(blur_px=0.0, motion_px=0.0, motion_angle_rad=0.0, vignette=0.0,
                 gains=(1.0, 1.0, 1.0), gamma=1.0, contrast=1.0, offset=0.0, noise_read=0.0,
                 noise_shot=0.0, noise_coarse=False, noise_origin=(0, 0), sharpen=0.0,
                 saturation=1.0, hue_shift_deg=0.0, jpeg_quality=0)


def _with(config, **changes):
    return dataclasses.replace(config, frames=dataclasses.replace(config.frames, **changes))


def test_the_number_of_workers_changes_no_byte(config, tmp_path):
    one = draw_frames(_with(config, workers=1), tmp_path / 'one')
    two = draw_frames(_with(config, workers=2), tmp_path / 'two')
    assert np.array_equal(one.pictures, two.pictures)
    assert np.array_equal(one.labels, two.labels)
    assert one.pictures.std() > 10 and len({p.tobytes() for p in one.pictures}) == len(one)

    # An interrupted drawing is completed, and what was there is not drawn again.
    interrupted = FrameStore(tmp_path / 'one', config)
    interrupted.labels['done'][2] = 0
    interrupted.pictures[2] = 0
    interrupted.pictures[0, 0, 0] = (1, 2, 3)
    completed = draw_frames(_with(config, workers=1), tmp_path / 'one')
    assert np.array_equal(completed.pictures[2], two.pictures[2])
    assert completed.pictures[0, 0, 0].tolist() == [1, 2, 3]


def test_frames_of_another_configuration_are_refused(config, tmp_path):
    FrameStore(tmp_path, config)
    with pytest.raises(DatasetError, match='holds the pictures of another configuration; give '
                       'another --output, or delete that folder'):
        FrameStore(tmp_path, dataclasses.replace(config, seed=99))


def test_a_full_disk_is_told_before_it_is_full(config, tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')(10, 10, 10 << 20)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    with pytest.raises(DatasetError, match=r'4 pictures need 0.0 GB and the disk has 0.0 GB free; '
                       r'lower frames.count'):
        FrameStore(tmp_path / 'full', config)


def test_a_frame_that_is_not_drawn_is_no_frame(config, tmp_path):
    with pytest.raises(IndexError, match='frame 1 is not drawn yet'):
        FrameStore(tmp_path, config)[1]


def test_a_worker_that_dies_is_one_line(config, tmp_path):
    broken = dataclasses.replace(_with(config, workers=1), arm_urdf='no/arm.urdf')
    with pytest.raises(TrainingError, match='a drawing worker ended with exit code 1 after 0 '
                       'pictures; .* --resume goes on from there'):
        draw_frames(broken, tmp_path)


@pytest.fixture(scope='module')
def image():
    """A picture with different channels and structure."""
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([x, y, (x + y) // 2 + 60], -1).astype(np.uint8)


def test_no_effect_is_the_picture_itself(image):
    assert np.array_equal(apply_sensor(image, OFF), image)


def test_a_draw_gives_the_same_bytes_again(image):
    for seed in range(30):
        draw = draw_sensor(np.random.default_rng(seed))
        assert draw == draw_sensor(np.random.default_rng(seed))
        seen = apply_sensor(image, draw)
        assert seen.dtype == np.uint8 and seen.shape == image.shape
        assert np.array_equal(seen, apply_sensor(image, draw))


def test_jpeg_keeps_the_order_of_the_channels(image):
    seen = apply_sensor(image, dataclasses.replace(OFF, jpeg_quality=95)).astype(int)
    assert np.abs(seen - image).mean() < 3
    assert np.abs(seen - image[..., ::-1]).mean() > 10


@pytest.mark.parametrize('change, expected', [
    ({'gains': (0.5, 1.0, 1.0)}, lambda i: i * [0.5, 1, 1]),
    ({'offset': 10.0}, lambda i: i + 10),
    ({'gamma': 2.0}, lambda i: 255 * (i / 255) ** 2),
    ({'saturation': 0.0}, lambda i: np.repeat(i @ [[0.299], [0.587], [0.114]], 3, axis=-1))])
def test_tone_follows_its_law(image, change, expected):
    seen = apply_sensor(image, dataclasses.replace(OFF, **change))
    assert np.abs(seen - np.clip(expected(image.astype(float)), 0, 255)).max() <= 1.5


def test_noise_has_the_deviation_it_says():
    grey = np.full((200, 300, 3), 100, np.uint8)
    for coarse in (False, True):
        noisy = apply_sensor(grey, dataclasses.replace(
            OFF, noise_read=3.0, noise_shot=0.16, noise_coarse=coarse))
        assert noisy.std() == pytest.approx(np.sqrt(9 + 16), rel=0.1)
        assert noisy.mean() == pytest.approx(100, abs=0.5)


def test_a_picture_larger_than_the_noise_bank():
    large = np.full((1100, 1500, 3), 100, np.uint8)
    noisy = apply_sensor(large, dataclasses.replace(OFF, noise_read=4.0, noise_origin=(300, 200)))
    assert noisy.shape == large.shape and noisy.std() == pytest.approx(4, rel=0.1)


def test_vignetting_darkens_the_corners(image):
    grey = np.full((90, 120, 3), 200, np.uint8)
    seen = apply_sensor(grey, dataclasses.replace(OFF, vignette=0.4))
    assert seen[45, 60].min() >= 199 and seen[0, 0].max() < 130
