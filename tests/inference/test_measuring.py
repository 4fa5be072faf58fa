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

"""The drawn pictures that time is measured with, and the stages of the time."""
import os
from pathlib import Path
import time

from dr_perception import PoseEstimator
from dr_perception.core.errors import ModelFileError
from dr_perception.core.transforms import invert_transform
from dr_perception.inference import machine
from dr_perception.inference.benchmark import (AFTER_NETWORK, measure_batch, measure_stages,
                                               NETWORK, TOTAL)
from dr_perception.inference.drawn_scene import draw_scene, reference_camera, reference_pose
import numpy as np
import pytest


@pytest.fixture(scope='module')
def estimator():
    """Return the shipped model."""
    root = Path(__file__).resolve().parents[2]
    return PoseEstimator.from_file(root / 'models' / 'tabletop.onnx')


def test_the_shipped_model_finds_most_of_what_was_drawn(estimator):
    # Else the time of decoding and poses would be that of an empty table.
    found = 0
    for seed in range(4):
        scene = draw_scene(estimator.contract, 640, 480, seed)
        assert scene.object_count == len(estimator.contract.objects)
        found += len({d.object_name for d in estimator.estimate(
            scene.image_rgb, scene.camera, scene.T_base_camera)})
    assert found >= 0.75 * 4 * scene.object_count


def test_a_drawn_picture_depends_on_its_seed_alone(estimator):
    first, again, other = (draw_scene(estimator.contract, 320, 240, seed).image_rgb
                           for seed in (0, 0, 1))
    assert np.array_equal(first, again) and not np.array_equal(first, other)
    assert first.shape == (240, 320, 3) and first.dtype == np.uint8


@pytest.mark.parametrize('width_px, height_px', [(640, 480), (1280, 720), (1920, 1080)])
def test_the_reference_camera_looks_at_the_workspace_in_every_size(
        estimator, width_px, height_px):
    camera = reference_camera(estimator.contract, width_px, height_px)
    T_camera_base = invert_transform(reference_pose())
    target = T_camera_base[:3, :3] @ [0.5, 0.0, 0.0] + T_camera_base[:3, 3]
    assert camera.project(target)[0] == pytest.approx(
        [(width_px - 1) / 2, (height_px - 1) / 2], abs=1e-6)
    assert camera.fy_px / height_px == pytest.approx(615 / 480)


def test_stages_add_up(estimator):
    scene = draw_scene(estimator.contract, 320, 240, 0)
    times = measure_stages(estimator, [scene.image_rgb], scene.camera, scene.T_base_camera, 5)
    assert times.pictures == 5
    for values in (times.p50_ms, times.p95_ms):
        assert 0 < values[NETWORK] < values[TOTAL]
        assert values[AFTER_NETWORK] < values[TOTAL]
    assert times.pictures_per_s == pytest.approx(1e3 / times.mean_total_ms)
    assert 0 < times.outside_network < 1


def test_a_batch_is_timed_by_the_picture(estimator):
    runs = []

    class Network:
        contract = estimator.contract

        def run(self, image_rgb):
            runs.append(image_rgb.shape)
            time.sleep(0.04)

    scene = draw_scene(estimator.contract, 320, 240, 0)
    ms = measure_batch(Network(), [scene.image_rgb], scene.camera, 4, 10)
    assert len(runs) == 4 and {shape[0] for shape in runs} == {4}  # one to warm up
    assert 10 <= ms < 40


def test_a_graph_that_takes_no_batch_is_named(estimator):
    class Network:
        contract, path = estimator.contract, 'single.onnx'

        def run(self, image_rgb):
            raise RuntimeError('Got: 4 Expected: 1')

    scene = draw_scene(estimator.contract, 320, 240, 0)
    with pytest.raises(ModelFileError, match='single.onnx: cannot run 4 pictures at once .*'
                                             'Expected: 1.; use a batch of 1'):
        measure_batch(Network(), [scene.image_rgb], scene.camera, 4, 10)


def test_the_machine_is_named():
    assert machine.processor_name() and machine.usable_cores() >= 1
    assert 1 < machine.resident_mb() < 1e5
    assert machine.resident_mb(os.getpid()) == pytest.approx(machine.resident_mb(), rel=0.2)
    assert machine.resident_mb(2 ** 22 + 1) is None


def test_nvidia_smi_is_read_and_its_failure_is_no_gpu(tmp_path, monkeypatch):
    tool = tmp_path / 'nvidia-smi'
    tool.write_text('#!/bin/sh\ncase "$1" in *gpu=*) echo "Card X, 550.1, 24576 MiB";; '
                    '*) echo "17, 512"; echo "18, [N/A]";; esac\n')
    tool.chmod(0o755)
    monkeypatch.setenv('PATH', f'{tmp_path}{os.pathsep}{os.environ["PATH"]}')
    assert machine.gpu_names() == ['Card X, 550.1, 24576 MiB']
    assert machine.gpu_memory_mb(17) == pytest.approx(512 * 1.048576)
    assert machine.gpu_memory_mb(18) is None and machine.gpu_memory_mb(19) is None
    tool.write_text('#!/bin/sh\necho "Failed to initialize NVML"\nexit 9\n')
    assert machine.has_nvidia_smi() and machine.gpu_names() == []
