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

"""What ament_flake8, ament_pep257 (google), ament_copyright and ament_xmllint ask for; and C.

The flake8 plugins that ament_flake8 loads are here where their licence permits; isort keeps the
import order that its plugin asks for.
"""
import shutil
import subprocess
import sys
from xml.etree import ElementTree

import pytest

HEADER = """\
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
"""


@pytest.fixture(scope='module')
def tracked(repository_root):
    """Return the files under version control."""
    names = subprocess.run(
        ['git', 'ls-files'], cwd=repository_root, capture_output=True, text=True,
        check=True).stdout.splitlines()
    return [repository_root / name for name in names if (repository_root / name).is_file()]


@pytest.fixture(scope='module')
def modules(tracked):
    """Return the Python files under version control."""
    return [path for path in tracked if path.suffix == '.py']


def run_tool(root, module, *arguments):
    """Run a linter on the checkout; its findings are the failure's text."""
    result = subprocess.run([sys.executable, '-m', module, *arguments], cwd=root,
                            capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout + result.stderr


def test_flake8(repository_root, modules):
    for plugin in ('flake8_quotes', 'flake8_comprehensions', 'flake8_docstrings'):
        pytest.importorskip(plugin)
    run_tool(repository_root, 'flake8', *map(str, modules))


def test_flake8_sees_docstrings_quotes_and_comprehensions(repository_root, tmp_path):
    for plugin in ('flake8_quotes', 'flake8_comprehensions', 'flake8_docstrings'):
        pytest.importorskip(plugin)
    bad = tmp_path / 'bad.py'
    bad.write_text('def f():\n    """Returns x"""\n    return set([1, "a"])\n')
    result = subprocess.run(
        [sys.executable, '-m', 'flake8', f'--config={repository_root / "setup.cfg"}', str(bad)],
        cwd=tmp_path, capture_output=True, text=True, check=False)
    for code in ('D415', 'C405', 'Q000', 'D100'):
        assert code in result.stdout, code


def test_imports_are_in_order(repository_root, modules):
    pytest.importorskip('isort')
    run_tool(repository_root, 'isort', '--check', '--diff', '--quiet', *map(str, modules))


def test_every_module_begins_with_the_licence(repository_root, modules):
    def text(path):
        lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
        return ''.join(lines[1:] if lines and lines[0].startswith('#!') else lines)

    assert not [str(path.relative_to(repository_root)) for path in modules
                if not text(path).startswith(HEADER)]


def test_c_files_begin_with_the_licence_and_compile_without_a_warning(tracked):
    files = [path for path in tracked if path.suffix in ('.c', '.h')]
    comment = HEADER.replace('#', ' *')
    assert files and all(path.read_text(encoding='utf-8').startswith(f'/*\n{comment} */\n')
                         for path in files)
    if shutil.which('cc') is None:
        pytest.skip('needs a C compiler: apt install gcc')
    sources = [str(path) for path in files if path.suffix == '.c']
    done = subprocess.run(['cc', '-std=c99', '-Wall', '-Wextra', '-Wpedantic', '-Werror',
                           '-fsyntax-only', *sources], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_xml_is_well_formed(tracked):
    found = [path for path in tracked if path.suffix == '.xml']
    assert 'package.xml' in {path.name for path in found}
    for path in found:
        ElementTree.parse(path)


def test_modules_stay_readable_in_length(repository_root, modules):
    too_long = {}
    for path in modules:
        name = path.relative_to(repository_root)
        if name.parts[0] in ('dr_perception', 'sim_trainer'):
            lines = len(path.read_text(encoding='utf-8').replace(HEADER, '').splitlines())
            if lines > 330:  # the aim is 300
                too_long[str(name)] = lines
    assert not too_long
