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
            parameters = [p for p in group['params'] if p.grad is not None]
            if not parameters:
                continue
            gradients = [p.grad for p in parameters]
            for parameter in parameters:
                if not self.state[parameter]:
                    self.state[parameter]['momentum'] = torch.zeros_like(parameter)
            momenta = [self.state[parameter]['momentum'] for parameter in parameters]
            # One call for all tensors: on a GPU each call costs more than its arithmetic.
            torch._foreach_mul_(momenta, group['momentum'])
            torch._foreach_add_(momenta, gradients)
            ahead = torch._foreach_add(gradients, momenta, alpha=group['momentum'])
            torch._foreach_mul_(parameters, 1 - group['lr'] * group['weight_decay'])
            torch._foreach_add_(parameters, _steps_of(ahead), alpha=-group['lr'])


def orthogonalized(matrices: list[Tensor]) -> list[Tensor]:
    """Return the nearest matrices (R, C) float32 whose singular values are all about 1.

    The iteration X <- (a + b XX' + c (XX')^2) X is carried out on the small matrix XX' alone, all
    of whose polynomials commute; X itself, with many columns, is multiplied once, at the end. The
    small matrices of one size are iterated together.
    """
    wide = [m.float() if m.shape[0] <= m.shape[1] else m.float().T for m in matrices]
    norms = torch._foreach_norm(wide)
    torch._foreach_add_(norms, 1e-7)
    wide = torch._foreach_div(wide, norms)
    of_size: dict[int, list[int]] = {}
    for i, X in enumerate(wide):
        of_size.setdefault(len(X), []).append(i)
    results: list[Tensor] = list(wide)
    for members in of_size.values():
        products = _iterated(torch.stack([wide[i] @ wide[i].T for i in members]))
        for i, product in zip(members, products):
            X = product @ wide[i]
            results[i] = X if matrices[i].shape[0] <= matrices[i].shape[1] else X.T
    return results


def _iterated(A: Tensor) -> Tensor:
    """Return what (N, R, R) X is to be multiplied by, of XX'."""
    a, b, c = _COEFFICIENTS
    one = torch.eye(A.shape[1], device=A.device)
    product = one
    for iteration in range(_ITERATIONS):
        factor = a * one + b * A + c * A @ A
        product = factor @ product if iteration else factor
        if iteration < _ITERATIONS - 1:
            A = factor @ A @ factor
    return product


def _steps_of(gradients: list[Tensor]) -> list[Tensor]:
    """Return the steps of weight tensors; tall matrices pass on less a row: longer steps."""
    steps = orthogonalized([gradient.reshape(len(gradient), -1) for gradient in gradients])
    return [(step * max(1.0, step.shape[0] / step.shape[1]) ** 0.5).reshape(gradient.shape)
            .to(gradient.dtype) for step, gradient in zip(steps, gradients)]
