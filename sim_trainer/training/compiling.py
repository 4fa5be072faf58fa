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

"""torch.compile, where this machine can."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
import logging
import shutil
from typing import TypeVar

from sim_trainer.configuration.training import TrainingConfig
import torch

logger = logging.getLogger(__name__)

Function = TypeVar('Function', bound=Callable)


def compiled(function: Function, settings: TrainingConfig) -> Function:
    """Return a network (then 2x faster on a CPU) or another function compiled, or as it is."""
    if not (settings.compile and _can_compile()):
        return function
    return torch.compile(function, dynamic=False)


@cache
def _can_compile() -> bool:
    """Try it once on a small function: what is missing would else end the training much later."""
    if not (torch.cuda.is_available() or shutil.which('g++')):
        logger.warning('no g++: training runs about half as fast; install g++ to compile the '
                       'network')
        return False
    try:
        torch.compile(lambda x: (x * 2.0 + 1.0).relu().sum(), dynamic=False)(torch.ones(4, 16))
    except Exception as error:  # whatever compiler, linker or cache folder says
        reason = next((line for line in str(error).splitlines() if line.strip()), '')[:200]
        logger.warning('torch.compile does not work here (%s: %s): training runs about half as '
                       'fast', type(error).__name__, reason)
        return False
    return True
