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

"""Trainings of six tiny pictures."""

from pathlib import Path

import pytest
from sim_trainer.configuration.schema import load_config

ROOT = Path(__file__).parents[2]
TINY = ['frames.count=6', 'frames.workers=1', 'training.steps=5', 'training.batch_size=2',
        'training.compile=false', 'training.mixed_precision=false', 'arm_urdf=null',
        'frames.window_width_px=160', 'frames.window_height_px=128',
        'training.checkpoint_s=0', 'training.snapshots=2', 'training.calibration_pictures=2',
        'training.measured_pictures=2', 'training.stress_pictures=0']


@pytest.fixture(scope='session')
def tiny():
    """Return the overrides of tabletop.yaml that make it so."""
    return TINY


@pytest.fixture(scope='session')
def tiny_config(tiny):
    """Return a configuration of six small pictures."""
    return load_config(ROOT / 'config' / 'tabletop.yaml', tiny)


@pytest.fixture(scope='session')
def flat_weights():
    """Return a function: network -> all its weights (N,)."""
    import torch
    return lambda network: torch.cat([value.float().flatten()
                                      for value in network.state_dict().values()])


@pytest.fixture
def new_task():
    """Return a function: configuration, first sample -> a task that has not begun."""
    # Imported here: most of this folder's tests are skipped where torch is not installed.
    from sim_trainer.dataset.stream import FrameStream
    from sim_trainer.objects.catalogue import build_catalogue
    from sim_trainer.training.tasks import make_task
    import torch
    streams = []

    def make(config, first_sample=0):
        torch.manual_seed(config.seed)
        streams.append(FrameStream(config, first_sample).__enter__())
        return make_task(config, streams[-1], build_catalogue(config.objects))

    yield make
    while streams:
        streams.pop().close()
