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

"""Pictures behind the scene: whose laws they follow and where they show."""

import dataclasses
import json

import numpy as np
import pytest
from sim_trainer.configuration.laws import Chance
from sim_trainer.configuration.loader import build
from sim_trainer.configuration.sensor import BackgroundConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.sensor.background import (apply_background, BackgroundDraw, draw_background,
                                           replace_background)
from sim_trainer.sensor.procedural import procedural_pictures


@pytest.fixture(scope='module')
def image():
    """Return a picture with different channels and structure."""
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([x, y, (x + y) // 2 + 60], -1).astype(np.uint8)


@pytest.mark.parametrize('data, message', [
    ({'crop': [0, 1]}, r'randomization.background.crop: \[0, 1\]; expected .* 0.01...1'),
    ({'exposure_stops': 11}, 'background.exposure_stops: .* -10...10 stops'),
    ({'channel_stops': 6}, 'background.channel_stops: .* -5...5 stops'),
    ({'edge_sigma_px': -1}, 'background.edge_sigma_px: .* 0...50 px')])
def test_impossible_backgrounds_are_refused(data, message):
    with pytest.raises(ConfigurationError, match=message):
        build(BackgroundConfig, data)


def test_a_background_stands_behind_and_its_edge_is_soft(image):
    picture = np.random.default_rng(1).integers(0, 256, (40, 30, 3), dtype=np.uint8)
    mask = np.zeros(image.shape[:2], bool)
    mask[:50] = True
    kept = image.copy(), picture.copy()
    hard = replace_background(image, mask, picture)
    assert np.array_equal(hard[50:], image[50:]) and not np.array_equal(hard[:50], image[:50])
    assert np.array_equal(kept[0], image) and np.array_equal(kept[1], picture)

    white = np.full((32, 32, 3), 255, np.uint8)
    soft = replace_background(np.zeros_like(image), mask, white, edge_sigma_px=0.8)
    assert np.all(np.diff(soft[45:55, 64, 0].astype(int)) <= 0)
    assert soft[46, 0, 0] == 255 and soft[54, 0, 0] == 0 and 120 < soft[49, 0, 0] < 220

    for stops, level in ((-1.0, 186 / 2 ** (1 / 2.2)), (3.0, 255)):
        grey = np.full((32, 32, 3), 186, np.uint8)
        seen = replace_background(image, mask, grey, gain_stops=(stops,) * 3)
        assert seen[20, 20, 0] == pytest.approx(level, abs=1)


def test_a_crop_has_the_scene_s_proportions_and_its_place():
    y, x = np.mgrid[0:200, 0:200]
    picture = np.stack([x, y, x], -1).astype(np.uint8)
    scene, everywhere = np.zeros((50, 100, 3), np.uint8), np.ones((50, 100), bool)
    seen = replace_background(scene, everywhere, picture, crop=0.5, crop_place=(1.0, 0.0))
    # 100 x 50 pixels of the upper right corner, at their own size.
    assert np.array_equal(seen, picture[:50, 100:])
    mirrored = replace_background(scene, everywhere, picture, 0.5, (1.0, 0.0), mirrored=True)
    assert np.array_equal(mirrored, seen[:, ::-1])
    for height, width in ((17, 16), (300, 40), (20, 20)):
        small = replace_background(np.zeros((height, width, 3), np.uint8),
                                   np.ones((height, width), bool), picture, 0.01, (0.3, 1.0))
        assert small.shape == (height, width, 3) and small.any()


def test_a_background_is_drawn_again_from_its_record(image):
    pictures = procedural_pictures(3, 4, 64)
    config = BackgroundConfig(probability=Chance(1))
    mask = np.random.default_rng(0).random(image.shape[:2]) < 0.5
    indices = set()
    for seed in range(30):
        draw = draw_background(np.random.default_rng(seed), config, len(pictures))
        again = build(BackgroundDraw, json.loads(json.dumps(dataclasses.asdict(draw))))
        assert again == draw
        seen = apply_background(image, mask, draw, pictures)
        assert seen.dtype == np.uint8 and seen.shape == image.shape
        assert np.array_equal(seen, apply_background(image, mask, again, pictures))
        indices.add(draw.picture_index)
    assert indices == {0, 1, 2, 3}


def test_a_background_is_as_frequent_as_its_probability():
    rngs = [np.random.default_rng(seed) for seed in range(1000)]
    drawn = [draw_background(rng, BackgroundConfig(), 5) for rng in rngs]
    assert np.mean([d is not None for d in drawn]) == pytest.approx(0.1, abs=0.03)
    always = BackgroundConfig(probability=Chance(1))
    assert draw_background(np.random.default_rng(0), always, 0) is None
    # Whether it happens or not, the generator has come equally far.
    following = np.random.default_rng(0)
    draw_background(following, always, 5)
    assert following.random() == rngs[0].random()


def test_a_mask_of_another_size_is_refused(image):
    with pytest.raises(ValueError, match=r'background_mask: shape \(5, 6\); expected \(96, 128\)'):
        replace_background(image, np.zeros((5, 6), bool), image)


def test_procedural_pictures_are_varied_and_repeatable():
    pictures = procedural_pictures(7, 12, 96)
    assert pictures.shape == (12, 96, 96, 3) and pictures.dtype == np.uint8
    assert np.array_equal(procedural_pictures(7, 3, 96), pictures[:3])
    assert not np.array_equal(procedural_pictures(8, 1, 96), pictures[:1])
    means = pictures.reshape(12, -1, 3).mean(1)
    assert means.std(0).min() > 15 and np.median(pictures.std((1, 2))) > 20
