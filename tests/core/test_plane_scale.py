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
"""The fourth channel: how large things look that stand on the support plane."""
import dataclasses

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.pipeline import PosePipeline
from dr_perception.core.plane_scale import (BLOCK_PX, plane_channel, plane_codes, UNKNOWN, USUAL,
                                            with_channel)
from dr_perception.core.transforms import invert_transform, look_at
import numpy as np
import pytest

IMAGE = np.random.default_rng(0).integers(0, 256, (480, 640, 3), np.uint8)
USUAL_PX_PER_M = 695.0


def _pixel(camera, T_base_camera, p_base):
    T = invert_transform(T_base_camera)
    return camera.project((T[:3, :3] @ p_base + T[:3, 3])[None])


@pytest.mark.parametrize('distortion, model', [(None, None), ([-0.2, 0.05, 0, 0, 0], 'plumb_bob')])
@pytest.mark.parametrize('p_base', [(0.5, 0.0, 0.1), (0.35, -0.2, 0.1), (0.65, 0.22, 0.1)])
def test_a_code_says_how_many_pixels_a_short_line_takes(camera, p_base, distortion, model):
    """A line of 1 mm on a plane 10 cm over the base, across the view."""
    if distortion:
        camera = PinholeCamera.from_matrix(camera.K, 640, 480, distortion, model)
    T_base_camera = look_at((1.10, 0.05, 0.75), (0.5, 0.0, 0.1))
    across = T_base_camera[:3, 0] / 1e3         # the camera's x axis lies in the plane
    assert abs(across[2]) < 1e-12
    ends = [_pixel(dataclasses.replace(camera, distortion_model='none', distortion=()),
                   T_base_camera, np.array(p_base) + half * across)[0] for half in (-0.5, 0.5)]
    px_per_m = np.linalg.norm(ends[1] - ends[0]) * 1e3
    there = _pixel(camera, T_base_camera, np.array(p_base))
    [code] = plane_codes(there, camera, T_base_camera, 0.1, USUAL_PX_PER_M)
    assert code == pytest.approx(USUAL * px_per_m / USUAL_PX_PER_M, abs=0.51)
    [enlarged] = plane_codes(there, camera, T_base_camera, 0.1, USUAL_PX_PER_M, zoom=1.3)
    assert enlarged == pytest.approx(1.3 * USUAL * px_per_m / USUAL_PX_PER_M, abs=0.51)


def test_a_channel_is_made_of_blocks(camera, T_base_camera):
    channel = plane_channel(640, 480, camera, T_base_camera, 0.0, USUAL_PX_PER_M)
    assert channel.shape == (480, 640) and channel.dtype == np.uint8
    blocks = channel.reshape(480 // BLOCK_PX, BLOCK_PX, 640 // BLOCK_PX, BLOCK_PX)
    assert (blocks == blocks[:, :1, :, :1]).all()
    middle = np.array([[8 * 40 + 3.5, 8 * 50 + 3.5]])
    assert channel[8 * 50, 8 * 40] == plane_codes(middle, camera, T_base_camera, 0.0,
                                                  USUAL_PX_PER_M)[0]
    assert channel[-1, 320] > channel[0, 320] > 1       # what is near looks larger
    assert channel[240, 320] in (USUAL - 1, USUAL, USUAL + 1)


def test_where_there_is_no_plane(camera, T_base_camera):
    assert (plane_channel(64, 32, camera, None, 0.0, 700.0) == UNKNOWN).all()
    below = T_base_camera.copy()
    below[2, 3] = -0.1
    assert (plane_codes(np.zeros((3, 2)), camera, below, 0.0, 700.0) == UNKNOWN).all()
    level = look_at((1.0, 0.0, 0.5), (0.0, 0.0, 0.5))
    codes = plane_codes(np.array([[320.0, 10.0], [320.0, 239.5], [320.0, 470.0]]), camera, level,
                        0.0, 700.0)
    assert codes[0] == codes[1] == 1 < codes[2]         # sky and horizon: as far as can be


def test_the_picture_keeps_its_colours():
    channel = np.full((480, 640), 77, np.uint8)
    image = with_channel(IMAGE, channel)
    assert np.array_equal(image[..., :3], IMAGE) and (image[..., 3] == 77).all()


def test_the_pipeline_gives_the_network_what_it_asks_for(contract, camera, T_base_camera,
                                                         catalogue, resting_pose,
                                                         perfect_network):
    T = resting_pose(catalogue['cube'])
    seeing = dataclasses.replace(contract, support_plane_z_m=0.02, input=dataclasses.replace(
        contract.input, plane_px_per_m=USUAL_PX_PER_M))
    network = perfect_network(seeing, camera, [('cube', T, 0.9)])
    pipeline = PosePipeline(seeing, network)
    moved = T_base_camera.copy()
    moved[2, 3] += 0.1
    for pose in (T_base_camera, T_base_camera, moved, None, T_base_camera):
        pipeline.estimate(IMAGE, camera, pose)
        [image] = network.images[-1]
        assert np.array_equal(image[..., :3], IMAGE)
        assert np.array_equal(image[..., 3], plane_channel(640, 480, camera, pose, 0.02,
                                                           USUAL_PX_PER_M))
    pipeline.estimate(np.repeat(np.repeat(IMAGE, 2, 0), 2, 1), camera.resized(1280, 960),
                      T_base_camera)
    [image] = network.images[-1]
    assert np.array_equal(image[..., 3], plane_channel(640, 480, camera, T_base_camera, 0.02,
                                                       USUAL_PX_PER_M))
    blind = perfect_network(contract, camera, [('cube', T, 0.9)])
    PosePipeline(contract, blind).estimate(IMAGE, camera, T_base_camera)
    assert blind.images[-1].shape == (1, 480, 640, 3)
