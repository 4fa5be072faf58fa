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

"""Section: how long the estimator takes here, by stage."""

from __future__ import annotations

import os

from dr_perception import PoseEstimator
from dr_perception.core.compiled import library
from dr_perception.inference import machine
from dr_perception.inference.benchmark import measure_stages, TOTAL
from dr_perception.inference.drawn_scene import draw_scene
from dr_perception.ros.doctor.findings import ok, Section, Table, warn
from dr_perception.ros.doctor.model import ModelInUse

_WIDTH_PX, _HEIGHT_PX, _REPEAT, _PICTURES = 640, 480, 20, 4
#: Slower than this (ms) is a warning: ten pictures a second are little for an arm.
_SLOW_MS = 100.0


def inspect(model: ModelInUse, providers: list[str]) -> Section:
    """Estimate drawn pictures with the first provider that runs the model."""
    section = Section('Time per stage')
    if model.estimator is None or not providers:
        return section.skip('no provider runs a model, see the sections Model and Execution '
                            'providers')
    estimator = PoseEstimator.from_file(model.path, providers[:1])
    scenes = [draw_scene(estimator.contract, _WIDTH_PX, _HEIGHT_PX, seed)
              for seed in range(_PICTURES)]
    times = measure_stages(estimator, [scene.image_rgb for scene in scenes], scenes[0].camera,
                           scenes[0].T_base_camera, _REPEAT)
    load, cores = machine.load_average(), machine.usable_cores()
    section.facts.update({
        'provider': providers[0],
        'pictures': f'{_REPEAT} of {_WIDTH_PX}x{_HEIGHT_PX} px, drawn, with '
                    f'{scenes[0].object_count} objects each; {times.objects:.1f} found a picture',
        'outside the network': f'{times.outside_network:.0%}',
        'load of the machine': f'{load:.1f} on {cores} cores'})
    section.tables.append(Table(('stage', 'p50 ms', 'p95 ms'), tuple(
        (stage, f'{times.p50_ms[stage]:.2f}', f'{times.p95_ms[stage]:.2f}')
        for stage in times.p50_ms)))
    section.data = {'p50_ms': times.p50_ms, 'p95_ms': times.p95_ms,
                    'objects_a_picture': times.objects}
    if times.p50_ms[TOTAL] > _SLOW_MS:
        section.findings.append(warn(
            f'a picture takes {times.p50_ms[TOTAL]:.0f} ms (p50) on {providers[0]}',
            'leave the machine to it, or use a GPU; ros2 run dr_perception benchmark compares'))
    else:
        section.findings.append(ok(f'a picture takes {times.p50_ms[TOTAL]:.1f} ms (p50), '
                                   f'{times.p95_ms[TOTAL]:.1f} ms (p95) on {providers[0]}'))
    if library.LIBRARY is None:
        section.findings.append(warn(_no_loops(), 'install the package again where there is a C '
                                                  'compiler (apt install gcc): colcon build, or '
                                                  'pip install .'))
    if load > cores + 0.5:
        section.findings.append(warn(
            f'other work keeps the machine busy (load {load:.1f} on {cores} cores), so these '
            'times are longer than they need be', 'measure again when it is idle'))
    return section


def _no_loops() -> str:
    why = (f'{library.SWITCH}=0 says so' if os.environ.get(library.SWITCH) == '0' else
           'no C compiler made its loops when the package was installed, or its sources changed')
    return f'the pose solver runs on numpy, at half its speed: {why}'
