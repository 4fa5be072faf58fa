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

"""Stress splits: each leaves training's law in its factor, whatever the user's law is."""

import dataclasses

import numpy as np
import pytest
from sim_trainer.cli import main
from sim_trainer.configuration.distractors import DistractorConfig, HELD_OUT_KINDS, KINDS
from sim_trainer.configuration.laws import Range
from sim_trainer.configuration.randomization import TextureConfig
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.evaluation import heldout
from sim_trainer.objects import household
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.physics.asset_folder import asset_folder
from sim_trainer.rendering.patterns import FAMILIES, HELD_OUT_FAMILIES, make_patterns
from sim_trainer.scene.distractors import DistractorLibrary
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.lighting import random_lighting
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.sensor.effects import draw_sensor
from sim_trainer.validation import stress
from sim_trainer.validation.laws import Around, Beyond, GapRange
from sim_trainer.validation.stress import stress_config, stress_configs, stress_pictures

NAMES = ['textures', 'lighting', 'sensor', 'distractors', 'clutter', 'everything']
SMALL = ['camera.width_px=160', 'camera.height_px=120', 'camera.fx_px=150', 'camera.fy_px=150',
         'camera.cx_px=79.5', 'camera.cy_px=59.5']


@pytest.fixture(scope='module')
def trained(reference_path):
    """Return the reference scene."""
    return load_config(reference_path)


@pytest.fixture(scope='module')
def drawn(trained):
    """Ten scenes of each split, and its configuration."""
    made = {}
    for name, config in stress_configs(trained).items():
        generator = SceneGenerator(config)
        made[name] = config, [generator.scene(i, whole_picture=True) for i in range(10)]
        generator.close()
    return made


@pytest.fixture(autouse=True)
def forget_warnings():
    """Each test hears every warning."""
    stress._warn_once.cache_clear()


def _outside(value, law):
    return value < law.low or value > law.high


def test_the_splits_and_their_seeds(trained):
    splits = stress_configs(trained)
    assert list(splits) == NAMES and splits == stress_configs(trained)
    seeds = [config.seed for config in splits.values()]
    taken = [trained.seed, trained.seed + heldout.SEED_OFFSET]
    apart = np.abs(np.subtract.outer(seeds, taken + seeds)).astype(float)
    assert apart[apart > 0].min() > 50_000 and len(set(seeds)) == len(NAMES)
    # All but the randomization and the seed is the user's.
    for config in splits.values():
        assert dataclasses.replace(config, seed=trained.seed,
                                   randomization=trained.randomization) == trained


@pytest.mark.parametrize('name, sections', [
    ('textures', {'textures'}), ('lighting', {'lighting', 'sensor'}), ('sensor', {'sensor'}),
    ('distractors', {'distractors'}), ('clutter', {'objects', 'distractors'}),
    ('everything', {'textures', 'lighting', 'sensor', 'distractors', 'objects'})])
def test_one_factor_changes(trained, name, sections):
    before, after = trained.randomization, stress_config(trained, name).randomization
    assert {field.name for field in dataclasses.fields(before)
            if getattr(before, field.name) != getattr(after, field.name)} == sections
    if name == 'lighting':      # its exposures alone, and inside of those of training
        a, b = before.sensor, after.sensor
        assert dataclasses.replace(b, exposure=a.exposure) == a
        assert a.exposure.stops.low < b.exposure.stops.low < b.exposure.stops.high < 1.2


@pytest.mark.parametrize('name', ['textures', 'everything'])
def test_patterns_are_of_families_that_training_does_not_draw(trained, drawn, name):
    config, scenes = drawn[name]
    families = config.randomization.textures.families
    used = {families[layer % len(families)] for scene in scenes for body in scene.bodies
            for layer in (body.material.pattern, body.material.grain)}
    assert used == set(HELD_OUT_FAMILIES)
    assert not used & set(trained.randomization.textures.families)
    materials = [body.material for scene in scenes for body in scene.bodies]
    assert np.mean([m.color_a != m.color_b for m in materials]) > 0.7


@pytest.mark.parametrize('name', ['lighting', 'everything'])
def test_lamps_are_those_of_no_training_picture(trained, drawn, name):
    law, scenes = trained.randomization.lighting, drawn[name][1]
    stops = [np.log2(scene.exposure / 1.3) for scene in scenes]
    assert all(_outside(value, law.exposure_stops) for value in stops)
    assert max(np.abs(stops)) < 1.7
    assert (min(stops) < 0) == (name == 'lighting') and max(stops) > 0
    saturation = []
    for scene in scenes:
        assert 1 <= len(scene.lights) <= 2
        assert max(scene.sky_color) < law.ambient_share.low
        for light in scene.lights:
            aim = np.subtract(light.position_m, scene.lit_area.centre_m)
            elevation_deg = np.degrees(np.arcsin(aim[2] / np.linalg.norm(aim)))
            assert 5 < elevation_deg < law.elevation_deg.low
            assert light.softness_m < law.softness_m.low and light.shadow > 0
            saturation.append(1 - min(light.color) / max(light.color))
    assert max(saturation) > law.saturation.high


@pytest.mark.parametrize('name', ['sensor', 'everything'])
def test_sensors_are_those_of_no_training_picture(trained, drawn, name):
    config, scenes = drawn[name]
    law = trained.randomization.sensor
    draws = [draw_sensor(frame_rng(config.seed, i, 'sensor'), config.randomization.sensor)
             for i in range(100)]
    assert draws[:len(scenes)] == [scene.sensor for scene in scenes]
    acts = {'jpeg': [d.jpeg_quality for d in draws if d.jpeg_quality],
            'noise': [d.full_well_electrons for d in draws if d.full_well_electrons],
            'lens_blur': [d.blur_sigma_px for d in draws if d.blur_sigma_px],
            'motion_blur': [d.motion_length_px for d in draws if d.motion_length_px],
            'saturation': [d.saturation for d in draws if d.saturation not in (0, 1)],
            'tone': [d.s_curve for d in draws]}
    for effect, key, *_ in stress._SENSOR:
        assert all(_outside(value, getattr(getattr(law, effect), key)) for value in acts[effect])
    assert min(map(len, acts.values())) > 10
    assert min(acts['tone']) < 0 < max(acts['tone'])


@pytest.mark.parametrize('name', ['distractors', 'everything'])
def test_distractors_are_of_a_kind_that_training_does_not_draw(trained, drawn, name):
    config, scenes = drawn[name]
    kinds = set(config.randomization.distractors.kinds)
    assert kinds == set(HELD_OUT_KINDS) and not kinds & set(KINDS)
    meshes = [[body.mesh for body in scene.bodies if body.kind == 'distractor']
              for scene in scenes]
    assert min(map(len, meshes)) >= 3
    used = {mesh for names in meshes for mesh in names}
    assert len(used) >= 6
    assert all(mesh.startswith('distractor_household_') for mesh in used)
    trained_on = DistractorLibrary(trained.randomization.distractors, 1, ()).meshes
    assert not used & set(trained_on)


@pytest.mark.parametrize('name', ['clutter', 'everything'])
def test_clutter_is_hard_to_see_through(drawn, name):
    scenes = drawn[name][1]
    assert np.mean([len(scene.instances) for scene in scenes]) > 7
    tilted = [body.T_base_body[2, 2] < 0.99 for scene in scenes for body in scene.instances]
    assert np.mean(tilted) > 0.4
    nearest_m = []
    for scene in scenes:
        places = np.array([body.T_base_body[:2, 3] for body in scene.instances])
        apart = np.linalg.norm(places[:, None] - places, axis=-1) + 9 * np.eye(len(places))
        nearest_m += apart.min(1).tolist()
    assert np.median(nearest_m) < 0.1


def test_clutter_has_the_looks_of_training(drawn, trained):
    before, after = trained.randomization, drawn['clutter'][0].randomization
    assert after.distractors.kinds == before.distractors.kinds
    assert after.distractors.count == Range(5, 10)
    assert after.objects.count == Range(8, before.objects.count.high)


def test_pictures_are_the_same_for_the_same_seed(reference_path):
    config = load_config(reference_path, SMALL)
    pictures = list(stress_pictures(config, 1))
    assert [name for name, _ in pictures] == NAMES
    for _, picture in pictures:
        assert picture.image_rgb.shape == (120, 160, 3)
    assert sum(len(picture.instances) for _, picture in pictures) > len(NAMES)
    assert len({picture.image_rgb.tobytes() for _, picture in pictures}) == len(NAMES)
    [again] = heldout.simulated_pictures(stress_config(config, 'everything'), 1)
    assert np.array_equal(again.image_rgb, pictures[-1][1].image_rgb)
    assert np.array_equal(again.instance_ids, pictures[-1][1].instance_ids)
    assert list(stress_pictures(config, 0)) == []


def test_an_unknown_split(trained, reference_path, tmp_path, capsys):
    with pytest.raises(ConfigurationError) as caught:
        stress_config(trained, 'fog')
    message = ('--stress fog: there is no such split; expected one of textures, lighting, '
               'sensor, distractors, clutter, everything')
    assert str(caught.value) == message
    sheet = tmp_path / 'sheet.png'
    assert main(['preview', str(reference_path), '--stress', 'fog', '--output', str(sheet)]) == 2
    assert capsys.readouterr().err.splitlines()[-1] == f'error: {message}'


def test_a_sheet_of_a_split(reference_path, tmp_path):
    sheet = tmp_path / 'sheet.png'
    small = [word for override in SMALL for word in ('--set', override)]
    assert main(['preview', str(reference_path), *small, '--stress', 'textures', '--count', '1',
                 '--output', str(sheet)]) == 0
    assert sheet.stat().st_size > 1000


def test_a_family_that_the_user_trains_on_is_dropped(reference_path, caplog):
    config = load_config(reference_path, ['randomization.textures.families=[flat, marble]'])
    for _ in range(2):
        for name in ('textures', 'everything'):
            families = stress_config(config, name).randomization.textures.families
            assert families == ('terrazzo', 'weave')
    assert caplog.messages.count('stress split textures: training draws marble '
                                 '(randomization.textures); the split goes without') == 1
    assert len(caplog.messages) == 1


def test_a_split_that_has_nothing_to_hold_out(reference_path, caplog):
    config = load_config(reference_path, [
        'randomization.textures.families=[weave, marble, terrazzo]',
        'randomization.distractors.kinds=[convex, household]',
        'randomization.distractors.weights=[1, 1]',
        'randomization.sensor.tone.s_curve=[-1.5, 1]', 'randomization.sensor.jpeg.quality=5',
        'randomization.sensor.noise.full_well_electrons=20',
        'randomization.sensor.lens_blur.sigma_px=4', 'randomization.sensor.saturation.factor=0',
        'randomization.sensor.motion_blur.length_px=20'])
    splits = stress_configs(config)
    assert list(splits) == ['lighting', 'clutter', 'everything']
    for name in ('textures', 'distractors', 'sensor'):
        assert (f'stress split {name} is left out: training draws all that it would hold out'
                in caplog.messages)
    after = splits['everything'].randomization
    assert after.textures == config.randomization.textures
    assert after.distractors.kinds == ('convex', 'household')
    with pytest.raises(ConfigurationError, match='expected one of lighting, clutter, everything'):
        stress_config(config, 'sensor')
    # The seeds are the names', whatever is left out.
    assert splits['lighting'].seed == stress_configs(load_config(reference_path))['lighting'].seed


@pytest.mark.parametrize('overrides', [
    [f'randomization.{name}.enabled=false' for name in ('textures', 'lighting', 'sensor')],
    ['randomization.distractors.count=0', 'randomization.objects.count=1'],
    ['randomization.lighting.elevation_deg=[3, 90]', 'randomization.lighting.saturation=[0, 1]',
     'randomization.lighting.ambient_share=0', 'randomization.lighting.exposure_stops=[-4, 0]'],
    ['randomization.sensor.jpeg.quality=[9, 100]', 'randomization.sensor.lens_blur.sigma_px=0',
     'randomization.sensor.tone.s_curve=0.95', 'randomization.sensor.saturation.factor=1'],
    ['workspace.x_m=[0.45, 0.6]', 'workspace.y_m=[0, 0.12]', 'randomization.objects.count=2'],
    ['randomization.textures.count=1', 'randomization.distractors.size_m=0.04']])
def test_narrow_laws_and_wide_ones(reference_path, overrides):
    config = load_config(reference_path, overrides)
    splits = stress_configs(config)
    assert list(splits) == NAMES
    before = config.randomization
    for name in ('lighting', 'sensor', 'everything'):
        after = splits[name].randomization
        rng = np.random.default_rng(1)
        draw = draw_sensor(rng, after.sensor)
        if name != 'lighting':
            assert after.sensor.enabled and _outside(draw.s_curve, before.sensor.tone.s_curve)
        if name != 'sensor':
            _, mood = random_lighting(rng, after.lighting, (0.3, 0.7, -0.28, 0.28))
            assert after.lighting.enabled
            assert _outside(np.log2(mood['exposure'] / 1.3), before.lighting.exposure_stops)
    assert splits['textures'].randomization.textures.enabled
    assert splits['distractors'].randomization.distractors.count.low >= 3
    for name in ('distractors', 'everything'):
        generator = SceneGenerator(splits[name])
        assert generator.scene(0).instances
        generator.close()


def test_more_objects_than_room_are_still_a_split(reference_path):
    config = load_config(reference_path, ['workspace.x_m=[0.45, 0.6]', 'workspace.y_m=[0, 0.12]',
                                          'randomization.objects.count=2'])
    split = stress_config(config, 'clutter')
    count = split.randomization.objects.count
    assert 2 <= count.low < 8 and count.high == 8
    SceneGenerator(split).close()


def test_ranges_beyond_ranges():
    past = Beyond(Range(10, 14), 20)
    assert past.outside(Range(0, 5)) == Range(10, 14)
    assert past.outside(Range(0, 12)) == Range(13, 17)
    assert past.outside(Range(0, 17.5)) == Range(18.5, 20)
    assert past.outside(Range(0, 19)) is None
    low = Beyond(Range(-4, -2), -6)
    assert low.outside(Range(0, 5)) == Range(-4, -2)
    assert low.outside(Range(-3, 5)) == Range(-5.5, -3.5)
    assert low.outside(Range(-6, 5)) is None
    both = Around(low, past)
    law = both.outside(Range(0, 5))
    assert law == GapRange(-4, 14, -2, 10) and law.to_yaml() == [[-4, -2], [10, 14]]
    with pytest.raises(ConfigurationError, match='low'):
        Range.from_yaml(law.to_yaml(), 'low')
    assert both.outside(Range(-6, 5)) == Range(10, 14)
    assert both.outside(Range(0, 19)) == Range(-4, -2)
    assert both.outside(Range(-6, 19)) is None
    rng = np.random.default_rng(1)
    values = np.array([law.sample(rng) for _ in range(4000)])
    assert (((values >= -4) & (values <= -2)) | ((values >= 10) & (values <= 14))).all()
    assert np.mean(values < 0) == pytest.approx(1 / 3, abs=0.03)
    with pytest.raises(NotImplementedError):
        law.sample_int(rng)


def test_what_is_held_out_is_not_in_training_by_default():
    """Another family, kind or order would change what every present configuration draws."""
    assert TextureConfig().families == tuple(FAMILIES) == (
        'flat', 'gradient', 'checker', 'stripes', 'clouds', 'blotches', 'wood', 'waves', 'bricks',
        'speckle', 'dots', 'cells', 'scratches', 'patches')
    assert DistractorConfig().kinds == KINDS == (
        'primitives', 'near_misses', 'convex', 'concave', 'random_urdfs')
    assert not set(FAMILIES) & set(HELD_OUT_FAMILIES) and not set(KINDS) & set(HELD_OUT_KINDS)


@pytest.mark.parametrize('family', HELD_OUT_FAMILIES)
def test_held_out_patterns_are_distinct_repeatable_and_without_a_seam(family):
    patterns = make_patterns(1, (family,), 12)
    assert np.array_equal(patterns, make_patterns(1, (family,), 12))
    assert patterns.dtype == np.uint8 and patterns.shape == (12, 128, 128)
    assert len({pattern.tobytes() for pattern in patterns}) == 12
    assert min(pattern.std() for pattern in patterns) > 15
    # Structure, not noise: neighbours are alike.
    wide = patterns.astype(float)
    assert np.abs(np.diff(wide, axis=2)).mean() < 0.7 * np.abs(wide - wide[:, :, ::-1]).mean()
    if family == 'weave':       # a thread ends at the border
        return
    for axis in (1, 2):
        steps = np.abs(np.diff(wide, axis=axis)).mean()
        seam = np.abs(wide.take(0, axis) - wide.take(-1, axis)).mean()
        assert seam < 2 * steps


def test_household_things(trained):
    catalogue = build_catalogue(trained.objects)
    library = DistractorLibrary(DistractorConfig(kinds=('household',)), 1, catalogue)
    assert list(library.meshes) == [f'distractor_household_{name}' for name in household.FILES]
    for vertices, faces in library.meshes.values():
        assert 12 <= len(faces) <= household.MAX_FACES
        assert np.ptp(vertices, axis=0).max() == pytest.approx(1)
        assert vertices.min(0) + vertices.max(0) == pytest.approx(0, abs=1e-9)
        assert set(faces.ravel()) == set(range(len(vertices)))
    # The duck sits: wider below than above.
    duck = library.meshes['distractor_household_duck'][0]
    spread = [np.ptp(duck[part], axis=0)[:2].prod() for part in (duck[:, 2] < 0, duck[:, 2] > 0.2)]
    assert spread[0] > spread[1]
    rng = np.random.default_rng(2)
    for _ in range(500):
        assert not library.resembles(*library.draw(rng))


def test_a_household_thing_of_the_catalogues_size_is_refused(trained):
    """The open box has the hull of a cube."""
    library = DistractorLibrary(DistractorConfig(kinds=('household',)), 1,
                                build_catalogue(trained.objects))
    assert library.resembles('distractor_household_shape_sorter', (0.05, 0.05, 0.05))
    assert not library.resembles('distractor_household_shape_sorter', (0.07, 0.07, 0.07))


def test_without_household_things(tmp_path, monkeypatch, caplog):
    from sim_trainer.scene import distractors
    for folder in (tmp_path, None):
        monkeypatch.setattr(distractors, 'asset_folder', lambda: folder)
        library = DistractorLibrary(DistractorConfig(kinds=('convex', 'household')), 1, ())
        assert all(name.startswith('distractor_convex') for name in library.meshes)
    assert caplog.text.count('pybullet_data has no household') == 2
    assert asset_folder() is not None
