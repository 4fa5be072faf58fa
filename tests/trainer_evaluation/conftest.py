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

"""A small catalogue, makers of truths and detections, BOP data sets with masks and of others."""
import json
from pathlib import Path
import shutil

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.pipeline import Detection
from dr_perception.core.transforms import look_at, make_transform
import numpy as np
import pytest
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.dataset.bop_writer import BopWriter
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


@pytest.fixture(scope='session')
def T_base_camera():
    """Return the pose of a camera that looks at the table."""
    return look_at((1.1, 0.1, 0.65), (0.5, 0.0, 0.0))


@pytest.fixture(scope='session')
def bop_picture(T_base_camera):
    """Return a function: a picture of noise with instances, of a camera over the table."""
    def make(picture_id, camera, instances, **more):
        image_rgb = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)
        return BopPicture(picture_id, Path('x.png'), image_rgb, camera, T_base_camera, instances,
                          **more)
    return make


@pytest.fixture(scope='session')
def edit_json():
    """Return a function that changes what a JSON file holds."""
    def edit(path, change):
        data = json.loads(path.read_text())
        change(data)
        path.write_text(json.dumps(data))
    return edit


@pytest.fixture
def masked(tmp_path, catalogue, camera, bop_picture):
    """Return the root of a data set with masks: a cube seen on its left half, one hidden."""
    ids = np.zeros((48, 64), np.uint8)
    ids[19:29, 27:32] = 1
    T = make_transform(np.eye(3), [0.0, 0.0, 0.5])
    # Far to the left: half of the silhouette (0.05 m at 0.475 m) is outside the picture.
    cut = make_transform(np.eye(3), [-0.32 * 0.475, 0.0, 0.5])
    with BopWriter(tmp_path, 'train', tuple(catalogue.values())) as writer:
        writer.add(bop_picture(4, camera, [
            BopInstance('cube', T, None), BopInstance('cube', T, 0.0),
            BopInstance('cube', cut, None)], instance_ids=ids))
    return tmp_path


@pytest.fixture
def standard(masked, edit_json):
    """Return the root of BOP's own layout: two scenes, one grey, no names, ids of its own."""
    scenes = masked / 'train_pbr'
    shutil.copytree(masked / 'test/train', scenes / '000000')
    (masked / 'test/train').rename(scenes / '000002')
    shutil.rmtree(masked / 'test')
    (masked / 'models/names.json').unlink()
    (scenes / '000002/rgb').rename(scenes / '000002/gray')
    path = scenes / '000002/gray/000004.png'
    cv2.imwrite(str(path.with_suffix('.jpg')), cv2.imread(str(path), cv2.IMREAD_GRAYSCALE))
    path.unlink()
    shutil.rmtree(scenes / '000000/mask_visib')
    edit_json(scenes / '000002/scene_gt.json', lambda d: d['4'][1].update(obj_id=17))
    return masked
