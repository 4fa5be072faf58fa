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

"""The reference scene, and a network that answers with perfect maps."""
from dataclasses import dataclass, field
import shutil

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.compiled import library
from dr_perception.core.contract import ModelContract
from dr_perception.core.network_spec import DecoderSpec, InputSpec
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_about, transform_points)
import numpy as np
import pytest
from sim_trainer.configuration.schema import load_config
from sim_trainer.objects.catalogue import build_catalogue


@dataclass
class PerfectNetwork:
    """Maps of known poses, as a network that errs nowhere would give them.

    Attributes:
        contract: what the maps are for.
        camera: of the network's input.
        instances: (name, T_camera_object, heat) of every peak.
        log_scale: natural logarithm of every keypoint's scale in pixels.
        images: what the network was given.
    """

    contract: ModelContract
    camera: PinholeCamera
    instances: list
    log_scale: float = -1.5
    images: list = field(default_factory=list)

    def run(self, image_rgb):
        self.images.append(image_rgb)
        stride, unit = self.contract.decoder.stride_px, self.contract.decoder.offset_unit_px
        height, width = (side // stride for side in image_rgb.shape[1:3])
        channels = self.contract.output_channels()
        maps = {name: np.zeros((1, count, height, width), np.float32)
                for name, count in channels.items()}
        maps['log_scales'][:] = self.log_scale
        models = {model.name: (i, model) for i, model in enumerate(self.contract.objects)}
        for name, T_camera_object, heat in self.instances:
            index, model = models[name]
            pixels = self.camera.project(transform_points(T_camera_object, model.keypoints_m))
            # The centre of cell (r, c) is pixel (c, r) * stride + (stride - 1) / 2.
            column, row = np.rint((pixels[0] - (stride - 1) / 2) / stride).astype(int)
            for r in range(max(row - 2, 0), min(row + 3, height)):
                for c in range(max(column - 2, 0), min(column + 3, width)):
                    here = heat / 4 ** max(abs(r - row), abs(c - column))
                    heats = maps['heat'][0, index]
                    heats[r, c] = max(heats[r, c], here)
                    centre = np.array([c, r]) * stride + (stride - 1) / 2
                    maps['keypoints'][0, :, r, c] = ((pixels - centre) / unit).ravel()
        return maps


@pytest.fixture(scope='session')
def compiled():
    """Return the library of compiled loops; skip where nothing could have compiled it."""
    if library.LIBRARY is None:
        if shutil.which('cc') is None and shutil.which('gcc') is None:
            pytest.skip('needs a C compiler when the package is installed: apt install gcc')
        pytest.fail('there is a C compiler but no library: install the package again')
    return library.LIBRARY


@pytest.fixture(scope='module', params=['compiled', 'numpy'])
def both_loops(request):
    """Run a module's tests with the compiled loops, and again with numpy's."""
    if request.param == 'compiled':
        request.getfixturevalue('compiled')
        yield
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(library, 'LIBRARY', None)
        yield


@pytest.fixture(scope='session')
def catalogue(repository_root):
    """Return the eight objects of the default configuration, by name."""
    objects = load_config(repository_root / 'config' / 'tabletop.yaml').objects
    return {model.name: model for model in build_catalogue(objects)}


@pytest.fixture(scope='session')
def contract(catalogue):
    """Return a contract of the eight objects; the score is the heat."""
    return ModelContract(
        'reference', tuple(catalogue.values()), InputSpec(32, 615.0, 1.12, 1_500_000),
        DecoderSpec(4, 16.0, 0.15, 0.5, (0.0, 1.0, 0.0, 0.0), 1.0, 0.001, 0.01,
                    (0.0, 1.0, 0.0, 0.0), 1.0),
        trained_range={'camera_distance_m': [0.7, 1.1]}, provenance={'seed': 1},
        metrics={'found_percent': 99.5})


@pytest.fixture(scope='session')
def camera():
    """Return the reference camera."""
    return PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)


@pytest.fixture(scope='session')
def T_base_camera():
    """Return the reference camera's pose."""
    return look_at((1.10, 0.0, 0.65), (0.5, 0.0, 0.0))


@pytest.fixture(scope='session')
def resting_pose(T_base_camera):
    """Return a function: T_camera_object of an object that rests on the table."""
    from dr_perception.core.resting import rotation_to_down

    def pose(model, x_m=0.5, y_m=0.0, yaw_rad=0.3, rest=0, lift_m=0.0):
        R = rotation_about('z', yaw_rad) @ rotation_to_down(model.resting_downs[rest])
        t = [x_m, y_m, model.resting_heights_m[rest] + lift_m]
        return invert_transform(T_base_camera) @ make_transform(R, t)
    return pose


@pytest.fixture(scope='session')
def perfect_network():
    """Return the class of perfect networks."""
    return PerfectNetwork
