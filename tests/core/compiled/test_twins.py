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

"""The compiled loops answer as numpy does."""
from types import SimpleNamespace

from dr_perception.core import decoding, least_squares, pose_solving, pose_starts
from dr_perception.core.compiled import library
from dr_perception.core.edges import edge_points, evidence, fitting, profiles, refinement
from dr_perception.core.edges.mesh_edges import MeshEdges
from dr_perception.core.edges.refinement import EdgeRefinement
from dr_perception.core.least_squares import PoseProblem
from dr_perception.core.resting import RestingPoses
from dr_perception.core.support_plane import SupportPlane
from dr_perception.core.transforms import make_transform, rotation_from_rotvec
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest

pytestmark = pytest.mark.usefixtures('compiled')
SEEDS = given(st.integers(0, 2 ** 32 - 1))
MANY = settings(max_examples=60, deadline=None, derandomize=True)


@pytest.fixture(scope='session')
def both():
    """Return a function that calls another one with the library and with numpy."""
    def call(function):
        compiled = function()
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(library, 'LIBRARY', None)
            return compiled, function()
    return call


def _same(compiled, numpy, **tolerance):
    """Compare the arrays of two dataclasses."""
    for name in vars(numpy):
        assert np.allclose(getattr(compiled, name), getattr(numpy, name), equal_nan=True,
                           **tolerance), name


def _problem(rng):
    B, K = int(rng.integers(1, 9)), int(rng.integers(3, 12))
    T = np.stack([make_transform(rotation_from_rotvec(rng.normal(size=3)),
                                 [*rng.uniform(-0.2, 0.2, 2), rng.uniform(0.3, 1)])
                  for _ in range(B)])
    points = rng.uniform(-0.04, 0.04, (B, K, 3))
    seen = points @ T[:, :3, :3].transpose(0, 2, 1) + T[:, None, :3, 3]
    normal, up = rng.normal(size=3), rng.normal(size=(B, 3))
    problem = PoseProblem(
        points, seen[..., :2] / seen[..., 2:] + rng.normal(0, 0.004, (B, K, 2)),
        rng.uniform(0.5, 3, (B, K)) / 600,
        least_squares.plane_basis(normal / np.linalg.norm(normal)), rng.uniform(-1, 0, B),
        up / np.linalg.norm(up, axis=1, keepdims=True), rng.random(B) < 0.3,
        np.array([1000.0, 100.0, 100.0]) * (rng.random((B, 1)) < 0.7))
    starts = np.stack([make_transform(rotation_from_rotvec(rng.normal(0, 0.3, 3)) @ X[:3, :3],
                                      X[:3, 3] + rng.normal(0, 0.02, 3)) for X in T])
    return problem, starts, np.sort(rng.integers(0, 3, B))


def test_poses_in_another_order_of_memory(both):
    problem, starts, owner = _problem(np.random.default_rng(5))
    compiled, numpy = both(lambda: least_squares.minimize(problem, np.asfortranarray(starts),
                                                          owner))
    assert np.allclose(compiled.cost, numpy.cost)


def test_minima_are_the_same(both):
    """Now and then rounding decides whether one more step is taken; it is a small one then."""
    same = []
    for seed in range(200):
        problem, starts, owner = _problem(np.random.default_rng(seed))
        before = starts.copy()
        compiled, numpy = both(lambda: least_squares.minimize(problem, starts, owner))
        assert np.array_equal(starts, before)
        assert np.allclose(compiled.cost, numpy.cost, rtol=1e-6, atol=least_squares._CONVERGED)
        same += [np.allclose(getattr(compiled, name), getattr(numpy, name), rtol=1e-5, atol=1e-6)
                 for name in ('T', 'r', 'J')]
    assert np.mean(same) > 0.98


def test_starts_are_the_same(both, catalogue, T_base_camera):
    models, rng = (list(catalogue.values()) * 3)[:20], np.random.default_rng(3)
    resting = [RestingPoses.of(model) for model in models]
    assert len({(len(rest.start_rest), len(rest.group_begin)) for rest in resting}) > 3
    plane = SupportPlane(T_base_camera, 0.02, 0.001, 0.01)
    measured = rng.uniform(-0.2, 0.2, (20, 1, 2)) + rng.uniform(-0.04, 0.04, (20, 9, 2))
    sigma = rng.uniform(0.5, 3, (20, 9)) / 600
    points_m = np.stack([model.keypoints_m for model in models])
    compiled, numpy = both(lambda: pose_starts.plane_hypotheses(
        points_m, measured, sigma, resting, plane))
    _same(compiled[0], numpy[0], atol=1e-12)
    for mine, theirs in zip(compiled[1:], numpy[1:]):
        assert np.allclose(mine, theirs, atol=1e-12)


def test_the_best_are_the_same(both):
    for seed in range(100):
        problem, starts, owner = _problem(np.random.default_rng(seed))
        owner = np.unique(owner, return_inverse=True)[1]
        found = least_squares.minimize(problem, starts, owner)
        found.cost[1:][seed % 3::3] = np.nan        # comes last, as lexsort has it
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(pose_solving, 'minimize', lambda *arguments: found)
            compiled, numpy = both(lambda: pose_solving._best(problem, starts, owner,
                                                              owner.max() + 1))
        _same(compiled[0], numpy[0], rtol=1e-7, atol=1e-12)
        assert np.array_equal(compiled[1], numpy[1], equal_nan=True)


@MANY
@SEEDS
def test_candidates_are_the_same(both, seed):
    rng = np.random.default_rng(seed)
    kinds, height, width, K = (int(rng.integers(low, 12)) for low in (1, 1, 1, 1))
    # Few levels of heat: ties, and the strongest peaks beyond the most that are kept.
    heat = (rng.integers(0, 9, (kinds, height, width)) / 8).astype(np.float32)
    offsets = rng.normal(0, 2, (2 * K, height, width)).astype(np.float32)
    log_scales = rng.normal(1, 3, (K, height, width)).astype(np.float32)
    spec = SimpleNamespace(stride_px=4, peak_threshold=0.375, offset_unit_px=8.0)
    compiled, numpy = both(lambda: decoding.join_peaks(heat, offsets, log_scales, spec))
    _same(compiled, numpy, rtol=1e-4, atol=1e-4)
    if heat.max() < 0.375:
        assert len(compiled) == 0


def test_covariances_are_the_same(both):
    rng = np.random.default_rng(2)
    A = rng.normal(size=(50, 6, 6))
    covariance = A @ A.transpose(0, 2, 1) + 1e-3 * np.eye(6)
    plane = SupportPlane(np.eye(4), 0.0, 0.01, 0.1).information * (rng.random((50, 1, 1)) < 0.5)
    for function in (lambda: pose_solving.scaled_covariance(
            covariance, np.exp(np.linspace(-2, 2, 50)), plane),
            lambda: refinement._inverses(covariance)):
        assert np.allclose(*both(function), rtol=1e-6, atol=1e-9)


def _hypotheses(rng, count):
    """Poses before the camera, at its border and behind it."""
    return np.stack([make_transform(rotation_from_rotvec(rng.normal(0, 2, 3)),
                                    [*rng.uniform(-0.5, 0.5, 2), rng.uniform(-0.2, 1.2)])
                     for _ in range(count)])


@MANY
@SEEDS
def test_edges_are_the_same(both, catalogue, camera, seed):
    rng = np.random.default_rng(seed)
    edges = MeshEdges(list(catalogue.values()))
    kinds, T = rng.integers(0, len(catalogue), 6), _hypotheses(rng, 6)
    compiled, numpy = both(lambda: edge_points.visible_edge_points(edges, kinds, T))
    seen = numpy.is_seen
    assert np.array_equal(compiled.is_seen, seen)
    for name in ('points_m', 'directions', 'length'):
        assert np.allclose(getattr(compiled, name)[seen], getattr(numpy, name)[seen], atol=1e-9)
    assert np.array_equal(compiled.on_outline[seen], numpy.on_outline[seen])
    image = profiles.smoothed(rng.integers(0, 256, (480, 640, 3), np.uint8))
    with np.errstate(divide='ignore', invalid='ignore'):
        _same(*both(lambda: profiles.edge_profiles(image, camera, numpy, T, 6, (600, 480))),
              atol=1e-9)
        read = profiles.edge_profiles(image, camera, numpy, T, 6)
    compiled, numpy_evidence = both(lambda: evidence.edge_evidence(read, numpy.on_outline))
    assert np.allclose(compiled, numpy_evidence, rtol=1e-5, atol=1e-5)


@MANY
@SEEDS
def test_steps_towards_edges_are_the_same(both, catalogue, camera, seed):
    """On noise, which pulls poses anywhere."""
    rng = np.random.default_rng(seed)
    edges = MeshEdges(list(catalogue.values()))
    T = _hypotheses(rng, 4)
    T[:, 2, 3] += 0.5
    points = edge_points.visible_edge_points(edges, rng.integers(0, len(catalogue), 4), T)
    image = profiles.smoothed(rng.integers(0, 256, (480, 640, 3), np.uint8))
    prior = np.tile(np.diag([500.0, 500, 160, 20, 20, 20]) ** 2, (4, 1, 1))
    begin = fitting.EdgeFit.begin(T, prior)
    read = profiles.edge_profiles(image, camera, points, T, 6)
    _same(*both(lambda: fitting.step_towards_edges(begin, read, camera, points, prior)),
          rtol=1e-5, atol=1e-6)
    assert np.array_equal(begin.T, T) and not begin.moved.any()


def test_whole_refinement_is_the_same(both, catalogue, camera):
    rng = np.random.default_rng(4)
    names = list(catalogue)
    image = np.repeat(np.repeat(rng.integers(0, 256, (24, 32, 3), np.uint8), 20, 0), 20, 1)
    refinement = EdgeRefinement(MeshEdges(list(catalogue.values())))
    T = np.stack([make_transform(rotation_from_rotvec(rng.normal(0, 2, 3)),
                                 [*rng.uniform(-0.2, 0.2, 2), 0.8]) for _ in names])
    covariance = np.tile(np.diag([0.002, 0.002, 0.006, 0.05, 0.05, 0.05]) ** 2, (len(T), 1, 1))
    _same(*both(lambda: refinement.refine(image, camera, np.arange(len(T)), T, covariance)),
          rtol=1e-4, atol=1e-7)
