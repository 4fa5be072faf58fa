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

"""The laws of the camera's sensor: one dataclass for each effect, in physical order.

A range is ``[low, high]`` (uniform, unless its comment says otherwise) or one number (constant).
Every effect has a ``probability``, the chance that it acts on a picture; 0 switches it off.
"""

from __future__ import annotations

from dataclasses import dataclass

from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.errors import ConfigurationError

_SENSOR = 'randomization.sensor'
_BACKGROUND = 'randomization.background'


def _check(where: str, law: Range, low: float, high: float, unit: str = '') -> None:
    if not (low <= law.low and law.high <= high):
        unit = unit and f' {unit}'
        raise ConfigurationError(f'{where}: [{law.low:g}, {law.high:g}]; expected numbers within '
                                 f'{low:g}...{high:g}{unit}')


@dataclass(frozen=True)
class LensBlurConfig:
    """Softness of the lens and of the filter on the sensor."""

    probability: Chance = Chance(0.6)
    #: standard deviation of the Gaussian, pixels
    sigma_px: Range = Range(0.2, 1.3)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.lens_blur.sigma_px', self.sigma_px, 0, 50, 'px')


@dataclass(frozen=True)
class DefocusConfig:
    """A lens that is not focused on the table."""

    probability: Chance = Chance(0.2)
    #: radius of the disc that a point becomes, pixels
    radius_px: Range = Range(0.6, 2.2)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.defocus.radius_px', self.radius_px, 0, 50, 'px')


@dataclass(frozen=True)
class MotionBlurConfig:
    """A camera, an arm or an object that moves while the shutter is open."""

    probability: Chance = Chance(0.12)
    #: length of the line that a point becomes, pixels; its direction is uniform
    length_px: Range = Range(1.5, 6.0)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.motion_blur.length_px', self.length_px, 0, 100, 'px')


@dataclass(frozen=True)
class VignettingConfig:
    """Corners that are darker than the centre."""

    probability: Chance = Chance(0.3)
    #: part of the light that the corners lose; grows with the square of the distance
    corner_loss: Range = Range(0.05, 0.5)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.vignetting.corner_loss', self.corner_loss, 0, 1)


@dataclass(frozen=True)
class ExposureConfig:
    """Shutter and gain: all of the light, before the noise."""

    probability: Chance = Chance(1.0)
    #: powers of two of linear light
    stops: Range = Range(-1.2, 1.2)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.exposure.stops', self.stops, -10, 10, 'stops')


@dataclass(frozen=True)
class NoiseConfig:
    """Shot noise (of the light) and read noise (of the electronics)."""

    probability: Chance = Chance(0.85)
    #: electrons at white, fewer at higher gain; uniform in its logarithm. The variance of linear
    #: light (white = 1) is light / full_well_electrons + (read_electrons / full_well_electrons)^2
    full_well_electrons: Range = Range(150, 12_000)
    #: standard deviation of the read noise, electrons
    read_electrons: Range = Range(0.5, 3.0)
    #: chance that the noise is correlated over neighbouring pixels, as after scaling or denoising
    coarse_probability: Chance = Chance(0.4)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.noise.full_well_electrons', self.full_well_electrons, 10, 1e7,
               'electrons')
        _check(f'{_SENSOR}.noise.read_electrons', self.read_electrons, 0, 1000, 'electrons')


@dataclass(frozen=True)
class WhiteBalanceConfig:
    """Gain of each colour channel: a white balance that is off. Amplifies the noise too."""

    probability: Chance = Chance(1.0)
    #: powers of two of linear light, drawn for red, green and blue each
    channel_stops: Range = Range(-0.4, 0.4)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.white_balance.channel_stops', self.channel_stops, -5, 5, 'stops')


@dataclass(frozen=True)
class DemosaicingConfig:
    """One colour for each pixel (a Bayer mosaic of random phase) and the others interpolated."""

    probability: Chance = Chance(0.4)
    #: chance of the edge-aware interpolation instead of the bilinear one
    edge_aware_probability: Chance = Chance(0.5)


@dataclass(frozen=True)
class SharpeningConfig:
    """Unsharp masking by the camera's processor."""

    probability: Chance = Chance(0.35)
    #: how much of the difference from the blurred picture is added
    amount: Range = Range(0.2, 1.4)
    #: standard deviation of that blur, pixels
    sigma_px: Range = Range(0.6, 1.5)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.sharpening.amount', self.amount, 0, 20)
        _check(f'{_SENSOR}.sharpening.sigma_px', self.sigma_px, 0.1, 50, 'px')


@dataclass(frozen=True)
class ToneConfig:
    """The camera's tone curve, on gamma-coded values 0...1 and in the order of these keys."""

    probability: Chance = Chance(1.0)
    #: exponent; above 1 darkens; uniform in its logarithm
    gamma: Range = Range(0.7, 1.45)
    #: S-curve: part of the way to 3x^2 - 2x^3; below 0 flattens the middle instead
    s_curve: Range = Range(-0.3, 0.7)
    #: slope about middle grey; uniform in its logarithm
    contrast: Range = Range(0.7, 1.4)
    #: added, levels of 255
    offset_levels: Range = Range(-20, 20)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.tone.gamma', self.gamma, 0.1, 10)
        # Outside of this the curve would fall somewhere.
        _check(f'{_SENSOR}.tone.s_curve', self.s_curve, -2, 1)
        _check(f'{_SENSOR}.tone.contrast', self.contrast, 0.05, 20)
        _check(f'{_SENSOR}.tone.offset_levels', self.offset_levels, -255, 255, 'levels')


@dataclass(frozen=True)
class SaturationConfig:
    """Colours that are paler or stronger."""

    probability: Chance = Chance(0.6)
    #: factor on the distance from grey; 1 changes nothing
    factor: Range = Range(0.2, 1.7)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.saturation.factor', self.factor, 0, 10)


@dataclass(frozen=True)
class HueConfig:
    """All hues turned about grey."""

    probability: Chance = Chance(0.4)
    #: degrees
    shift_deg: Range = Range(-180, 180)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.hue.shift_deg', self.shift_deg, -360, 360, 'degrees')


@dataclass(frozen=True)
class GreyConfig:
    """A camera without colour."""

    probability: Chance = Chance(0.05)


@dataclass(frozen=True)
class JpegConfig:
    """Compression on the way from the camera."""

    probability: Chance = Chance(0.5)
    #: quality of libjpeg, rounded to a whole number
    quality: Range = Range(40, 96)

    def __post_init__(self) -> None:
        _check(f'{_SENSOR}.jpeg.quality', self.quality, 1, 100)


@dataclass(frozen=True)
class SensorConfig:
    """The sensor's effects, in the order in which they act."""

    #: false: an ideal sensor, which changes nothing
    enabled: bool = True
    lens_blur: LensBlurConfig = LensBlurConfig()
    defocus: DefocusConfig = DefocusConfig()
    motion_blur: MotionBlurConfig = MotionBlurConfig()
    vignetting: VignettingConfig = VignettingConfig()
    exposure: ExposureConfig = ExposureConfig()
    noise: NoiseConfig = NoiseConfig()
    white_balance: WhiteBalanceConfig = WhiteBalanceConfig()
    demosaicing: DemosaicingConfig = DemosaicingConfig()
    sharpening: SharpeningConfig = SharpeningConfig()
    tone: ToneConfig = ToneConfig()
    saturation: SaturationConfig = SaturationConfig()
    hue: HueConfig = HueConfig()
    grey: GreyConfig = GreyConfig()
    jpeg: JpegConfig = JpegConfig()


@dataclass(frozen=True)
class BackgroundConfig:
    """Another picture behind the scene instead of the drawn surroundings."""

    #: chance that a picture's background is replaced
    probability: Chance = Chance(0.1)
    #: longer side of the crop, part of the picture's side; the scene's proportions are kept
    crop: Range = Range(0.25, 1.0)
    #: brightness, powers of two of linear light
    exposure_stops: Range = Range(-1.0, 1.0)
    #: the same for red, green and blue each
    channel_stops: Range = Range(-0.4, 0.4)
    #: standard deviation of the soft edge between scene and picture, pixels
    edge_sigma_px: Range = Range(0.4, 1.0)

    def __post_init__(self) -> None:
        _check(f'{_BACKGROUND}.crop', self.crop, 0.01, 1)
        _check(f'{_BACKGROUND}.exposure_stops', self.exposure_stops, -10, 10, 'stops')
        _check(f'{_BACKGROUND}.channel_stops', self.channel_stops, -5, 5, 'stops')
        _check(f'{_BACKGROUND}.edge_sigma_px', self.edge_sigma_px, 0, 50, 'px')
