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

"""Stress splits: a user's scenes with one factor that training never sees, by name.

Pictures of the law that trained a model cannot choose it: all models are good on them. A split
leaves everything as the configuration has it but one factor, which is drawn from outside of the
training's law, whatever that is: what training does see is never counted as held out. ``clutter``
alone has training's looks, placed as hard as training seldom places them; ``everything`` has all
factors at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import lru_cache
import logging

from dr_perception.core.resting import rotation_to_down
import numpy as np
from sim_trainer.configuration.distractors import HELD_OUT_KINDS
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.randomization import RandomizationConfig
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import ConfigurationError
from sim_trainer.evaluation.heldout import simulated_pictures
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.rendering.patterns import HELD_OUT_FAMILIES
from sim_trainer.scene.generator import MARGIN_M
from sim_trainer.scene.placement import footprint_radius, Table
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.validation.laws import Around, Beyond, GapRange

logger = logging.getLogger(__name__)

#: Added to the seed, and for each split a step more: not the scenes of training, of calibration
#: or of another split.
SEED_OFFSET, SEED_STEP = 2_000_003, 100_019

#: Of the lamps, each from just past ``LightingConfig`` to what a room still has.
_LIGHTING = {
    'elevation_deg': Beyond(Range(8, 14), 2),
    'ambient_share': Beyond(Range(0.04, 0.07), 0),
    'softness_m': Beyond(Range(0.0002, 0.0014), 0),
    'saturation': Beyond(Range(0.5, 0.9), 1),
    'exposure_stops': Around(Beyond(Range(-1.6, -1.4), -3), Beyond(Range(1.15, 1.4), 2.5)),
}
#: Of the sensor: effect, its key, past ``SensorConfig`` and to what a webcam still does, chance.
_SENSOR = (
    ('tone', 's_curve', Around(Beyond(Range(-0.7, -0.4), -1.2), Beyond(Range(0.78, 1), 1)), 1.0),
    ('jpeg', 'quality', Beyond(Range(14, 30), 8), 0.7),
    ('noise', 'full_well_electrons', Beyond(Range(60, 120), 25), 0.4),
    ('lens_blur', 'sigma_px', Beyond(Range(1.5, 2.1), 3), 0.5),
    ('motion_blur', 'length_px', Beyond(Range(6.5, 9.5), 15), 0.25),
    ('saturation', 'factor', Beyond(Range(0.03, 0.15), 0), 0.5),
)


def stress_configs(config: SceneConfig) -> dict[str, SceneConfig]:
    """Return the splits by name, 'everything' last; the same for the same configuration.

    A split whose factor the configuration trains on as a whole is left out, with a warning.

    Raises:
        ConfigurationError: an object's mesh cannot be read.
    """
    splits, everything = {}, replace(config, seed=config.seed + SEED_OFFSET)
    for i, (name, change) in enumerate(_CHANGES.items(), 1):
        changed = change(config)
        if changed is None:
            _warn_once(f'stress split {name} is left out: training draws all that it would hold '
                       'out')
            continue
        splits[name] = replace(config, seed=config.seed + SEED_OFFSET + i * SEED_STEP,
                               randomization=changed)
        everything = replace(everything,
                             randomization=change(everything) or everything.randomization)
    return {**splits, 'everything': _not_dark(everything)}


def _not_dark(config: SceneConfig) -> SceneConfig:
    """Of exposures past both ends the high ones: dark, with a stressed sensor, is black."""
    lighting = config.randomization.lighting
    stops = lighting.exposure_stops
    if not isinstance(stops, GapRange):
        return config
    return replace(config, randomization=replace(config.randomization, lighting=replace(
        lighting, exposure_stops=Range(stops.above, stops.high))))


def stress_config(config: SceneConfig, name: str) -> SceneConfig:
    """One of ``stress_configs``.

    Raises:
        ConfigurationError: there is no split of that name.
    """
    splits = stress_configs(config)
    if name not in splits:
        raise ConfigurationError(f'--stress {name}: there is no such split; expected one of '
                                 f'{", ".join(splits)}')
    return splits[name]


def stress_pictures(config: SceneConfig, count_per_split: int
                    ) -> Iterator[tuple[str, BopPicture]]:
    """Name of the split and picture, split after split, with truth; see ``simulated_pictures``."""
    for name, split in stress_configs(config).items() if count_per_split else ():
        for picture in simulated_pictures(split, count_per_split, description=f'stress: {name}',
                                          told=True):
            yield name, picture


def _textures(config: SceneConfig) -> RandomizationConfig | None:
    textures = config.randomization.textures
    families = _held_out('textures', tuple(HELD_OUT_FAMILIES), textures.families)
    if not families:
        return None
    # Patterns on most surfaces: neither plain ones nor the user's pictures are held out.
    return replace(config.randomization, textures=replace(
        textures, enabled=True, count=0, families=families, plain=Chance(0.15),
        plain_surroundings=Chance(0.1), pictured=Chance(0.0)))


def _lighting(config: SceneConfig) -> RandomizationConfig | None:
    lighting = config.randomization.lighting
    laws = {key: past.outside(getattr(lighting, key)) for key, past in _LIGHTING.items()}
    laws = {key: law for key, law in laws.items() if law is not None}
    if not laws:
        return None
    # Few lamps, whose shadows nothing brightens, and whose colours mix.
    return replace(
        config.randomization, lighting=replace(lighting, enabled=True, count=Range(1, 2),
                                               shadow=Chance(1.0), **laws),
        sensor=_evenly_exposed(config.randomization.sensor))


def _sensor(config: SceneConfig) -> RandomizationConfig | None:
    sensor = config.randomization.sensor
    effects = {}
    for effect, key, past, chance in _SENSOR:
        law = past.outside(getattr(getattr(sensor, effect), key))
        if law is not None:
            effects[effect] = replace(getattr(sensor, effect),
                                      **{key: law, 'probability': Chance(chance)})
    if not effects:
        return None
    return replace(config.randomization,
                   sensor=replace(_evenly_exposed(sensor), enabled=True, **effects))


def _evenly_exposed(sensor: SensorConfig) -> SensorConfig:
    """Return the sensor with the middle half of its exposures.

    Both ends come on top of the light's own exposure and of the tone curve; past the training's
    range of those, they left black and white pictures in which a person finds nothing.
    """
    stops = sensor.exposure.stops
    inset = (stops.high - stops.low) / 4
    return replace(sensor, exposure=replace(
        sensor.exposure, stops=Range(stops.low + inset, stops.high - inset)))


def _distractors(config: SceneConfig) -> RandomizationConfig | None:
    distractors = config.randomization.distractors
    kinds = _held_out('distractors', HELD_OUT_KINDS, distractors.kinds)
    if not kinds:
        return None
    count, size_m = distractors.count, distractors.size_m
    # The larger half of the sizes: a duck of 2 cm is a blob to a camera that sees a whole table.
    return replace(config.randomization, distractors=replace(
        distractors, kinds=kinds, weights=None, count=Range(max(count.low, 3), max(count.high, 8)),
        size_m=Range(float(np.sqrt(size_m.low * size_m.high)), size_m.high)))


def _clutter(config: SceneConfig) -> RandomizationConfig | None:
    objects, distractors = config.randomization.objects, config.randomization.distractors
    least = max(_certain_count(config), objects.count.low)

    def at_least(chance: Chance, probability: float) -> Chance:
        return Chance(max(chance.probability, probability))

    return replace(
        config.randomization,
        objects=replace(objects, count=Range(least, max(len(config.objects), objects.count.high)),
                        tumbled=at_least(objects.tumbled, 0.6),
                        dropped=at_least(objects.dropped, 0.2),
                        crowded=at_least(objects.crowded, 0.95),
                        hidden=at_least(objects.hidden, 0.5)),
        # What hides an object is one of the distractors.
        distractors=replace(distractors, count=Range(
            (distractors.count.low + distractors.count.high) / 2, distractors.count.high)))


#: What a split changes; None: training's law leaves nothing to hold out. A new split goes to the
#: end: the place decides the seed.
_CHANGES: dict[str, Callable[[SceneConfig], RandomizationConfig | None]] = {
    'textures': _textures, 'lighting': _lighting, 'sensor': _sensor, 'distractors': _distractors,
    'clutter': _clutter,
}


def _held_out(split: str, known: tuple[str, ...], trained: tuple[str, ...]) -> tuple[str, ...]:
    """Of the known names those that training does not draw."""
    seen = [name for name in known if name in trained]
    if seen:
        _warn_once(f'stress split {split}: training draws {", ".join(seen)} (randomization.{split}'
                   '); the split goes without')
    return tuple(name for name in known if name not in trained)


def _certain_count(config: SceneConfig) -> int:
    """Objects that find room in every scene, lying as wide as they can."""
    radii = [max(footprint_radius(model.vertices_m, rotation_to_down(down))
                 for down in model.resting_downs) for model in build_catalogue(config.objects)]
    workspace, certain = config.workspace, len(radii)
    for trial in range(8):
        rng = frame_rng(config.seed, trial, 'clutter')
        table = Table(np.array([workspace.x_m.low, workspace.y_m.low]) - MARGIN_M,
                      np.array([workspace.x_m.high, workspace.y_m.high]) + MARGIN_M, np.zeros(3))
        certain = min(certain, sum(table.find_room(rng, radii[i], False) is not None
                                   for i in rng.permutation(len(radii))))
    return certain


@lru_cache(maxsize=None)
def _warn_once(message: str) -> None:
    logger.warning(message)
