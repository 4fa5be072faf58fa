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

"""Parts that the backbones share. Plain convolutions and ReLU: every runtime runs them fast."""

from __future__ import annotations

from dr_perception.core.plane_scale import UNKNOWN, USUAL
import torch
from torch import nn, Tensor
from torch.nn import functional


def conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    """Convolution, batch normalization, ReLU."""
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class Residual(nn.Module):
    """Two convolutions and the identity beside them (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
                                    nn.BatchNorm2d(channels))

    def be_identity(self) -> None:
        """Let what comes in (never negative, after a ReLU) go out, until training changes it."""
        nn.init.zeros_(self.second[1].weight)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of ``x`` (N, C, H, W)."""
        return functional.relu(x + self.second(self.first(x)))


class PlaneScale(nn.Module):
    """What the codes of ``plane_scale`` add to features: nothing, until training changes it."""

    def __init__(self, stride: int, channels: int) -> None:
        super().__init__()
        self.stride = stride
        self.weigh = nn.Conv2d(2, channels, 1, bias=False)
        nn.init.zeros_(self.weigh.weight)

    def forward(self, codes: Tensor) -> Tensor:
        """Return (N, channels, H / stride, W / stride) of codes (N, 1, H, W), 0...255."""
        codes = codes[:, :, self.stride // 2::self.stride, self.stride // 2::self.stride]
        known = (codes > UNKNOWN).to(codes.dtype)
        # Over the reference scene's table, the scale goes from three quarters to five quarters.
        return self.weigh(torch.cat([(codes * (4 / USUAL) - 4.0) * known, known], 1))


class CrossStage(nn.Module):
    """Half the channels pass residual blocks one after another; all that they gave is joined.

    A quarter of the arithmetic of as many residual blocks of full width. Source: Wang et al.
    2020, "CSPNet", in the form where every block's output goes to the joint.
    """

    def __init__(self, inputs: int, outputs: int, blocks: int) -> None:
        super().__init__()
        half = outputs // 2
        self.enter = conv(inputs, outputs, kernel=1)
        self.blocks = nn.ModuleList(Residual(half) for _ in range(blocks))
        self.leave = conv(half * (2 + blocks), outputs, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of ``x`` (N, C, H, W)."""
        parts = list(self.enter(x).chunk(2, dim=1))
        for block in self.blocks:
            parts.append(block(parts[-1]))
        return self.leave(torch.cat(parts, dim=1))


class PyramidPooling(nn.Module):
    """What lies in ever larger neighbourhoods, beside what lies here (He et al. 2015).

    Three poolings of 5 cells in a row see 5, 9 and 13 cells: at stride 32 most of the picture.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.enter = conv(channels, channels // 2, kernel=1)
        self.leave = conv(channels * 2, channels, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        """Return the features of ``x`` (N, C, H, W)."""
        parts = [self.enter(x)]
        for _ in range(3):
            parts.append(functional.max_pool2d(parts[-1], 5, 1, 2))
        return self.leave(torch.cat(parts, dim=1))


def double(x: Tensor) -> Tensor:
    """Twice the height and width, each cell repeated."""
    return functional.interpolate(x, scale_factor=2.0, mode='nearest')


def scaled(widths: tuple[int, ...], factor: float) -> tuple[int, ...]:
    """Numbers of channels times a factor, in sixteens.

    ONNX Runtime lays channels out in blocks of 16 on CPUs with AVX-512: 72 channels cost what 80
    do.
    """
    return tuple(max(16, 16 * round(width * factor / 16)) for width in widths)
