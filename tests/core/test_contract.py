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

"""The model contract: out and in again, and what is refused in which words."""
import copy
import dataclasses
import json

from dr_perception.core import contract as contract_module
from dr_perception.core.contract import ModelContract
from dr_perception.core.errors import ContractError, ModelFileError, PerceptionError
from dr_perception.core.network_spec import (DecoderSpec, InputSpec, MAX_MULTIPLE_PX,
                                             SCORE_WEIGHT_COUNTS)
from dr_perception.core.pipeline import PosePipeline
from dr_perception.core.scoring import FEATURES
import numpy as np
import pytest

HUGE = 10 ** 400    # more than a float holds


@pytest.fixture(scope='module')
def small(contract):
    """Return a contract of two objects, as JSON values."""
    two = dataclasses.replace(contract, objects=contract.objects[1:2] + contract.objects[6:7])
    return json.loads(two.to_json())


def _changed(data, path, value):
    data = copy.deepcopy(data)
    inner = data
    for key in path[:-1]:
        inner = inner[key]
    inner[path[-1]] = value
    return json.dumps(data)


def _refused(text):
    with pytest.raises(ContractError) as info:
        ModelContract.from_json(text)
    message = str(info.value)
    assert '\n' not in message
    assert len(message) < 1000
    return message


def test_round_trip(contract):
    back = ModelContract.from_json(contract.to_json())
    assert (back.name, back.input, back.decoder) == (
        contract.name, contract.input, contract.decoder)
    assert back.support_plane_z_m == contract.support_plane_z_m
    assert (back.trained_range, back.provenance, back.metrics) == (
        contract.trained_range, contract.provenance, contract.metrics)
    for a, b in zip(back.objects, contract.objects):
        assert a.name == b.name
        assert np.array_equal(a.faces, b.faces)
        assert np.abs(a.vertices_m - b.vertices_m).max() < 1e-7
        assert np.abs(a.keypoints_m - b.keypoints_m).max() < 1e-7
        assert np.abs(a.symmetry.transforms - b.symmetry.transforms).max() < 1e-9
        assert a.symmetry.continuous_about_z == b.symmetry.continuous_about_z
        assert np.abs(a.resting_downs - b.resting_downs).max() < 1e-9
        assert np.abs(a.resting_heights_m - b.resting_heights_m).max() < 1e-7
        assert np.allclose(a.extents_m, b.extents_m, atol=1e-6)
        assert a.diameter_m == pytest.approx(b.diameter_m, abs=1e-6)
    assert back.to_json() == ModelContract.from_json(back.to_json()).to_json()


def test_output_channels(contract):
    assert contract.keypoint_count == 9
    assert contract.output_channels() == {'heat': 8, 'keypoints': 18, 'log_scales': 9}


def test_sizes_of_the_reference_objects(catalogue):
    assert catalogue['rectangular_prism'].extents_m == pytest.approx([0.08, 0.04, 0.04])
    assert catalogue['cube'].diameter_m == pytest.approx(0.05 * np.sqrt(3))


def test_an_object_without_known_resting_faces_survives_the_round_trip(contract):
    free = dataclasses.replace(contract.objects[0], resting_downs=np.zeros((0, 3)),
                               resting_heights_m=np.zeros(0))
    back = ModelContract.from_json(
        dataclasses.replace(contract, objects=(free,)).to_json()).objects[0]
    assert back.resting_downs.shape == (0, 3)
    assert back.resting_heights_m.shape == (0,)


def test_the_number_of_score_weights_is_that_of_the_features():
    assert len(FEATURES) == max(SCORE_WEIGHT_COUNTS)


def test_a_model_of_version_1_is_read_as_it_was_meant(small):
    data = copy.deepcopy(small)
    data['format_version'] = 1
    del data['decoder']['head']
    contract = ModelContract.from_json(json.dumps(data))
    assert contract.decoder.head == 'centres'
    assert len(contract.decoder.score_weights) == 4
    assert ModelContract.from_json(contract.to_json()).decoder == contract.decoder


def test_a_model_of_version_2_does_not_refine_along_edges(small):
    data = copy.deepcopy(small)
    data['format_version'] = 2
    for key in ('edge_prior_scale', 'camera_edge_prior_scale', 'covariance_weights',
                'camera_covariance_weights', 'score_biases', 'camera_score_biases'):
        del data['decoder'][key]
    decoder = ModelContract.from_json(json.dumps(data)).decoder
    assert decoder.edge_prior_scale == decoder.camera_edge_prior_scale == 0
    assert decoder.covariance_weights == decoder.camera_covariance_weights == ()


def test_a_model_of_version_3_scales_what_the_plane_says(small):
    data = copy.deepcopy(small)
    assert not ModelContract.from_json(json.dumps(data)).decoder.plane_scaled
    data['format_version'] = 3
    del data['decoder']['plane_scaled'], data['decoder']['image_sigma_px']
    contract = ModelContract.from_json(json.dumps(data))
    assert contract.decoder.plane_scaled and contract.decoder.image_sigma_px == 0
    assert ModelContract.from_json(contract.to_json()).decoder == contract.decoder
    data['format_version'] = 4
    data['decoder'].update(plane_scaled=1, image_sigma_px=0.2)
    assert 'has plane_scaled = 1; expected true or false' in _refused(json.dumps(data))
    data['decoder'].update(plane_scaled=False, image_sigma_px=-0.1)
    assert 'image_sigma_px = -0.1; expected 0 or more' in _refused(json.dumps(data))


def test_a_model_of_version_4_sees_the_picture_alone(small):
    data = copy.deepcopy(small)
    data['format_version'] = 4
    del data['input']['plane_px_per_m']
    contract = ModelContract.from_json(json.dumps(data))
    assert contract.input.plane_px_per_m == 0 and contract.input.channels == 3
    assert ModelContract.from_json(contract.to_json()).input == contract.input
    data['format_version'] = 5
    assert "lacks the key 'plane_px_per_m'" in _refused(json.dumps(data))
    data['input']['plane_px_per_m'] = 695.5
    assert ModelContract.from_json(json.dumps(data)).input.channels == 4
    for wrong in (-1.0, float('inf'), float('nan')):
        data['input']['plane_px_per_m'] = wrong
        assert 'has input.plane_px_per_m = ' in _refused(json.dumps(data))


@pytest.mark.parametrize('changes, message', [
    ({'edge_prior_scale': 1.0}, 'has one of decoder.edge_prior_scale and decoder.camera_edge'),
    ({'edge_prior_scale': -1.0}, 'has decoder.edge_prior_scale = -1.0; expected 0 or more'),
    ({'edge_prior_scale': 1.0, 'camera_edge_prior_scale': 1.0},
     'has 4 decoder.score_weights with decoder.edge_prior_scale = 1.0'),
    ({'score_weights': [0.0] * 17}, 'has 17 decoder.score_weights with decoder.edge_prior_scale '
     '= 0.0'),
    ({'covariance_weights': [1.0] * 3}, 'has 3 decoder.covariance_weights; expected 0 or 3, and '
     'none where poses are not refined along edges'),
    ({'score_biases': [1.0]}, 'has 1 decoder.score_biases of 2 objects'),
    ({'covariance_weights': [float('nan')] * 3}, 'expected finite numbers')])
def test_edges_that_do_not_fit_together_are_refused(small, changes, message):
    data = copy.deepcopy(small)
    data['decoder'].update(changes)
    assert message in _refused(json.dumps(data))


def test_a_contract_with_edges_survives_the_round_trip(small):
    data = copy.deepcopy(small)
    data['decoder'].update(
        score_weights=[0.1] * 17, camera_score_weights=[0.2] * 17, edge_prior_scale=0.7,
        camera_edge_prior_scale=1.3, covariance_weights=[0.1, 0.2, 0.3],
        camera_covariance_weights=[], score_biases=[0.5, -0.5])
    contract = ModelContract.from_json(json.dumps(data))
    assert contract.decoder.covariance_weights == (0.1, 0.2, 0.3)
    assert ModelContract.from_json(contract.to_json()).decoder == contract.decoder


def test_a_contract_error_is_a_users_error():
    assert issubclass(ContractError, ModelFileError)
    assert issubclass(ContractError, PerceptionError)


@pytest.mark.parametrize('text, message', [
    ('', 'the contract is not valid JSON: Expecting value'),
    ('{"format_version": 1', 'the contract is not valid JSON'),
    ('[' * 100_000, 'the contract is not valid JSON: maximum recursion depth'),
    ('{"format_version": ' + '1' * 5000 + '}', 'the contract is not valid JSON'),
    ('[1]', 'the contract is not a JSON object'),
    ('{}', 'the contract has format version None; this version of dr_perception reads 1 and 2'),
    ('{"format_version": 6}', 'format version 6; this version of dr_perception reads 1 and 2'),
    ('{"format_version": "1"}', "format version '1'; this version of dr_perception reads 1 and 2"),
    ('{"format_version": 1}', "the contract lacks the key 'name'")])
def test_what_is_no_contract_is_refused(text, message):
    assert message in _refused(text)


def test_a_contract_of_absurd_size_is_not_even_read(monkeypatch):
    monkeypatch.setattr(contract_module, 'MAX_JSON_BYTES', 10)
    assert _refused(' ' * 11) == 'the contract has 11 bytes; at most 10 are accepted'


@pytest.mark.parametrize('path, value, message', [
    (['objects'], [], 'the contract names no objects'),
    (['objects'], 3, "the contract holds a wrong value: 'int' object is not iterable"),
    (['objects', 0], 'cube', "object '?' of the contract: string indices must be integers"),
    (['objects', 0], {}, "object '?' of the contract lacks 'name'"),
    (['objects', 0, 'name'], 'tetrahedron',
     "the contract names an object twice: ['tetrahedron', 'tetrahedron']"),
    (['objects', 0, 'name'], 'd\u00fcbel', "names an object 'd\u00fcbel'; expected ASCII letters"),
    (['objects', 0, 'name'], 'my-cube', "the contract names an object 'my-cube'"),
    (['objects', 0, 'name'], '3_cubes', "the contract names an object '3_cubes'"),
    (['objects', 0, 'keypoints_m'], [[0, 0, 0]],
     'the objects of the contract have different keypoint counts'),
    (['objects', 0, 'vertices_m'], [[1, 2]],
     "object 'cube' of the contract: vertices_m has shape (1, 2); expected (None, 3)"),
    (['objects', 0, 'vertices_m'], [], 'vertices_m has shape (0,); expected (None, 3)'),
    (['objects', 0, 'keypoints_m'], [], 'keypoints_m has shape (0,); expected (None, 3)'),
    (['objects', 0, 'vertices_m', 0, 0], float('nan'),
     "object 'cube' of the contract: vertices_m holds NaN or infinity"),
    (['objects', 0, 'keypoints_m', 0, 0], float('inf'), 'keypoints_m holds NaN or infinity'),
    (['objects', 0, 'vertices_m', 0, 0], HUGE,
     "object 'cube' of the contract: int too large to convert to float"),
    (['objects', 0, 'faces', 0, 0], 8,
     "object 'cube' of the contract: a face names a vertex outside 0...7"),
    (['objects', 0, 'faces', 0, 0], -1, 'a face names a vertex outside 0...7'),
    (['objects', 0, 'symmetry_transforms', 0, 0, 0], 2,
     "object 'cube' of the contract: the first symmetry transform is not the identity"),
    (['objects', 0, 'resting_heights_m'], [0.025],
     "object 'cube' of the contract: 6 resting_downs but 1 resting_heights_m; expected as many"),
    (['input'], None, "the contract holds a wrong value: 'NoneType' object is not subscriptable"),
    (['input'], {}, "the contract lacks the key 'multiple_px'"),
    (['input', 'focal_px'], '615', "the contract has focal_px = '615'; expected a number"),
    (['input', 'focal_px'], True, 'the contract has focal_px = True; expected a number'),
    (['input', 'focal_px'], HUGE, 'wrong value: int too large to convert to float'),
    (['input', 'multiple_px'], float('inf'), 'wrong value: cannot convert float infinity'),
    (['input', 'multiple_px'], float('nan'), 'wrong value: cannot convert float NaN'),
    (['input', 'multiple_px'], 0.5,
     'the contract has input.multiple_px = 0; expected a positive number'),
    (['input', 'multiple_px'], MAX_MULTIPLE_PX + 1,
     'the contract has input.multiple_px = 1025; at most 1024 is accepted'),
    (['input', 'focal_px'], -615.0,
     'the contract has input.focal_px = -615.0; expected a positive number'),
    (['input', 'focal_tolerance'], float('nan'), 'input.focal_tolerance = nan; expected'),
    (['input', 'max_pixels'], -1, 'input.max_pixels = -1; expected a positive number'),
    (['decoder'], [], 'the contract holds a wrong value: list indices must be integers'),
    (['decoder', 'stride_px'], 0, 'decoder.stride_px = 0; expected a positive number'),
    (['decoder', 'stride_px'], float('inf'), 'wrong value: cannot convert float infinity'),
    (['decoder', 'offset_unit_px'], 'x', 'wrong value: could not convert string to float'),
    (['decoder', 'offset_unit_px'], float('inf'), 'decoder.offset_unit_px = inf; expected'),
    (['decoder', 'covariance_scale'], 0, 'decoder.covariance_scale = 0.0; expected'),
    (['decoder', 'plane_sigma_m'], -0.001, 'decoder.plane_sigma_m = -0.001; expected'),
    (['decoder', 'tilt_sigma_rad'], float('nan'), 'decoder.tilt_sigma_rad = nan; expected'),
    (['decoder', 'score_threshold'], float('nan'),
     'the contract has decoder.score_threshold = (nan,); expected finite numbers'),
    (['decoder', 'peak_threshold'], float('-inf'), 'decoder.peak_threshold = (-inf,); expected'),
    (['decoder', 'score_weights'], [0, 1, float('nan'), 0], 'decoder.score_weights = (0.0, 1.0, '),
    (['decoder', 'score_weights'], [0, 1, 2], 'has 3 decoder.score_weights; expected 4 or 7 or 8'),
    (['decoder', 'camera_score_weights'], [0],
     'has 1 decoder.camera_score_weights; expected 4 or 7 or 8'),
    (['decoder', 'camera_covariance_scale'], -1, 'decoder.camera_covariance_scale = -1.0; exp'),
    (['decoder', 'score_weights'], 1, "wrong value: 'int' object is not iterable"),
    (['support_plane_z_m'], float('inf'), 'has support_plane_z_m = (inf,); expected finite'),
    (['support_plane_z_m'], None, 'wrong value: float() argument must be'),
    (['trained_range'], 3, "wrong value: 'int' object is not iterable")],
    ids=lambda value: 'huge' if value is HUGE else None)
def test_a_wrong_value_is_named(small, path, value, message):
    assert message in _refused(_changed(small, path, value))


def test_a_missing_key_is_named(small):
    for key in set(small) - {'format_version'}:
        data = {k: v for k, v in small.items() if k != key}
        assert _refused(json.dumps(data)) == f'the contract lacks the key {key!r}'
    for key in small['objects'][0]:
        data = copy.deepcopy(small)
        del data['objects'][0][key]
        name = '?' if key == 'name' else 'cube'
        assert _refused(json.dumps(data)) == f'object {name!r} of the contract lacks {key!r}'
    for part, spec in (('input', InputSpec), ('decoder', DecoderSpec)):
        for key in spec.__annotations__:
            data = copy.deepcopy(small)
            del data[part][key]
            assert _refused(json.dumps(data)) == f'the contract lacks the key {key!r}'


def _paths(value, prefix=()):
    """Every place in JSON values; of long lists the first two."""
    if prefix:
        yield prefix
    items = (value.items() if isinstance(value, dict) else
             enumerate(value[:2]) if isinstance(value, list) else ())
    for key, inner in items:
        yield from _paths(inner, (*prefix, key))


STRANGE = [None, True, False, 0, -1, 1, 0.5, 1e308, -1e308, 1e-308, float('nan'), float('inf'),
           float('-inf'), HUGE, -HUGE, 2 ** 63, '', 'x', '1', 'é\n', [], {}, [[]], [[[]]],
           [None], ['x'], [1, [2]], [[0, 0, 0]], {'a': 1}]


# A number beyond 64 bits among the faces is refused as such, after numpy's warning.
@pytest.mark.filterwarnings('ignore:invalid value encountered:RuntimeWarning',
                            'ignore:overflow encountered:RuntimeWarning')
def test_a_mutated_contract_is_refused_or_usable_and_nothing_else(small):
    rng = np.random.default_rng(5)
    places = list(_paths(small))
    accepted = refused = 0
    for path in places:
        for pick in rng.choice(len(STRANGE), 6, replace=False):
            text = _changed(small, path, STRANGE[pick])
            try:
                contract = ModelContract.from_json(text)
            except ContractError as error:
                assert '\n' not in str(error)
                refused += 1
                continue
            PosePipeline(contract, network=None)
            accepted += 1
    assert accepted > 20
    assert refused > 200


def test_a_truncated_contract_is_refused(small):
    text = json.dumps(small)
    for length in range(0, len(text) - 1, 97):
        _refused(text[:length])
