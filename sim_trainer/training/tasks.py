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

"""What the training loop needs to know of a model: its network, samples and loss."""

from __future__ import annotations

from typing import Any, Protocol

from dr_perception.core.objects import ObjectModel
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.reader import FrameReader
from sim_trainer.dataset.stream import FrameStream
from sim_trainer.objects.catalogue import KEYPOINT_COUNT
from sim_trainer.training.compiling import compiled
from sim_trainer.training.contract import usual_px_per_m
from sim_trainer.training.heads.centres import CentreTargets
from sim_trainer.training.heads.surface import SurfaceTargets
from sim_trainer.training.losses import collate, heat_loss, keypoint_loss
from sim_trainer.training.networks.keypoints import build_network
from sim_trainer.training.samples import SampleMaker
from sim_trainer.training.tensor_batch import TensorBatch
from torch import nn, Tensor

#: Weights of the losses beside the heat's; all terms are of the order of 1 when training has
#: settled.
KEYPOINT_WEIGHT, SURFACE_WEIGHT = 0.25, 0.5
#: Pictures that statistics are measured on before training begins.
FIRST_PICTURES = 32


class Task(Protocol):
    """A model that the loop can train. ``sample(n)`` must depend on n and the seed alone."""

    network: nn.Module
    #: the frames that samples are made from; where only samples are made, a ``FrameReader``
    stream: FrameStream

    def sample(self, number: int) -> Any:
        """Training sample ``number``."""

    def collate(self, samples: list[Any]) -> TensorBatch:
        """Return a batch."""

    def image(self, batch: TensorBatch) -> Tensor:
        """Return the network's input of a batch, whose numbers may be uint8."""

    def loss(self, outputs: Any, batch: TensorBatch) -> tuple[Tensor, dict[str, Tensor]]:
        """Return the loss to minimize and figures for the log; all on one device."""


class KeypointTask:
    """All objects at once: maps of the kinds, and keypoints."""

    def __init__(self, config: SceneConfig, stream: FrameReader,
                 catalogue: tuple[ObjectModel, ...]) -> None:
        self.stream = stream
        network = config.training.network
        if network.head == 'surface':
            targets = SurfaceTargets(len(catalogue), network.stride)
        else:
            targets = CentreTargets(len(catalogue), network.stride, network.teach_surfaces)
        self._maker = SampleMaker(
            catalogue, config.seed, config.randomization.sensor, targets,
            config.randomization.viewpoint.roll_deg,
            usual_px_per_m(config) if network.sees_plane else 0.0, config.workspace.z_m)
        self.network = build_network(network, len(catalogue), KEYPOINT_COUNT)
        self._heat_loss = compiled(heat_loss, config.training)

    def sample(self, number: int):
        """See ``Task.sample``."""
        return self._maker(number, self.stream.frame(number))

    def collate(self, samples):
        """See ``Task.collate``."""
        return collate(samples, KEYPOINT_COUNT)

    def image(self, batch) -> Tensor:
        """See ``Task.image``."""
        return batch.image

    def loss(self, outputs, batch) -> tuple[Tensor, dict[str, Tensor]]:
        """See ``Task.loss``."""
        logits, offsets, log_scales, *surface = (output.float() for output in outputs)
        loss = self._heat_loss(logits, batch.heat, batch.ignore, batch.weight)
        values = {'heat': loss.detach()}
        if surface:
            taught = self._heat_loss(surface[0], batch.surface, batch.surface_ignore,
                                     batch.weight.new_ones(()))
            loss = loss + SURFACE_WEIGHT * taught
            values['surface'] = taught.detach()
        if len(batch.cells) == 0:
            # A batch of empty tables: the keypoint heads get a zero gradient, not NaN.
            return loss + 0.0 * (offsets.sum() + log_scales.sum()), values
        keypoints, error_px = keypoint_loss(offsets, log_scales, batch)
        return loss + KEYPOINT_WEIGHT * keypoints, {
            **values, 'keypoints': keypoints.detach(), 'error_px': error_px}


def make_task(config: SceneConfig, stream: FrameReader, catalogue: tuple[ObjectModel, ...]
              ) -> Task:
    """Return the task that ``training.model`` names."""
    if config.training.model == 'tobin2017':
        from sim_trainer.training.tobin2017 import Tobin2017Task
        return Tobin2017Task(config, stream, catalogue)
    return KeypointTask(config, stream, catalogue)


def first_pictures(task: Task, first: int) -> Tensor:
    """Return the pictures (N, 3, H, W) of a task's first samples, from sample ``first`` on."""
    return task.image(task.collate([task.sample(first + i)
                                    for i in range(FIRST_PICTURES)])).float()


def count_parameters(network: nn.Module) -> int:
    """Trainable numbers of a network."""
    return sum(p.numel() for p in network.parameters() if p.requires_grad)
