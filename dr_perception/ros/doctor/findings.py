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

"""What a section of the report consists of: facts, tables, and findings with a remedy."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from typing import Any


class Level(Enum):
    """How bad a finding is."""

    OK = 'OK'
    WARN = 'WARN'
    ERROR = 'ERROR'


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        level: what came of it.
        text: one line.
        remedy: one line that says what to do; given unless the level is OK.
    """

    level: Level
    text: str
    remedy: str = ''

    def __post_init__(self) -> None:
        for name in ('text', 'remedy'):  # errors of others may hold line breaks
            object.__setattr__(self, name, ' '.join(getattr(self, name).split()))
        if self.level is not Level.OK and not self.remedy:
            raise ValueError(f'the finding {self.text!r} has no remedy')


def ok(text: str) -> Finding:
    """Return a finding that all is well."""
    return Finding(Level.OK, text)


def warn(text: str, remedy: str) -> Finding:
    """Return a finding that something is worse than it could be."""
    return Finding(Level.WARN, text, remedy)


def error(text: str, remedy: str) -> Finding:
    """Return a finding that something cannot work."""
    return Finding(Level.ERROR, text, remedy)


@dataclass(frozen=True)
class Table:
    """Rows of texts below column names."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


@dataclass
class Section:
    """One section of the report.

    What another section's finding keeps from being looked at is told by ``skip``, not by a finding
    of its own: the summary names causes only.

    Attributes:
        title: its name.
        facts: name to value, in order.
        tables: what does not fit into facts.
        findings: what was looked at.
        data: the same for machines, where the facts are words only.
    """

    title: str
    facts: dict[str, str] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)
    data: dict[str, Any] = field(default_factory=dict)

    def skip(self, reason: str) -> Section:
        """Say why nothing was looked at; returns the section."""
        self.facts['not checked'] = reason
        return self
