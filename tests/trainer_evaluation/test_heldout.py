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

"""Held-out pictures, and those in which nothing is to be found."""
import dataclasses
from pathlib import Path

import numpy as np
from sim_trainer.configuration.schema import load_config
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.evaluation.heldout import BLINDED_EVERY, blinded_pictures

ROOT = Path(__file__).parents[2]


def pictures_of(camera, count):
    """Return pictures with one object each, all different."""
    rng = np.random.default_rng(0)
    return [BopPicture(i, Path('none.png'), rng.integers(100, 120, (48, 64, 3), dtype=np.uint8),
                       camera, np.eye(4), [BopInstance('cube', np.eye(4), 1.0)])
            for i in range(count)]


def test_every_fourth_is_shown_with_nothing_to_find(camera):
    config = load_config(ROOT / 'config' / 'tabletop.yaml')
    pictures = pictures_of(camera, 40)
    before = [picture.image_rgb.copy() for picture in pictures]
    blinded = blinded_pictures(config, pictures)
    assert [p.picture_id for p in blinded] == list(range(0, 40, BLINDED_EVERY))
    for picture in blinded:
        assert picture.instances == [] and picture.camera is camera
        assert not np.array_equal(picture.image_rgb, before[picture.picture_id])
    assert all(np.array_equal(a, b.image_rgb) for a, b in zip(before, pictures))
    again = blinded_pictures(config, pictures)
    assert all(np.array_equal(a.image_rgb, b.image_rgb) for a, b in zip(blinded, again))


def test_where_the_camera_rolls_upside_down_is_a_good_view(camera):
    config = load_config(ROOT / 'config' / 'tabletop.yaml')
    rolling = dataclasses.replace(config, randomization=dataclasses.replace(
        config.randomization, viewpoint=dataclasses.replace(
            config.randomization.viewpoint, roll_deg=180.0)))

    def turned(config):
        pictures = pictures_of(camera, 160)
        return sum(np.array_equal(b.image_rgb, pictures[b.picture_id].image_rgb[::-1, ::-1])
                   for b in blinded_pictures(config, pictures))

    assert turned(config) > 5
    assert turned(rolling) == 0
