"""The objects of a scene YAML: shapes and the dimensions each takes."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from sim_trainer.errors import ConfigurationError

#: shape -> the dimensions it takes.
SHAPES = {
    'cone': ('radius_m', 'height_m'),
    'box': ('size_m',),
    'cylinder': ('radius_m', 'height_m'),
    'prism': ('circumradius_m', 'height_m', 'sides'),
    'pyramid': ('edge_m', 'height_m'),
    'tetrahedron': ('edge_m',),
}


@dataclass(frozen=True)
class ObjectConfig:
    """An object to localize: a primitive with its dimensions."""

    name: str
    shape: str
    radius_m: float | None = None
    circumradius_m: float | None = None
    height_m: float | None = None
    edge_m: float | None = None
    size_m: tuple[float, float, float] | None = None
    sides: int | None = None

    def __post_init__(self) -> None:
        label = f'object {self.name!r}'
        if not self.name.replace('_', 'a').isalnum() or not self.name[:1].isalpha():
            raise ConfigurationError(f'{label}: a name has letters, digits and underscores and '
                                     'starts with a letter (it becomes a topic and a TF frame)')
        if self.shape not in SHAPES:
            raise ConfigurationError(f'{label}: unknown shape {self.shape!r}; expected one of '
                                     f'{", ".join(SHAPES)}')
        wanted = SHAPES[self.shape]
        for key in ('radius_m', 'circumradius_m', 'height_m', 'edge_m', 'size_m', 'sides'):
            value = getattr(self, key)
            if key in wanted and value is None:
                raise ConfigurationError(f'{label}: shape {self.shape} needs {key}')
            if key not in wanted and value is not None:
                raise ConfigurationError(f'{label}: shape {self.shape} takes '
                                         f'{", ".join(wanted)}, not {key}')
            if value is None or key == 'sides':
                continue
            for length in np.atleast_1d(value):
                if not 0.002 <= length <= 2.0:
                    raise ConfigurationError(
                        f'{label}: {key} = {length:g} m; expected 0.002...2 m (metres, positive; '
                        '50 mm is 0.050)')
        if self.sides is not None and not 3 <= self.sides <= 64:
            raise ConfigurationError(f'{label}: sides = {self.sides}; expected 3...64')
