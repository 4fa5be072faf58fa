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

"""Calibration errors as a part of the domain: zero changes nothing, the covariance shows it."""
import dataclasses
import json
from pathlib import Path

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.candidates import Candidates
from dr_perception.core.contract import ModelContract
from dr_perception.core.network_spec import InputSpec
from dr_perception.core.pipeline import PosePipeline, RawDetections
from dr_perception.core.pose_solving import scaled_covariance, solve_poses
from dr_perception.core.resting import RestingPoses
from dr_perception.core.scoring import FEATURES
from dr_perception.core.support_plane import SupportPlane
from dr_perception.core.transforms import invert_transform, look_at, make_transform, rotation_angle
import numpy as np
import pytest
from sim_trainer.configuration.calibration_error import CalibrationErrorConfig
from sim_trainer.configuration.loader import to_plain
from sim_trainer.configuration.schema import load_config
from sim_trainer.dataset.bop import BopInstance, BopPicture
from sim_trainer.dataset.frames import scene_key
from sim_trainer.errors import ConfigurationError
from sim_trainer.evaluation.calibration import calibrate
from sim_trainer.evaluation.heldout import held_out_pictures, simulated_pictures
from sim_trainer.evaluation.report import CHI2_90
from sim_trainer.objects import primitives
from sim_trainer.objects.catalogue import object_from_points
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.miscalibration import miscalibrated, told_view
from sim_trainer.scene.record_file import record_from_plain, record_to_plain
from sim_trainer.training.contract import make_contract

ERROR = CalibrationErrorConfig(0.004, 0.3, 0.004, 0.003, 0.2)
CAMERA = PinholeCamera(615.0, 615.0, 319.5, 239.5, 640, 480)
T_TOLD = look_at([1.1, 0.0, 0.65], [0.5, 0.0, 0.0])


def _plain(record):
    return json.dumps(record_to_plain(record))


def test_zero_draws_what_was_drawn_before(generator, config):
    written = _plain(generator.scene(3))
    assert '"told"' not in written and record_from_plain(json.loads(written)).told is None
    # Another error changes the view alone, and only by little.
    wrong = SceneGenerator(dataclasses.replace(config, calibration_error=ERROR))
    try:
        other = wrong.scene(3, whole_picture=True)
    finally:
        wrong.close()
    scene = generator.scene(3, whole_picture=True)
    assert np.array_equal(other.told.T_base_camera, scene.T_base_camera)
    assert other.told.camera.fx_px == pytest.approx(scene.camera.fx_px, rel=1e-12)
    assert other.camera.fx_px != scene.camera.fx_px
    apart = np.linalg.norm(other.T_base_camera[:3, 3] - scene.T_base_camera[:3, 3])
    assert 1e-4 < apart < 0.04
    assert json.dumps(record_to_plain(other)['lights']) == json.dumps(
        record_to_plain(scene)['lights'])
    assert [body.mesh for body in other.bodies if body.kind == 'room'] == [
        body.mesh for body in scene.bodies if body.kind == 'room']
    assert _plain(record_from_plain(json.loads(_plain(other)))) == _plain(other)


def test_zero_keeps_the_keys_of_before(config):
    keys = {scene_key(config), scene_key(dataclasses.replace(config, calibration_error=ERROR))}
    assert len(keys) == 2
    data = dataclasses.asdict(config)
    assert set(data['calibration_error'].values()) == {0.0}
    decoder = make_contract(config, ()).decoder
    assert (decoder.plane_sigma_m, decoder.tilt_sigma_rad) == (0.001, 0.01)
    decoder = make_contract(dataclasses.replace(config, calibration_error=ERROR), ()).decoder
    assert decoder.plane_sigma_m == pytest.approx(np.sqrt(0.001 ** 2 + 0.004 ** 2 + 0.003 ** 2))
    assert decoder.tilt_sigma_rad > 0.01


def test_the_section_of_the_yaml(reference_path):
    config = load_config(reference_path, ['calibration_error.position_m=0.005',
                                          'calibration_error.plane_tilt_deg=0.5'])
    assert config.calibration_error == CalibrationErrorConfig(0.005, plane_tilt_deg=0.5)
    assert to_plain(config)['calibration_error']['position_m'] == 0.005
    with pytest.raises(ConfigurationError, match='calibration_error.position_m: 5; expected a '
                       'standard deviation of 0...0.2'):
        load_config(reference_path, ['calibration_error.position_m=5'])
    with pytest.raises(ConfigurationError, match='calibration_error.position: unknown key; did '
                       "you mean 'position_m'"):
        load_config(reference_path, ['calibration_error.position=0.005'])


def test_draws_have_the_deviations_that_are_asked_for():
    rng, pivot = np.random.default_rng(0), np.array([0.5, 0.0, 0.0])
    at_pivot, turns, heights, zooms = [], [], [], []
    for _ in range(3000):
        T, T_told_base, zoom = miscalibrated(rng, T_TOLD, pivot, ERROR)
        error = T_told_base @ T @ invert_transform(T_TOLD)      # of the camera, in the told base
        at_pivot.append(error[:3, :3] @ pivot + error[:3, 3] - pivot)
        turns.append(rotation_angle(error[:3, :3]))
        heights.append((T_told_base @ [0.5, 0, 0, 1])[2])
        zooms.append(np.log(zoom))
    assert np.std(at_pivot, axis=0) == pytest.approx([0.004] * 3, rel=0.05)
    assert np.degrees(np.sqrt(np.mean(np.square(turns)) / 3)) == pytest.approx(0.3, rel=0.05)
    assert np.std(heights) == pytest.approx(0.003, rel=0.05)
    assert np.std(zooms) == pytest.approx(0.004, rel=0.05)


def test_what_stands_on_the_true_table_is_where_the_told_base_has_it():
    T, T_told_base, zoom = miscalibrated(np.random.default_rng(1), T_TOLD, np.zeros(3), ERROR)
    told = told_view(CAMERA, T_TOLD, T_told_base, zoom)
    T_base_object = make_transform(np.eye(3), [0.45, 0.1, 0.025])
    T_told_object = told.T_told_camera(T) @ invert_transform(T) @ T_base_object
    assert np.allclose(told.T_base_camera @ T_told_object, T_told_base @ T_base_object)
    assert told.camera.fx_px * zoom == pytest.approx(615)


@pytest.mark.parametrize('pictures, told', [(held_out_pictures, True),
                                            (simulated_pictures, False)])
def test_calibration_pictures_tell_the_nominal_camera(config, pictures, told):
    wrong = dataclasses.replace(
        config, calibration_error=dataclasses.replace(ERROR, plane_tilt_deg=0.0),
        randomization=dataclasses.replace(
            config.randomization, viewpoint=dataclasses.replace(config.randomization.viewpoint,
                                                                enabled=False)))
    [picture] = pictures(wrong, 1)
    record, nominal = picture.record, config.camera
    assert np.allclose(picture.T_base_camera, nominal.T_base_camera) == told
    assert (abs(picture.camera.fx_px - nominal.fx_px) < 1e-9) == told
    assert not np.allclose(record.T_base_camera, nominal.T_base_camera)
    height_m = record.told.T_told_base[2, 3]
    assert abs(height_m) > 1e-5
    for instance, body in zip(picture.instances, record.instances):
        # Where the arm, which believes in the told base, has to reach.
        T_base_object = picture.T_base_camera @ instance.T_camera_object
        wanted = record.told.T_told_base @ body.T_base_body if told else body.T_base_body
        assert np.allclose(T_base_object, wanted, atol=1e-9)


def _pictures(model, error, seed, count):
    """Pictures of an object that the camera sees truly, told wrongly; and the pixels seen."""
    rng, pictures, seen = np.random.default_rng(seed), [], []
    for i in range(count):
        T, T_told_base, zoom = miscalibrated(rng, T_TOLD, np.array([0.5, 0, 0]), error)
        camera = dataclasses.replace(CAMERA, fx_px=615.0 * zoom, fy_px=615.0 * zoom)
        told = told_view(camera, T_TOLD, T_told_base, zoom)
        yaw = rng.uniform(0, 2 * np.pi)
        R = np.array([[np.cos(yaw), -np.sin(yaw), 0], [np.sin(yaw), np.cos(yaw), 0], [0, 0, 1]])
        T_base_object = make_transform(R, [rng.uniform(0.35, 0.65), rng.uniform(-0.2, 0.2),
                                           -model.vertices_m[:, 2].min()])
        T_camera_object = invert_transform(T) @ T_base_object
        points = model.keypoints_m @ T_camera_object[:3, :3].T + T_camera_object[:3, 3]
        seen.append(camera.project(points) + 0.5 * rng.normal(size=(len(points), 2)))
        pictures.append(BopPicture(i, Path('none'), np.full((2, 2, 3), i % 256, np.uint8),
                                   told.camera, T_TOLD, [BopInstance(
                                       model.name, told.T_told_camera(T) @ T_camera_object,
                                       1.0)]))
    return pictures, seen


@pytest.fixture
def answer(monkeypatch):
    """Return a function that lets a pipeline see given keypoints, and a wrong one now and then."""
    def install(pictures, seen):
        pixels = {id(p.camera): s for p, s in zip(pictures, seen)}
        turn = iter(range(10 ** 9))

        def detect(self, image_rgb, camera, T_base_camera=None):
            decoder, model = self.contract.decoder, self.contract.objects[0]
            keypoints = pixels[id(camera)][None]
            if next(turn) % 7 == 0:
                keypoints = keypoints + 80.0        # somewhere else: a wrong candidate
            plane = None if T_base_camera is None else SupportPlane(
                T_base_camera, 0.0, decoder.plane_sigma_m, decoder.tilt_sigma_rad)
            rays = camera.normalize(keypoints[0])[None]
            sigma = np.full(keypoints.shape[:2], 0.5 / camera.fx_px)
            fit = solve_poses(model.keypoints_m[None], rays, sigma, [RestingPoses.of(model)],
                              plane)
            return RawDetections(
                Candidates(np.zeros(1, int), np.full(1, 0.9), keypoints,
                           np.full(keypoints.shape[:2], 0.5), np.zeros(1), np.full(1, np.nan)),
                fit, np.eye(1, len(FEATURES)), np.zeros((1, 6, 6)) if plane is None else
                plane.information[None],
                np.zeros((1, 3, 3)))
        monkeypatch.setattr(PosePipeline, 'detect', detect)
    return install


def _coverage(contract, pictures):
    pipeline, inside = PosePipeline(contract, None), []
    scale = np.array([contract.decoder.covariance_scale])
    symmetry = contract.objects[0].symmetry
    for picture in pictures:
        raw = pipeline.detect(picture.image_rgb, picture.camera, picture.T_base_camera)
        T = raw.fit.T_camera_object[0]
        truth = picture.instances[0].T_camera_object
        if symmetry.position_error_m(T, truth) < 0.03:
            error = T[:3, 3] - symmetry.nearest(T, truth)[:3, 3]
            covariance = scaled_covariance(raw.fit.covariance, scale, raw.plane)[0, :3, :3]
            inside.append(error @ np.linalg.solve(covariance, error) < CHI2_90)
    return np.mean(inside)


def test_the_covariance_shows_an_error_of_the_plane(config, answer):
    model = object_from_points('box', primitives.box_points((0.05, 0.07, 0.04)))
    error = CalibrationErrorConfig(plane_height_m=0.005)
    scenes = {name: dataclasses.replace(config, calibration_error=e) for name, e in
              (('told', CalibrationErrorConfig()), ('known', error))}
    covered = {}
    for name, scene in scenes.items():
        decoder = make_contract(scene, (model,)).decoder
        contract = ModelContract('tiny', (model,), InputSpec(32, 615.0, 1.12, 10 ** 6),
                                 dataclasses.replace(decoder, score_weights=(0.0, 1.0),
                                                     camera_score_weights=(0.0, 1.0)))
        pictures, seen = _pictures(model, scene.calibration_error, 1, 150)
        answer(pictures, seen)
        calibrated = calibrate(contract, None, pictures)
        tried, seen = _pictures(model, error, 2, 150)      # the real table is 5 mm off
        answer(tried, seen)
        covered[name] = _coverage(calibrated, tried)
    assert 0.82 <= covered['known'] <= 0.97
    assert covered['told'] < 0.6
