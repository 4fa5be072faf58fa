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

"""The optimizers of a network."""

from __future__ import annotations

from typing import Any

from sim_trainer.configuration.training import TrainingConfig
from sim_trainer.training.muon import Muon
from sim_trainer.training.schedule import Schedule
import torch
from torch import nn


class Optimizer:
    """What takes the steps: AdamW alone, or Muon for the hidden layers and AdamW for the rest.

    Normalization, biases and the layers that read the answers off are no matrices between
    hidden features; Muon is not made for them.

    Attributes:
        schedule: of the learning rates; what has not come yet of it may change.
    """

    def __init__(self, network: nn.Module, settings: TrainingConfig) -> None:
        """Prepare.

        Args:
            network: what is trained. Its attribute ``answers``, if any, lists the modules that
                give the answers.
            settings: the training's.
        """
        self.schedule = Schedule.of(settings)
        hidden: list[nn.Parameter] = []
        if settings.optimizer == 'muon':
            answers = {id(p) for module in getattr(network, 'answers', ())
                       for p in module.parameters()}
            hidden = [p for p in network.parameters() if p.ndim > 1 and id(p) not in answers]
        taken = {id(p) for p in hidden}
        rest = [p for p in network.parameters() if id(p) not in taken]
        # No decay on biases and normalization: shrinking them only slows the fit.
        self._parts: list[torch.optim.Optimizer] = [torch.optim.AdamW([
            {'params': [p for p in rest if p.ndim > 1], 'weight_decay': settings.weight_decay},
            {'params': [p for p in rest if p.ndim <= 1], 'weight_decay': 0.0}],
            lr=settings.learning_rate)]
        if hidden:
            self._parts.append(Muon(hidden, settings.muon_learning_rate,
                                    weight_decay=settings.weight_decay))
        self._peaks = [[group['lr'] for group in part.param_groups] for part in self._parts]

    def begin(self, step: int) -> None:
        """Forget the gradients and set the learning rates of a step."""
        fraction = self.schedule.part(step)
        for part, peaks in zip(self._parts, self._peaks):
            part.zero_grad(set_to_none=True)
            for group, peak in zip(part.param_groups, peaks):
                group['lr'] = peak * fraction

    def step(self) -> None:
        """Change the weights."""
        for part in self._parts:
            part.step()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return what a checkpoint keeps."""
        return [part.state_dict() for part in self._parts]

    def load_state_dict(self, states: list[dict[str, Any]]) -> None:
        """Go on from a checkpoint."""
        for part, state in zip(self._parts, states, strict=True):
            part.load_state_dict(state)
