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

"""Marks at known places: files, a gross outlier, arrangements that give no pose."""
from dr_perception.core.transforms import rotation_angle
import numpy as np
import pytest
from sim_trainer.calibration.calibrate import calibrate_camera, table_views
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.marks import read_marks
from sim_trainer.calibration.points import ImagePoints, merged
from sim_trainer.calibration.summary import json_of, text_of, warnings_of

PLACES = np.array([[0.3, -0.28, 0], [0.7, -0.28, 0], [0.7, 0.28, 0], [0.3, 0.28, 0],
                   [0.5, 0.0, 0], [0.4, 0.15, 0], [0.6, -0.12, 0.05]])
HEAD = 'name,u_px,v_px,x_m,y_m,z_m\n'


def _points(camera, T_base_camera, places=PLACES, sigma_px=1.0, sigma_m=0.0):
    pixels = camera.project((places - T_base_camera[:3, 3]) @ T_base_camera[:3, :3])
    return ImagePoints(tuple(f'mark {i + 1}' for i in range(len(places))), places, pixels,
                       sigma_px, sigma_m)


def _noisy(points, rng, sigma_px):
    return ImagePoints(points.names, points.points_base_m,
                       points.pixels + sigma_px * rng.normal(size=points.pixels.shape),
                       points.sigma_px, points.sigma_m)


@pytest.mark.parametrize('which', ['camera', 'lens'])
def test_exact_marks_give_the_exact_pose(which, request, view):
    camera, T = request.getfixturevalue(which), view()
    result = calibrate_camera(_points(camera, T), camera)
    assert np.allclose(result.T_base_camera, T, atol=1e-7)
    assert abs(result.focal_change) < 1e-6 and result.second is None
    assert result.focal_is_checked and not result.focal_is_off


def test_four_marks_of_a_plane_are_enough(camera, view):
    T = view()
    result = calibrate_camera(_points(camera, T, PLACES[:4]), camera)
    assert np.allclose(result.T_base_camera, T, atol=1e-6)


def test_the_stated_covariance_is_that_of_the_errors(lens, view):
    # The mean of 30 draws of chi squared with 6 degrees of freedom lies within 6 +- 3.8 (5 sigma
    # plus what 14 residuals say of the noise).
    rng, T, squared = np.random.default_rng(3), view(), []
    exact = _points(lens, T, sigma_px=1.0, sigma_m=0.002)
    for _ in range(30):
        moved = exact.points_base_m + 0.002 * rng.normal(size=PLACES.shape)
        seen = _noisy(_points(lens, T, moved, 1.0, 0.002), rng, 1.0)
        result = calibrate_camera(ImagePoints(seen.names, exact.points_base_m, seen.pixels, 1.0,
                                              0.002), lens)
        turned = result.T_base_camera[:3, :3] @ T[:3, :3].T
        error = np.concatenate([
            result.T_base_camera[:3, 3] - T[:3, 3],
            np.array([turned[2, 1] - turned[1, 2], turned[0, 2] - turned[2, 0],
                      turned[1, 0] - turned[0, 1]]) / 2])
        squared.append(error @ np.linalg.solve(result.covariance, error))
    assert 2.9 < np.mean(squared) < 9.8
    assert np.max(squared) < 40


def test_the_error_at_the_pivot_is_smaller_than_at_the_camera(camera, view):
    result = calibrate_camera(_points(camera, view(), sigma_m=0.001), camera)
    moved_m, _ = result.pivot_sigmas()
    assert moved_m < 0.5 * result.position_sigma_m.mean()
    assert result.pivot_m == pytest.approx([0.5, 0.0, 0.0], abs=1e-6)


@pytest.mark.parametrize('wrong', range(7))
@pytest.mark.parametrize('shift_px', [(40.0, -25.0), (-6.0, 5.0)])
def test_an_outlier_is_named_and_does_no_harm(camera, view, wrong, shift_px):
    T = view()
    points = _noisy(_points(camera, T, sigma_px=0.5), np.random.default_rng(0), 0.2)
    points.pixels[wrong] += shift_px
    result = calibrate_camera(points, camera)
    assert np.flatnonzero(~result.fit.inliers).tolist() == [wrong]
    assert np.linalg.norm(result.T_base_camera[:3, 3] - T[:3, 3]) < 0.006
    [warning] = warnings_of(result, table_views(result, None))
    assert warning.startswith(f'mark {wrong + 1} was left out: it lies ')
    assert warning.endswith('correct its pixel or its place')


def test_two_wrong_marks_of_nine(camera, view):
    T = view()
    places = np.vstack([PLACES, [[0.35, -0.1, 0.0], [0.65, 0.1, 0.0]]])
    points = _points(camera, T, places)
    points.pixels[2] += 60
    points.pixels[5] -= 45
    result = calibrate_camera(points, camera)
    assert np.flatnonzero(~result.fit.inliers).tolist() == [2, 5]
    assert np.allclose(result.T_base_camera, T, atol=1e-6)


def test_a_wrong_focal_length_is_told(camera, view):
    places = np.vstack([PLACES, [[0.35, -0.2, 0.15], [0.62, 0.2, 0.2]]])
    points = _noisy(_points(camera, view(), places, 0.3), np.random.default_rng(1), 0.1)
    wrong = camera.__class__(580.0, 580.0, 319.5, 239.5, 640, 480)
    result = calibrate_camera(points, wrong)
    assert result.focal_is_off
    assert result.focal_change == pytest.approx(615 / 580 - 1, abs=4 * result.focal_sigma)
    assert 'they disagree' in text_of(result, table_views(result, None))
    warnings = warnings_of(result, table_views(result, None))
    assert any('check that the camera file is of this lens' in text for text in warnings)
    assert result.focal_share() > 0.03
    right = calibrate_camera(points, camera)
    assert not right.focal_is_off and right.focal_share() < 0.006


def test_marks_seen_straight_on_cannot_check_the_focal_length(camera, view):
    T = view((0.5, 0.0, 1.0), (0.5001, 0.0, 0.0), 0.0)
    result = calibrate_camera(_points(camera, T, PLACES[:6]), camera)
    assert not result.focal_is_checked and not result.focal_is_off
    assert 'cannot check it' in text_of(result, table_views(result, None))
    assert np.allclose(result.T_base_camera, T, atol=1e-4)


def test_a_camera_that_looks_straight_down_has_a_scene_view(camera, view):
    T = np.diag([1.0, -1, -1, 1])
    T[:3, 3] = 0.5, 0.0, 1.0
    result = calibrate_camera(_points(camera, T), camera)
    from sim_trainer.configuration.schema import CameraConfig
    position, target, roll_deg = result.scene_view()
    again = CameraConfig(640, 480, 615, 615, 319.5, 239.5, tuple(position), tuple(target),
                         roll_deg).T_base_camera
    assert np.allclose(again[:3, 3], T[:3, 3], atol=1e-9)
    assert rotation_angle(again[:3, :3].T @ T[:3, :3]) < 3e-4


def test_a_small_flat_far_board_has_two_poses(camera, view):
    # Two deviations of noise can turn so small a square over.
    T = view()
    places = np.array([[0.49, -0.01, 0], [0.51, -0.01, 0], [0.51, 0.01, 0], [0.49, 0.01, 0]])
    result = calibrate_camera(_points(camera, T, places, 0.3), camera)
    assert np.allclose(result.T_base_camera, T, atol=1e-4)
    assert result.second is not None
    assert any('a second pose' in text
               for text in warnings_of(result, table_views(result, (0.3, 0.7, -0.2, 0.2))))


@pytest.mark.parametrize('places, message', [
    (PLACES[:3], '3 points are too few for a camera pose; give at least 4'),
    (np.column_stack([np.linspace(0.3, 0.7, 6), np.linspace(0, 0.2, 6), np.zeros(6)]),
     'all 6 points lie on one line in the base frame; add points beside that line')])
def test_arrangements_without_a_pose(camera, view, places, message):
    with pytest.raises(CalibrationError, match=message):
        calibrate_camera(_points(camera, view(), places), camera)


def test_swapped_axes_are_told(camera, view):
    points = _points(camera, view(), PLACES[:6])
    swapped = ImagePoints(points.names, points.points_base_m[:, [1, 0, 2]], points.pixels, 1.0)
    with pytest.raises(CalibrationError, match='m below the table; x and y of the marks may be '
                       'swapped'):
        calibrate_camera(swapped, camera)


def test_a_mirrored_picture_of_marks_is_told(camera, view):
    points = _points(camera, view(), PLACES[:6])
    points.pixels[:, 0] = 639 - points.pixels[:, 0]
    with pytest.raises(CalibrationError, match='below the table'):
        calibrate_camera(points, camera)


def test_points_of_nan_are_refused(camera, view):
    points = _points(camera, view())
    points.pixels[1] = np.nan
    with pytest.raises(CalibrationError, match='NaN or infinity'):
        calibrate_camera(points, camera)


def test_one_pixel_on_the_table(camera, view):
    T = view((0.5, 0.0, 1.0), (0.5001, 0.0, 0.0), 0.0)
    result = calibrate_camera(_points(camera, T), camera)
    centre = table_views(result, (0.4, 0.6, -0.1, 0.1))[0]
    assert [centre.across_mm, centre.along_mm] == pytest.approx([1000 / 615] * 2, rel=1e-3)
    # At an elevation of 30 degrees a pixel is twice as long as wide.
    T = view((0.5 + np.sqrt(3), 0.0, 1.0), (0.5, 0.0, 0.0), 0.0)
    result = calibrate_camera(_points(camera, T), camera)
    centre = table_views(result, (0.4, 0.6, -0.1, 0.1))[0]
    assert [centre.across_mm, centre.along_mm] == pytest.approx([2000 / 615, 4000 / 615], rel=1e-3)
    assert centre.visible
    far = table_views(result, (0.4, 0.6, -5.0, 0.1))
    assert [view.visible for view in far] == [False, False, False, True, True]
    assert 'the camera does not see the centre, corner 1, corner 2 of the workspace' in (
        warnings_of(result, far))
    assert json_of(result, far)['table'][1]['visible'] is False


def test_a_workspace_the_wrong_way_round(camera, view):
    result = calibrate_camera(_points(camera, view()), camera)
    with pytest.raises(CalibrationError, match='--workspace 0.7 0.3 0 1: expected X0 X1 Y0 Y1'):
        table_views(result, (0.7, 0.3, 0, 1))


def test_several_pictures_become_one(camera, view):
    points = _points(camera, view())
    rng = np.random.default_rng(5)
    pictures = [(f'{i}.png', _noisy(points, rng, 0.3)) for i in range(9)]
    joined = merged([*pictures, ('part.png', points.take(np.array([0, 3])))])
    assert joined.names == points.names
    assert np.abs(joined.pixels - points.pixels).max() < 0.5
    shifted = ImagePoints(points.names, points.points_base_m, points.pixels + 4, 1.0)
    with pytest.raises(CalibrationError, match=r'9.png: the points lie 5.. px from those of the '
                       'other pictures; camera and board must stand still'):
        merged([*pictures, ('9.png', shifted)])


@pytest.mark.parametrize('name, text', [
    ('marks.csv', f'# measured on Monday\n{HEAD}a, 10, 20, 0.1, 0.2, 0\n,30,40,0.3,0.4,0.01\n'),
    ('marks.yaml', '- {name: a, u_px: 10, v_px: 20, x_m: 0.1, y_m: 0.2, z_m: 0}\n'
                   '- {u_px: 30, v_px: 40, x_m: 0.3, y_m: 0.4, z_m: 0.01}\n'),
    ('marks.yml', 'marks:\n- {name: a, u_px: 10, v_px: 20, x_m: 0.1, y_m: 0.2, z_m: 0}\n'
                  '- {u_px: 30, v_px: 40, x_m: 0.3, y_m: 0.4, z_m: 0.01}\n')])
def test_files_of_marks(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    points = read_marks(tmp_path / name, 0.003)
    assert points.names == ('a', 'mark 2')
    assert points.pixels.tolist() == [[10, 20], [30, 40]]
    assert points.points_base_m.tolist() == [[0.1, 0.2, 0], [0.3, 0.4, 0.01]]
    assert (points.sigma_px, points.sigma_m) == (1.0, 0.003)


@pytest.mark.parametrize('name, text, message', [
    ('m.csv', None, 'cannot be read'),
    ('m.csv', 'u,v\n1,2\n', 'without u_px, v_px, x_m, y_m, z_m; expected the columns'),
    ('m.csv', HEAD + 'a,10,x,0,0,0\n', "mark 1: v_px is 'x'; expected a number"),
    ('m.csv', HEAD + 'a,10,nan,0,0,0\n', "mark 1: v_px is 'nan'; expected a number"),
    ('m.csv', HEAD + 'a,10,20,0\n', 'mark 1: y_m is None; expected a number'),
    ('m.csv', HEAD + 'a,1,2,0,0,0\nb,10,20,300,0,0\n', 'mark 2: x_m is 300; give metres'),
    ('m.csv', HEAD + 'a,1,2,0,0,0\na,1,2,0,0,0\n', "the name 'a' stands twice"),
    ('m.yaml', 'a: [', 'not valid YAML'),
    ('m.yaml', 'a: 1', 'holds no list of marks'),
    ('m.yaml', '- {u_px: 1}', 'without v_px, x_m, y_m, z_m')])
def test_wrong_files_of_marks(tmp_path, name, text, message):
    path = tmp_path / name
    if text is not None:
        path.write_text(text)
    with pytest.raises(CalibrationError, match=message) as caught:
        read_marks(path, 0.0)
    assert str(path) in str(caught.value) and '\n' not in str(caught.value)
