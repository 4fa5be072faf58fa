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

"""Synthetic photographs of boards: every pixel's ray meets the printed plane."""
from functools import lru_cache

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import invert_transform, look_at, make_transform, rotation_about
import numpy as np
import pytest

#: Samples a pixel and axis.
_FINER = 2


@lru_cache(maxsize=8)
def _printed(spec):
    """Return the print, as ink runs, and its pixels a metre."""
    image, px_per_m = spec.draw()
    return cv2.GaussianBlur(image, (0, 0), px_per_m / 2500), px_per_m


def _places(camera, T_board_camera):
    """Where the ray of each pixel meets the board's plane, (H, W, 2) metres."""
    u, v = np.meshgrid(np.arange(camera.width_px), np.arange(camera.height_px))
    rays = camera.normalize(np.stack([u.ravel(), v.ravel()], 1).astype(float))
    rays = np.column_stack([rays, np.ones(len(rays))]) @ T_board_camera[:3, :3].T
    with np.errstate(divide='ignore', invalid='ignore'):
        reach = -T_board_camera[2, 3] / rays[:, 2:]
    places = T_board_camera[:2, 3] + rays[:, :2] * reach
    places[~((reach > 0) & np.isfinite(places)).all(1)] = 1e3
    return places.reshape(camera.height_px, camera.width_px, 2)


@pytest.fixture(scope='session')
def camera():
    """Return the reference camera."""
    return PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)


@pytest.fixture(scope='session')
def lens():
    """Return a camera with a wide angle's distortion."""
    return PinholeCamera(520.0, 522.0, 325.0, 236.0, 640, 480, 'plumb_bob',
                         (-0.28, 0.09, 0.001, -0.0008, -0.01))


@pytest.fixture(scope='session')
def view():
    """Return a function: T_base_camera that looks at the table, rolled."""
    def make(position_m=(1.10, 0.05, 0.65), look_at_m=(0.5, 0.0, 0.0), roll_deg=4.0):
        T = look_at(position_m, look_at_m)
        T[:3, :3] = T[:3, :3] @ rotation_about('z', np.radians(roll_deg))
        return T
    return make


@pytest.fixture(scope='session')
def on_table():
    """Return a function: T_base_board flat on the table, turned by an angle (degrees)."""
    def make(x_m=0.5, y_m=0.0, yaw_deg=90.0):
        return make_transform(rotation_about('z', np.radians(yaw_deg)), [x_m, y_m, 0.0])
    return make


@pytest.fixture(scope='session')
def photograph():
    """Return a function: the picture of a printed board."""
    def make(spec, camera, T_base_camera, T_base_board, rng=None, noise=2.0):
        print_image, px_per_m = _printed(spec)
        places = _places(camera.resized(camera.width_px * _FINER, camera.height_px * _FINER),
                         invert_transform(T_base_board) @ T_base_camera)
        height, width = print_image.shape
        places = places * [px_per_m, -px_per_m] + [(width - 1) / 2, (height - 1) / 2]
        places = np.clip(places, -1e6, 1e6).astype(np.float32)
        image = cv2.remap(print_image, places, None, cv2.INTER_LINEAR,
                          borderMode=cv2.BORDER_CONSTANT, borderValue=150)
        image = cv2.resize(image, (camera.width_px, camera.height_px),
                           interpolation=cv2.INTER_AREA)
        image = 30 + 0.7 * image.astype(float)
        image = cv2.GaussianBlur(image, (0, 0), 0.6)
        if rng is not None:
            image = image + noise * rng.normal(size=image.shape)
        grey = np.clip(np.round(image), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, 2)
    return make
