"""Random lights and the light of the surroundings."""

from __future__ import annotations

import colorsys

import numpy as np

from sim_trainer.configuration.schema import RandomizationConfig
from sim_trainer.scene.record import Light

#: Point the lights are placed round, near the middle of the workspace.
CENTRE_M = np.array([0.5, 0.0, 0.0])


def random_lighting(rng: np.random.Generator, config: RandomizationConfig
                    ) -> tuple[tuple[Light, ...], dict[str, object]]:
    """Lights (the first two cast shadows), and the scene's sky, ground and exposure.

    The sum of all light on the table is normalized before the exposure is drawn: otherwise four
    lamps would mean a burnt picture and one lamp a black one, and the network would learn that.
    """
    count = config.light_count.sample_int(rng)
    warmth = rng.uniform(0.0, 0.35)
    shares = rng.dirichlet(np.full(count, 1.5))
    ambient_share = rng.uniform(0.08, 0.6)
    lights = []
    for share in shares:
        azimuth, elevation = rng.uniform(-np.pi, np.pi), np.arcsin(rng.uniform(0.3, 0.98))
        distance = config.light_distance_m.sample(rng)
        direction = np.array([np.cos(azimuth) * np.cos(elevation),
                              np.sin(azimuth) * np.cos(elevation), np.sin(elevation)])
        hue = rng.choice([0.09, 0.12, 0.6]) + rng.normal(0, 0.03)
        color = np.array(colorsys.hsv_to_rgb(hue % 1.0, warmth * rng.random(), 1.0))
        power = share * (1 - ambient_share) * distance ** 2 / max(np.sin(elevation), 0.35)
        lights.append(Light(tuple(CENTRE_M + direction * distance), tuple(power * color),
                            float(rng.uniform(0.002, 0.03))))
    sky = np.array(colorsys.hsv_to_rgb(rng.random(), rng.uniform(0, 0.25), 1.0)) * ambient_share
    ground = sky * rng.uniform(0.2, 0.9) * rng.uniform(0.85, 1.1, 3)
    return tuple(lights), {
        'sky_color': tuple(float(c) for c in sky),
        'ground_color': tuple(float(c) for c in ground),
        'occlusion_strength': float(rng.uniform(0.2, 0.9)),
        'exposure': float(2.0 ** config.exposure_stops.sample(rng) * 1.3),
    }
