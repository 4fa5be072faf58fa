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

"""Whole pictures of scenes that training never saw, for calibration and the run's own figures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
import dataclasses
from pathlib import Path

import numpy as np
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.dataset.labels import label_scene
from sim_trainer.rendering.base import Picture
from sim_trainer.rendering.factory import make_renderer
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.record import SceneRecord
from sim_trainer.sensor.effects import apply_sensor
from sim_trainer.training.nothing import may_turn, nothing
from tqdm import tqdm

#: Of so many held-out pictures, one is shown once more with nothing to be seen.
BLINDED_EVERY = 4
#: Added to the seed: other scenes, other patterns, other distractor shapes than in training.
SEED_OFFSET = 100_003


def simulated_pictures(config: SceneConfig, count: int, first: int = 0, description: str = '',
                       only: Iterable[str] | None = None, told: bool = False
                       ) -> Iterator[BopPicture]:
    """Pictures of the camera's full size with the sensor's effects, and their truth.

    ``only`` names the randomizers that change from picture to picture; None for all. With ``told``
    cameras are as the calibration tells them, errors included (``calibration_error``), and truth
    is where it is in the base frame so told: the estimator is judged as it will be used.
    """
    generator = SceneGenerator(config)
    renderer = make_renderer(config, generator)
    names = [model.name for model in generator.catalogue]
    try:
        for index in tqdm(range(first, first + count), desc=description or 'drawing',
                          unit='picture', disable=None):
            scene = generator.scene(index, whole_picture=True, only=only)
            picture = renderer.draw(scene)
            labels = label_scene(scene, picture.instance_ids, generator.catalogue)
            view, shift = scene, np.eye(4)
            if told and scene.told is not None:
                view, shift = scene.told, scene.told.T_told_camera(scene.T_base_camera)
            yield BopPicture(index, Path(f'{index:06d}.png'), developed(picture, scene),
                             view.camera, view.T_base_camera,
                             [BopInstance(names[label.object_index],
                                          label.T_camera_object if view is scene
                                          else shift @ label.T_camera_object,
                                          label.visible_fraction) for label in labels],
                             picture.instance_ids, scene)
    finally:
        renderer.close()
        generator.close()


def developed(picture: Picture, scene: SceneRecord) -> np.ndarray:
    """Return the drawn picture of a scene as its sensor gives it, (H, W, 3) uint8."""
    return picture.image_rgb if scene.sensor is None else apply_sensor(picture.image_rgb,
                                                                       scene.sensor)


def held_out_pictures(config: SceneConfig, count: int) -> Iterator[BopPicture]:
    """``simulated_pictures`` of a seed that training does not use."""
    return simulated_pictures(dataclasses.replace(config, seed=config.seed + SEED_OFFSET), count,
                              description='calibrating', told=True)


def blinded_pictures(config: SceneConfig, pictures: Sequence[BopPicture]) -> list[BopPicture]:
    """Pictures in which nothing is to be found, made from every ``BLINDED_EVERY``-th of others.

    Capped, covered and noisy lenses and views upside down, see ``training.nothing``.

    Args:
        config: of the scene.
        pictures: of it; not changed.
    """
    upside_down = may_turn(config.randomization.viewpoint.roll_deg)
    blinded = []
    for i, picture in enumerate(pictures[::BLINDED_EVERY]):
        rng = np.random.default_rng([config.seed, SEED_OFFSET, i])
        blinded.append(dataclasses.replace(
            picture, image_rgb=nothing(rng, picture.image_rgb, upside_down), instances=[],
            instance_ids=None, record=None))
    return blinded
