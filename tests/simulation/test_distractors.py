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

"""Distractors: closed, cheap to draw, varied, and never an object of the catalogue."""

import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from scipy.spatial import ConvexHull
from sim_trainer.configuration.distractors import DistractorConfig, KINDS
from sim_trainer.configuration.laws import Range
from sim_trainer.configuration.loader import build, to_plain
from sim_trainer.configuration.objects import ObjectConfig
from sim_trainer.configuration.schema import load_config
from sim_trainer.errors import ConfigurationError
from sim_trainer.objects.catalogue import build_catalogue
from sim_trainer.objects.random_urdfs import random_urdf_meshes
from sim_trainer.rendering.meshes import draw_mesh
from sim_trainer.scene import distractors
from sim_trainer.scene.distractors import DistractorLibrary


@pytest.fixture(scope='module')
def catalogue(reference_path):
    """Return the reference objects."""
    return build_catalogue(load_config(reference_path).objects)


@pytest.fixture(scope='module')
def library(catalogue):
    """All kinds."""
    return DistractorLibrary(DistractorConfig(), 1, catalogue)


def _volume(vertices, faces):
    return np.linalg.det(vertices[faces]).sum() / 6


def _check_closed(vertices, faces):
    edges = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    directed = {tuple(edge) for edge in edges.tolist()}
    assert len(directed) == len(edges)
    assert all((b, a) in directed for a, b in directed)
    assert set(faces.ravel()) == set(range(len(vertices)))


@pytest.mark.parametrize('seed', [1, 2, 3])
def test_they_are_closed_face_outwards_and_have_few_triangles(catalogue, seed):
    start = time.process_time()
    library = DistractorLibrary(DistractorConfig(), seed, catalogue)
    assert time.process_time() - start < 3          # about 0.5 s
    for name, (vertices, faces) in library.meshes.items():
        assert name.startswith('distractor_')
        _check_closed(vertices, faces)
        assert _volume(vertices, faces) > 0
        assert 4 <= len(faces) <= 300
        low, high = vertices.min(0), vertices.max(0)
        assert np.abs(low + high).max() < 0.3 * (high - low).max()
        if '_near_' not in name:
            assert 0.8 < (high - low).max() < 1.3


def test_normals_agree_with_the_faces(library):
    for name in ('distractor_box', 'distractor_torus', 'distractor_cup0', 'distractor_convex1'):
        mesh = draw_mesh(*library.meshes[name])
        corners = np.asarray(mesh.positions, float).reshape(-1, 3, 3)
        flat = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
        agree = np.einsum('ij,ikj->ik', flat, np.asarray(mesh.normals).reshape(-1, 3, 3))
        assert (agree > -1e-9).all()


def test_each_kind_is_what_it_says(library):
    hull_part = {name: _volume(*mesh) / ConvexHull(mesh[0]).volume
                 for name, mesh in library.meshes.items()}
    for name, part in hull_part.items():
        if name.startswith(('distractor_convex', 'distractor_near_')):
            assert part == pytest.approx(1, abs=1e-6)
    concave = DistractorLibrary(DistractorConfig(kinds=('concave',)), 1, ())
    assert len(concave.meshes) == distractors.CONCAVE_COUNT
    assert max(hull_part[name] for name in concave.meshes) < 0.95
    assert sum(name.startswith('distractor_urdf') for name in library.meshes) == 60
    assert {name for name in library.meshes if '_near_' in name} == {
        f'distractor_near_{name}' for name in (
            'cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
            'tetrahedron', 'triangular_prism')}


def test_the_same_seed_gives_the_same(library, catalogue):
    again = DistractorLibrary(DistractorConfig(), 1, catalogue)
    other = DistractorLibrary(DistractorConfig(), 2, catalogue)
    assert list(again.meshes) == list(library.meshes)
    assert all(np.array_equal(a[0], b[0]) and np.array_equal(a[1], b[1])
               for a, b in zip(again.meshes.values(), library.meshes.values()))
    assert not np.array_equal(other.meshes['distractor_convex0'][0],
                              library.meshes['distractor_convex0'][0])
    draws = [made.draw(np.random.default_rng(5)) for made in (library, again)]
    assert draws[0] == draws[1]
    # Leaving a kind out changes none of the others.
    fewer = DistractorLibrary(DistractorConfig(kinds=('convex', 'near_misses')), 1, catalogue)
    for name, (vertices, _) in fewer.meshes.items():
        assert np.array_equal(vertices, library.meshes[name][0])


def test_kinds_and_sizes_of_the_draws(library):
    rng = np.random.default_rng(3)
    draws = [library.draw(rng) for _ in range(3000)]
    names = {name for name, _ in draws}
    assert len(names) > 0.9 * len(library.meshes)
    for kind in ('near_', 'convex', 'urdf'):
        count = sum(name.startswith(f'distractor_{kind}') for name, _ in draws)
        assert 0.16 < count / len(draws) < 0.24
    free = np.array([max(scale) for name, scale in draws if '_near_' not in name])
    assert free.min() > 0.006 and free.max() < 0.1621
    assert 0.03 < np.median(free) < 0.07
    for name, scale in draws:
        if name in ('distractor_cylinder', 'distractor_prism6', 'distractor_sphere'):
            assert scale[0] == scale[1]


def test_weights(catalogue):
    config = DistractorConfig(kinds=('convex', 'near_misses'), weights=(0, 2))
    library = DistractorLibrary(config, 1, catalogue)
    rng = np.random.default_rng(1)
    assert all('_near_' in library.draw(rng)[0] for _ in range(50))


_size = st.floats(0.015, 0.15)


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(['box', 'cylinder', 'cone', 'pyramid']),
                          _size, _size, _size), min_size=1, max_size=6), st.integers(0, 10 ** 6))
def test_a_near_miss_is_never_an_object(shapes, seed):
    """At least one extent differs by over 10 % from every object's; of boxes in any order."""
    def entry(i, shape, a, b, c):
        keys = {'box': {'size_m': (a, b, c)}, 'pyramid': {'edge_m': a, 'height_m': b}}.get(
            shape, {'radius_m': a / 2, 'height_m': b})
        return ObjectConfig(f'o{i}', shape, **keys)

    made = build_catalogue(tuple(entry(i, *shape) for i, shape in enumerate(shapes)))
    library = DistractorLibrary(DistractorConfig(kinds=('near_misses', 'primitives')), 1, made)
    family = {model.name: shape[0] for model, shape in zip(made, shapes)}
    rng = np.random.default_rng(seed)
    for _ in range(40):
        name, scale = library.draw(rng)
        sized = np.ptp(library.meshes[name][0] * scale, axis=0)
        shape = family.get(name.removeprefix('distractor_near_'),
                           name.removeprefix('distractor_'))
        for model in made:
            if family[model.name] == shape:
                ratio = (np.sort(sized) / np.sort(model.extents_m) if shape == 'box'
                         else sized / model.extents_m)
                assert np.abs(ratio - 1).max() > 0.0999
                assert not library.resembles(name, scale)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10 ** 6))
def test_near_misses_differ_by_the_ratio(seed):
    [cube] = build_catalogue((ObjectConfig('cube', 'box', size_m=(0.05, 0.05, 0.05)),))
    library = DistractorLibrary(DistractorConfig(kinds=('near_misses',)), 1, (cube,))
    _, scale = library.draw(np.random.default_rng(seed))
    apart = np.abs(np.array(scale) - 1)
    assert 0.15 - 1e-9 <= apart.max() <= 0.6 + 1e-9
    assert ((apart < 1e-9) | (apart > 0.15 - 1e-9)).all()


def test_another_objects_size_is_refused(catalogue):
    """A near miss of the cube can have the exact size of the rectangular prism."""
    library = DistractorLibrary(DistractorConfig(kinds=('near_misses', 'primitives')), 1,
                                catalogue)
    for scale in ((1.6, 0.8, 0.8), (0.8, 1.6, 0.8), (0.85, 0.75, 1.7), (1.0, 1.05, 0.95)):
        assert library.resembles('distractor_near_cube', scale)
    assert library.resembles('distractor_cylinder', (0.05, 0.05, 0.06))
    assert library.resembles('distractor_box', (0.04, 0.04, 0.08))
    assert not library.resembles('distractor_near_cube', (1.15, 1, 1))


def test_a_catalogue_without_gaps():
    boxes = tuple(ObjectConfig(f'b{i}', 'box', size_m=(0.01 * 1.15 ** i,) * 3)
                  for i in range(25))
    config = DistractorConfig(kinds=('primitives',), size_m=Range(0.02, 0.1))
    library = DistractorLibrary(config, 1, build_catalogue(boxes))
    library._names = [['distractor_sphere']]
    rng = np.random.default_rng(1)
    assert not any(library.resembles(*library.draw(rng)) for _ in range(20))


@pytest.mark.parametrize('values, message', [
    ({'kinds': ['convex', 'spheres']}, "distractors.kinds: unknown kind 'spheres'; expected some "
     'of primitives, near_misses, convex, concave, random_urdfs'),
    ({'kinds': []}, 'the list is empty; for no distractors write count: 0'),
    ({'kinds': ['convex', 'convex']}, 'convex stands twice; give it a larger weight'),
    ({'kinds': ['convex'], 'weights': [1, 2]}, '2 numbers for 1 kinds; give one for each of conv'),
    ({'kinds': ['convex'], 'weights': [0]}, 'expected numbers of 0 or more, one of them above 0'),
    ({'weights': [1, 1, -1, 1, 1]}, 'expected numbers of 0 or more'),
    ({'count': [-1, 3]}, 'distractors.count: [-1, 3]; expected counts of 0...100'),
    ({'size_m': [15, 120]}, 'expected sizes of 0.005...1 m (metres, not millimetres)'),
    ({'near_miss_ratio': [0.05, 0.3]}, 'expected above 0.1 (nearer, it is the object)'),
    ({'near_miss_ratio': [0.2, 1.5]}, 'at most 0.9'),
    ({'sizes': 1}, "distractors.sizes: unknown key; did you mean 'size_m'?")])
def test_wrong_values(values, message):
    with pytest.raises(ConfigurationError) as caught:
        build(DistractorConfig, values, 'distractors')
    assert message in str(caught.value) and '\n' not in str(caught.value)


def test_the_configuration_comes_back():
    config = build(DistractorConfig, {'kinds': ['convex', 'concave'], 'weights': [1, 3.5],
                                      'count': 4})
    assert config.count == Range(4, 4) and config.weights == (1.0, 3.5)
    assert build(DistractorConfig, to_plain(config)) == config
    assert DistractorConfig().kinds == KINDS


@pytest.mark.parametrize('folder', ['empty', None])
def test_without_random_urdfs(tmp_path, monkeypatch, caplog, folder):
    monkeypatch.setattr(distractors, 'asset_folder', lambda: folder and tmp_path / folder)
    library = DistractorLibrary(DistractorConfig(kinds=('convex', 'random_urdfs')), 1, ())
    assert caplog.text.count('pybullet_data has no random_urdfs') == 1
    assert all(name.startswith('distractor_convex') for name in library.meshes)
    library.draw(np.random.default_rng(1))
    nothing = DistractorLibrary(DistractorConfig(kinds=('random_urdfs',)), 1, ())
    with pytest.raises(ValueError, match='none of the kinds of distractors has a mesh'):
        nothing.draw(np.random.default_rng(1))


def test_random_urdfs_keep_their_outline(tmp_path):
    (tmp_path / '007').mkdir()
    ball = np.random.default_rng(1).normal(size=(300, 3))
    ball /= np.linalg.norm(ball, axis=1, keepdims=True)
    lines = ['# made by a test', 'o convex_0', *('v {} {} {}'.format(*p) for p in ball), 'f 1 2 3',
             'o convex_1', *('v {} {} {}'.format(*(p * 0.5 + [2, 0, 0])) for p in ball), 'f 4 5 6']
    (tmp_path / '007' / '007.obj').write_text('\n'.join(lines))
    meshes = random_urdf_meshes(tmp_path, 60, np.random.default_rng(1))
    assert list(meshes) == ['007']
    vertices, faces = meshes['007']
    _check_closed(vertices, faces)
    assert len(faces) <= 250
    assert np.ptp(vertices, axis=0) == pytest.approx([1, 2 / 3.5, 2 / 3.5], rel=0.03)
    full = 4 / 3 * np.pi * (1 + 0.125) / 3.5 ** 3
    assert _volume(vertices, faces) == pytest.approx(full, rel=0.12)


def test_a_body_whose_corners_are_no_numbers_is_passed_over(tmp_path):
    """As 168 of pybullet_data is."""
    cube = '\n'.join(f'v {x} {y} {z}' for x in (0, 1) for y in (0, 1) for z in (0, 1))
    for name, text in (('000', f'o part\n{cube}\n'), ('001', 'o part\n' + 'v nan nan nan\n' * 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / f'{name}.obj').write_text(text)
    assert set(random_urdf_meshes(tmp_path, 5, np.random.default_rng(0))) == {'000'}
