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

"""The whole chain with a network that answers perfectly: known pose, known pixel, known pose."""
import dataclasses

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import ImageError
from dr_perception.core.pipeline import PosePipeline
from dr_perception.core.transforms import invert_transform, look_at, make_transform
import numpy as np
import pytest

NAMES = ['cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
         'tetrahedron', 'triangular_prism']
IMAGE = np.full((480, 640, 3), 90, np.uint8)


@dataclasses.dataclass
class FixedMaps:
    """A network that gives the same maps whatever it sees."""

    maps: dict

    def run(self, image_rgb):
        return self.maps


@pytest.fixture
def empty_maps(contract):
    """Return maps without a peak for a 640x480 picture."""
    return {name: np.zeros((1, count, 120, 160), np.float32)
            for name, count in contract.output_channels().items()}


@pytest.fixture
def make_pipeline(contract, camera, perfect_network):
    """Return a function: a pipeline whose network sees the given instances."""
    def make(instances, contract=contract, camera=camera, **options):
        return PosePipeline(contract, perfect_network(contract, camera, instances, **options))
    return make


def test_a_known_pose_a_known_pixel_the_known_pose(make_pipeline, camera, T_base_camera,
                                                   catalogue):
    # The cube's centre at (0.5, 0, 0.025): on the camera's axis but for the height. In the camera
    # frame y = -0.025 * cos and z = distance - 0.025 * sin of the view's elevation.
    distance = np.hypot(0.6, 0.65)
    y, z = -0.025 * 0.6 / distance, distance - 0.025 * 0.65 / distance
    T_camera_cube = invert_transform(T_base_camera) @ make_transform(np.eye(3), [0.5, 0, 0.025])
    assert np.allclose(T_camera_cube[:3, 3], [0, y, z])
    pipeline = make_pipeline([('cube', T_camera_cube, 0.9)])
    raw = pipeline.detect(IMAGE, camera, T_base_camera)
    assert np.allclose(raw.candidates.keypoints_px[0, 0], [319.5, 239.5 + 615 * y / z], atol=1e-3)
    [detection] = pipeline.estimate(IMAGE, camera, T_base_camera)
    assert detection.object_name == 'cube'
    assert detection.score == pytest.approx(0.9, abs=1e-5)
    assert np.allclose(detection.T_camera_object[:3, 3], [0, y, z], atol=1e-5)
    symmetry = catalogue['cube'].symmetry
    assert symmetry.rotation_error_rad(detection.T_camera_object[:3, :3],
                                       T_camera_cube[:3, :3]) < 1e-4


@pytest.mark.parametrize('with_base', [True, False], ids=['plane', 'camera alone'])
def test_all_eight_objects_at_once(make_pipeline, camera, T_base_camera, catalogue, resting_pose,
                                   with_base):
    truths = {}
    for i, name in enumerate(NAMES):
        rest = i % 2 if name != 'cylinder' else 5
        truths[name] = resting_pose(catalogue[name], 0.38 + 0.2 * (i % 2), -0.24 + 0.07 * i,
                                    0.4 * i, rest)
    pipeline = make_pipeline([(name, T, 0.9) for name, T in truths.items()])
    detections = pipeline.estimate(IMAGE, camera, T_base_camera if with_base else None)
    assert sorted(d.object_name for d in detections) == NAMES
    for detection in detections:
        truth, symmetry = truths[detection.object_name], catalogue[detection.object_name].symmetry
        assert symmetry.position_error_m(detection.T_camera_object, truth) < 1e-4
        assert symmetry.rotation_error_rad(detection.T_camera_object[:3, :3],
                                           truth[:3, :3]) < 2e-3
        assert detection.covariance.shape == (6, 6)
        assert np.linalg.eigvalsh(detection.covariance).min() > 0


@pytest.mark.parametrize('size, focal_px', [((1280, 960), 1230.0), ((650, 470), 615.0)])
def test_the_pose_does_not_depend_on_the_pictures_size(
        make_pipeline, T_base_camera, catalogue, resting_pose, size, focal_px):
    width, height = size
    camera = PinholeCamera(focal_px, focal_px, (width - 1) / 2, (height - 1) / 2, width, height)
    # The network sees the picture brought to 615 px; its padding is to the right and below.
    scale = 615 / focal_px
    seen = camera.resized(round(width * scale), round(height * scale))
    truth = resting_pose(catalogue['pyramid'])
    pipeline = make_pipeline([('pyramid', truth, 0.9)], camera=seen)
    [detection] = pipeline.estimate(np.zeros((height, width, 3), np.uint8), camera, T_base_camera)
    assert np.allclose(detection.T_camera_object[:3, 3], truth[:3, 3], atol=1e-5)


@pytest.mark.parametrize('coefficients, model', [([-0.3, 0.1, 0.001, 0.001, 0], 'plumb_bob'),
                                                 ([-0.02, 0.004, 0, 0], 'equidistant')])
def test_distortion_is_undone(make_pipeline, camera, T_base_camera, catalogue, resting_pose,
                              coefficients, model):
    lens = PinholeCamera.from_matrix(camera.K, 640, 480, coefficients, model)
    truth = resting_pose(catalogue['cube'], 0.4, 0.2)
    pipeline = make_pipeline([('cube', truth, 0.9)], camera=lens)
    for base in (T_base_camera, None):
        [detection] = pipeline.estimate(IMAGE, lens, base)
        assert np.allclose(detection.T_camera_object[:3, 3], truth[:3, 3], atol=1e-4)


def test_two_instances_of_one_kind_are_kept(make_pipeline, camera, T_base_camera, catalogue,
                                            resting_pose):
    truths = [resting_pose(catalogue['cube'], y_m=y) for y in (-0.05, 0.05)]
    pipeline = make_pipeline([('cube', truths[0], 0.8), ('cube', truths[1], 0.9)])
    detections = pipeline.estimate(IMAGE, camera, T_base_camera)
    assert [d.object_name for d in detections] == ['cube', 'cube']
    assert detections[0].score > detections[1].score        # the surest first
    assert np.allclose(detections[0].T_camera_object[:3, 3], truths[1][:3, 3], atol=1e-5)
    assert np.allclose(detections[1].T_camera_object[:3, 3], truths[0][:3, 3], atol=1e-5)


def test_one_object_seen_as_two_kinds_is_the_surer_one(make_pipeline, camera, T_base_camera,
                                                       catalogue, resting_pose):
    T = resting_pose(catalogue['cube'])
    pipeline = make_pipeline([('rectangular_prism', T, 0.83), ('cube', T, 0.9)])
    [detection] = pipeline.estimate(IMAGE, camera, T_base_camera)
    assert detection.object_name == 'cube'
    assert len(pipeline.detect(IMAGE, camera, T_base_camera).candidates) == 2


def test_a_far_surer_candidate_leaves_no_other_to_be_solved(
        make_pipeline, camera, T_base_camera, catalogue, resting_pose):
    T, apart = resting_pose(catalogue['cube']), resting_pose(catalogue['cube'], y_m=0.15)
    pipeline = make_pipeline([('rectangular_prism', T, 0.4), ('cube', T, 0.95),
                              ('rectangular_prism', apart, 0.4)])
    found = pipeline.detect(IMAGE, camera, T_base_camera).candidates
    names = [pipeline.contract.objects[i].name for i in found.object_index]
    assert sorted(names) == ['cube', 'rectangular_prism']


def test_thresholds_of_heat_and_score(make_pipeline, camera, catalogue, resting_pose):
    T = resting_pose(catalogue['cube'])
    assert len(make_pipeline([('cube', T, 0.51)]).estimate(IMAGE, camera)) == 1
    assert make_pipeline([('cube', T, 0.49)]).estimate(IMAGE, camera) == []
    assert len(make_pipeline([('cube', T, 0.49)]).detect(IMAGE, camera).candidates) == 1
    assert len(make_pipeline([('cube', T, 0.14)]).detect(IMAGE, camera).candidates) == 0


def test_the_covariance_is_scaled_by_the_contract(make_pipeline, contract, camera, catalogue,
                                                  resting_pose):
    decoder = dataclasses.replace(contract.decoder, covariance_scale=9.0,
                                  camera_covariance_scale=4.0)
    scaled = dataclasses.replace(contract, decoder=decoder)
    instances = [('cube', resting_pose(catalogue['cube']), 0.9)]
    [once] = make_pipeline(instances).estimate(IMAGE, camera)
    [four] = make_pipeline(instances, scaled).estimate(IMAGE, camera)
    assert np.allclose(four.covariance, 4 * once.covariance)


def test_the_plane_has_a_scale_and_a_score_of_its_own(make_pipeline, contract, camera, catalogue,
                                                      resting_pose, T_base_camera):
    decoder = dataclasses.replace(contract.decoder, covariance_scale=9.0,
                                  camera_score_weights=(-3.0, 1.0, 0.0, 0.0))
    other = dataclasses.replace(contract, decoder=decoder)
    instances = [('cube', resting_pose(catalogue['cube']), 0.9)]
    [plain] = make_pipeline(instances).estimate(IMAGE, camera, T_base_camera)
    [scaled] = make_pipeline(instances, other).estimate(IMAGE, camera, T_base_camera)
    # What the plane says stays, height and with it the distance; across, only the picture tells.
    R = T_base_camera[:3, :3]
    before, after = ((R @ d.covariance[:3, :3] @ R.T) for d in (plain, scaled))
    assert after[2, 2] < min(9 * before[2, 2], 1.01 * decoder.plane_sigma_m ** 2)
    assert after[1, 1] == pytest.approx(9 * before[1, 1], rel=0.01)
    assert before[0, 0] < after[0, 0] < 2 * before[0, 0]
    [old] = make_pipeline(instances, dataclasses.replace(contract, decoder=dataclasses.replace(
        decoder, plane_scaled=True))).estimate(IMAGE, camera, T_base_camera)
    assert np.allclose(old.covariance, 9 * plain.covariance)
    assert scaled.score == pytest.approx(plain.score) == pytest.approx(0.9, abs=1e-3)
    # Without the plane it is still published, with the lower score that calibration found.
    [alone] = make_pipeline(instances, other).estimate(IMAGE, camera)
    assert alone.score == pytest.approx(1 / (1 + np.exp(3 - np.log(9))), abs=1e-3)


def test_the_support_plane_of_the_contract_is_used(make_pipeline, contract, camera,
                                                   T_base_camera, catalogue, resting_pose):
    higher = dataclasses.replace(contract, support_plane_z_m=0.1)
    truth = resting_pose(catalogue['cube'], lift_m=0.1)
    pipeline = make_pipeline([('cube', truth, 0.9)], higher)
    assert pipeline.detect(IMAGE, camera, T_base_camera).fit.on_plane.all()
    [detection] = pipeline.estimate(IMAGE, camera, T_base_camera)
    assert np.allclose(detection.T_camera_object[:3, 3], truth[:3, 3], atol=1e-5)


def test_a_call_leaves_nothing_behind_for_the_next(make_pipeline, camera, T_base_camera,
                                                   catalogue, resting_pose):
    # Too little above the plane to be taken off it: plane and no plane differ.
    instances = [('cube', resting_pose(catalogue['cube'], lift_m=0.004), 0.9)]
    fresh = make_pipeline(instances).estimate(IMAGE, camera)[0].T_camera_object
    pipeline = make_pipeline(instances)
    before = T_base_camera.copy()
    standing = pipeline.estimate(IMAGE, camera, T_base_camera)[0].T_camera_object
    after = pipeline.estimate(IMAGE, camera)[0].T_camera_object
    assert np.abs(standing - fresh).max() > 1e-3
    assert np.array_equal(after, fresh)
    assert np.array_equal(T_base_camera, before)
    again = pipeline.estimate(IMAGE, camera, T_base_camera)[0].T_camera_object
    assert np.array_equal(again, standing)


def test_the_picture_reaches_the_network_unchanged(make_pipeline, camera):
    pipeline = make_pipeline([])
    image = np.arange(480 * 640 * 3, dtype=np.uint32).astype(np.uint8).reshape(480, 640, 3)
    kept = image.copy()
    assert pipeline.estimate(image, camera) == []
    assert np.array_equal(pipeline._network.images[0][0], kept)
    assert np.array_equal(image, kept)


def test_timing_has_its_four_parts(make_pipeline, camera):
    pipeline = make_pipeline([])
    assert pipeline.last_timing_ms == {}
    pipeline.estimate(IMAGE, camera)
    assert list(pipeline.last_timing_ms) == ['preprocess', 'network', 'decode', 'pose', 'score']
    assert all(value >= 0 for value in pipeline.last_timing_ms.values())


def test_no_candidates_no_detections(contract, camera, T_base_camera, empty_maps):
    pipeline = PosePipeline(contract, FixedMaps(empty_maps))
    for base in (None, T_base_camera):
        assert pipeline.estimate(IMAGE, camera, base) == []
        raw = pipeline.detect(IMAGE, camera, base)
        assert raw.features.shape == (0, 8)


def test_a_centre_in_the_padding_is_no_detection(make_pipeline, T_base_camera, catalogue,
                                                 resting_pose, camera):
    # The right part of the picture is padding: 576 px are picture, 64 px are not.
    narrow = camera.cropped(0, 0, 577, 480)
    T = make_transform(np.eye(3), [(600 - 319.5) / 615, 0.0, 1.0])
    pipeline = make_pipeline([('cube', T, 0.9)])
    assert pipeline.estimate(IMAGE[:, :577].copy(), narrow) == []
    assert len(pipeline.estimate(IMAGE, camera)) == 1


@pytest.mark.parametrize('base', [
    np.eye(3), np.full((4, 4), np.nan), np.diag([2.0, 2, 2, 1]), np.diag([1, 1, -1.0, 1])])
def test_a_base_that_is_no_transform_is_refused(make_pipeline, camera, base, catalogue,
                                                resting_pose):
    pipeline = make_pipeline([('cube', resting_pose(catalogue['cube']), 0.9)])
    with pytest.raises(ValueError, match='T_base_camera'):
        pipeline.estimate(IMAGE, camera, base)


def test_another_picture_type_is_refused(make_pipeline, camera):
    with pytest.raises(ImageError, match='the image is float32; expected a uint8 array'):
        make_pipeline([]).estimate(IMAGE.astype(np.float32), camera)


BASES = {'camera alone': None, 'reference': look_at((1.1, 0, 0.65), (0.5, 0, 0)),
         'above the horizon': look_at((1.1, 0, 0.65), (0.5, 0.1, 2.0)),
         'below the table': look_at((1.1, 0, -0.65), (0.5, 0, 0))}


@pytest.mark.parametrize('base', list(BASES))
@pytest.mark.parametrize('value', [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize('name', ['heat', 'keypoints', 'log_scales'])
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_a_network_gone_wrong_gives_no_detection(contract, camera, empty_maps, name, value, base):
    for where in (np.s_[:], np.s_[..., 60, 80], np.s_[..., 59:62, 79:82]):
        maps = {key: array.copy() for key, array in empty_maps.items()}
        maps['heat'][:, 3, 60, 80] = 0.9
        maps[name][where] = value
        detections = PosePipeline(contract, FixedMaps(maps)).estimate(IMAGE, camera, BASES[base])
        # A log scale is held within its range; what else is not finite names no place.
        if name != 'log_scales' or np.isnan(value):
            assert detections == []


@pytest.mark.parametrize('lens', ['none', 'plumb_bob', 'rational_polynomial', 'equidistant'])
@pytest.mark.parametrize('base', list(BASES))
@pytest.mark.filterwarnings('ignore::RuntimeWarning')
def test_random_maps_never_raise_and_never_lie(contract, camera, empty_maps, lens, base):
    coefficients = {'none': None, 'plumb_bob': [-0.3, 0.1, 0.001, 0.001, 0],
                    'rational_polynomial': [0.3, 0.1, 0.001, 0.001, 0, 0.2, 0.1, 0.05],
                    'equidistant': [0.1, 0.01, 0.001, 0.001]}[lens]
    seen_by = PinholeCamera.from_matrix(camera.K, 640, 480, coefficients, lens)
    rng = np.random.default_rng(11)
    for magnitude in (0.0, 0.1, 1e3, 1e37):
        maps = {key: array.copy() for key, array in empty_maps.items()}
        for row, column in rng.integers((2, 2), (118, 158), (8, 2)):
            maps['heat'][0, rng.integers(8), row, column] = rng.choice([0.3, 0.9, 1.0])
        maps['keypoints'][0, 2:] = rng.normal(size=(16, 120, 160)) * magnitude
        maps['log_scales'][:] = rng.normal(size=(9, 120, 160)) * magnitude
        for d in PosePipeline(contract, FixedMaps(maps)).estimate(IMAGE, seen_by, BASES[base]):
            assert 0 <= d.score <= 1
            assert np.isfinite(d.T_camera_object).all()
            assert d.T_camera_object[2, 3] > 0
            R = d.T_camera_object[:3, :3]
            assert np.allclose(R @ R.T, np.eye(3), atol=1e-9)
            assert np.linalg.det(R) > 0
            assert np.isfinite(d.covariance).all()
            eigenvalues = np.linalg.eigvalsh(d.covariance)
            assert eigenvalues.min() > -1e-12 * eigenvalues.max()


def test_a_pose_of_the_camera_may_be_nested_lists(make_pipeline, camera, T_base_camera):
    pipeline = make_pipeline([('cube', invert_transform(T_base_camera) @ make_transform(
        np.eye(3), [0.5, 0, 0.025]), 0.9)])
    found, = pipeline.estimate(IMAGE, camera, T_base_camera.tolist())
    expected, = pipeline.estimate(IMAGE, camera, T_base_camera)
    assert np.array_equal(found.T_camera_object, expected.T_camera_object)
    assert found.out_of_range == expected.out_of_range
