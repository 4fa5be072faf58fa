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

"""The localization network: maps of the object kinds, and keypoints with their scale.

Input (N, 3, H, W) RGB 0...255, with ``sees_plane`` the codes of ``plane_scale`` as a fourth
channel; H and W are multiples of 32. Every cell (stride 4 or 8) gives, for
each object kind, log-odds (that an instance's centre lies there, or that its surface is seen
there: the head decides), and for the instance that it answers for, the offsets to its K keypoints
(in units of ``OFFSET_UNIT_PX``) and the logarithm of their Laplace scale in pixels.
"""

from __future__ import annotations

import math
from typing import Any

from sim_trainer.configuration.training import NetworkConfig
from sim_trainer.training.networks.csp import CspBackbone
from sim_trainer.training.networks.residual import ResidualBackbone
import torch
from torch import nn, Tensor

OFFSET_UNIT_PX = 16.0
BACKBONES = {'residual': ResidualBackbone, 'csp': CspBackbone}
#: Odds of a centre in an untouched cell; keeps the focal loss of the first steps small.
_PRIOR = 0.01


class KeypointNetwork(nn.Module):
    """A backbone and one linear layer that reads everything from its feature map."""

    def __init__(self, object_count: int, keypoint_count: int, backbone: str = 'residual',
                 stride: int = 4, teach_surfaces: bool = False,
                 **widths: Any) -> None:
        super().__init__()
        self.object_count, self.keypoint_count = object_count, keypoint_count
        self.backbone = BACKBONES[backbone](stride, **widths)
        self.out = nn.Conv2d(self.backbone.channels, object_count + 3 * keypoint_count, 1)
        self.surface = (nn.Conv2d(self.backbone.channels, object_count, 1) if teach_surfaces
                        else None)
        for layer in (self.out, self.surface):
            if layer is not None:
                nn.init.normal_(layer.weight, std=0.01)
                nn.init.zeros_(layer.bias)
        with torch.no_grad():
            self.out.bias[:object_count] = -math.log(1 / _PRIOR - 1)
            if self.surface is not None:
                self.surface.bias[:] = -math.log(1 / _PRIOR - 1)
            self.out.bias[object_count + 2 * keypoint_count:] = math.log(8.0)

    @property
    def answers(self) -> list[nn.Module]:
        """The layers that give the answers."""
        return [layer for layer in (self.out, self.surface) if layer is not None]

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        """Log-odds (N, C, h, w), offsets (N, 2K, h, w) and log scales (N, K, h, w).

        While surfaces are taught, their log-odds (N, C, h, w) as well.
        """
        features = self.backbone((image[:, :3] - 117.0) * (1 / 64.0), *(
            [image[:, 3:]] if image.shape[1] > 3 else []))
        outputs = self.out(features).split(
            [self.object_count, 2 * self.keypoint_count, self.keypoint_count], dim=1)
        if self.surface is not None and self.training:
            return *outputs, self.surface(features)
        return outputs


def build_network(settings: NetworkConfig, object_count: int, keypoint_count: int
                  ) -> KeypointNetwork:
    """Return the network of a configuration, with new weights."""
    more = ({'blocks': settings.blocks, 'sees_plane': settings.sees_plane}
            if settings.backbone == 'residual' else {})
    return KeypointNetwork(object_count, keypoint_count, settings.backbone, settings.stride,
                           settings.head == 'centres' and settings.teach_surfaces,
                           width=settings.width, **more)
