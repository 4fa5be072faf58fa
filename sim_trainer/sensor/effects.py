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

"""What lens, sensor and camera software do to a picture, in physical order.

Linear light: lens blur -> defocus -> motion blur -> vignetting -> exposure -> shot and read
noise -> white balance -> demosaicing. Gamma-coded levels: sharpening -> tone curve -> saturation,
hue, grey -> JPEG.

Convention: pictures are uint8 and taken as sRGB-coded. The first group is computed in float32 on
the light that the codes stand for, because that is where blur, gain and photon counts are what
they are in a camera; the second in uint8, as a camera's processor does. Light above white is not
in the picture: a clipped lamp stays at white when it is blurred or darkened. White balance follows
the noise, because it is a digital gain that amplifies the noise as well. Look-up tables and
OpenCV calls keep the mean over the default laws below 3 ms of one core for 352x256 pixels, because
a sample must not be dearer than the training step on it.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.sensor import SensorConfig
from sim_trainer.sensor import color, noise, optics, processor


@dataclass(frozen=True)
class SensorDraw:
    """One draw of the sensor, in plain numbers; the defaults are an ideal sensor.

    The picture follows from it bit for bit (with the same versions of numpy and OpenCV). The laws
    and units are those of ``SensorConfig``.
    """

    blur_sigma_px: float = 0.0
    defocus_radius_px: float = 0.0
    motion_length_px: float = 0.0
    motion_angle_deg: float = 0.0
    #: part of the light that the corners lose
    vignetting: float = 0.0
    exposure_stops: float = 0.0
    #: electrons at white; 0: no noise
    full_well_electrons: float = 0.0
    read_electrons: float = 0.0
    noise_coarse: bool = False
    #: where the noise comes from: row, column; upside down, left to right
    noise_origin: tuple[int, int] = (0, 0)
    noise_flips: tuple[bool, bool] = (False, False)
    white_balance_stops: tuple[float, float, float] = (0.0, 0.0, 0.0)
    #: 0 RGGB, 1 GRBG, 2 GBRG, 3 BGGR; -1: no mosaic
    bayer_phase: int = -1
    edge_aware: bool = False
    sharpening: float = 0.0
    sharpening_sigma_px: float = 1.0
    gamma: float = 1.0
    s_curve: float = 0.0
    contrast: float = 1.0
    offset_levels: float = 0.0
    saturation: float = 1.0
    hue_shift_deg: float = 0.0
    #: 0: not compressed
    jpeg_quality: int = 0


IDEAL = SensorDraw()


def draw_sensor(rng: np.random.Generator, config: SensorConfig = SensorConfig()) -> SensorDraw:
    """Return a random sensor by the laws of the configuration.

    Every number is drawn whether its effect acts or not: to switch one effect off, or to change
    its law, shifts no other.
    """
    if not config.enabled:
        return IDEAL
    c = config
    jpeg = _some(rng, c.jpeg.probability, c.jpeg.quality, 0.0)
    blur = _some(rng, c.lens_blur.probability, c.lens_blur.sigma_px, 0.0)
    defocus = _some(rng, c.defocus.probability, c.defocus.radius_px, 0.0)
    motion = _some(rng, c.motion_blur.probability, c.motion_blur.length_px, 0.0)
    angle_deg = float(rng.uniform(0, 180))
    vignetting = _some(rng, c.vignetting.probability, c.vignetting.corner_loss, 0.0)
    exposure = _some(rng, c.exposure.probability, c.exposure.stops, 0.0)
    well = _log_uniform(rng, c.noise.full_well_electrons)
    read = c.noise.read_electrons.sample(rng)
    coarse = c.noise.coarse_probability.happens(rng)
    noisy = c.noise.probability.happens(rng)
    balance = tuple(c.white_balance.channel_stops.sample(rng) for _ in range(3))
    balanced = c.white_balance.probability.happens(rng)
    phase = int(processor.PHASE_COUNT * rng.random())
    mosaic = c.demosaicing.probability.happens(rng)
    edge_aware = c.demosaicing.edge_aware_probability.happens(rng)
    sharpening_sigma_px = c.sharpening.sigma_px.sample(rng)
    sharpening = _some(rng, c.sharpening.probability, c.sharpening.amount, 0.0)
    gamma, contrast = _log_uniform(rng, c.tone.gamma), _log_uniform(rng, c.tone.contrast)
    s_curve, offset_levels = c.tone.s_curve.sample(rng), c.tone.offset_levels.sample(rng)
    toned = c.tone.probability.happens(rng)
    saturation = _some(rng, c.saturation.probability, c.saturation.factor, 1.0)
    hue_deg = _some(rng, c.hue.probability, c.hue.shift_deg, 0.0)
    grey = c.grey.probability.happens(rng)
    origin = rng.integers(0, noise.TILE_SIZE_PX + 1, 2)
    flips = rng.random(2) < 0.5
    return SensorDraw(
        blur_sigma_px=blur, defocus_radius_px=defocus,
        motion_length_px=motion, motion_angle_deg=angle_deg,
        vignetting=vignetting, exposure_stops=exposure,
        full_well_electrons=well if noisy else 0.0, read_electrons=read,
        noise_coarse=coarse, noise_origin=(int(origin[0]), int(origin[1])),
        noise_flips=(bool(flips[0]), bool(flips[1])),
        white_balance_stops=balance if balanced else IDEAL.white_balance_stops,
        bayer_phase=phase if mosaic else -1, edge_aware=edge_aware,
        sharpening=sharpening, sharpening_sigma_px=sharpening_sigma_px,
        gamma=gamma if toned else 1.0, s_curve=s_curve if toned else 0.0,
        contrast=contrast if toned else 1.0, offset_levels=offset_levels if toned else 0.0,
        saturation=0.0 if grey else saturation, hue_shift_deg=hue_deg,
        jpeg_quality=round(jpeg))


def _some(rng: np.random.Generator, chance: Chance, law: Range, otherwise: float) -> float:
    value = law.sample(rng)
    return value if chance.happens(rng) else otherwise


def _log_uniform(rng: np.random.Generator, law: Range) -> float:
    return float(np.exp(rng.uniform(np.log(law.low), np.log(law.high))))


def apply_sensor(image_rgb: np.ndarray, draw: SensorDraw) -> np.ndarray:
    """Return the picture (H, W, 3) uint8 as that sensor would give it; a new array."""
    image = _expose(image_rgb, draw)
    if draw.sharpening:
        image = processor.sharpen(image, draw.sharpening, draw.sharpening_sigma_px)
    tone = (draw.gamma, draw.s_curve, draw.contrast, draw.offset_levels)
    if tone != (1.0, 0.0, 1.0, 0.0):
        image = cv2.LUT(image, color.tone_table(*tone))
    if draw.saturation != 1.0 or draw.hue_shift_deg:
        image = cv2.transform(image, color.color_matrix(draw.saturation, draw.hue_shift_deg))
    if draw.jpeg_quality:
        image = processor.compress(image, draw.jpeg_quality)
    return image.copy() if image is image_rgb else image


def _expose(image_rgb: np.ndarray, draw: SensorDraw) -> np.ndarray:
    """Return the part that acts on linear light; codes in, codes out."""
    stops = [draw.exposure_stops + stops for stops in draw.white_balance_stops]
    spreads = draw.blur_sigma_px or draw.defocus_radius_px or draw.motion_length_px
    if not (spreads or draw.vignetting or draw.full_well_electrons or draw.bayer_phase >= 0
            or any(stops)):
        return image_rgb
    linear = optics.spread(color.decode(image_rgb), draw.blur_sigma_px, draw.defocus_radius_px,
                           draw.motion_length_px, draw.motion_angle_deg)
    if draw.vignetting:
        linear = optics.vignette(linear, draw.vignetting)
    if draw.full_well_electrons:
        if draw.exposure_stops:
            linear *= np.float32(2 ** draw.exposure_stops)
        field = noise.noise_field(*linear.shape[:2], draw.noise_coarse, draw.noise_origin,
                                  draw.noise_flips)
        linear = noise.add_noise(linear, draw.full_well_electrons, draw.read_electrons, field)
        stops = draw.white_balance_stops
    light = color.quantize(linear, tuple(2 ** value for value in stops))
    if draw.bayer_phase >= 0:
        light = processor.demosaic(light, draw.bayer_phase, draw.edge_aware)
    return color.encode(light)
