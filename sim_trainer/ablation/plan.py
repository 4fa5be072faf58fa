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

"""What an ablation file holds: a scene, what all runs share, and what each of them changes."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sim_trainer.configuration.loader import build, read_yaml
from sim_trainer.configuration.schema import load_config, SceneConfig
from sim_trainer.errors import ConfigurationError


@dataclass(frozen=True)
class Variant:
    """One training run: the shared configuration with some values replaced."""

    name: str
    #: KEY.PATH=VALUE, as for --set
    set: tuple[str, ...] = ()  # noqa: A003
    #: the paper's errors for the same change, cm: object only, with distractors, occluded
    paper_cm: tuple[float, ...] | None = None


@dataclass(frozen=True)
class Curve:
    """One value of the configuration in several sizes."""

    name: str
    key: str
    values: tuple[int, ...]


@dataclass(frozen=True)
class AblationConfig:
    """A whole ablation file."""

    #: the scene YAML, relative to this file
    scene: str
    #: replaced in every run
    set: tuple[str, ...] = ()  # noqa: A003
    variants: tuple[Variant, ...] = (Variant('full'),)
    curves: tuple[Curve, ...] = ()
    #: simulated pictures of the full configuration, of a seed of their own, on which every run is
    #: measured
    held_out: int = 100

    def __post_init__(self) -> None:
        if self.held_out < 1:
            raise ConfigurationError(f'held_out: {self.held_out}; expected 1 or more')


@dataclass(frozen=True)
class Run:
    """One run to train. ``point`` is the value on a curve's axis, None for a variant."""

    name: str
    config: SceneConfig
    paper_cm: tuple[float, ...] | None = None
    curve: str | None = None
    point: int | None = None


def load_plan(path: Path, overrides: list[str]) -> tuple[AblationConfig, SceneConfig, list[Run]]:
    """Return the file, its full configuration, and its runs in order.

    Raises:
        ConfigurationError: one line with the file, the run and the key that is wrong. Everything
            is checked before anything is trained.
    """
    try:
        plan = build(AblationConfig, read_yaml(path))
    except ConfigurationError as error:
        text = str(error)
        raise ConfigurationError(text if text.startswith(str(path)) else f'{path}: {text}'
                                 ) from error
    scene = path.parent / plan.scene
    shared = [*plan.set, *overrides]
    runs = [Run(variant.name, _load(path, variant.name, scene, [*shared, *variant.set]),
                variant.paper_cm) for variant in plan.variants]
    for curve in plan.curves:
        for value in curve.values:
            name = f'{curve.name} {value}'
            runs.append(Run(name, _load(path, name, scene, [*shared, f'{curve.key}={value}']),
                            None, curve.name, value))
    names = [folder_name(run.name) for run in runs]
    for run in runs:
        if names.count(folder_name(run.name)) > 1:
            raise ConfigurationError(f'{path}: {run.name!r} stands twice; names are unique')
    if not runs:
        raise ConfigurationError(f'{path}: neither variants nor curves; nothing to train')
    return plan, _load(path, 'set', scene, shared), runs


def folder_name(name: str) -> str:
    """Return a run's folder: its name in letters that every file system takes."""
    return ''.join(c if c.isalnum() else '_' for c in name.lower()).strip('_')


def _load(path: Path, name: str, scene: Path, overrides: list[str]) -> SceneConfig:
    try:
        return load_config(scene, overrides)
    except ConfigurationError as error:
        raise ConfigurationError(f'{path}: {name}: {error}') from error
