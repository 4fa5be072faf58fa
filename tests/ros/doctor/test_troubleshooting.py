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

"""docs/troubleshooting.md quotes nothing that the code does not print."""
import ast
from pathlib import Path
import re

import pytest

ROOT = Path(__file__).resolve().parents[3]
HOLE = '\0'


def texts_of_code():
    """Return every text of the package but docstrings; what an f-string fills in is a HOLE."""
    found = []
    for path in sorted((ROOT / 'dr_perception').rglob('*.py')):
        nodes = list(ast.walk(ast.parse(path.read_text(encoding='utf-8'))))
        docstrings = [node.value for node in nodes if isinstance(node, ast.Expr)]
        for node in (node for node in nodes if node not in docstrings):
            if isinstance(node, ast.JoinedStr):
                found.append(''.join(part.value if isinstance(part, ast.Constant) else HOLE
                                     for part in node.values))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return found


def quotes():
    """Return the quoted texts of the table's middle column."""
    rows = [line.split(' | ') for line in
            (ROOT / 'docs' / 'troubleshooting.md').read_text(encoding='utf-8').splitlines()
            if line.startswith('| ')]
    cells = [row[1] for row in rows if len(row) == 3 and re.match(r'\|.*\|.*\|', ' | '.join(row))]
    start = cells.index('shown by')
    end = next(i for i in range(start + 1, len(cells)) if cells[i] == 'default')
    return sorted({text for cell in cells[start:end] for text in re.findall('`([^`]+)`', cell)
                   if not text.startswith(('/', '~'))})


def prints(text, quote):
    """Return whether a text of the code can read as the quote; `…` stands for anything."""
    pattern = '.*'.join(re.escape(part) for part in quote.split('…'))
    return re.search(pattern, text, re.DOTALL) is not None


TEXTS = texts_of_code()


def test_there_are_quotes_for_many_symptoms():
    assert len(quotes()) > 30


@pytest.mark.parametrize('quote', quotes())
def test_a_quoted_text_is_one_that_the_code_prints(quote):
    assert any(prints(text, quote) for text in TEXTS), quote


def test_a_text_that_nobody_prints_is_found():
    assert not any(prints(text, 'the camera is … on fire') for text in TEXTS)
