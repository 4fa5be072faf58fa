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

"""Backbone ``residual``: a small residual network with lateral connections."""

from __future__ import annotations

from sim_trainer.training.networks.blocks import conv, double, PlaneScale, Residual, scaled
from torch import nn, Tensor


class ResidualBackbone(nn.Module):
    """(N, 3, H, W) normalized -> (N, ``channels``, H / stride, W / stride), stride 4 or 8."""

    def __init__(self, stride: int, widths: tuple[int, int, int, int] = (32, 48, 80, 112),
                 width: float = 1.0, blocks: tuple[int, int, int] = (2, 2, 1),
                 sees_plane: bool = False) -> None:
        super().__init__()
        w4, w8, w16, w32 = scaled(widths, width)
        w2, head = scaled((16, 48), width)
        self.stride, self.channels = stride, head if stride == 4 else w8
        self.stem = nn.Sequential(conv(3, w2, 2), conv(w2, w4, 2), conv(w4, w4))
        self.down8, self.down16, self.down32 = (
            nn.Sequential(conv(inputs, outputs, 2), *(Residual(outputs) for _ in range(count)))
            for inputs, outputs, count in zip((w4, w8, w16), (w8, w16, w32), blocks))
        # Zero at first: a network begins with the answers of one that does not see the plane.
        self.planes = nn.ModuleList(PlaneScale(stride, outputs) for stride, outputs in zip(
            (8, 16, 32), (w8, w16, w32))) if sees_plane else None
        self.up16 = conv(w32, w16, kernel=1)
        self.mix16 = conv(w16, w16)
        self.up8 = conv(w16, w8, kernel=1)
        self.mix8 = conv(w8, w8)
        if stride == 4:
            self.up4 = conv(w8, w4, kernel=1)
            self.head = conv(w4, self.channels)

    def forward(self, x: Tensor, plane: Tensor | None = None) -> Tensor:
        """Return the features of pictures (N, 3, H, W); ``plane`` (N, 1, H, W) are codes."""
        x4 = x = self.stem(x)
        down = []
        for i, stage in enumerate((self.down8, self.down16, self.down32)):
            x = stage[0](x)
            if self.planes is not None and plane is not None:
                x = x + self.planes[i](plane)
            for block in stage[1:]:
                x = block(x)
            down.append(x)
        x8, x16, x32 = down
        x16 = self.mix16(x16 + double(self.up16(x32)))
        x8 = self.mix8(x8 + double(self.up8(x16)))
        return self.head(x4 + double(self.up4(x8))) if self.stride == 4 else x8
