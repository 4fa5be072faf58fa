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

"""The paper's own network, as the baseline: VGG-16 -> 256 -> 64 -> 3, one object, no camera model.

Source: Tobin et al. 2017, section III-C: VGG-16's convolutions, then fully connected layers of 256
and 64, ReLU, no dropout, L2 loss, Adam with a learning rate near 1e-4, pictures of 224x224, output
(x, y, z) of the object in the world frame.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import cv2
from dr_perception.core.objects import ObjectModel
import numpy as np
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.frames import Frame
from sim_trainer.dataset.reader import FrameReader
from sim_trainer.errors import TrainingError
from sim_trainer.evaluation.tobin2017 import INPUT_SIZE_PX
from sim_trainer.scene.randomness import frame_rng
from sim_trainer.sensor.effects import apply_sensor, draw_sensor
from sim_trainer.training.tensor_batch import TensorBatch
import torch
from torch import nn, Tensor

#: VGG-16's stages: (channels, convolutions).
_STAGES = ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3))
#: A picture whose object is seen less than this does not say where it is.
LEAST_VISIBLE = 0.1
#: Pictures that are tried for a sample before the object counts as missing.
ATTEMPTS = 60


class Tobin2017Network(nn.Module):
    """(N, 3, 224, 224) RGB 0...255 -> (N, 3) position in the base frame, metres.

    Args:
        centre_m, half_size_m: (3,) of the workspace; the last layer answers relative to them, a
            change of units that keeps the first steps from being spent on the mean.
    """

    def __init__(self, centre_m: np.ndarray, half_size_m: float) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        channels = 3
        for width, count in _STAGES:
            for _ in range(count):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)
        side = INPUT_SIZE_PX // 2 ** len(_STAGES)
        self.head = nn.Sequential(nn.Flatten(), nn.Linear(512 * side * side, 256), nn.ReLU(),
                                  nn.Linear(256, 64), nn.ReLU(), nn.Linear(64, 3))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, nonlinearity='relu')
                nn.init.zeros_(module.bias)
        self.register_buffer('centre_m', torch.tensor(centre_m, dtype=torch.float32))
        self.half_size_m = float(half_size_m)

    def forward(self, image: Tensor) -> Tensor:
        """Positions (N, 3)."""
        answer = self.head(self.features((image - 117.0) * (1 / 64.0)))
        return self.centre_m + self.half_size_m * answer


@dataclass(frozen=True, eq=False)
class PlacedPictures(TensorBatch):
    """Pictures (N, 3, 224, 224) uint8 RGB and where the object is, (N, 3) metres, base frame."""

    image: Tensor
    place_m: Tensor


class Tobin2017Task:
    """Trains ``Tobin2017Network`` on whole pictures. See ``tasks.Task``."""

    def __init__(self, config: SceneConfig, stream: FrameReader,
                 catalogue: tuple[ObjectModel, ...]) -> None:
        self._name = config.training.object_name
        self._object = [model.name for model in catalogue].index(self._name)
        self.stream, self._seed = stream, config.seed
        self._sensor = config.randomization.sensor
        workspace = config.workspace
        self._half_size_m = (workspace.y_m.high - workspace.y_m.low) / 2
        self.network = Tobin2017Network(
            np.array([(workspace.x_m.low + workspace.x_m.high) / 2,
                      (workspace.y_m.low + workspace.y_m.high) / 2, workspace.z_m + 0.03]),
            self._half_size_m)

    def _place(self, frame: Frame) -> np.ndarray | None:
        """Return the object's position (3,) in the base frame, if the picture shows just one."""
        mine = [label for label in frame.instances if label.object_index == self._object
                and label.visible_fraction >= LEAST_VISIBLE]
        if len(mine) != 1:
            return None
        return (frame.T_base_camera @ mine[0].T_camera_object)[:3, 3]

    def sample(self, number: int) -> tuple[np.ndarray, np.ndarray]:
        """See ``Task.sample``.

        Raises:
            TrainingError: none of many pictures shows the object.
        """
        for attempt in range(ATTEMPTS):
            frame = self.stream.frame(number, attempt)
            place = self._place(frame)
            if place is not None:
                break
        else:
            raise TrainingError(f'none of {ATTEMPTS} pictures shows {self._name}; raise '
                                'frames.count or randomization.objects.count')
        rng = frame_rng(self._seed, number, 'sample')
        image = apply_sensor(frame.image_rgb, draw_sensor(rng, self._sensor))
        image = cv2.resize(image, (INPUT_SIZE_PX, INPUT_SIZE_PX), interpolation=cv2.INTER_AREA)
        return image, place.astype(np.float32)

    def collate(self, samples) -> PlacedPictures:
        """See ``Task.collate``."""
        images = torch.from_numpy(np.stack([image for image, _ in samples]))
        places = torch.from_numpy(np.stack([place for _, place in samples]))
        return PlacedPictures(images.permute(0, 3, 1, 2), places)

    def image(self, batch) -> Tensor:
        """See ``Task.image``."""
        return batch.image

    def loss(self, outputs, batch) -> tuple[Tensor, dict[str, Tensor]]:
        """Squared distance, in units of the workspace's half size."""
        error = (outputs.float() - batch.place_m) / self._half_size_m
        loss = error.square().sum(1).mean()
        error_cm = error.detach().norm(dim=1).mean() * self._half_size_m * 100
        return loss, {'error_cm': error_cm}


def finish_tobin2017(network: nn.Module, config: SceneConfig,
                     catalogue: tuple[ObjectModel, ...], folder: Path) -> Path:
    """Export the baseline to ``folder/model.onnx`` and return that path."""
    from sim_trainer.export.tobin2017 import export_tobin2017
    from sim_trainer.training.figures import write_curves

    model = next(m for m in catalogue if m.name == config.training.object_name)
    path = folder / 'model.onnx'
    export_tobin2017(network, model, path)
    write_curves(folder / 'log.jsonl', folder / 'curves.png')
    return path
