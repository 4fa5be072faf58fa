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

"""Random lights and the light of the surroundings."""

from __future__ import annotations

import colorsys

import numpy as np
from sim_trainer.configuration.randomization import LightingConfig
from sim_trainer.rendering.patterns import PATTERN_COUNT
from sim_trainer.scene.record import Light, LitArea, Reflected

#: How far shadows are drawn beyond the workspace.
_BEYOND_M = 0.34
#: Drawn light to mid-grey picture.
_EXPOSURE = 1.3


def lit_area(workspace_m: tuple[float, float, float, float]) -> LitArea:
    """Return the area whose lamps and shadows a scene has, of the workspace (x0, x1, y0, y1)."""
    x0, x1, y0, y1 = workspace_m
    half = np.array([x1 - x0, y1 - y0]) / 2
    # The square lies askew in the lamps' views: of large workspaces it must hold the corners too.
    reach_m = max(float(half.max()) + _BEYOND_M, 1.1 * float(np.hypot(*half)))
    return LitArea(((x0 + x1) / 2, (y0 + y1) / 2, 0.0), reach_m)


def nominal_lighting(centre_m: np.ndarray) -> tuple[tuple[Light, ...], dict[str, object]]:
    """One white lamp to the side above the table, and an even room."""
    lamp = Light(_floats(centre_m + [0.3, 0.5, 1.4]), (1.6, 1.6, 1.6), 0.01)
    return (lamp,), {'sky_color': (0.35, 0.35, 0.35), 'ground_color': (0.2, 0.2, 0.2),
                     'occlusion_strength': 0.5, 'exposure': _EXPOSURE}


def random_lighting(rng: np.random.Generator, config: LightingConfig,
                    workspace_m: tuple[float, float, float, float]
                    ) -> tuple[tuple[Light, ...], dict[str, object]]:
    """Lights (the first two may throw shadows), and the scene's sky, ground, room and exposure.

    The lamps stand round the middle of the workspace (x0, x1, y0, y1), spots point into it. The
    sum of all light on the table is normalized before the exposure is drawn: otherwise four lamps
    would mean a burnt picture and one lamp a black one, and the network would learn that.
    """
    area = lit_area(workspace_m)
    centre = np.array(area.centre_m)
    if not config.enabled:
        lights, mood = nominal_lighting(centre)
        return lights, {**mood, 'lit_area': area}
    x0, x1, y0, y1 = workspace_m
    count = config.count.sample_int(rng)
    saturation = config.saturation.sample(rng)
    shares = rng.dirichlet(np.full(count, 1.5))
    ambient_share = config.ambient_share.sample(rng)
    low, high = np.sin(np.radians([config.elevation_deg.low, config.elevation_deg.high]))
    lights = []
    for share in shares:
        azimuth, sine = rng.uniform(-np.pi, np.pi), rng.uniform(low, high)
        cosine = np.sqrt(1 - sine ** 2)
        distance = config.distance_m.sample(rng)
        direction = np.array([np.cos(azimuth) * cosine, np.sin(azimuth) * cosine, sine])
        hue = rng.choice([0.09, 0.12, 0.6]) + rng.normal(0, 0.03)
        color = np.array(colorsys.hsv_to_rgb(hue % 1.0, saturation * rng.random(), 1.0))
        power = share * (1 - ambient_share) * distance ** 2 / max(sine, 0.35)
        spot = config.spot.happens(rng)
        target = centre + (rng.random(3) - 0.5) * [x1 - x0, y1 - y0, 0.0]
        beam_deg = config.beam_deg.sample(rng)
        shadow = config.shadow_strength.sample(rng) if config.shadow.happens(rng) else 0.0
        lights.append(Light(
            _floats(centre + direction * distance), _floats(power * color),
            config.softness_m.sample(rng), _floats(target), beam_deg if spot else 360.0,
            config.specular.sample(rng), shadow))
    sky = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.25), 1.0)) * ambient_share
    ground = sky * rng.uniform(0.2, 0.9) * rng.uniform(0.85, 1.1, 3)
    return tuple(lights), {
        'sky_color': _floats(sky), 'ground_color': _floats(ground),
        'occlusion_strength': config.occlusion.sample(rng),
        'exposure': 2.0 ** config.exposure_stops.sample(rng) * _EXPOSURE,
        'reflected': _reflected(rng, config),
        'lit_area': area,
    }


def _reflected(rng: np.random.Generator, config: LightingConfig) -> Reflected | None:
    if not config.reflections.happens(rng):
        return None
    return Reflected(int(rng.integers(PATTERN_COUNT)), int(rng.integers(1, 5)),
                     float(rng.random()), config.reflection_contrast.sample(rng))


def _floats(values) -> tuple[float, ...]:
    return tuple(float(v) for v in values)
