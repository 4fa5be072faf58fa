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

"""What a report is made of."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from dr_perception.core.contract import ModelContract
from dr_perception.core.objects import ObjectModel
from dr_perception.core.pipeline import Detection
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.records import collect, SetRecords

Results = list[tuple[BopPicture, list[Detection]]]


@dataclass(frozen=True, eq=False)
class RunReport:
    """A training run, as it is to be reported.

    Attributes:
        contract: of the trained model.
        config_text: the resolved configuration.
        log_path: ``log.jsonl`` of the run; None, missing or empty: no curves.
        sets: name of a set ('held-out simulation') -> its pictures, each with what the model
            found in it. The first is the main one.
        notes: plain sentences for the head, as what chose the model.
        seconds: the run took; None where not known.
    """

    contract: ModelContract
    config_text: str
    log_path: Path | None
    sets: dict[str, Results]
    notes: list[str] = field(default_factory=list)
    seconds: float | None = None


@dataclass(frozen=True, eq=False)
class MeasuredSet:
    """A set with its records. ``catalogue`` is the model's, by name."""

    name: str
    results: Results
    catalogue: dict[str, ObjectModel]

    @cached_property
    def records(self) -> SetRecords:
        """What became of each object and detection."""
        return collect(self.results, self.catalogue)


def measured_sets(run: RunReport) -> list[MeasuredSet]:
    """Return the sets of a run, the main one first."""
    catalogue = {model.name: model for model in run.contract.objects}
    return [MeasuredSet(name, results, catalogue) for name, results in run.sets.items()]
