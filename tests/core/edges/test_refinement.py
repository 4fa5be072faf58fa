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
"""Poses along edges: back to the truth, and not moved where nothing is to be seen."""
import dataclasses

from dr_perception.core.edges import fitting, refinement
from dr_perception.core.edges.edge_points import visible_edge_points
from dr_perception.core.edges.evidence import edge_evidence, NAMES
from dr_perception.core.edges.mesh_edges import MeshEdges
from dr_perception.core.edges.profiles import edge_profiles, smoothed
from dr_perception.core.edges.refinement import EdgeRefinement
from dr_perception.core.transforms import rotation_angle
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('both_loops')

NAMES_OF_KINDS = ['cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
                  'tetrahedron', 'triangular_prism']
#: 2 mm across, 6 mm along the view, 3 degrees.
PRIOR = np.diag([0.002, 0.002, 0.006, *[np.radians(3)] * 3]) ** 2


def refined(model, image, camera, T, covariance=PRIOR, **more):
    """Refine one pose."""
    return EdgeRefinement(MeshEdges([model])).refine(
        image, camera, np.array([0]), T[None], covariance[None], **more)


def picture_error_px(model, camera, T, truth):
    """Return how far the vertices lie from the truth in the picture, mean, modulo symmetry."""
    nearest = model.symmetry.nearest(T, truth)
    pixels = [camera.project(model.vertices_m @ X[:3, :3].T + X[:3, 3]) for X in (T, nearest)]
    return np.linalg.norm(pixels[0] - pixels[1], axis=1).mean()


@pytest.mark.parametrize('name', NAMES_OF_KINDS)
def test_it_comes_back_to_the_truth(catalogue, camera, pose, draw, moved, name):
    """In the picture; of a triangle alone, no edge says how it is turned to the camera."""
    model = catalogue[name]
    image = draw(camera, (model, pose), noise=3.0)
    start = moved(pose, [2.0, -1.5, 4.0], [3.0, -2.0, 2.0])
    result = refined(model, image, camera, start)
    T = result.T_camera_object[0]
    assert picture_error_px(model, camera, start, pose) > 1.9
    assert picture_error_px(model, camera, T, pose) < 0.9
    assert np.linalg.norm(T[:2, 3] - pose[:2, 3]) < 1e-3
    assert result.shift[0] > 1
    assert (np.diag(result.covariance[0])[:2] < np.diag(PRIOR)[:2] / 4).all()


@settings(max_examples=25, deadline=None, derandomize=True)
@given(st.tuples(*[st.floats(-1, 1)] * 6))
def test_any_small_error_of_a_cube_is_mended(catalogue, camera, pose, draw, moved, error):
    cube = catalogue['cube']
    image = draw(camera, (cube, pose))
    start = moved(pose, np.multiply(error[:3], [2, 2, 5]), np.multiply(error[3:], 4))
    T = refined(cube, image, camera, start).T_camera_object[0]
    assert np.linalg.norm(T[:2, 3] - pose[:2, 3]) < 5e-4
    assert rotation_angle(T[:3, :3].T @ pose[:3, :3]) < np.radians(2)


def test_a_plain_picture_moves_nothing(catalogue, camera, pose, draw):
    result = refined(catalogue['cube'], draw(camera), camera, pose)
    assert np.allclose(result.T_camera_object[0], pose, atol=1e-6)
    assert np.allclose(result.covariance[0], PRIOR, rtol=1e-3, atol=1e-12)
    assert result.shift[0] == pytest.approx(0, abs=1e-6)


def test_what_is_far_off_is_not_followed(catalogue, camera, pose, draw, moved):
    """A certain prior beside another object's edges."""
    cube = catalogue['cube']
    image = draw(camera, (cube, pose))
    start = moved(pose, [5.0, 0, 0], [0, 0, 0])
    certain = refined(cube, image, camera, start, PRIOR / 1e4)
    assert np.linalg.norm(certain.T_camera_object[0, :3, 3] - start[:3, 3]) < 1e-3


def test_behind_the_camera_stays_as_it_is(catalogue, camera, pose, draw):
    behind = pose.copy()
    behind[2, 3] = -0.5
    image = draw(camera, (catalogue['cube'], pose))
    both = EdgeRefinement(MeshEdges([catalogue['cube']])).refine(
        image, camera, np.array([0, 0]), np.stack([behind, pose]), np.stack([PRIOR, PRIOR]))
    assert np.array_equal(both.T_camera_object[0], behind)
    assert np.array_equal(both.covariance[0], PRIOR)
    assert both.shift[0] == 0
    assert np.isfinite(both.evidence).all()


def test_no_hypothesis_no_work(catalogue, camera, draw):
    none = EdgeRefinement(MeshEdges([catalogue['cube']])).refine(
        draw(camera), camera, np.zeros(0, int), np.zeros((0, 4, 4)), np.zeros((0, 6, 6)))
    assert none.T_camera_object.shape == (0, 4, 4)
    assert none.evidence.shape == (0, 2 * len(NAMES))


@pytest.mark.parametrize('shift', [(0, 0), (-0.32, 0), (0.38, 0.26)])
def test_what_is_not_smoothed_is_not_needed(catalogue, camera, pose, draw, moved, monkeypatch,
                                            shift):
    """One hypothesis, in the middle and at two borders, with all of the picture and a part."""
    cube, there = catalogue['cube'], pose.copy()
    there[:2, 3] += shift
    image = draw(camera, (cube, there), noise=3.0)
    start = moved(there, [2.0, -1.5, 4.0], [3.0, -2.0, 2.0])
    parts = []
    monkeypatch.setattr(refinement, 'smoothed',
                        lambda *a: parts.append(smoothed(*a)) or parts[-1])
    part = refined(cube, image, camera, start)
    monkeypatch.setattr(refinement, 'smoothed', lambda image, region: smoothed(image))
    whole = refined(cube, image, camera, start)
    assert parts[0].image.size < 0.1 * image.size
    assert np.array_equal(part.T_camera_object, whole.T_camera_object)
    assert np.array_equal(part.evidence, whole.evidence)


@settings(max_examples=50, deadline=None, derandomize=True)
@given(st.tuples(*[st.floats(-2e3, 2e3)] * 4))
def test_any_region_leaves_a_part_of_the_picture(region):
    image = np.arange(40 * 60 * 3, dtype=np.uint8).reshape(40, 60, 3)
    part = smoothed(image, region)
    height, width = part.image.shape[:2]
    assert 1 <= height and part.top_px + height <= 40 == part.height_px
    assert 1 <= width and part.left_px + width <= 60 == part.width_px


def test_padding_is_no_picture(catalogue, camera, pose, draw, moved):
    """The padding's border, right of the object's middle, is no edge."""
    cube = catalogue['cube']
    image = draw(camera, (cube, pose))
    middle = int(camera.project(pose[:3, 3][None])[0, 0])
    image[:, middle:] = 0
    start = moved(pose, [1.0, 0, 0], [0, 0, 0])
    told = refined(cube, image, camera, start, content_px=(middle, 480))
    assert np.linalg.norm(told.T_camera_object[0, :3, 3] - pose[:3, 3]) < 1e-3


def test_the_jacobian_is_that_of_finite_differences(catalogue, camera, pose, draw, moved):
    cube = catalogue['cube']
    points = visible_edge_points(MeshEdges([cube]), np.array([0]), pose[None])
    image = smoothed(draw(camera, (cube, pose)))
    profiles = edge_profiles(image, camera, points, pose[None], 5)
    J = fitting._jacobian(profiles, camera, pose[None, None, :3, 3])[0]
    for i in range(6):
        step = np.zeros(6)
        step[i] = 1e-6
        there = moved(pose, step[:3] * 1e3, np.degrees(step[3:]))
        now, then = (camera.project(points.points_m[0] @ X[:3, :3].T + X[:3, 3])
                     for X in (pose, there))
        assert np.allclose(((then - now) * profiles.normals[0]).sum(1) / 1e-6, J[:, i],
                           rtol=1e-3, atol=0.05)


def test_evidence_falls_when_the_pose_is_wrong(catalogue, camera, pose, draw, moved):
    cube = catalogue['cube']
    image = smoothed(draw(camera, (cube, pose), noise=2.0))

    def evidence(T, picture=image):
        points = visible_edge_points(MeshEdges([cube]), np.array([0]), T[None])
        values = edge_evidence(edge_profiles(picture, camera, points, T[None], 9),
                               points.on_outline)[0]
        return dict(zip([f'{part}_{name}' for part in ('outline', 'crease') for name in NAMES],
                        values))

    right, wrong = evidence(pose), evidence(moved(pose, [6.0, 5.0, 0], [0, 0, 0]))
    assert right['outline_share'] > 0.95 and right['outline_support'] > 0.85
    assert right['outline_offset'] < 0.5 < 2 < wrong['outline_offset']
    assert wrong['outline_share'] < 0.3
    assert right['crease_share'] > 0.7 > 0.3 > wrong['crease_share']
    plain = evidence(pose, smoothed(draw(camera)))
    assert plain['outline_share'] == 0 and plain['outline_contrast'] < 0.1


def test_poses_outside_the_picture_have_no_evidence(catalogue, camera, pose, draw):
    aside = pose.copy()
    aside[0, 3] = 3.0
    result = refined(catalogue['cube'], draw(camera), camera, aside)
    assert np.array_equal(result.T_camera_object[0], aside)
    assert result.evidence[0, :4].tolist() == [0.5, 0.5, 3.0, 0.0]


def test_a_lens_with_distortion(catalogue, camera, pose, draw, moved):
    """Edges are looked for where the lens puts them."""
    bent = dataclasses.replace(camera, distortion_model='plumb_bob',
                               distortion=(-0.25, 0.08, 0.0, 0.0, 0.0))
    aside = moved(pose, [150.0, 100.0, 0], [0, 0, 0])
    cube = catalogue['cube']
    image = draw(bent, (cube, aside))
    start = moved(aside, [2.0, -2.0, 3.0], [2.0, 0, 2.0])
    T = refined(cube, image, bent, start).T_camera_object[0]
    assert np.linalg.norm(T[:2, 3] - aside[:2, 3]) < 6e-4


@pytest.mark.parametrize('name', ['cube', 'cylinder', 'hexagonal_prism'])
@pytest.mark.parametrize('sizes', [(1.12, 1.12, 1.0), (1.0, 1.0, 0.88), (0.9, 0.9, 0.9)])
def test_things_of_other_sizes_are_noticed(catalogue, camera, pose, draw, moved, name, sizes):
    """They stand on the same place; the edges say which size is another and by how much."""
    model = catalogue[name]
    other = dataclasses.replace(model, vertices_m=model.vertices_m * sizes)
    # A plane holds the distance; without it a larger thing could stand farther off.
    certain = PRIOR / 10
    right = refined(model, draw(camera, (model, pose), noise=3.0), camera,
                    moved(pose, [0.5, -0.5, 0.5], [1.0, 0, 1.0]), certain)
    wrong = refined(model, draw(camera, (other, pose), noise=3.0), camera, pose, certain)
    assert right.size_error[0] < 0.03
    assert wrong.size_error[0] == pytest.approx(np.abs(np.subtract(sizes, 1)).max(), abs=0.06)
    assert wrong.size_chi_squared[0] > 5 * right.size_chi_squared[0] + 10


def test_a_plain_picture_says_nothing_of_sizes(catalogue, camera, pose, draw):
    result = refined(catalogue['cube'], draw(camera), camera, pose)
    assert result.size_chi_squared[0] == pytest.approx(0, abs=1e-6)
    assert result.size_error[0] == pytest.approx(0, abs=1e-6)
