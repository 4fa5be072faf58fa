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

"""How long the estimator takes for a picture, by stage; and its network for several at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
import time

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import ModelFileError
from dr_perception.core.preprocessing import network_input
from dr_perception.inference.estimator import PoseEstimator
from dr_perception.inference.session import OnnxNetwork
import numpy as np

#: Pictures before the clock starts: memory is taken, engines are built.
WARM_UP_PICTURES = 3
NETWORK, TOTAL = 'network', 'total'
#: What follows the network.
AFTER_NETWORK = 'decode + pose'
_AFTER = ('decode', 'pose')


@dataclass(frozen=True)
class StageTimes:
    """Milliseconds a picture.

    Attributes:
        p50_ms, p95_ms: by stage, and 'decode + pose', 'total'.
        mean_total_ms: of the whole.
        outside_network: part (0 ... 1) of the mean total that is not the network.
        objects: detections a picture, mean.
        pictures: how many were measured.
    """

    p50_ms: dict[str, float]
    p95_ms: dict[str, float]
    mean_total_ms: float
    outside_network: float
    objects: float
    pictures: int

    @property
    def pictures_per_s(self) -> float:
        """Pictures a second, one after another."""
        return 1e3 / self.mean_total_ms


def measure_stages(estimator: PoseEstimator, images_rgb: Sequence[np.ndarray],
                   camera: PinholeCamera, T_base_camera: np.ndarray | None,
                   repeat: int) -> StageTimes:
    """Estimate pictures in turn and time each.

    Args:
        estimator: the model.
        images_rgb: (H, W, 3) uint8 each, of the camera's size; at least one.
        camera: their camera.
        T_base_camera: (4, 4) its pose, or None.
        repeat: how many pictures are measured, after ``WARM_UP_PICTURES``.
    """
    rows: list[dict[str, float]] = []
    found = 0
    for number in range(-WARM_UP_PICTURES, repeat):
        start_s = time.perf_counter()
        detections = estimator.estimate(images_rgb[number % len(images_rgb)], camera,
                                        T_base_camera)
        total_ms = (time.perf_counter() - start_s) * 1e3
        if number >= 0:
            stages = estimator.last_timing_ms
            rows.append({**stages, AFTER_NETWORK: sum(stages[name] for name in _AFTER),
                         TOTAL: total_ms})
            found += len(detections)
    samples = {stage: np.array([row[stage] for row in rows]) for stage in rows[0]}
    mean_total_ms = float(samples[TOTAL].mean())
    return StageTimes(
        {stage: float(np.percentile(ms, 50)) for stage, ms in samples.items()},
        {stage: float(np.percentile(ms, 95)) for stage, ms in samples.items()},
        mean_total_ms, float(1.0 - samples[NETWORK].mean() / mean_total_ms), found / repeat,
        repeat)


def measure_batch(network: OnnxNetwork, images_rgb: Sequence[np.ndarray], camera: PinholeCamera,
                  batch: int, repeat: int) -> float:
    """Milliseconds of the network for each picture of a batch, median.

    Args:
        network: the model.
        images_rgb: (H, W, 3) uint8 each; taken in turn.
        camera: their camera.
        batch: pictures in one run, as several cameras that share the network give it.
        repeat: pictures in all, rounded up to whole batches.

    Raises:
        ModelFileError: the graph takes no such batch.
    """
    spec = network.contract.input
    inputs = np.stack([network_input(images_rgb[i % len(images_rgb)], camera, spec).image_rgb
                       for i in range(batch)])
    if spec.channels > 3:       # what stands in it does not change the time
        inputs = np.concatenate([inputs, np.zeros_like(inputs[..., :1])], 3)
    times_ms = []
    for number in range(-1, -(-repeat // batch)):
        start_s = time.perf_counter()
        try:
            network.run(inputs)
        except Exception as error:  # the pybind layer raises several unrelated types
            raise ModelFileError(f'{network.path}: cannot run {batch} pictures at once '
                                 f'({" ".join(str(error).split())[:200]}); use a batch of 1'
                                 ) from error
        if number >= 0:
            times_ms.append((time.perf_counter() - start_s) * 1e3 / batch)
    return float(np.median(times_ms))
