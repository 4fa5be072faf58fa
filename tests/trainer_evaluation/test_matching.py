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

"""Detections against truth, by hand."""
from dr_perception.core.transforms import rotation_about
import numpy as np
import pytest
from sim_trainer.evaluation.matching import FORGIVEN_M, FOUND_M, match_picture


@pytest.fixture
def match(camera, catalogue):
    """Return a function: the result of one picture."""
    def make(detections, instances, **options):
        return match_picture(detections, instances, camera, catalogue, **options)
    return make


def test_the_limits_are_those_of_the_requirements():
    assert (FOUND_M, FORGIVEN_M) == (0.02, 0.05)


@pytest.mark.parametrize('offset_m, found', [(0.0, True), (0.0199, True), (0.0201, False)])
def test_found_is_nearer_than_two_centimetres(match, truth, detection, offset_m, found):
    result = match([detection('cube', [offset_m, 0, 1])], [truth('cube', [0, 0, 1])])
    assert result.asked == ('cube',)
    assert len(result.matches) == found
    assert result.false_positives == (() if found else ('cube',))


def test_the_figures_of_a_match(match, truth, detection):
    R = rotation_about('z', np.radians(7))
    [found] = match([detection('cube', [0.01, 0, 1], 0.8, R=R)],
                    [truth('cube', [0, 0, 1])]).matches
    assert (found.object_name, found.score) == ('cube', 0.8)
    assert found.position_error_m == pytest.approx(0.01)
    assert np.degrees(found.rotation_error_rad) == pytest.approx(7)
    assert found.mahalanobis_squared == pytest.approx(1.0)      # 1 cm over 1 cm


def test_the_reprojection_error_of_a_shift(match, truth, detection, catalogue):
    # At distance z a shift of 1 cm is 100 * 0.01 / z pixels.
    [found] = match([detection('cube', [0.01, 0, 1])], [truth('cube', [0, 0, 1])]).matches
    z = 1 + catalogue['cube'].keypoints_m[:, 2]
    assert found.reprojection_error_px == pytest.approx((1 / z).mean())


def test_another_kind_is_no_match(match, truth, detection):
    result = match([detection('cylinder', [0, 0, 1])], [truth('cube', [0, 0, 1])])
    assert (result.matches, result.false_positives) == ((), ('cylinder',))


def test_a_kind_out_of_the_catalogue(match, truth, detection):
    result = match([detection('mug', [0, 0, 1])], [truth('mug', [0, 0, 1])])
    assert (result.asked, result.matches, result.false_positives) == ((), (), ('mug',))


def test_one_truth_is_found_once_and_by_the_surest(match, truth, detection):
    result = match([detection('cube', [0.001, 0, 1], 0.6), detection('cube', [0.01, 0, 1], 0.9)],
                   [truth('cube', [0, 0, 1])])
    assert [m.score for m in result.matches] == [0.9]
    assert result.false_positives == ('cube',)


def test_two_of_one_kind_are_told_apart(match, truth, detection):
    result = match([detection('cube', [0.06, 0, 1], 0.6), detection('cube', [0.005, 0, 1], 0.9)],
                   [truth('cube', [0, 0, 1]), truth('cube', [0.06, 0, 1])])
    assert [m.position_error_m for m in result.matches] == pytest.approx([0.005, 0.0], abs=1e-12)
    assert result.false_positives == ()


@pytest.mark.parametrize('visible, asked', [(0.3, True), (0.299, False), (0.0, False),
                                            (None, True)])
def test_hidden_instances_are_not_asked_for(match, truth, detection, visible, asked):
    result = match([detection('cube', [0.01, 0, 1])], [truth('cube', [0, 0, 1], visible)])
    assert result.asked == (('cube',) if asked else ())
    assert len(result.matches) == asked
    assert result.false_positives == ()


@pytest.mark.parametrize('offset_m, forgiven', [(0.049, True), (0.051, False)])
def test_near_a_hidden_instance_much_is_forgiven(match, truth, detection, offset_m, forgiven):
    result = match([detection('cube', [offset_m, 0, 1])], [truth('cube', [0, 0, 1], 0.1)])
    assert result.matches == ()
    assert result.false_positives == (() if forgiven else ('cube',))


def test_a_hidden_instance_forgives_once(match, truth, detection):
    result = match([detection('cube', [0.01, 0, 1])] * 2, [truth('cube', [0, 0, 1], 0.1)])
    assert result.false_positives == ('cube',)


def test_the_visible_part_asked_for_can_be_chosen(match, truth):
    hidden = [truth('cube', [0, 0, 1], 0.2)]
    assert match([], hidden, least_visible=0.1).asked == ('cube',)
    assert match([], hidden).asked == ()


def test_a_tetrahedron_is_found_modulo_its_symmetry(match, truth, detection, catalogue):
    for S in catalogue['tetrahedron'].symmetry.transforms:
        T = truth('tetrahedron', [0, 0, 1]).T_camera_object @ S
        [found] = match([detection('tetrahedron', T[:3, 3], R=T[:3, :3])],
                        [truth('tetrahedron', [0, 0, 1])]).matches
        assert found.position_error_m == pytest.approx(0, abs=1e-9)
        assert found.rotation_error_rad == pytest.approx(0, abs=1e-6)
        assert found.reprojection_error_px == pytest.approx(0, abs=1e-6)
        assert found.mahalanobis_squared == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize('turn_rad', [0.02, 0.05, 1.234, np.pi])
def test_the_turn_of_a_cylinder_costs_nothing(match, truth, detection, turn_rad):
    for R in (rotation_about('z', turn_rad),
              rotation_about('z', turn_rad) @ rotation_about('x', np.pi)):
        [found] = match([detection('cylinder', [0, 0, 1], R=R)],
                        [truth('cylinder', [0, 0, 1])]).matches
        assert found.rotation_error_rad == pytest.approx(0, abs=1e-6)
        assert found.reprojection_error_px == pytest.approx(0, abs=1e-6)


def test_nothing_and_nothing(match):
    result = match([], [])
    assert (result.asked, result.matches, result.false_positives) == ((), (), ())
