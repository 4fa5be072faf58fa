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
"""Flatly shaded pictures of known poses: edges that lie where they must."""
import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import make_transform, rotation_about, rotation_from_rotvec
import numpy as np
import pytest


@pytest.fixture(scope='session')
def camera():
    """Return a camera of VGA size."""
    return PinholeCamera.from_matrix(
        np.array([[615.0, 0, 319.5], [0, 615.0, 239.5], [0, 0, 1]]), 640, 480)


@pytest.fixture(scope='session')
def pose():
    """Return a pose 0.8 m before the camera, seen from above at a slant."""
    R = rotation_about('x', np.radians(-125)) @ rotation_about('z', 0.5)
    return make_transform(R, [0.05, -0.03, 0.8])


@pytest.fixture(scope='session')
def draw():
    """Return a function that draws convex models: each face its own grey, on a grey ground."""
    def drawn(camera, *posed, ground=90, noise=0.0):
        # Four times the size, so that edges are where they are to a quarter of a pixel.
        large = camera.resized(4 * camera.width_px, 4 * camera.height_px)
        image = np.full((large.height_px, large.width_px, 3), ground, np.uint8)
        for model, T in posed:
            vertices = model.vertices_m @ T[:3, :3].T + T[:3, 3]
            pixels = large.project(vertices)
            for face in model.faces:
                a, b, c = vertices[face]
                normal = np.cross(b - a, c - a)
                if normal @ a < 0:
                    light = normal / np.linalg.norm(normal) @ [0.3, -0.8, -0.5]
                    shade = int(140 + 90 * light)
                    points = np.round(pixels[face]).astype(np.int32)
                    cv2.fillConvexPoly(image, points, (shade, shade // 2, 255 - shade))
        image = cv2.resize(image, (camera.width_px, camera.height_px),
                           interpolation=cv2.INTER_AREA).astype(float)
        image += np.random.default_rng(0).normal(0, noise, image.shape)
        return np.clip(np.rint(image), 0, 255).astype(np.uint8)
    return drawn


@pytest.fixture(scope='session')
def moved():
    """Return a function that moves a pose by millimetres and degrees about its own origin."""
    def move(T, step_mm, turn_deg):
        return make_transform(rotation_from_rotvec(np.radians(turn_deg)) @ T[:3, :3],
                              T[:3, 3] + np.asarray(step_mm) / 1e3)
    return move
