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

"""Poses from keypoints: derivatives, exact recovery, honest covariances."""
from dr_perception.core import least_squares
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.least_squares import residuals_and_jacobian
from dr_perception.core.pose_solving import scaled_covariance, shift_covariance, solve_poses
from dr_perception.core.resting import RestingPoses
from dr_perception.core.support_plane import SupportPlane
from dr_perception.core.transforms import (invert_transform, look_at, make_transform,
                                           rotation_about, rotation_from_rotvec,
                                           rotvec_from_rotation, transform_points)
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('both_loops')

NAMES = ['cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
         'tetrahedron', 'triangular_prism']
FOCAL_PX = 615.0


@pytest.fixture(scope='module')
def plane(T_base_camera):
    """Return the table of the reference scene."""
    return SupportPlane(T_base_camera, 0.0, 0.001, 0.01)


def _seen(model, poses):
    """Undistorted image points (M, K, 2) of an object at poses (M, 4, 4)."""
    points = np.stack([transform_points(T, model.keypoints_m) for T in poses])
    return points[..., :2] / points[..., 2:]


def _solve(model, poses, plane, sigma_px=1.0, measured=None):
    measured = _seen(model, poses) if measured is None else measured
    M, K = measured.shape[:2]
    return solve_poses(np.tile(model.keypoints_m, (M, 1, 1)), measured,
                       np.full((M, K), sigma_px / FOCAL_PX), [RestingPoses.of(model)] * M, plane)


def _assert_recovered(model, fit, poses):
    for T, truth in zip(fit.T_camera_object, poses):
        assert np.allclose(T[3], [0, 0, 0, 1])
        assert np.allclose(T[:3, :3] @ T[:3, :3].T, np.eye(3), atol=1e-9)
        assert model.symmetry.position_error_m(T, truth) < 1e-5
        assert model.symmetry.rotation_error_rad(T[:3, :3], truth[:3, :3]) < 1e-3
    assert fit.misfit.max() < 1e-4


def _random_problem(rng, count=6):
    K = 5
    normal = rng.normal(size=3)
    T = np.stack([make_transform(rotation_from_rotvec(rng.normal(size=3)),
                                 [*rng.uniform(-0.2, 0.2, 2), rng.uniform(0.5, 1)])
                  for _ in range(count)])
    up = rng.normal(size=(count, 3))
    problem = least_squares.PoseProblem(
        rng.uniform(-0.04, 0.04, (count, K, 3)), rng.uniform(-0.3, 0.3, (count, K, 2)),
        rng.uniform(0.5, 3, (count, K)) / FOCAL_PX,
        least_squares.plane_basis(normal / np.linalg.norm(normal)),
        rng.uniform(-1, 0, count), up / np.linalg.norm(up, axis=1, keepdims=True),
        np.arange(count) % 2 == 0, np.tile([1000.0, 100.0, 100.0], (count, 1)))
    return problem, T


@pytest.mark.parametrize('seed', range(4))
def test_the_jacobian_is_the_derivative_of_the_residuals(seed):
    problem, T = _random_problem(np.random.default_rng(seed))
    assert problem.round_up.any() and not problem.round_up.all()
    _, J = residuals_and_jacobian(problem, T)
    h = 1e-6
    for i in range(6):
        step = np.eye(6)[i] * h
        values = []
        for sign in (1, -1):
            moved = T.copy()
            moved[:, :3, :3] = rotation_from_rotvec(sign * step[3:]) @ T[:, :3, :3]
            moved[:, :3, 3] += sign * step[:3]
            values.append(residuals_and_jacobian(problem, moved)[0])
        numeric = (values[0] - values[1]) / (2 * h)
        assert np.allclose(J[:, :, i], numeric, rtol=1e-5, atol=1e-3)


def test_residuals_by_hand():
    # One keypoint at the origin, seen at (0.1, 0) with deviation 0.01 while it is at (0.2, 0).
    # The plane looks along -y (up in the picture); the object is 0.03 above the wanted height,
    # and its up direction is turned from the normal by 0.1 rad.
    problem = least_squares.PoseProblem(
        np.zeros((1, 1, 3)), np.array([[[0.1, 0.0]]]), np.full((1, 1), 0.01),
        least_squares.plane_basis(np.array([0.0, -1.0, 0.0])), np.array([-0.03]),
        np.array([[0.0, 0.0, 1.0]]), np.array([False]), np.array([[100.0, 10.0, 10.0]]))
    T = make_transform(rotation_about('x', np.pi / 2 + 0.1), [0.2, 0.0, 1.0])
    r, _ = residuals_and_jacobian(problem, T[None])
    assert np.allclose(r[0, :3], [10.0, 0.0, 3.0])
    assert np.linalg.norm(r[0, 3:]) == pytest.approx(10 * np.sin(0.1))


@pytest.mark.parametrize('with_plane', [True, False], ids=['plane', 'camera alone'])
@pytest.mark.parametrize('tumbled', [False, True], ids=['upright', 'tumbled'])
@pytest.mark.parametrize('name', NAMES)
def test_exact_keypoints_give_the_exact_pose(catalogue, resting_pose, plane, name, tumbled,
                                             with_plane):
    model = catalogue[name]
    rng = np.random.default_rng(NAMES.index(name))
    rests = rng.integers(1, len(model.resting_downs), 6) if tumbled else [0] * 6
    poses = [resting_pose(model, rng.uniform(0.3, 0.7), rng.uniform(-0.28, 0.28),
                          rng.uniform(0, 2 * np.pi), rest) for rest in rests]
    fit = _solve(model, poses, plane if with_plane else None)
    assert (fit.on_plane == with_plane).all()
    _assert_recovered(model, fit, poses)


def test_a_plane_of_another_height(catalogue, resting_pose, T_base_camera):
    model = catalogue['pyramid']
    poses = [resting_pose(model, lift_m=0.12, yaw_rad=1.0)]
    fit = _solve(model, poses, SupportPlane(T_base_camera, 0.12, 0.001, 0.01))
    assert fit.on_plane.all()
    _assert_recovered(model, fit, poses)


@pytest.mark.parametrize('name', ['cube', 'rectangular_prism', 'cylinder'])
def test_an_object_in_the_air_leaves_the_plane(catalogue, resting_pose, plane, name):
    model = catalogue[name]
    poses = [resting_pose(model, lift_m=0.15), resting_pose(model, y_m=0.1, yaw_rad=0.7)]
    fit = _solve(model, poses, plane, sigma_px=0.3)
    assert fit.on_plane.tolist() == [False, True]
    _assert_recovered(model, fit, poses)


@pytest.mark.parametrize('name', NAMES)
def test_a_tilted_object_in_the_air_leaves_the_plane(catalogue, resting_pose, plane, name):
    model = catalogue[name]
    poses = []
    for i, axis in enumerate(([1, 0.3, 0], [0, -1, 0.2])):
        T = resting_pose(model, y_m=0.1 * i, yaw_rad=0.5, lift_m=0.15)
        T[:3, :3] = rotation_from_rotvec(np.radians(25) * np.array(axis)) @ T[:3, :3]
        poses.append(T)
    fit = _solve(model, poses, plane, sigma_px=0.3)
    assert not fit.on_plane.any()
    _assert_recovered(model, fit, poses)


def test_an_object_on_a_low_box_leaves_the_plane(catalogue, resting_pose, plane):
    model = catalogue['cube']
    poses = [resting_pose(model, lift_m=0.03)]
    fit = _solve(model, poses, plane, sigma_px=0.3)
    _assert_recovered(model, fit, poses)


@pytest.mark.parametrize('name', NAMES)
def test_a_far_small_object_is_solved_too(catalogue, name):
    # Keypoints within two pixels of each other: SQPNP refuses those.
    model = catalogue[name]
    poses = [make_transform(rotation_from_rotvec([0.5, 0.8, z]), [1.0, -0.5, 12.0])
             for z in (0.1, 1.2)]
    fit = _solve(model, poses, None, sigma_px=0.3)
    for T, truth in zip(fit.T_camera_object, poses):
        assert model.symmetry.position_error_m(T, truth) < 0.05


@pytest.mark.parametrize('with_plane', [True, False], ids=['plane', 'camera alone'])
def test_keypoints_all_in_one_place_do_no_harm(catalogue, plane, with_plane):
    model = catalogue['cube']
    measured = np.full((1, 9, 2), 0.1)
    fit = _solve(model, None, plane if with_plane else None, measured=measured)
    assert np.isfinite(fit.T_camera_object).all()
    assert np.isfinite(fit.covariance).all()


def test_one_wrong_keypoint_hardly_matters(catalogue, resting_pose, plane):
    model = catalogue['rectangular_prism']
    poses = [resting_pose(model)]
    measured = _seen(model, poses)
    measured[0, 4] += 40 / FOCAL_PX
    fit = _solve(model, poses, plane, measured=measured)
    assert model.symmetry.position_error_m(fit.T_camera_object[0], poses[0]) < 0.002


def _normalized_deviations(fit, truths):
    errors = []
    for T, truth in zip(fit.T_camera_object, truths):
        errors.append(np.append(T[:3, 3] - truth[:3, 3],
                                rotvec_from_rotation(T[:3, :3] @ truth[:3, :3].T)))
    return np.std(errors, axis=0) / np.sqrt(np.mean(
        [np.diag(C) for C in fit.covariance], axis=0))


def test_the_covariance_of_the_camera_alone_is_what_happens(catalogue, resting_pose):
    model = catalogue['rectangular_prism']
    truths = np.stack([resting_pose(model, yaw_rad=0.6)] * 300)
    measured = _seen(model, truths)
    noise = np.random.default_rng(3).normal(size=measured.shape) * 0.4 / FOCAL_PX
    fit = _solve(model, truths, None, 0.4, measured + noise)
    fit.T_camera_object[:] = [T @ _aligning(model, T, T0)
                              for T, T0 in zip(fit.T_camera_object, truths)]
    ratios = _normalized_deviations(fit, truths)
    assert ((0.7 < ratios) & (ratios < 1.3)).all(), ratios
    assert np.median(fit.misfit) == pytest.approx((18 - 6) / 18, rel=0.15)


def _aligning(model, T, truth):
    """Return the symmetry that takes an estimate to the equivalent nearest the truth."""
    candidates = T @ model.symmetry.transforms
    errors = np.linalg.norm(candidates - truth, axis=(1, 2))
    return model.symmetry.transforms[np.argmin(errors)]


def test_the_covariance_on_the_plane_is_what_happens(catalogue, resting_pose, plane,
                                                     T_base_camera):
    # The objects' true heights and tilts vary as the contract says that they may.
    model = catalogue['rectangular_prism']
    rng = np.random.default_rng(4)
    T_base_object = T_base_camera @ resting_pose(model, yaw_rad=0.6)
    truths = []
    for _ in range(300):
        T = T_base_object.copy()
        T[2, 3] += rng.normal() * plane.sigma_m
        T[:3, :3] = rotation_from_rotvec([*rng.normal(size=2) * plane.sigma_rad, 0]) @ T[:3, :3]
        truths.append(invert_transform(T_base_camera) @ T)
    measured = _seen(model, truths)
    noise = rng.normal(size=measured.shape) * 2.0 / FOCAL_PX
    fit = _solve(model, truths, plane, 2.0, measured + noise)
    assert fit.on_plane.all()
    fit.T_camera_object[:] = [T @ _aligning(model, T, T0)
                              for T, T0 in zip(fit.T_camera_object, truths)]
    ratios = _normalized_deviations(fit, truths)
    assert ((0.7 < ratios) & (ratios < 1.3)).all(), ratios


def test_the_plane_makes_the_distance_surer(catalogue, resting_pose, plane):
    model = catalogue['cube']
    poses = [resting_pose(model)]
    alone, standing = _solve(model, poses, None), _solve(model, poses, plane)
    for fit in (alone, standing):
        assert np.allclose(fit.covariance, fit.covariance.transpose(0, 2, 1))
        assert np.linalg.eigvalsh(fit.covariance[0]).min() > 0
    assert standing.covariance[0, 2, 2] < alone.covariance[0, 2, 2] / 10


def test_no_candidates_no_poses(plane):
    for support in (plane, None):
        fit = solve_poses(np.zeros((0, 9, 3)), np.zeros((0, 9, 2)), np.zeros((0, 9)), [], support)
        assert fit.T_camera_object.shape == (0, 4, 4)
        assert fit.covariance.shape == (0, 6, 6)
        assert len(fit.misfit) == len(fit.on_plane) == 0


@pytest.mark.parametrize('T', [look_at((1.1, 0, 0.65), (0.5, 0.1, 2.0)),
                               look_at((1.1, 0, -0.65), (0.5, 0, 0.0)),
                               look_at((1.1, 0, 0.65), (0.5, 0, 0.65))],
                         ids=['upwards', 'from below', 'level'])
def test_a_camera_that_sees_no_table_still_answers(catalogue, T):
    model = catalogue['cube']
    truth = make_transform(rotation_from_rotvec([0.3, 0.5, 0.1]), [0.05, 0.02, 0.9])
    fit = _solve(model, [truth], SupportPlane(T, 0.0, 0.001, 0.01), sigma_px=0.3)
    assert np.isfinite(fit.T_camera_object).all()
    assert np.isfinite(fit.covariance).all()


def test_a_step_that_made_it_worse_does_not_end_the_search(catalogue):
    model = catalogue['rectangular_prism']
    rng = np.random.default_rng(1)
    truth = make_transform(rotation_from_rotvec([0.5, -0.3, 0.8]), [0.1, 0.05, 0.9])
    problem = least_squares.free_problem(
        model.keypoints_m[None], _seen(model, [truth]), np.full((1, 9), 0.5 / FOCAL_PX),
        np.array([0]))
    for _ in range(60):
        axis = rng.normal(size=3)
        start = truth.copy()
        start[:3, :3] = rotation_from_rotvec(1.2 * axis / np.linalg.norm(axis)) @ truth[:3, :3]
        start[:3, 3] *= rng.uniform(0.7, 1.4)
        found = least_squares.minimize(problem, start[None], np.zeros(1, int))
        assert found.cost[0] < 1.0


def test_candidates_do_not_see_each_other(catalogue, resting_pose, plane):
    model = catalogue['tetrahedron']
    poses = np.stack([resting_pose(model, y_m=y, yaw_rad=y) for y in (-0.2, 0.0, 0.2)])
    together = _solve(model, poses, plane)
    for i in range(3):
        single = _solve(model, poses[i:i + 1], plane)
        assert np.allclose(single.T_camera_object[0], together.T_camera_object[i], atol=1e-6)


@pytest.mark.parametrize('name', ['cube', 'cylinder', 'pyramid'])
def test_another_size_is_many_deviations_off_and_the_right_one_few(name, catalogue, plane):
    """The table says how far off it stands, so how large it looks says how large it is."""
    model = catalogue[name]
    rng = np.random.default_rng(7)
    T_camera_base = invert_transform(plane.T_base_camera)
    height_m = -model.vertices_m[:, 2].min()
    found = {}
    for ratio in (1.0, 1.12):
        poses = np.stack([T_camera_base @ make_transform(
            rotation_about('z', rng.uniform(-3, 3)),
            [rng.uniform(0.4, 0.6), rng.uniform(-0.2, 0.2), ratio * height_m])
            for _ in range(150)])
        points = np.stack([transform_points(T, ratio * model.keypoints_m) for T in poses])
        measured = points[..., :2] / points[..., 2:]
        fit = _solve(model, poses, plane, 1.0,
                     measured + rng.normal(size=measured.shape) / FOCAL_PX)
        found[ratio] = fit
    same = found[1.0].size_deviations
    assert np.isfinite(same).all()
    assert 0.7 < np.sqrt(np.mean(same ** 2)) < 1.3
    other = found[1.12]
    assert np.median(other.size_deviations[other.on_plane]) > 2.5
    assert np.isnan(other.size_deviations[~other.on_plane]).all()


def test_information_of_the_plane_is_that_of_its_residuals(catalogue, resting_pose, plane):
    """What a solved pose knows with the plane and not without it."""
    pose = resting_pose(catalogue['cube'])[None]
    fit = _solve(catalogue['cube'], pose, plane, sigma_px=50.0)
    vague = SupportPlane(plane.T_base_camera, 0.0, 1.0, 10.0)
    without = _solve(catalogue['cube'], pose, vague, sigma_px=50.0)
    gained = np.linalg.inv(fit.covariance[0]) - np.linalg.inv(without.covariance[0])
    expected = plane.information
    assert np.allclose(gained, expected, atol=1e-3 * np.abs(expected).max())


def test_scaling_leaves_what_the_plane_says(catalogue, resting_pose, plane):
    """Ten times the keypoints' variance, the plane's as it was."""
    pose = resting_pose(catalogue['cube'])[None]
    near, far = (_solve(catalogue['cube'], pose, plane, sigma_px=sigma).covariance
                 for sigma in (1.0, np.sqrt(10.0)))
    scaled = scaled_covariance(near, np.array([10.0]), plane.information[None])
    assert np.allclose(scaled, far, rtol=1e-3, atol=1e-3 * np.abs(far).max())
    assert np.allclose(scaled_covariance(near, np.array([10.0]), np.zeros((1, 6, 6))), 10 * near)
    assert np.allclose(scaled_covariance(near, np.array([0.5]), plane.information[None]), near / 2)
    up = plane.T_base_camera[2, :3]
    assert up @ scaled[0, :3, :3] @ up < 1.01 * plane.sigma_m ** 2


def test_a_shifted_picture_moves_positions_by_the_deviation_that_is_told(T_base_camera):
    """Shift the pixel of a point and follow its ray to the table again."""
    camera = PinholeCamera(615.0, 600.0, 319.5, 239.5, 640, 480)
    R, eye = T_base_camera[:3, :3], T_base_camera[:3, 3]
    point = R.T @ (np.array([0.45, 0.1, 0.03]) - eye)
    pixel = camera.project(point[None])[0]
    moved = []
    for shift in ([1e-3, 0.0], [0.0, 1e-3]):
        ray = R @ np.append(camera.normalize((pixel + shift)[None])[0], 1.0)
        moved.append(R.T @ (ray * (0.03 - eye[2]) / ray[2]) - point)
    moved = np.stack(moved, 1) / 1e-3
    normal, none = T_base_camera[2:3, :3], np.zeros((1, 3))
    told = shift_covariance(point[None], camera, normal, 0.3)[0]
    assert np.allclose(told, 0.09 * moved @ moved.T, rtol=1e-2, atol=1e-12)
    alone = shift_covariance(point[None], camera, none, 0.3)[0]
    assert np.sqrt(np.trace(alone)) == pytest.approx(
        0.3 * np.hypot(point[2] / 615, point[2] / 600), rel=0.1)
    along = np.cross(point, [1.0, 0, 0])        # a plane that is seen from its side holds nothing
    assert np.allclose(shift_covariance(point[None], camera, along[None] / np.linalg.norm(along),
                                        0.3), shift_covariance(point[None], camera, none, 0.3))
    assert (shift_covariance(point[None], camera, normal, 0.0) == 0).all()
