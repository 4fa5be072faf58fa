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

"""The command ``check``: a mesh, or everything that a scene YAML names, before training on it."""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.mesh_sheet import object_sheet
from sim_trainer.lab.object_check import check_object, entry_of_file, ObjectCheck
from sim_trainer.objects.mesh_file import SUFFIXES

_YAML = ('.yaml', '.yml')


def run_check(arguments: argparse.Namespace) -> int:
    """Print what is found and draw it; exit code 0.

    Raises:
        ConfigurationError: something cannot be used; one line with the remedy.
    """
    target: Path = arguments.target
    if target.suffix.lower() in _YAML:
        if arguments.unit or arguments.up:
            raise ConfigurationError('--unit and --up belong to a mesh; in a scene YAML write '
                                     'unit: and up: beside its file')
        _check_config(target, arguments)
    elif target.suffix.lower() in SUFFIXES:
        if arguments.picture or arguments.set:
            raise ConfigurationError('--picture and --set belong to a scene YAML; write one with '
                                     'python -m sim_trainer init, and check that')
        _report(check_object(entry_of_file(target, arguments.unit, arguments.up)),
                arguments.output)
    else:
        raise ConfigurationError(f'{target}: neither a scene YAML (.yaml) nor a mesh '
                                 f'({", ".join(SUFFIXES)}); export the mesh as one of these')
    return 0


def _check_config(path: Path, arguments: argparse.Namespace) -> None:
    config = load_config(path, arguments.set)
    # Loaded here: a mesh is checked without the simulation.
    from sim_trainer.lab.scene_picture import scene_picture, view_lines
    lines = view_lines(config)
    scene = scene_picture(config, arguments.picture)    # a wrong photograph is refused at once
    print('\n'.join(lines))
    for entry in config.objects:
        _report(check_object(entry), arguments.output)
    write_picture(arguments.output / 'scene.png', scene)


def _report(check: ObjectCheck, folder: Path) -> None:
    for line in check.lines():
        print(line)
    write_picture(folder / f'{check.entry.name}.png',
                  object_sheet(check.mesh, check.model, check.found, check.ways))


def write_picture(path: Path, image_rgb: np.ndarray) -> None:
    """Write a picture and print where it is.

    Raises:
        ConfigurationError: it cannot be written there.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        written = cv2.imwrite(str(path), cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
    except OSError as error:
        raise ConfigurationError(f'{path}: cannot be written ({error.strerror}); give another '
                                 'folder with --output') from error
    if not written:
        raise ConfigurationError(f'{path}: cannot be written; give another folder with --output')
    print(path)
