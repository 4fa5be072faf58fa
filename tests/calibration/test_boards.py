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

"""Boards in synthetic photographs: found, placed, and what is said where they are not."""
import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.transforms import rotation_angle
import numpy as np
import pytest
from sim_trainer.calibration.boards import BoardSpec
from sim_trainer.calibration.calibrate import (board_pose, calibrate_camera, read_picture,
                                               table_views)
from sim_trainer.calibration.detection import find_board
from sim_trainer.calibration.errors import CalibrationError
from sim_trainer.calibration.overlay import draw_overlay
from sim_trainer.calibration.result import BoardPlacement

CAMERA = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)
SPECS = {
    'a tag': BoardSpec('aruco', 0.15),
    'an AprilTag': BoardSpec('apriltag', 0.15, first_id=7),
    'a board': BoardSpec('aruco', 0.07, 4, 3, separation_m=0.02),
    'a board of AprilTags': BoardSpec('apriltag', 0.08, 3, 2, separation_m=0.025, first_id=20),
    'a chessboard': BoardSpec('charuco', 0.05, 7, 5, dictionary='5X5_100'),
    'a chessboard of even rows': BoardSpec('charuco', 0.05, 6, 4),
}


def _projected(points, camera, T_base_camera):
    return camera.project((points.points_base_m - T_base_camera[:3, 3]) @ T_base_camera[:3, :3])


@pytest.mark.parametrize('which', ['camera', 'lens'])
@pytest.mark.parametrize('name', list(SPECS))
def test_every_kind_of_board_gives_the_pose(name, which, request, view, on_table, photograph):
    spec, camera = SPECS[name], request.getfixturevalue(which)
    T, T_base_board = view(), on_table(0.48, 0.03, 75.0)
    image = photograph(spec, camera, T, T_base_board, np.random.default_rng(0))
    points = find_board(image, spec, T_base_board, camera)
    # Corners are where they belong: frame, order and half pixels are right.
    assert np.linalg.norm(points.pixels - _projected(points, camera, T), axis=1).max() < 1.2
    result = calibrate_camera(points, camera)
    error = result.T_base_camera[:3, 3] - T[:3, 3]
    assert error @ np.linalg.solve(result.covariance[:3, :3], error) < 16.3     # 99.9 %
    assert np.linalg.norm(error) < 0.025
    assert np.degrees(rotation_angle(result.T_base_camera[:3, :3].T @ T[:3, :3])) < 1.2
    assert result.pivot_m == pytest.approx([0.5, 0.0, 0.0], abs=0.003)


def test_the_covariance_holds_over_many_photographs(camera, view, on_table, photograph):
    spec, rng, inside = SPECS['a board'], np.random.default_rng(7), []
    for _ in range(30):
        T = view(rng.uniform([0.9, -0.3, 0.5], [1.2, 0.3, 0.8]), (0.5, 0, 0), rng.uniform(-9, 9))
        T_base_board = on_table(0.5 + rng.uniform(-0.05, 0.05), rng.uniform(-0.05, 0.05),
                                rng.uniform(0, 360))
        points = find_board(photograph(spec, camera, T, T_base_board, rng), spec, T_base_board,
                            camera)
        result = calibrate_camera(points, camera)
        error = result.T_base_camera[:3, 3] - T[:3, 3]
        inside.append(error @ np.linalg.solve(result.covariance[:3, :3], error) < 6.2514)
    assert np.mean(inside) >= 0.75      # 90 % are stated; 22 or less of 30 has a chance of 1 %


def test_the_boards_place_adds_to_the_covariance(camera, view, on_table, photograph):
    spec, T, T_base_board = SPECS['a chessboard'], view(), on_table()
    points = find_board(photograph(spec, camera, T, T_base_board), spec, T_base_board, camera)
    alone = calibrate_camera(points, camera)
    placed = calibrate_camera(points, camera, BoardPlacement(0.002, np.radians(0.5),
                                                             tuple(T_base_board[:3, 3])))
    assert np.allclose(placed.T_base_camera, alone.T_base_camera)
    # A board that is turned by half a degree turns the camera about it.
    arm_m = np.linalg.norm(T[:3, 3] - T_base_board[:3, 3])
    added = np.trace(placed.covariance[:3, :3]) - np.trace(alone.covariance[:3, :3])
    assert added == pytest.approx(3 * 0.002 ** 2 + 2 * (arm_m * np.radians(0.5)) ** 2, rel=0.02)
    moved_m, turned_rad = placed.pivot_sigmas()
    assert moved_m == pytest.approx(0.002, rel=0.1)
    assert np.degrees(turned_rad) == pytest.approx(0.5, rel=0.05)
    assert (placed.plane_sigma_m, placed.plane_sigma_rad) == (0.002, np.radians(0.5))


def test_a_part_of_a_board_is_enough(camera, view, on_table, photograph):
    spec, T, T_base_board = SPECS['a board'], view(), on_table()
    image = photograph(spec, camera, T, T_base_board)
    image[:, 320:] = 120
    points = find_board(image, spec, T_base_board, camera)
    assert 8 <= len(points.names) < 48
    position = calibrate_camera(points, camera).T_base_camera[:3, 3]
    assert position == pytest.approx(T[:3, 3], abs=0.005)


def _message(image, spec):
    with pytest.raises(CalibrationError) as caught:
        find_board(image, spec, np.eye(4), CAMERA)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_why_nothing_is_found(camera, view, on_table, photograph):
    spec, T, T_base_board = SPECS['a board of AprilTags'], view(), on_table()
    image = photograph(spec, camera, T, T_base_board)
    assert _message(image[:, ::-1].copy(), spec).startswith('the picture is mirrored')
    assert _message(255 - image, spec).startswith('the tags are found in the negative')
    other = BoardSpec('aruco', 0.07, 4, 3, separation_m=0.02, dictionary='6X6_250')
    assert 'no tag of the dictionary 6X6_250, but tags of APRILTAG_36H11 (ids 20, 21' in (
        _message(image, other))
    black = np.zeros_like(image)
    assert _message(black, spec).endswith('the picture is dark (mean 0 of 255): change the '
                                          'exposure')
    assert _message(black + 120, spec).endswith('and have a white margin')
    tiny = np.full((480, 640), 200, np.uint8)
    tiny[200:208, 300:308] = cv2.resize(cv2.aruco.generateImageMarker(
        SPECS['a tag'].opencv_dictionary, 0, 60), (8, 8), interpolation=cv2.INTER_AREA)
    found = _message(np.repeat(tiny[..., None], 3, 2), SPECS['a tag'])
    assert found.startswith('the tags are too small in the picture to be found')


def test_which_tag(camera, view, on_table, photograph):
    image = photograph(SPECS['a board'], camera, view(), on_table())
    assert _message(image, BoardSpec('aruco', 0.07)).startswith('the picture shows the tags 0, 1')
    wrong = _message(image, BoardSpec('aruco', 0.07, first_id=30))
    assert wrong.startswith('tag 30 is not in the picture; it shows 0, 1, 2')
    wrong = _message(image, BoardSpec('aruco', 0.07, 4, 3, separation_m=0.02, first_id=20))
    assert "none of the board's, 20...31; correct --id" in wrong
    assert find_board(image, BoardSpec('aruco', 0.07, first_id=5), np.eye(4), CAMERA).names[0] == (
        'tag 5 top left')


def test_another_chessboard(camera, view, on_table, photograph):
    image = photograph(SPECS['a chessboard of even rows'], camera, view(), on_table())
    wrong = BoardSpec('charuco', 0.05, 4, 12)
    assert 'print it anew with --draw' in _message(image, wrong)


def test_a_mirrored_chessboard_is_called_so(camera, view, on_table, photograph):
    spec = SPECS['a chessboard of even rows']
    image = photograph(spec, camera, view(), on_table())
    assert 'the picture is mirrored' in _message(np.ascontiguousarray(image[:, ::-1]), spec)


@pytest.mark.parametrize('arguments, message', [
    (('aruco', 50.0), '--size-m 50: expected the edge of a tag in metres'),
    (('charuco', 0.05), 'give the squares of the chessboard, e.g. --grid 7x5'),
    (('charuco', 0.05, 7, 5, None, 0.06), '--marker-size-m 0.06: expected less than the square'),
    (('aruco', 0.05, 4, 3), '--separation-m METRES is missing: a board of several tags needs'),
    (('aruco', 0.05, 1, 1, 0.01), '--grid COLUMNSxROWS is missing: .* a single tag neither'),
    (('aruco', 0.05, 4, 3, -0.01), '--separation-m -0.01: expected metres above 0'),
    (('aruco', 0.05, 1, 1, None, None, 50), 'the dictionary 4X4_50 has the ids 0...49'),
    (('aruco', 0.05, 9, 9, 0.01), 'too few for 81 tags from --id 0; name a larger --dictionary'),
    (('aruco', 0.05, 1, 1, None, None, None, '9X9'), '--dictionary 9X9: not known; expected one')])
def test_boards_that_cannot_be(arguments, message):
    with pytest.raises(CalibrationError, match=message):
        BoardSpec(*arguments)


@pytest.mark.parametrize('name', ['36h11', 'tag36h11', 'DICT_APRILTAG_36h11', 'APRILTAG_36H11'])
def test_names_of_a_dictionary(name):
    assert BoardSpec('apriltag', 0.1, dictionary=name).dictionary_name == 'APRILTAG_36H11'


def test_where_a_board_is():
    assert np.allclose(board_pose([1, 2, 3]), [[1, 0, 0, 1], [0, 1, 0, 2], [0, 0, 1, 3],
                                               [0, 0, 0, 1]])
    assert np.allclose(board_pose([0, 0, 0, 90]) @ [1, 0, 0, 1], [0, 1, 0, 1])
    # Roll first, about the fixed x axis: a board that hangs on a wall.
    assert np.allclose(board_pose([0, 0, 0, 90, 0, 90]) @ [0, 0, 1, 1], [1, 0, 0, 1])
    with pytest.raises(CalibrationError, match='--board-at: 5 numbers; expected X Y Z in metres'):
        board_pose([0] * 5)
    with pytest.raises(CalibrationError, match='give metres, not millimetres'):
        board_pose([500, 0, 0])


def test_pictures_that_cannot_be_read(tmp_path, camera):
    with pytest.raises(CalibrationError, match='none.png: not a readable picture'):
        read_picture(tmp_path / 'none.png', camera)
    cv2.imwrite(str(tmp_path / 'small.png'), np.zeros((240, 320, 3), np.uint8))
    with pytest.raises(CalibrationError, match='has 320x240 px, the camera 640x480 px; give the '
                       'camera of this resolution'):
        read_picture(tmp_path / 'small.png', camera)


def test_the_overlay_marks_corners_axes_and_workspace(lens, view, on_table, photograph):
    spec, T, T_base_board = SPECS['a tag'], view(), on_table()
    image = photograph(spec, lens, T, T_base_board)
    points = find_board(image, spec, T_base_board, lens)
    result = calibrate_camera(points, lens)
    drawn = draw_overlay(image, result, table_views(result, (0.3, 0.7, -0.2, 0.2)))
    assert drawn.shape == (960, 1280, 3)
    plain = cv2.resize(image, (1280, 960), interpolation=cv2.INTER_CUBIC)
    changed = np.abs(drawn.astype(int) - plain).max(2) > 40
    for pixel in [*points.pixels, *lens.project((np.array(
            [[0.3, -0.2, 0], [0.7, 0.2, 0], [0.5, 0.2, 0], [0.5, 0, 0.05]]) - T[:3, 3])
            @ T[:3, :3])]:
        x, y = np.round((pixel + 0.5) * 2 - 0.5).astype(int)
        assert changed[y - 8:y + 9, x - 8:x + 9].any()
    assert changed.mean() < 0.05
