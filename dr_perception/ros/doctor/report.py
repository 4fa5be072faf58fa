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

"""The report as markdown, to be pasted into an issue, and as JSON."""

from __future__ import annotations

from collections.abc import Sequence
import json
from typing import Any

from dr_perception.ros.doctor.findings import Finding, Level, Section, Table

#: Every ERROR finding ends the process with it: neither a user's mistake on the command line (2)
#: nor a bug (1).
EXIT_ERRORS = 3


def count(sections: Sequence[Section], level: Level) -> int:
    """How many findings are of a level."""
    return sum(finding.level is level for section in sections for finding in section.findings)


def exit_code(sections: Sequence[Section]) -> int:
    """0, also with warnings; ``EXIT_ERRORS`` where something cannot work."""
    return EXIT_ERRORS if count(sections, Level.ERROR) else 0


def summary(sections: Sequence[Section]) -> str:
    """One line: how many findings of each level."""
    errors, warnings = count(sections, Level.ERROR), count(sections, Level.WARN)
    if not errors and not warnings:
        return f'all well ({count(sections, Level.OK)} checks)'
    return (f'{errors} {"error" if errors == 1 else "errors"}, '
            f'{warnings} {"warning" if warnings == 1 else "warnings"}, '
            f'{count(sections, Level.OK)} OK')


def as_markdown(sections: Sequence[Section]) -> str:
    """Return the report to paste: what is wrong first, then every section."""
    lines = ['# dr_perception doctor', '', f'**{summary(sections)}**', '']
    for level in (Level.ERROR, Level.WARN):
        lines += [f'{_line(finding)} ({section.title})' for section in sections
                  for finding in section.findings if finding.level is level]
    if lines[-1]:
        lines.append('')
    for section in sections:
        lines += [f'## {section.title}', '']
        if section.facts:
            lines += _table(Table(('', ''), tuple(section.facts.items())))
        for table in section.tables:
            lines += _table(table)
        if section.findings:
            lines += [*(_line(finding) for finding in section.findings), '']
    return '\n'.join(lines).rstrip() + '\n'


def as_json(sections: Sequence[Section]) -> str:
    """Return the report for machines; ``sections`` by title."""
    return json.dumps({
        'summary': {level.value: count(sections, level) for level in Level},
        'sections': {section.title: {
            'facts': section.facts, 'data': section.data,
            'tables': [[dict(zip(table.columns, row)) for row in table.rows]
                       for table in section.tables],
            'findings': [_as_dict(finding) for finding in section.findings]}
            for section in sections}}, indent=2)


def _as_dict(finding: Finding) -> dict[str, Any]:
    return {'level': finding.level.value, 'text': finding.text, 'remedy': finding.remedy}


def _line(finding: Finding) -> str:
    remedy = f'. Remedy: {finding.remedy}' if finding.remedy else ''
    return f'- {finding.level.value}: {finding.text}{remedy}'


def _table(table: Table) -> list[str]:
    rows = [table.columns, ('---',) * len(table.columns), *table.rows]
    return [*('| ' + ' | '.join(_cell(cell) for cell in row) + ' |' for row in rows), '']


def _cell(text: str) -> str:
    return ' '.join(str(text).split()).replace('|', '\\|')
