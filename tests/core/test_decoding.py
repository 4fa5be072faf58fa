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

"""From synthetic maps to known keypoints."""
from dr_perception.core.candidates import LOG_SCALE_RANGE, MAX_CANDIDATES
from dr_perception.core.decoding import find_candidates
from dr_perception.core.errors import ContractError
from dr_perception.core.network_spec import DecoderSpec
import numpy as np
import pytest

SPEC = DecoderSpec(4, 16.0, 0.15, 0.5, (0.0, 1.0, 0.0, 0.0), 1.0, 0.001, 0.01,
                   (0.0, 1.0, 0.0, 0.0), 1.0)
C, K, H, W = 3, 2, 12, 16


def _maps(log_scale=0.0):
    return [np.zeros((C, H, W), np.float32), np.zeros((2 * K, H, W), np.float32),
            np.full((K, H, W), log_scale, np.float32)]


def _point_at(maps, pixels):
    """Let every cell answer the same keypoints (K, 2) in pixels."""
    rows, columns = np.mgrid[:H, :W]
    centre = np.stack([columns, rows]) * 4 + 1.5
    for k, pixel in enumerate(np.asarray(pixels, float)):
        maps[1][2 * k:2 * k + 2] = (pixel[:, None, None] - centre) / 16


def test_nothing_gives_nothing():
    found = find_candidates(*_maps(), SPEC)
    assert len(found) == 0
    assert found.keypoints_px.shape == (0, K, 2)
    assert found.scale_px.shape == (0, K)


def test_one_cell_answers_from_its_centre():
    maps = _maps()
    maps[0][1, 5, 7] = 0.9
    maps[1][:, 5, 7] = [0.5, 0.0, -1.0, 0.25]
    found = find_candidates(*maps, SPEC)
    assert (found.object_index.tolist(), found.heat.tolist()) == ([1], [pytest.approx(0.9)])
    # The cell's centre is (7 * 4 + 1.5, 5 * 4 + 1.5) = (29.5, 21.5); the unit is 16 px.
    assert np.allclose(found.keypoints_px, [[[37.5, 21.5], [13.5, 25.5]]])
    assert np.allclose(found.scale_px, 1.0)


@pytest.mark.parametrize('row, column', [(5, 7), (0, 0), (H - 1, W - 1), (0, W - 1)])
def test_neighbours_that_agree_change_nothing(row, column):
    maps = _maps(np.log(2.0))
    _point_at(maps, [[30.25, 20.75], [-8.0, 60.0]])
    maps[0][0] = 0.1
    maps[0][0, row, column] = 0.8
    found = find_candidates(*maps, SPEC)
    assert np.allclose(found.keypoints_px, [[[30.25, 20.75], [-8, 60]]], atol=1e-4)
    assert np.allclose(found.scale_px, 2.0, rtol=1e-5)


def test_neighbours_count_by_heat_and_certainty():
    maps = _maps()
    maps[0][0, 5, 7], maps[0][0, 5, 8] = 0.8, 0.4
    maps[1][0, 5, 7] = 1.0      # 29.5 + 16 = 45.5
    maps[1][0, 5, 8] = 0.0      # 33.5
    maps[2][0, 5, 8] = np.log(2.0)
    found = find_candidates(*maps, SPEC)
    # Weights 0.8 / 1 and 0.4 / 4.
    assert found.keypoints_px[0, 0, 0] == pytest.approx((0.8 * 45.5 + 0.1 * 33.5) / 0.9, rel=1e-5)
    # The scale is that of one cell: sqrt((0.8 * 1 + 0.1 * 4) / 0.9).
    assert found.scale_px[0, 0] == pytest.approx(np.sqrt(1.2 / 0.9), rel=1e-5)


def test_only_peaks_above_the_threshold_count():
    maps = _maps()
    maps[0][0, 2, 2], maps[0][0, 2, 3], maps[0][0, 9, 9] = 0.7, 0.6, 0.149
    maps[0][2, 2, 2], maps[0][2, 4, 4] = 0.3, 0.95
    found = find_candidates(*maps, SPEC)
    assert found.object_index.tolist() == [2, 0, 2]       # the strongest first
    assert np.allclose(found.heat, [0.95, 0.7, 0.3])


def test_the_strongest_candidates_stay():
    heat = np.zeros((1, 40, 40), np.float32)
    heat[0, ::3, ::3] = np.linspace(0.2, 0.9, 196).reshape(14, 14)
    found = find_candidates(heat, np.zeros((2, 40, 40), np.float32),
                            np.zeros((1, 40, 40), np.float32), SPEC)
    assert len(found) == MAX_CANDIDATES
    assert found.heat.min() > 0.66


def test_log_scales_are_kept_within_what_was_trained():
    for value, bound in ((-50.0, LOG_SCALE_RANGE[0]), (50.0, LOG_SCALE_RANGE[1])):
        maps = _maps(value)
        maps[0][0, 5, 5] = 0.9
        assert np.allclose(find_candidates(*maps, SPEC).scale_px, np.exp(bound))


def test_take_keeps_rows_together():
    maps = _maps()
    maps[0][0, 2, 2], maps[0][1, 8, 8] = 0.9, 0.8
    taken = find_candidates(*maps, SPEC).take(np.array([False, True]))
    assert (len(taken), taken.object_index.tolist()) == (1, [1])


def test_maps_of_different_sizes_are_refused():
    """Before anything is read: one map's places lie outside of the other."""
    heat = np.zeros((2, 40, 40), np.float32)
    heat[0, 35, 35] = 0.9
    for offsets, scales in (((18, 20, 20), (9, 40, 40)), ((18, 40, 40), (9, 20, 40))):
        with pytest.raises(ContractError, match='maps of different sizes .*20, '):
            find_candidates(heat, np.zeros(offsets, np.float32), np.zeros(scales, np.float32),
                            SPEC)
