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

"""The training section of a scene YAML: network, steps, precision."""

from __future__ import annotations

from dataclasses import dataclass
import math

from sim_trainer.errors import ConfigurationError

MODELS = ('keypoints', 'tobin2017')
HEADS = ('centres', 'surface')
BACKBONES = ('residual', 'csp')
STRIDES = (4, 8)
OPTIMIZERS = ('muon', 'adamw')
SCHEDULES = ('cosine', 'constant')
#: Batches between two uses of one.
REUSED_BATCHES = 24


@dataclass(frozen=True)
class NetworkConfig:
    """The keypoint network. What each choice costs and gives: docs/model.md."""

    #: what a map of a kind shows, and which cells say where the keypoints are. centres: heat at
    #: the objects' centres, keypoints from the cells round them. surface: the visible surface,
    #: keypoints by the votes of all its cells
    head: str = 'centres'
    #: residual, or csp (cross-stage blocks and pyramid pooling)
    backbone: str = 'residual'
    #: pixels a cell
    stride: int = 4
    #: channels of the backbone, times its usual ones; arithmetic grows with the square
    width: float = 1.0
    #: residual: blocks at strides 8, 16 and 32. More than the weights of start_from have begin as
    #: the identity
    blocks: tuple[int, int, int] = (2, 2, 1)
    #: residual: the network is given how large things look on the support plane, pixel by pixel,
    #: and so can tell sizes; where it is not known it does without
    sees_plane: bool = False
    #: head centres: teach the visible surfaces as well. A hundred labelled cells for each centre;
    #: the maps are left out of the exported model. Needs masks, which BOP data sets may lack
    teach_surfaces: bool = False

    def __post_init__(self) -> None:
        for key, known in (('head', HEADS), ('backbone', BACKBONES), ('stride', STRIDES)):
            if getattr(self, key) not in known:
                raise ConfigurationError(f'training.network.{key}: {getattr(self, key)!r}; '
                                         f'expected {" or ".join(map(str, known))}')
        if not all(0 <= count <= 20 for count in self.blocks):
            raise ConfigurationError(f'training.network.blocks: {list(self.blocks)}; expected '
                                     'three numbers of 0...20')
        if self.backbone != 'residual' and self.blocks != NetworkConfig.blocks:
            raise ConfigurationError('training.network.blocks: only the backbone residual has '
                                     'them; leave the key out')
        if self.backbone != 'residual' and self.sees_plane:
            raise ConfigurationError('training.network.sees_plane: only the backbone residual '
                                     'does; leave the key out')
        if not 0.25 <= self.width <= 4:
            raise ConfigurationError(f'training.network.width: {self.width:g}; expected 0.25...4')


@dataclass(frozen=True)
class TrainingConfig:
    """How the network is trained."""

    #: 'keypoints' (maps + keypoints + camera) or 'tobin2017' (the paper's, one object)
    model: str = 'keypoints'
    #: the keypoint network
    network: NetworkConfig = NetworkConfig()
    #: weights to begin with: folder of another run, a file of its snapshots, or a model.onnx. What
    #: fits by name and shape is taken; with other objects all but the answering layers. A list of
    #: model.onnx: the mean of their weights, of runs that began with the same ones
    start_from: str | tuple[str, ...] | None = None
    #: the object that tobin2017 localizes
    object_name: str | None = None
    #: optimizer steps
    steps: int = 9000
    #: end by the clock: the learning rates begin to fall (schedule constant, of itself) when what
    #: is left of so many minutes is the cooldown; then fewer than ``steps`` are taken. Drawing
    #: counts, the minutes of choice and calibration afterwards do not. null: take all steps
    minutes: float | None = None
    #: samples of a step, over all processes together
    batch_size: int = 16
    #: muon (for the hidden layers; adamw for the others), or adamw for all. docs/model.md
    optimizer: str = 'muon'
    #: of adamw
    learning_rate: float = 0.002
    #: of muon
    muon_learning_rate: float = 0.02
    weight_decay: float = 0.02
    #: of the learning rates: cosine, or constant until the cooldown. A constant one can be made
    #: longer later: --resume with more training.steps, as long as it has not cooled down
    schedule: str = 'cosine'
    #: schedule constant: the part of the steps, at the end, in which the learning rates fall
    cooldown: float = 0.2
    #: seconds between checkpoints
    checkpoint_s: float = 120.0
    #: bfloat16 arithmetic; null: where the processor or GPU has it. 2x faster there, 8x slower
    #: on CPUs that imitate it
    mixed_precision: bool | None = None
    #: compile the network with torch.compile: 2x faster on a CPU after a minute's preparation
    compile: bool = True  # noqa: A003
    #: what makes the samples (turn, zoom, sensor, targets): 1 a thread beside the training; more,
    #: so many processes (of each process of torchrun), for a GPU that one Python cannot feed.
    #: Each takes 0.3 GB and hands its batches over in /dev/shm. Same samples
    workers: int = 1
    #: steps that each batch is trained on: more than 1 for a GPU that is faster than the
    #: processors make samples. Every further time comes 24 batches later; those are kept, a
    #: sample of 352x256 in 0.6 MB
    reuse: int = 1
    #: averaged weights kept from the last half of training (schedule constant: from the cooldown),
    #: the end included; stress splits choose
    snapshots: int = 4
    #: pictures of training's own kind that calibrate scores and covariances
    calibration_pictures: int = 160
    #: the same, for the run's own figures
    measured_pictures: int = 80
    #: pictures of each stress split: half calibrate, half choose; 0: the last weights are kept
    stress_pictures: int = 24
    #: of the score threshold: how many times as much it weighs to find what is there as not to
    #: invent what is not (beta of the F measure). An arm that reaches for what is not there
    #: mostly loses more than one that looks again
    threshold_beta: float = 0.5
    #: write TensorBoard event files as well
    tensorboard: bool = False

    def __post_init__(self) -> None:
        if self.model not in MODELS:
            raise ConfigurationError(f'training.model: {self.model!r}; expected keypoints or '
                                     'tobin2017')
        if min(self.steps, self.batch_size, self.reuse, self.workers) < 1:
            raise ConfigurationError('training: steps, batch_size, reuse and workers start at 1')
        if min(self.calibration_pictures, self.measured_pictures) < 2 or (
                self.stress_pictures < 0 or self.stress_pictures == 1):
            raise ConfigurationError('training: calibration_pictures and measured_pictures start '
                                     'at 2, stress_pictures is 0 or at least 2')
        if not 1 <= self.snapshots <= 50:
            raise ConfigurationError(f'training.snapshots: {self.snapshots}; expected 1...50')
        for key, known in (('optimizer', OPTIMIZERS), ('schedule', SCHEDULES)):
            if getattr(self, key) not in known:
                raise ConfigurationError(f'training.{key}: {getattr(self, key)!r}; expected '
                                         f'{" or ".join(known)}')
        if self.minutes is not None and not 0 < self.minutes < math.inf:
            raise ConfigurationError(f'training.minutes: {self.minutes:g}; expected a number '
                                     'above 0, or null')
        if self.minutes is not None and self.cooldown == 1:
            raise ConfigurationError('training.cooldown: 1; with training.minutes below 1: how '
                                     'long all would take is not known before')
        for key, most in (('threshold_beta', 10), ('cooldown', 1)):
            if not 0 < getattr(self, key) <= most:
                raise ConfigurationError(f'training.{key}: {getattr(self, key):g}; expected a '
                                         f'number above 0, at most {most}')
        for key in ('learning_rate', 'muon_learning_rate'):
            if not 0 < getattr(self, key) < 1:
                raise ConfigurationError(f'training.{key}: {getattr(self, key):g}; expected a '
                                         'number between 0 and 1')

    @property
    def start_paths(self) -> tuple[str, ...]:
        """What ``start_from`` names, as a list."""
        given = self.start_from
        return (given,) if isinstance(given, str) else given or ()

    def batch_of(self, step: int) -> tuple[int, bool]:
        """Return the number of the batch that a step trains on, and whether it is a new one.

        New and old batches take turns, so that new ones are wanted steadily. The first batches
        have none before them: they are used again at once, and once more when it is their turn.
        """
        newest, times = divmod(step, self.reuse)
        number = newest - times * REUSED_BATCHES
        return (number if number >= 0 else newest), times == 0

    def first_batch(self, step: int) -> int:
        """Return the first batch that ``step`` and later steps need; none is left at the end."""
        if step >= self.steps:
            return self.batch_count
        return max(0, step // self.reuse - (self.reuse - 1) * REUSED_BATCHES)

    @property
    def batch_count(self) -> int:
        """Different batches of the whole training."""
        return (self.steps - 1) // self.reuse + 1
