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

"""Muon: momentum whose step has the same strength in every direction of a weight matrix.

The gradient of a convolution is dominated by a few directions; what the others would teach is
drowned. Source: Jordan et al. 2024, "Muon: An optimizer for hidden layers in neural networks"
(Newton-Schulz iteration and its coefficients). torch.optim.Muon takes matrices only, not kernels.
"""

from __future__ import annotations

import torch
from torch import Tensor

#: Five steps with these bring every singular value to about 1 (0.7...1.2).
_COEFFICIENTS = (3.4445, -4.7750, 2.0315)
_ITERATIONS = 5


class Muon(torch.optim.Optimizer):
    """For weights of two dimensions or more; kernels count as matrices (outputs, all the rest)."""

    def __init__(self, parameters, lr: float = 0.02, momentum: float = 0.95,
                 weight_decay: float = 0.0) -> None:
        """Prepare.

        Args:
            parameters: tensors, or groups as torch.optim takes them.
            lr: step length; the root mean square of a step's entries is about
                lr / sqrt(columns of the matrix).
            momentum: of the gradients (Nesterov's).
            weight_decay: decoupled, as in AdamW.

        Raises:
            ValueError: a parameter has fewer than two dimensions.
        """
        super().__init__(parameters, {'lr': lr, 'momentum': momentum,
                                      'weight_decay': weight_decay})
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.ndim < 2:
                    raise ValueError(f'Muon: a parameter of shape {tuple(parameter.shape)}; '
                                     'expected two dimensions or more')

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """One step; ``closure`` is not supported and must be None."""
        assert closure is None
        for group in self.param_groups:
            for parameter in group['params']:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if not state:
                    state['momentum'] = torch.zeros_like(parameter)
                momentum = state['momentum'].mul_(group['momentum']).add_(parameter.grad)
                ahead = parameter.grad + group['momentum'] * momentum
                parameter.mul_(1 - group['lr'] * group['weight_decay'])
                parameter.add_(_step_of(ahead), alpha=-group['lr'])


def orthogonalized(matrix: Tensor) -> Tensor:
    """Return the nearest matrix (R, C) float32 whose singular values are all about 1.

    The iteration X <- (a + b XX' + c (XX')^2) X is carried out on the small matrix XX' alone, all
    of whose polynomials commute; X itself, with many columns, is multiplied once, at the end.
    """
    a, b, c = _COEFFICIENTS
    X = matrix.float()
    X = X / (X.norm() + 1e-7)
    tall = X.shape[0] > X.shape[1]
    if tall:
        X = X.T
    one = torch.eye(len(X), device=X.device)
    A, product = X @ X.T, one
    for iteration in range(_ITERATIONS):
        factor = a * one + b * A + c * A @ A
        product = factor @ product if iteration else factor
        if iteration < _ITERATIONS - 1:
            A = factor @ A @ factor
    X = product @ X
    return X.T if tall else X


def _step_of(gradient: Tensor) -> Tensor:
    """Return the step of a weight tensor; tall matrices pass on less a row: longer steps."""
    matrix = gradient.reshape(len(gradient), -1)
    rows, columns = matrix.shape
    step = orthogonalized(matrix) * max(1.0, rows / columns) ** 0.5
    return step.reshape(gradient.shape).to(gradient.dtype)
