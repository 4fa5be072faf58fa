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

"""The sensor's effects: what each does to light, and their laws."""

import dataclasses
import json

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.configuration import sensor as laws
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.loader import apply_overrides, build, to_plain
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.errors import ConfigurationError
from sim_trainer.sensor import color, noise, optics, processor
from sim_trainer.sensor.effects import apply_sensor, draw_sensor, IDEAL, SensorDraw

#: Every effect of the configuration.
EFFECTS = [field.name for field in dataclasses.fields(SensorConfig) if field.name != 'enabled']


def _only(**changes):
    return dataclasses.replace(IDEAL, **changes)


def _flat(level, height=200, width=300):
    return np.full((height, width, 3), level, np.uint8)


def _light(image):
    return color.to_linear(image / 255.0)


def _switched(chance, **changes):
    """Return the default laws with every effect's chance set, but for those in ``changes``."""
    config = SensorConfig()
    effects = {name: dataclasses.replace(getattr(config, name), probability=Chance(chance))
               for name in EFFECTS}
    return dataclasses.replace(config, **{**effects, **changes})


@pytest.fixture(scope='module')
def image():
    """Return a picture with different channels and structure."""
    y, x = np.mgrid[0:96, 0:128]
    return np.stack([x, y, (x + y) // 2 + 60], -1).astype(np.uint8)


@pytest.fixture(scope='module')
def point():
    """Return a white point on black."""
    picture = np.zeros((65, 65, 3), np.uint8)
    picture[32, 32] = 255
    return picture


# Optics


def test_codes_survive_the_way_to_light_and_back():
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, 2)
    again = color.encode(color.quantize(color.decode(levels), (1.0, 1.0, 1.0)))
    assert np.array_equal(again, levels)
    # IEC 61966-2-1: middle grey of 18 % is code 118.
    assert round(255 * float(color.to_code(np.array(0.18)))) == 118


@pytest.mark.parametrize('radius_px', [1.0, 2.5, 6.0])
def test_defocus_makes_a_point_a_disc_of_that_radius(point, radius_px):
    seen = apply_sensor(point, _only(defocus_radius_px=radius_px))
    light = _light(seen)[..., 0]
    y, x = np.mgrid[-32:33, -32:33]
    distance = np.hypot(x, y)
    # Half a pixel's diagonal beyond the edge nothing is covered, and as far inside everything.
    assert (light[distance > radius_px + 0.71] == 0).all()
    inside = light[distance < radius_px - 0.7]
    assert inside == pytest.approx(1 / (np.pi * radius_px ** 2), rel=0.05)
    assert light.sum() == pytest.approx(1, rel=0.03)
    # The second moments of a disc and of a pixel, which come apart at the size of pixels.
    moment = (light * distance ** 2).sum() / light.sum()
    assert moment == pytest.approx(radius_px ** 2 / 2 + 1 / 6, rel=0.02, abs=0.15)


def test_lens_blur_spreads_a_point_by_its_deviation(point):
    light = _light(apply_sensor(point, _only(blur_sigma_px=1.5)))[..., 1]
    x = np.arange(65) - 32
    assert np.sqrt((light.sum(0) * x ** 2).sum() / light.sum()) == pytest.approx(1.5, rel=0.03)


def test_blur_mixes_light_and_not_codes():
    edge = np.zeros((16, 32, 3), np.uint8)
    edge[:, 16:] = 255
    seen = apply_sensor(edge, _only(blur_sigma_px=2.0))[8, :, 0]
    # Half of the light is code 188; half of the code would be 128.
    assert (float(seen[15]) + float(seen[16])) / 2 == pytest.approx(188, abs=4)


@pytest.mark.parametrize('angle_deg, direction', [
    (0, (1, 0)), (90, (0, 1)), (45, (1, 1)), (135, (-1, 1)), (30, (3 ** 0.5, 1))])
def test_motion_blur_has_its_direction_and_length(point, angle_deg, direction):
    light = _light(apply_sensor(point, _only(motion_length_px=9.0,
                                             motion_angle_deg=float(angle_deg))))[..., 0]
    y, x = np.mgrid[-32:33, -32:33]
    along = (x * direction[0] + y * direction[1]) / np.hypot(*direction)
    across = (y * direction[0] - x * direction[1]) / np.hypot(*direction)
    assert np.sqrt((light * along ** 2).sum() / light.sum()) == pytest.approx(9 / 12 ** 0.5,
                                                                              rel=0.08)
    assert np.sqrt((light * across ** 2).sum() / light.sum()) < 0.6


@pytest.mark.parametrize('kernel', [optics.disc_kernel(0.3), optics.disc_kernel(20.0),
                                    optics.line_kernel(0.5, 10), optics.line_kernel(40, 77)])
def test_kernels_keep_the_light_and_the_place(kernel):
    assert kernel.sum() == pytest.approx(1, abs=1e-5) and (kernel >= 0).all()
    assert kernel == pytest.approx(kernel[::-1, ::-1], abs=1e-5)


def test_a_large_kernel_leaves_no_negative_light(point):
    light = optics.spread(color.decode(point), 0.0, 12.0, 30.0, 20.0)
    assert light.min() >= 0 and np.isfinite(light).all()


def test_vignetting_takes_its_part_from_the_corners_and_nothing_from_the_centre():
    grey = _flat(200, 91, 121)
    light = _light(apply_sensor(grey, _only(vignetting=0.4))) / _light(grey)
    assert light[45, 60] == pytest.approx(1, abs=0.005)
    for corner in ((0, 0), (0, -1), (-1, 0), (-1, -1)):
        assert light[corner] == pytest.approx(0.6, abs=0.01)


# Exposure and noise


def test_one_stop_doubles_the_light_below_clipping():
    levels = np.repeat(np.arange(256, dtype=np.uint8).reshape(16, 16, 1), 3, 2)
    seen = apply_sensor(levels, _only(exposure_stops=1.0))
    wanted = np.minimum(2 * _light(levels), 1)
    assert np.abs(seen - 255 * color.to_code(wanted)).max() <= 0.51
    assert (seen[_light(levels) >= 0.5] == 255).all() and seen[11, 0, 0] < 255


def test_white_balance_is_a_gain_of_each_channel(image):
    seen = apply_sensor(image, _only(white_balance_stops=(-1.0, 0.0, 0.5)))
    wanted = np.minimum(_light(image) * [0.5, 1, 2 ** 0.5], 1)
    assert np.abs(seen - 255 * color.to_code(wanted)).max() <= 0.51


@pytest.mark.parametrize('coarse', [False, True])
@pytest.mark.parametrize('level', [60, 118, 200])
def test_noise_has_the_variance_of_counted_photons(level, coarse):
    draw = _only(full_well_electrons=1500.0, read_electrons=6.0, noise_coarse=coarse)
    light = _light(apply_sensor(_flat(level), draw))
    expected = float(color.to_linear(np.array(level / 255)))
    assert light.mean() == pytest.approx(expected, rel=0.01)
    assert light.var() == pytest.approx(expected / 1500 + (6 / 1500) ** 2, rel=0.12)


def test_more_light_has_more_noise_of_light_but_less_of_codes():
    draw = _only(full_well_electrons=1000.0)
    seen = [apply_sensor(_flat(level), draw) for level in (60, 100, 150, 200)]
    assert np.all(np.diff([_light(picture).std() for picture in seen]) > 0)
    assert np.all(np.diff([picture.std() for picture in seen]) < 0)


def test_coarse_noise_is_correlated_and_fine_noise_is_not():
    for coarse, low, high in ((False, -0.02, 0.02), (True, 0.5, 0.8)):
        field = noise.noise_field(400, 500, coarse, (100, 50), (False, False))[..., 0]
        correlation = np.corrcoef(field[:, 1:].ravel(), field[:, :-1].ravel())[0, 1]
        assert low < correlation < high


@pytest.mark.parametrize('height, width', [(1100, 1500), (513, 40), (700, 900)])
def test_noise_of_pictures_larger_than_a_tile_does_not_repeat(height, width):
    field = noise.noise_field(height, width, False, (300, 200), (True, False))
    assert field.shape == (height, width, 3)
    assert field.mean() == pytest.approx(0, abs=0.02) and field.std() == pytest.approx(1, rel=0.02)
    # By Fourier transform: correlation with itself at every shift; 1 at a repetition.
    spectrum = np.abs(np.fft.rfft2(field[..., 0])) ** 2
    correlation = np.fft.irfft2(spectrum, s=(height, width)) / field[..., 0].size
    correlation[0, 0] = 0
    assert np.abs(correlation).max() < 0.5
    assert np.array_equal(field, noise.noise_field(height, width, False, (300, 200),
                                                   (True, False)))


def test_noise_comes_from_where_the_draw_says():
    fields = [noise.noise_field(64, 80, False, origin, flips)
              for origin in ((0, 0), (512, 512)) for flips in ((False, False), (True, True))]
    assert np.array_equal(fields[0], fields[1][::-1, ::-1])
    assert abs(np.corrcoef(fields[0].ravel(), fields[2].ravel())[0, 1]) < 0.05


# The camera's processor


@pytest.mark.parametrize('phase', range(processor.PHASE_COUNT))
@pytest.mark.parametrize('edge_aware', [False, True])
def test_demosaicing_keeps_what_the_mosaic_measured(phase, edge_aware):
    draw = _only(bayer_phase=phase, edge_aware=edge_aware)
    assert np.array_equal(apply_sensor(_flat(137, 31, 44), draw), _flat(137, 31, 44))
    # A plain colour stays, so every channel is read where its filter is.
    plain = np.broadcast_to(np.array([200, 90, 30], np.uint8), (30, 44, 3))
    assert np.array_equal(apply_sensor(plain, draw), plain)
    random = np.random.default_rng(0).integers(0, 256, (30, 44, 3), dtype=np.uint8)
    seen = apply_sensor(random, draw)
    same = (seen == random)[2:-2, 2:-2]
    letters = ('RGGB', 'GRBG', 'GBRG', 'BGGR')[phase]
    for place, letter in enumerate(letters):
        row, column = divmod(place, 2)
        assert same[row::2, column::2, 'RGB'.index(letter)].all()
    assert same.mean() < 0.5


def test_sharpening_overshoots_at_an_edge():
    edge = _flat(80)
    edge[:, 150:] = 160
    seen = apply_sensor(edge, _only(sharpening=1.0))
    assert seen[100, 149, 0] < 75 and seen[100, 150, 0] > 165
    assert np.array_equal(seen[:, :140], edge[:, :140])


@pytest.mark.parametrize('change, expected', [
    ({'offset_levels': 10.0}, lambda i: i + 10),
    ({'contrast': 1.3}, lambda i: (i - 127.5) * 1.3 + 127.5),
    ({'gamma': 2.0}, lambda i: 255 * (i / 255) ** 2),
    ({'s_curve': 1.0}, lambda i: 255 * (3 * (i / 255) ** 2 - 2 * (i / 255) ** 3)),
    ({'saturation': 0.0}, lambda i: np.repeat(i @ [[0.299], [0.587], [0.114]], 3, axis=-1)),
    ({'hue_shift_deg': 120.0}, lambda i: np.roll(i, 1, axis=-1))])
def test_tone_and_color_follow_their_laws(image, change, expected):
    seen = apply_sensor(image, _only(**change))
    assert np.abs(seen - np.clip(expected(image.astype(float)), 0, 255)).max() <= 1.5


@pytest.mark.parametrize('s_curve', [-2.0, -0.3, 0.7, 1.0])
def test_no_s_curve_falls(s_curve):
    assert np.all(np.diff(color.tone_table(1.0, s_curve, 1.0, 0.0).astype(int)) >= 0)


def test_lower_jpeg_quality_loses_more(image):
    noisy = apply_sensor(image, _only(full_well_electrons=2000.0))
    errors = [np.square(apply_sensor(noisy, _only(jpeg_quality=q)) - noisy.astype(float)).mean()
              for q in (95, 80, 60, 40, 20, 5)]
    assert np.all(np.diff(errors) > 0)


def test_jpeg_keeps_the_order_of_the_channels(image):
    seen = apply_sensor(image, _only(jpeg_quality=95)).astype(int)
    assert np.abs(seen - image).mean() < 3
    assert np.abs(seen - image[..., ::-1]).mean() > 10


# Order


def test_effects_act_in_physical_order():
    grey = _flat(118)
    noisy = _only(full_well_electrons=1000.0)
    plain = apply_sensor(grey, noisy)

    def with_noise(**changes):
        return apply_sensor(grey, dataclasses.replace(noisy, **changes))
    # The lens does not blur the noise of the sensor behind it.
    for blur in ({'blur_sigma_px': 1.5}, {'defocus_radius_px': 2.0}, {'motion_length_px': 5.0}):
        difference = with_noise(**blur).astype(int) - plain
        assert np.abs(difference).max() <= 1 and np.abs(difference).mean() < 0.01
    # Twice the light has the noise of twice the light; a digital gain doubles the noise itself.
    assert _light(with_noise(exposure_stops=1.0)).std() == pytest.approx(
        2 ** 0.5 * _light(plain).std(), rel=0.03)
    assert _light(with_noise(white_balance_stops=(1.0,) * 3)).std() == pytest.approx(
        2 * _light(plain).std(), rel=0.03)
    # What follows acts on the noise: a steeper curve, sharpening, interpolation, compression.
    assert with_noise(contrast=1.4).std() == pytest.approx(1.4 * plain.std(), rel=0.05)
    assert with_noise(sharpening=1.0).std() > 1.3 * plain.std()
    assert with_noise(bayer_phase=0).std() < 0.95 * plain.std()
    assert with_noise(jpeg_quality=20).std() < 0.8 * plain.std()


# Draws


def test_an_ideal_sensor_changes_nothing(image):
    assert draw_sensor(np.random.default_rng(0), SensorConfig(enabled=False)) == IDEAL
    for draw in (IDEAL, draw_sensor(np.random.default_rng(0), _switched(0.0))):
        seen = apply_sensor(image, draw)
        assert np.array_equal(seen, image) and not np.shares_memory(seen, image)


def test_a_draw_gives_the_same_bytes_again_from_its_record(image):
    before = image.copy()
    for seed in range(40):
        draw = draw_sensor(np.random.default_rng(seed))
        assert draw == draw_sensor(np.random.default_rng(seed))
        seen = apply_sensor(image, draw)
        recorded = json.loads(json.dumps(dataclasses.asdict(draw)))
        assert build(SensorDraw, recorded) == draw
        # Lists do as well as tuples.
        assert np.array_equal(seen, apply_sensor(image, SensorDraw(**recorded)))
    assert np.array_equal(image, before)


@pytest.mark.parametrize('effect', EFFECTS)
def test_every_effect_can_be_switched_off_and_shifts_no_other(image, effect):
    data = {}
    apply_overrides(data, [f'{effect}.probability=0'])
    off = build(SensorConfig, data)
    others = 0
    for seed in range(25):
        default = dataclasses.asdict(draw_sensor(np.random.default_rng(seed)))
        draw = dataclasses.asdict(draw_sensor(np.random.default_rng(seed), off))
        changed = {key for key in draw if draw[key] != default[key]}
        assert all(draw[key] == getattr(IDEAL, key) or key == 'saturation' for key in changed)
        others += len(changed)
    assert others > 0 or effect == 'grey'
    alone = draw_sensor(np.random.default_rng(3), _switched(0.0, **{
        effect: dataclasses.replace(getattr(SensorConfig(), effect), probability=Chance(1))}))
    detailed = image ^ np.random.default_rng(0).integers(0, 64, image.shape, dtype=np.uint8)
    assert not np.array_equal(apply_sensor(detailed, alone), detailed)


def test_draws_stay_within_the_ranges_of_the_yaml():
    data = {'defocus': {'probability': 1, 'radius_px': [1.0, 1.5]},
            'jpeg': {'probability': 1, 'quality': 77},
            'noise': {'probability': 1, 'full_well_electrons': [500, 600]},
            'tone': {'gamma': [0.9, 1.1]}}
    config = build(SensorConfig, data)
    assert build(SensorConfig, to_plain(config)) == config
    draws = [draw_sensor(np.random.default_rng(seed), config) for seed in range(100)]
    assert all(1 <= d.defocus_radius_px <= 1.5 and d.jpeg_quality == 77 for d in draws)
    assert all(500 <= d.full_well_electrons <= 600 and 0.9 <= d.gamma <= 1.1 for d in draws)
    assert {d.bayer_phase for d in draws} == {-1, 0, 1, 2, 3}
    assert len({(d.noise_origin, d.noise_flips) for d in draws}) == 100


def test_an_effect_is_as_frequent_as_its_probability():
    draws = [draw_sensor(np.random.default_rng(seed)) for seed in range(1500)]
    config = SensorConfig()
    for key, effect in (('blur_sigma_px', config.lens_blur), ('jpeg_quality', config.jpeg),
                        ('full_well_electrons', config.noise), ('vignetting', config.vignetting)):
        part = np.mean([getattr(draw, key) > 0 for draw in draws])
        assert part == pytest.approx(effect.probability.probability, abs=0.05)


# The largest law of every effect that can be written in a YAML.
EXTREME = _switched(
    1.0, lens_blur=laws.LensBlurConfig(Chance(1), Range(0, 50)),
    defocus=laws.DefocusConfig(Chance(1), Range(0, 50)),
    motion_blur=laws.MotionBlurConfig(Chance(1), Range(0, 100)),
    exposure=laws.ExposureConfig(Chance(1), Range(-10, 10)),
    noise=laws.NoiseConfig(Chance(1), Range(10, 1e7), Range(0, 1000)),
    tone=laws.ToneConfig(Chance(1), Range(0.1, 10), Range(-2, 1), Range(0.05, 20),
                         Range(-255, 255)),
    jpeg=laws.JpegConfig(Chance(1), Range(1, 100)))


@given(seed=st.integers(0, 2 ** 32), height=st.integers(16, 700), width=st.integers(17, 900),
       config=st.sampled_from([SensorConfig(), _switched(1.0), EXTREME]))
@settings(max_examples=25, deadline=None)
def test_any_draw_keeps_type_and_size(seed, height, width, config):
    picture = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    seen = apply_sensor(picture, draw_sensor(np.random.default_rng(seed), config))
    assert seen.dtype == np.uint8 and seen.shape == picture.shape


def test_pictures_that_are_views_and_read_only(image):
    window = image[::-1, 10:90]
    window.flags.writeable = False
    for seed in range(20):
        draw = draw_sensor(np.random.default_rng(seed))
        assert np.array_equal(apply_sensor(window, draw),
                              apply_sensor(np.ascontiguousarray(window), draw))


@pytest.mark.parametrize('data, message', [
    ({'lens_blur': {'sigma_px': [-1, 1]}}, r'randomization.sensor.lens_blur.sigma_px: \[-1, 1\]; '
     r'expected numbers within 0...50 px'),
    ({'defocus': {'radius_px': 51}}, r'sensor.defocus.radius_px: \[51, 51\]; .*0...50 px'),
    ({'motion_blur': {'length_px': -2}}, 'sensor.motion_blur.length_px: .* within 0...100 px'),
    ({'vignetting': {'corner_loss': 1.5}}, 'sensor.vignetting.corner_loss: .* within 0...1'),
    ({'exposure': {'stops': [-20, 1]}}, 'sensor.exposure.stops: .* within -10...10 stops'),
    ({'noise': {'full_well_electrons': 0}}, 'sensor.noise.full_well_electrons: .* 10...1e.07 el'),
    ({'noise': {'read_electrons': -1}}, 'sensor.noise.read_electrons: .* 0...1000 electrons'),
    ({'white_balance': {'channel_stops': 6}}, 'sensor.white_balance.channel_stops: .* -5...5 st'),
    ({'sharpening': {'amount': -1}}, 'sensor.sharpening.amount: .* within 0...20'),
    ({'sharpening': {'sigma_px': 0}}, 'sensor.sharpening.sigma_px: .* within 0.1...50 px'),
    ({'tone': {'gamma': 0}}, 'sensor.tone.gamma: .* within 0.1...10'),
    ({'tone': {'s_curve': 2}}, 'sensor.tone.s_curve: .* within -2...1'),
    ({'tone': {'contrast': 0}}, 'sensor.tone.contrast: .* within 0.05...20'),
    ({'tone': {'offset_levels': 300}}, 'sensor.tone.offset_levels: .* -255...255 levels'),
    ({'saturation': {'factor': -1}}, 'sensor.saturation.factor: .* within 0...10'),
    ({'hue': {'shift_deg': 400}}, 'sensor.hue.shift_deg: .* within -360...360 degrees'),
    ({'jpeg': {'quality': [0, 101]}}, r'sensor.jpeg.quality: \[0, 101\]; .* within 1...100'),
    ({'jpeg': {'probability': 2}}, 'jpeg.probability: 2; expected a chance, 0...1'),
    ({'defokus': {}}, "defokus: unknown key; did you mean 'defocus'")])
def test_impossible_laws_are_refused(data, message):
    with pytest.raises(ConfigurationError, match=message):
        build(SensorConfig, data)
