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

"""Several processes that train one network: started by torchrun, on one machine or several.

    torchrun --nproc-per-node 2 -m sim_trainer train CONFIG --output DIR

Each process draws pictures of its own and trains on its part of every batch; gradients are
averaged. Process 0 writes everything. One process alone is a group of one.
"""

from __future__ import annotations

from collections.abc import Iterable
import dataclasses
import os
from typing import Any

from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.errors import ConfigurationError
import torch
from torch import distributed, nn, Tensor

#: Added to the seed for each further process: other pictures, other windows.
RANK_SEED = 10_000_019


class ProcessGroup:
    """The processes of this run; a context manager.

    Attributes:
        rank: number of this process, 0...size - 1.
        size: number of processes.
        device: what this process computes on.
    """

    def __init__(self) -> None:
        """Read what torchrun has put into the environment; without it, a group of one."""
        self.rank = int(os.environ.get('RANK', '0'))
        self.size = int(os.environ.get('WORLD_SIZE', '1'))
        local = int(os.environ.get('LOCAL_RANK', '0'))
        self.device = torch.device('cuda', local % torch.cuda.device_count()
                                   ) if torch.cuda.is_available() else torch.device('cpu')

    def __enter__(self) -> ProcessGroup:
        if self.device.type == 'cuda':
            torch.cuda.set_device(self.device)
        if self.size > 1:
            distributed.init_process_group('nccl' if self.device.type == 'cuda' else 'gloo')
        return self

    def __exit__(self, *_) -> None:
        if self.size > 1:
            distributed.destroy_process_group()

    @property
    def first(self) -> bool:
        """Whether this process writes files."""
        return self.rank == 0

    def part_of(self, config: SceneConfig) -> SceneConfig:
        """Return what this process draws and trains of a run: its share, of a seed of its own.

        Raises:
            ConfigurationError: the batch does not divide.
        """
        if self.size == 1:
            return config
        batch = config.training.batch_size
        if batch % self.size:
            raise ConfigurationError(f'training.batch_size: {batch} does not divide among '
                                     f'{self.size} processes')
        return dataclasses.replace(
            config, seed=config.seed + RANK_SEED * self.rank,
            frames=dataclasses.replace(config.frames,
                                       count=max(1, config.frames.count // self.size)),
            training=dataclasses.replace(config.training, batch_size=batch // self.size))

    def told(self, value: Any) -> Any:
        """Return what process 0 has, in every process."""
        if self.size == 1:
            return value
        box = [value]
        distributed.broadcast_object_list(box, 0)
        return box[0]

    def average(self, gradients_of: nn.Module, extras: Iterable[float | Tensor]
                ) -> list[float | Tensor]:
        """Average the gradients over the processes, in place; the means of some more numbers."""
        extras = list(extras)
        if self.size == 1:
            return extras
        gradients = [p.grad for p in gradients_of.parameters() if p.grad is not None]
        numbers = torch.stack([torch.as_tensor(extra, dtype=torch.float32, device=self.device)
                               for extra in extras])
        flat = torch.cat([numbers, *(g.float().flatten() for g in gradients)])
        distributed.all_reduce(flat)
        flat /= self.size
        place = len(extras)
        for gradient in gradients:
            gradient.copy_(flat[place:place + gradient.numel()].view_as(gradient))
            place += gradient.numel()
        return flat[:len(extras)].tolist()

    def share(self, tensors: Iterable[Tensor]) -> None:
        """Overwrite tensors by those of process 0."""
        if self.size > 1:
            for tensor in tensors:
                distributed.broadcast(tensor, 0)
