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

"""Lamps and shadows are where the workspace is, wherever that is."""

from hypothesis import given
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.randomization import LightingConfig
from sim_trainer.rendering.uniforms import lamp_matrix, sky_matrix
from sim_trainer.scene.lifting import moved
from sim_trainer.scene.lighting import lit_area, random_lighting
from sim_trainer.scene.record import LitArea
from sim_trainer.scene.record_file import record_from_plain, record_to_plain

TABLETOP_M = (0.30, 0.70, -0.28, 0.28)


def test_a_lab_elsewhere_in_the_base_frame_looks_the_same(renderer, generator):
    for index in range(3):
        scene = generator.scene(index)
        here = renderer.draw(scene).image_rgb.astype(int)
        there = renderer.draw(moved(scene, (-1.5, 0.75, 0.3))).image_rgb.astype(int)
        differs = np.abs(here - there).max(-1)
        assert (differs > 4).mean() < 0.01 and differs.mean() < 0.2, index


def test_lamps_stand_round_the_workspace():
    law = LightingConfig(spot=Chance(1.0))
    here, mood = random_lighting(np.random.default_rng(3), law, TABLETOP_M)
    there, other = random_lighting(np.random.default_rng(3), law, (-1.1, -0.7, 0.72, 1.28))
    for a, b in zip(here, there):
        np.testing.assert_allclose(np.subtract(b.position_m, a.position_m), (-1.4, 1.0, 0))
        np.testing.assert_allclose(np.subtract(b.target_m, a.target_m), (-1.4, 1.0, 0), atol=1e-9)
        assert a.color == b.color
    assert mood['lit_area'].centre_m == (0.5, 0.0, 0.0)
    np.testing.assert_allclose(other['lit_area'].centre_m, (-0.9, 1.0, 0.0))
    still, nominal = random_lighting(np.random.default_rng(3), LightingConfig(enabled=False),
                                     (-1.1, -0.7, 0.72, 1.28))
    np.testing.assert_allclose(still[0].position_m, (-0.6, 1.5, 1.4))
    assert nominal['lit_area'] == other['lit_area']


@given(x_m=st.floats(-3, 3), y_m=st.floats(-3, 3), width_m=st.floats(0.05, 3),
       depth_m=st.floats(0.05, 3), seed=st.integers(0, 1000))
def test_shadow_maps_hold_the_corners_of_the_workspace(x_m, y_m, width_m, depth_m, seed):
    workspace = (x_m, x_m + width_m, y_m, y_m + depth_m)
    area = lit_area(workspace)
    far = LightingConfig(distance_m=Range(2.5 * area.reach_m, 4 * area.reach_m))
    lights, _ = random_lighting(np.random.default_rng(seed), far, workspace)
    corners = np.array([[x, y, z, 1] for x in workspace[:2] for y in workspace[2:]
                        for z in (0.0, 0.1)])
    for matrix in [sky_matrix(area), *(lamp_matrix(np.array(light.position_m), area)
                                       for light in lights)]:
        clip = corners @ matrix.T
        assert (np.abs(clip[:, :3]) <= clip[:, 3:] * 1.0001).all()


@pytest.mark.parametrize('lacks', [True, False])
def test_records_of_before_are_lit_as_they_were(generator, lacks):
    scene = generator.scene(0)
    plain = record_to_plain(moved(scene, (1.0, 0.0, 0.0)))
    if lacks:
        del plain['lit_area']
    area = record_from_plain(plain).lit_area
    assert area == LitArea((0.5 if lacks else 1.5, 0.0, 0.0), area.reach_m)
    assert area.reach_m == pytest.approx(0.62)
