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

"""A training run as one HTML file that needs nothing else."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path

from sim_trainer.report import sections
from sim_trainer.report.page import page
from sim_trainer.report.run_report import measured_sets, RunReport
from sim_trainer.report.summary import set_figures


def write_report(path: Path, run: RunReport, now: datetime | None = None) -> None:
    """Write the report of a run.

    Args:
        path: of the HTML file.
        run: what to report.
        now: what the report calls its time; None: the time it is.
    """
    sets = measured_sets(run)
    figures = [set_figures(measured) for measured in sets]
    path.write_text(page(f'Training report: {run.contract.name}', [
        sections.header(run, figures, now or datetime.now()), sections.set_table(figures),
        sections.training(run), sections.predictions(sets), sections.breakdown(sets),
        sections.trust(sets), sections.kinds(sets), sections.details(run, sets)]),
        encoding='utf-8')
