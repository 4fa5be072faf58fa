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

"""Muon, who takes which weights, and the learning rate's course."""

import pytest
from sim_trainer.configuration.training import NetworkConfig, TrainingConfig
from sim_trainer.training.muon import Muon, orthogonalized
from sim_trainer.training.networks.keypoints import build_network
from sim_trainer.training.optimizer import Optimizer
import torch


@pytest.mark.parametrize('shape', [(8, 8), (16, 144), (96, 20)])
def test_a_step_is_as_strong_in_every_direction(shape):
    torch.manual_seed(0)
    rows, columns = shape
    strengths = torch.logspace(0, -2, min(shape))
    U = torch.linalg.qr(torch.randn(rows, len(strengths)))[0]
    V = torch.linalg.qr(torch.randn(columns, len(strengths)))[0]
    result = orthogonalized([U * strengths @ V.T])[0]
    values = torch.linalg.svdvals(result)
    assert result.shape == shape
    assert 0.6 < values.min() and values.max() < 1.3
    # The directions stay: what it is in the bases of U and V is diagonal.
    inside = U.T @ result @ V
    assert (inside - torch.diag(inside.diag())).abs().max() < 0.02


def test_kernels_are_matrices_and_their_step_has_the_length_asked_for():
    torch.manual_seed(0)
    kernel = torch.nn.Parameter(torch.zeros(6, 4, 3, 3))
    optimizer = Muon([kernel], lr=0.1, momentum=0.0)
    kernel.grad = torch.randn_like(kernel)
    optimizer.step()
    values = torch.linalg.svdvals(kernel.detach().reshape(6, 36))
    assert 0.06 < values.min() and values.max() < 0.13


def test_vectors_are_refused():
    with pytest.raises(ValueError, match=r'a parameter of shape \(3,\); expected two dimensions'):
        Muon([torch.nn.Parameter(torch.zeros(3))])


@pytest.mark.parametrize('name, parts', [('muon', 2), ('adamw', 1)])
def test_every_weight_is_taken_once_and_answers_by_adamw(name, parts):
    network = build_network(NetworkConfig(teach_surfaces=True), 8, 9)
    optimizer = Optimizer(network, TrainingConfig(optimizer=name))
    taken = [[p for group in part.param_groups for p in group['params']]
             for part in optimizer._parts]
    assert len(taken) == parts
    everything = [id(p) for part in taken for p in part]
    assert sorted(everything) == sorted(id(p) for p in network.parameters())
    by_adamw = {id(p) for p in taken[0]}
    assert {id(network.out.weight), id(network.surface.weight)} <= by_adamw
    if name == 'muon':
        assert all(p.ndim > 1 for p in taken[1]) and len(taken[1]) > 20
