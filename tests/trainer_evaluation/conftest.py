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

"""A small catalogue and makers of truths and detections."""
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import make_transform
import numpy as np
import pytest
from sim_trainer.dataset.bop import BopInstance
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import object_from_points


@pytest.fixture(scope='session')
def catalogue():
    """Return a cube, a tetrahedron and a cylinder, by name."""
    models = (
        object_from_points('cube', primitives.box_points((0.05, 0.05, 0.05))),
        object_from_points('tetrahedron', primitives.tetrahedron_points(0.07)),
        object_from_points('cylinder', primitives.prism_points(0.025, 0.06, 64),
                           round_about_z=True, flips=True))
    return {model.name: model for model in models}


@pytest.fixture(scope='session')
def camera():
    """Return a camera of 100 px focal length."""
    return PinholeCamera(100.0, 100.0, 31.5, 23.5, 64, 48)


@pytest.fixture(scope='session')
def truth():
    """Return a function: a true instance."""
    def make(name, position_m, visible=1.0, R=None):
        T = make_transform(np.eye(3) if R is None else R, position_m)
        return BopInstance(name, T, visible)
    return make


@pytest.fixture(scope='session')
def detection():
    """Return a function: a detection with a round covariance."""
    def make(name, position_m, score=0.9, sigma_m=0.01, R=None):
        T = make_transform(np.eye(3) if R is None else R, position_m)
        return Detection(name, score, T, np.diag([sigma_m ** 2] * 3 + [0.01] * 3))
    return make
