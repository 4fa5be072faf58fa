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

"""What a batch of any model can do: move, as a whole."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import torch
from torch import Tensor

Self = TypeVar('Self', bound='TensorBatch')


class TensorBatch:
    """Base of a dataclass of tensors; what is no tensor stays as it is."""

    def to(self: Self, device: torch.device) -> Self:
        """Return the batch on a device."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self: Self) -> Self:
        """Return the batch in memory that a GPU copies from by itself (for torch's loader)."""
        return self._each(lambda tensor: tensor.pin_memory())

    def share_memory(self: Self) -> Self:
        """Return the batch in memory that processes share.

        Raises:
            RuntimeError: there is not enough.
        """
        return self._each(lambda tensor: tensor.share_memory_())

    def _each(self: Self, function: Callable[[Tensor], Tensor]) -> Self:
        return type(self)(*(function(value) if isinstance(value, Tensor) else value
                            for value in vars(self).values()))
