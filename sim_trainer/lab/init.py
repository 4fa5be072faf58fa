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

"""The command ``init``: a scene YAML for a new lab, from a camera and the user's meshes."""

from __future__ import annotations

import argparse
import os
from pathlib import Path

from dr_perception.core.camera import PinholeCamera
import numpy as np
from sim_trainer.configuration.objects import ObjectConfig, UNITS_M
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.lab.camera_pose import (DEFAULT_POSE, lifted_pose, NominalPose, parse_pose,
                                         visible_workspace)
from sim_trainer.lab.camera_topic import camera_of
from sim_trainer.lab.object_check import (entry_of_file, object_name, symmetry_text, yaml_entry,
                                          yaml_text)
from sim_trainer.lab.units import guess_unit
from sim_trainer.objects.catalogue import found_symmetry
from sim_trainer.objects.mesh_file import draw_geometry, largest_extent

#: Pictures wider than this are drawn smaller: small enough to train fast, large enough to see.
_WIDTH_PX = 800


def run_init(arguments: argparse.Namespace) -> int:
    """Write the YAML, load it again, and say what to do next; exit code 0.

    Raises:
        ConfigurationError: something cannot be used; one line with the remedy.
    """
    output: Path = arguments.output
    if output.suffix.lower() not in ('.yaml', '.yml'):
        raise ConfigurationError(f'--output {output}: a scene YAML ends in .yaml')
    if output.exists() and not arguments.force:
        raise ConfigurationError(f'{output}: is there already; --force replaces it')
    camera = camera_of(arguments.camera, arguments.rectified)
    table_z_m = arguments.plane_z_m
    pose = (lifted_pose(parse_pose(DEFAULT_POSE), table_z_m) if arguments.pose is None
            else parse_pose(arguments.pose, table_z_m))
    entries = [entry_of_file(_relative(path), arguments.unit, arguments.up)
               for path in arguments.meshes]
    text = scene_yaml(arguments.name or object_name(output), camera, arguments.camera, pose,
                      entries, output, arguments.pose is None, table_z_m)
    temporary = output.with_name(f'.{output.name}.{os.getpid()}')
    try:
        output.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(text, encoding='utf-8')
    except OSError as error:
        raise ConfigurationError(f'{output}: cannot be written ({error.strerror}); give another '
                                 'place with --output') from error
    try:
        load_config(temporary)      # what does not load is not left behind
        temporary.replace(output)
    finally:
        temporary.unlink(missing_ok=True)
    print(output)
    if arguments.pose is None:
        print("the camera's pose is a guess: write where it stands to camera.position_m and "
              'camera.look_at_m, or give --pose')
    print(f'next: python -m sim_trainer check {output} --picture PHOTO')
    return 0


def scene_yaml(name: str, camera: PinholeCamera, source: str, pose: NominalPose,
               entries: list[ObjectConfig], output: Path, guessed: bool,
               table_z_m: float) -> str:
    """Return the text of the scene YAML: the lines that matter, each with its meaning.

    Raises:
        ConfigurationError: the camera sees nothing of the table, or two objects of one name.
    """
    names = [entry.name for entry in entries]
    for twice in {n for n in names if names.count(n) > 1}:
        raise ConfigurationError(f'two meshes are named {twice!r}; rename one of the files: names '
                                 'become topics and TF frames')
    x, y = visible_workspace(camera, pose, table_z_m)
    lines = [
        f'# {name}: written by python -m sim_trainer init. Metres, pixels, degrees; frame '
        'base_link,',
        f'# x forward, z up, table top z = {table_z_m:g}. Next:',
        f'#   python -m sim_trainer check {output}',
        f'#   python -m sim_trainer train {output} --output runs/{name}',
        f'name: {yaml_text(name)}',
        f'camera:                       # calibration: {source}',
        f'  width_px: {camera.width_px}',
        f'  height_px: {camera.height_px}',
        f'  fx_px: {_number(camera.fx_px)}',
        f'  fy_px: {_number(camera.fy_px)}',
        f'  cx_px: {_number(camera.cx_px)}                # pixel (0, 0) is the centre of the '
        'top-left one',
        f'  cy_px: {_number(camera.cy_px)}']
    if camera.distortion_model != 'none':
        lines += [f'  distortion_model: {camera.distortion_model}',
                  f'  distortion: [{", ".join(_number(c) for c in camera.distortion)}]']
    guess = ': A GUESS, measure it' if guessed else ''
    lines += [f'  position_m: {_list(pose.position_m)}   # where the camera stands in '
              f'base_link{guess}',
              f'  look_at_m: {_list(pose.look_at_m)}      # the point in the middle of its '
              f'picture{guess}']
    if pose.roll_deg:
        lines.append(f'  roll_deg: {pose.roll_deg:g}              # turn of the picture')
    lines += ['workspace:                    # the part of the table where objects stand',
              f'  x_m: {_list(x)}', f'  y_m: {_list(y)}',
              f'  z_m: {_number(table_z_m)}                    # height of the table top',
              'arm_urdf: kuka_iiwa/model.urdf  # your arm: a path, or null',
              'objects:                      # each mesh with its unit; symmetry: auto searches']
    for entry in entries:
        lines += _object_lines(entry)
    high = max(2, min(6, 2 * len(entries)))
    lines += ['randomization:', f'  objects: {{count: [0, {high}]}}    # in one picture',
              '  viewpoint: {box_m: [0.10, 0.10, 0.08], turn_deg: 3, roll_deg: 3, zoom: 0.03}  '
              "# your camera's slack"]
    lines += ['frames:', '  count: 8000                 # distinct pictures, drawn while training '
              'goes on']
    if camera.width_px > _WIDTH_PX:
        scale = round(640 / camera.width_px, 3)
        lines.append(f'  scale: {scale:g}                # pictures are drawn {scale:g} times as '
                     'large: faster')
    lines += ['training:', '  steps: 4000                 # about an hour on two cores; 400 for a '
              'first look']
    return '\n'.join(lines) + '\n'


def _object_lines(entry: ObjectConfig) -> list[str]:
    found = found_symmetry(entry, draw_geometry(entry))
    largest = largest_extent(Path(entry.file))
    try:
        guess = guess_unit(largest, Path(entry.file).suffix)
        sureness = (guess.sureness if guess.unit == entry.unit else
                    f'as given; {guess.unit} is as possible' if guess.allows(entry.unit)
                    else f'as given, but {guess.unit} is likelier')
    except ConfigurationError:
        sureness = 'unlikely'
    return [f'  # {100 * largest * UNITS_M[entry.unit]:.3g} cm large in {entry.unit} ({sureness})'
            f'; symmetry found: {symmetry_text(found)}',
            f'  - {yaml_entry(entry, found)}']


def _relative(path: str) -> str:
    """Return a path below the working directory without its beginning: both can move."""
    full = Path(path).resolve()
    here = Path.cwd().resolve()
    return str(full.relative_to(here)) if full.is_relative_to(here) else path


def _number(value: float) -> str:
    """Return a float that YAML 1.1 reads as one: 1.0e-05, not 1e-05."""
    text = f'{value:.7g}'
    mantissa, _, exponent = text.partition('e')
    mantissa += '' if '.' in mantissa else '.0'
    return f'{mantissa}e{exponent}' if exponent else mantissa


def _list(values: tuple[float, ...]) -> str:
    return '[' + ', '.join(_number(float(np.round(v, 4)) + 0.0) for v in values) + ']'
