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

"""Which of a run's snapshots is kept: by stress splits, not by pictures like those of training.

Pictures of the same randomization that trained a model say little about other pictures (Horvath
et al. 2022: 99.8 % on them while the real figure fell from 86 to 11). So snapshots are compared on
the stress splits, by average precision within 2 cm, and scores, covariances and the threshold are
calibrated on held-out and stress pictures together.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
import dataclasses
from dataclasses import dataclass
import logging
from pathlib import Path

from dr_perception.core.contract import ModelContract
from dr_perception.core.pipeline import Detection, Network, PosePipeline
import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.errors import TrainingError
from sim_trainer.evaluation.calibration import calibrate
from sim_trainer.evaluation.records import collect, SetRecords
from sim_trainer.validation.ranking import average_precision, best_threshold

logger = logging.getLogger(__name__)

#: The threshold stays within these bounds: below, a detection is more likely wrong than right.
THRESHOLD_RANGE = (0.4, 0.9)
#: Threshold while candidates are ranked: nearly all of them count.
RANKING_THRESHOLD = 0.02

#: Least heats of a candidate, the most first: fewer candidates take less time. What they may cost:
#: a part of the detections above the threshold, on the pictures that calibrated.
_LEAST_HEATS, _MAY_COST = (0.25, 0.2), 0.002

Results = list[tuple[BopPicture, list[Detection]]]


@dataclass(frozen=True)
class Snapshot:
    """One snapshot, calibrated and measured.

    Attributes:
        step: of training.
        contract: with its calibration and threshold.
        precision: average precision by stress split.
    """

    step: int
    contract: ModelContract
    precision: dict[str, float]

    @property
    def merit(self) -> float:
        """What decides: the mean over the splits; 0 without any."""
        return float(np.mean(list(self.precision.values()))) if self.precision else 0.0


def measure_snapshot(step: int, contract: ModelContract, network: Network,
                     calibration: list[BopPicture], stress: Mapping[str, list[BopPicture]],
                     beta: float) -> Snapshot:
    """Calibrate on half of the stress pictures and ``calibration``; rank the other half.

    The threshold is where the F measure of ``beta`` is highest on the pictures that calibrated.

    Raises:
        TrainingError: it finds too little to be calibrated.
    """
    fitted_on = _fitted_on(calibration, stress)
    contract = calibrate(contract, network, fitted_on)
    pipeline = PosePipeline(with_threshold(contract, RANKING_THRESHOLD), network)
    records = {name: records_of(pipeline.estimate, pictures[1::2], contract)
               for name, pictures in stress.items()}
    fitted = records_of(pipeline.estimate, fitted_on, contract)
    threshold = float(np.clip(best_threshold([fitted], beta), *THRESHOLD_RANGE))
    return Snapshot(step, with_threshold(contract, threshold),
                    {name: round(average_precision(r), 4) for name, r in records.items()})


def choose(snapshots: Mapping[int, Callable[[], Network]], contract: ModelContract,
           calibration: list[BopPicture], stress: Mapping[str, list[BopPicture]], beta: float
           ) -> list[Snapshot]:
    """All snapshots that can be calibrated, the best first, which leaves faint candidates out.

    Args:
        snapshots: step -> function that opens its network.
        contract: of all of them, not calibrated.
        calibration: held-out pictures.
        stress: pictures of the stress splits.
        beta: of the threshold, ``training.threshold_beta``.

    Raises:
        TrainingError: none finds enough to be calibrated.
    """
    measured, failure = [], None
    for step, open_network in snapshots.items():
        try:
            measured.append(measure_snapshot(step, contract, open_network(), calibration, stress,
                                             beta))
        except TrainingError as error:      # early ones may have learned too little
            failure = error
            continue
        logger.info('snapshot %d: average precision %.3f on the stress splits', step,
                    measured[-1].merit)
    if not measured:
        raise failure or TrainingError('there is no snapshot to choose from')
    best, *others = sorted(measured, key=lambda s: (-s.merit, -s.step))
    contract = with_least_heat(best.contract, snapshots[best.step](),
                               _fitted_on(calibration, stress))
    return [dataclasses.replace(best, contract=contract), *others]


def _fitted_on(calibration: list[BopPicture], stress: Mapping[str, list[BopPicture]]
               ) -> list[BopPicture]:
    """Return what calibrates: ``calibration`` and half of each stress split."""
    return [*calibration, *(picture for pictures in stress.values() for picture in pictures[::2])]


def records_of(estimate: Callable[..., list[Detection]], pictures: Iterable[BopPicture],
               contract: ModelContract) -> SetRecords:
    """Return what an estimator finds in pictures, as records."""
    return collect([(picture, estimate(picture.image_rgb, picture.camera, picture.T_base_camera))
                    for picture in pictures], {m.name: m for m in contract.objects})


def with_threshold(contract: ModelContract, threshold: float) -> ModelContract:
    """Return the contract with another score threshold."""
    return dataclasses.replace(contract, decoder=dataclasses.replace(
        contract.decoder, score_threshold=threshold))


def with_least_heat(contract: ModelContract, network: Network, pictures: list[BopPicture]
                    ) -> ModelContract:
    """Return the contract without candidates so faint that next to none passes its threshold.

    Args:
        contract: calibrated, with its threshold.
        network: of it.
        pictures: that say what passes.
    """
    def passing(peak_threshold: float) -> tuple[int, ModelContract]:
        tried = dataclasses.replace(contract, decoder=dataclasses.replace(
            contract.decoder, peak_threshold=peak_threshold))
        pipeline = PosePipeline(tried, network)
        return sum(len(pipeline.estimate(p.image_rgb, p.camera, p.T_base_camera))
                   for p in pictures), tried

    wanted, _ = passing(contract.decoder.peak_threshold)
    for heat in _LEAST_HEATS:
        if heat > contract.decoder.peak_threshold:
            count, tried = passing(heat)
            if count >= (1 - _MAY_COST) * wanted:
                return tried
    return contract


def snapshot_path(folder: Path, step: int) -> Path:
    """Where a snapshot's ONNX file lies while snapshots are compared."""
    return folder / 'snapshots' / f'step_{step:07d}.onnx'
