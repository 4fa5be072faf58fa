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

"""Section: the execution providers, and which of them really run the model."""

from __future__ import annotations

from dr_perception.inference import machine
from dr_perception.inference.provider_check import (check_provider, installed_providers,
                                                    ProviderCheck)
from dr_perception.inference.providers import CPU
from dr_perception.ros.doctor.findings import error, ok, Section, Table, warn
from dr_perception.ros.doctor.model import ModelInUse

CUDA = 'CUDAExecutionProvider'


def inspect(model: ModelInUse, wanted: tuple[str, ...]) -> tuple[Section, list[str]]:
    """Load the model with each provider and run it once.

    Args:
        model: what to load.
        wanted: providers that must run it; empty: those that ONNX Runtime names are tried.

    Returns:
        The section, and the names of those that run the model, the preferred one first.
    """
    section = Section('Execution providers')
    installed = installed_providers()
    section.facts['installed'] = ', '.join(installed)
    section.facts['asked for'] = ', '.join(wanted) or 'none: every installed one is tried'
    if model.estimator is None:
        return section.skip('there is no usable model, see the section Model'), []
    multiple_px = model.estimator.contract.input.multiple_px
    checks = [check_provider(model.path, name, multiple_px) for name in wanted or installed]
    section.tables.append(Table(
        ('provider', 'installed', 'active', 'nodes it runs', 'load and first run', 'why not'),
        tuple((c.name, _yes(c.is_installed), _yes(c.is_active),
               f'{c.nodes.get(c.name, 0)} of {sum(c.nodes.values())}', f'{c.load_s:.2f} s',
               c.reason) for c in checks)))
    for check in checks:
        section.findings.append(_finding(check, check.name in wanted))
    if machine.gpu_names() and CUDA not in installed:
        section.findings.append(warn(
            f'this machine has an NVIDIA GPU, but this ONNX Runtime has no {CUDA}',
            'install onnxruntime-gpu in place of onnxruntime'))
    return section, [check.name for check in checks if check.runs_model]


def _finding(check: ProviderCheck, is_wanted: bool):
    if check.runs_model:
        return ok(f'{check.name} runs the model')
    text = f'{check.name} does not run the model: {check.reason}'
    if is_wanted or check.name == CPU:
        return error(text, check.remedy)
    if check.is_active:  # it came with the package and harms nobody who does not ask for it
        return ok(text)
    return warn(text, check.remedy)


def _yes(value: bool) -> str:
    return 'yes' if value else 'no'
