"""The localization network: heat-maps of object centres, and keypoints with their scale.

Input (N, 3, H, W) RGB 0...255; H and W are multiples of 32. At stride 4 every cell gives, for
each object kind, the log-odds that an instance's centre lies there, and for the instance whose
centre is near, the offsets to its K keypoints (in units of ``OFFSET_UNIT_PX``) and the logarithm
of their Laplace scale in pixels.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

STRIDE = 4
OFFSET_UNIT_PX = 16.0
#: Odds of a centre in an untouched cell; keeps the focal loss of the first steps small.
_PRIOR = 0.01


def _conv(inputs: int, outputs: int, stride: int = 1, kernel: int = 3) -> nn.Sequential:
    return nn.Sequential(
        nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
        nn.BatchNorm2d(outputs), nn.ReLU(inplace=True))


class _Residual(nn.Module):
    """Two convolutions and the identity beside them (He et al. 2016)."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first = _conv(channels, channels)
        self.second = nn.Sequential(nn.Conv2d(channels, channels, 3, 1, 1, bias=False),
                                    nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        return functional.relu(x + self.second(self.first(x)))


class KeypointNetwork(nn.Module):
    """A small residual network with lateral connections up to stride 4."""

    def __init__(self, object_count: int, keypoint_count: int,
                 widths: tuple[int, int, int, int] = (32, 64, 96, 128)) -> None:
        super().__init__()
        self.object_count, self.keypoint_count = object_count, keypoint_count
        w4, w8, w16, w32 = widths
        self.stem = nn.Sequential(_conv(3, 16, 2), _conv(16, w4, 2), _conv(w4, w4))
        self.down8 = nn.Sequential(_conv(w4, w8, 2), _Residual(w8), _Residual(w8))
        self.down16 = nn.Sequential(_conv(w8, w16, 2), _Residual(w16), _Residual(w16))
        self.down32 = nn.Sequential(_conv(w16, w32, 2), _Residual(w32))
        self.up16 = _conv(w32, w16, kernel=1)
        self.mix16 = _conv(w16, w16)
        self.up8 = _conv(w16, w8, kernel=1)
        self.mix8 = _conv(w8, w8)
        self.up4 = _conv(w8, w4, kernel=1)
        self.head = _conv(w4, 56)
        self.out = nn.Conv2d(56, object_count + 3 * keypoint_count, 1)
        nn.init.normal_(self.out.weight, std=0.01)
        nn.init.zeros_(self.out.bias)
        with torch.no_grad():
            self.out.bias[:object_count] = -math.log(1 / _PRIOR - 1)
            self.out.bias[object_count + 2 * keypoint_count:] = math.log(8.0)

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Log-odds (N, C, h, w), offsets (N, 2K, h, w) and log scales (N, K, h, w)."""
        x4 = self.stem((image - 117.0) * (1 / 64.0))
        x8 = self.down8(x4)
        x16 = self.down16(x8)
        x32 = self.down32(x16)
        x16 = self.mix16(x16 + _double(self.up16(x32)))
        x8 = self.mix8(x8 + _double(self.up8(x16)))
        x4 = self.head(x4 + _double(self.up4(x8)))
        return self.out(x4).split(
            [self.object_count, 2 * self.keypoint_count, self.keypoint_count], dim=1)


def _double(x: Tensor) -> Tensor:
    return functional.interpolate(x, scale_factor=2.0, mode='nearest')
