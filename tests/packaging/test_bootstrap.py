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

"""Setting up from a clean clone, without making a real environment."""
import os
from pathlib import Path
import subprocess
import sys

import pytest
from sim_trainer.bootstrap import __main__ as command
from sim_trainer.bootstrap import environment as environment_module
from sim_trainer.bootstrap import system
from sim_trainer.bootstrap.environment import clean_environment, Environment
from sim_trainer.bootstrap.errors import BootstrapError

THIS_PYTHON = system.Interpreter('/usr/bin/python3.11', (3, 11), True, True)


@pytest.fixture
def checkout(tmp_path, monkeypatch):
    """Return an Environment of an empty checkout whose steps are recorded, not run."""
    (tmp_path / 'setup.py').write_text('')
    (tmp_path / 'setup.cfg').write_text('')
    environment = Environment(tmp_path, {'PATH': '/usr/bin'})
    environment.steps = []

    def run(title, step, log):
        environment.steps.append(title.split()[0])
        if title.startswith('making'):
            environment.python.parent.mkdir(parents=True)
            environment.python.write_text('')

    monkeypatch.setattr(environment, 'run', run)
    monkeypatch.setattr(environment, 'damage', lambda jobs: '')
    return environment


def set_up(environment, job='demo'):
    """Set up once more and return the steps that it took."""
    environment.steps.clear()
    environment.set_up(job, THIS_PYTHON, environment.root / 'log')
    return list(environment.steps)


def test_the_command_imports_the_standard_library_only(repository_root):
    script = ('import sys, sim_trainer.bootstrap.__main__\n'
              'print([n for n in sys.modules if n.split(".")[0] not in sys.stdlib_module_names\n'
              '       and n.split(".")[0] not in ("sim_trainer", "__main__")])')
    output = subprocess.run(
        [sys.executable, '-I', '-S', '-c', f'import sys; sys.path.insert(0, ".")\n{script}'],
        cwd=repository_root, capture_output=True, text=True, check=True).stdout
    assert output.strip() == '[]'


def test_first_run_makes_installs_generates(checkout):
    assert set_up(checkout) == ['making', 'installing', 'generating']
    assert checkout.is_ready('demo')
    assert not checkout.is_ready('test')


def test_second_job_adds_to_the_environment_of_the_first(checkout):
    set_up(checkout)
    assert set_up(checkout, 'test') == ['installing', 'generating']
    assert checkout.is_ready('demo')
    assert checkout.is_ready('test')


@pytest.mark.parametrize('phase', ['creating', 'installing'])
def test_interrupted_set_up_starts_from_nothing(checkout, phase):
    set_up(checkout)
    checkout.write_stamp(**{**checkout.read_stamp(), 'phase': phase})
    (checkout.venv / 'half').write_text('')
    assert not checkout.is_ready('demo')
    assert set_up(checkout) == ['making', 'installing', 'generating']
    assert not (checkout.venv / 'half').exists()


def test_set_up_interrupted_after_the_installation_goes_on_there(checkout):
    set_up(checkout)
    checkout.write_stamp(**{**checkout.read_stamp(), 'phase': 'installed'})
    assert set_up(checkout) == ['generating']


def test_unreadable_stamp_means_a_new_environment(checkout):
    set_up(checkout)
    checkout.stamp.write_text('{"phase": "rea')
    assert set_up(checkout) == ['making', 'installing', 'generating']


def test_damaged_environment_is_made_again(checkout, monkeypatch):
    set_up(checkout)
    answers = iter(['No module named numpy', ''])
    monkeypatch.setattr(checkout, 'damage', lambda jobs: next(answers))
    assert set_up(checkout) == ['making', 'installing', 'generating']


def test_set_up_that_does_not_work_is_an_error_with_the_log(checkout, monkeypatch):
    monkeypatch.setattr(checkout, 'damage', lambda jobs: 'No module named numpy')
    with pytest.raises(BootstrapError, match=r'does not work \(No module named numpy\): see'):
        set_up(checkout)
    assert not checkout.is_ready('demo')


def test_changed_requirements_are_installed_into_the_same_environment(checkout):
    set_up(checkout)
    (checkout.root / 'setup.py').write_text('changed')
    assert not checkout.is_ready('demo')
    assert set_up(checkout) == ['installing', 'generating']


def test_changed_message_definitions_are_generated_again(checkout):
    set_up(checkout)
    folder = checkout.root / 'dr_perception' / 'ros' / 'interfaces'
    folder.mkdir(parents=True)
    (folder / 'definitions.py').write_text('changed')
    assert not checkout.is_ready('demo')
    assert set_up(checkout) == ['generating']


def test_moved_checkout_is_set_up_anew(checkout):
    set_up(checkout)
    checkout.write_stamp(**{**checkout.read_stamp(), 'root': '/elsewhere'})
    assert set_up(checkout) == ['making', 'installing', 'generating']


def test_environment_of_the_user_is_used_when_its_python_fits(checkout, monkeypatch):
    monkeypatch.setattr(environment_module, 'probe', lambda path, variables: THIS_PYTHON)
    (checkout.venv / 'bin').mkdir(parents=True)
    assert set_up(checkout) == ['installing', 'generating']


def test_environment_of_another_python_is_not_deleted(checkout, monkeypatch):
    other = system.Interpreter('python', (3, 13), True, True)
    monkeypatch.setattr(environment_module, 'probe', lambda path, variables: other)
    (checkout.venv / 'bin').mkdir(parents=True)
    with pytest.raises(BootstrapError, match='holds another Python: remove or rename it'):
        set_up(checkout)
    assert (checkout.venv / 'bin').is_dir()


def test_share_and_executables_are_linked(checkout):
    info = checkout.venv / 'lib/python3.11/site-packages/dr_perception-0.1.0.dist-info'
    info.mkdir(parents=True)
    (info / 'entry_points.txt').write_text('[console_scripts]\nmonitor = a.b:main\n')
    (checkout.root / 'launch').mkdir()
    for _ in range(2):
        checkout.link_package()
        assert (checkout.venv / 'share/dr_perception/launch').samefile(checkout.root / 'launch')
        assert os.readlink(checkout.venv / 'lib/dr_perception/monitor') == str(
            checkout.venv / 'bin/monitor')


def test_failing_step_is_one_line_with_its_reason_and_log(tmp_path):
    environment = Environment(tmp_path, dict(os.environ))
    script = 'print("long talk\\nERROR: no such package\\nhint"); raise SystemExit(1)'
    with pytest.raises(BootstrapError) as info:
        environment.run('installing', [sys.executable, '-c', script], tmp_path / 'log')
    assert 'installing: ERROR: no such package (all of it: ' in str(info.value)
    assert '\n' not in str(info.value)
    assert 'long talk' in (tmp_path / 'log').read_text()


def test_search_paths_of_other_ros_environments_are_dropped(tmp_path):
    (tmp_path / 'other').mkdir()
    (tmp_path / 'other' / 'pyvenv.cfg').write_text('')
    variables = clean_environment({
        '_ROS_WHEELS_BOOTSTRAP_COMPLETE': '1',
        'LD_LIBRARY_PATH': f'{tmp_path}/other/lib:/opt/ros/jazzy/lib:/usr/local/cuda/lib64',
        'PYTHONPATH': '/opt/ros/jazzy/lib/python3.12/site-packages:/mine',
        'AMENT_PREFIX_PATH': '/opt/ros/jazzy',
        'RMW_IMPLEMENTATION': 'rmw_cyclonedds_cpp',
        'PATH': '/usr/bin',
        'HOME': '/somewhere',
    }, tmp_path / '.venv')
    assert variables == {
        'LD_LIBRARY_PATH': '/usr/local/cuda/lib64',
        'PYTHONPATH': '/mine',
        'AMENT_PREFIX_PATH': str(tmp_path / '.venv'),
        'VIRTUAL_ENV': str(tmp_path / '.venv'),
        'RMW_IMPLEMENTATION': 'rmw_fastrtps_cpp',
        'PATH': f'{tmp_path}/.venv/bin:/usr/bin',
        'HOME': '/somewhere',
    }


@pytest.mark.parametrize('version, expected', [
    ((3, 12, 3), 'Python 3.12 has no PyBullet wheel on PyPI'),
    ((3, 9, 2), 'Python 3.9 has no ROS 2 wheels on PyPI'),
])
def test_unsupported_python_says_why(version, expected):
    assert system.unsupported_reason(version) == expected


def test_supported_python_is_preferred_to_a_newer_one(monkeypatch, capsys):
    versions = {sys.executable: (3, 12), '/usr/bin/python3.11': (3, 11)}
    monkeypatch.setattr(system.sys, '_base_executable', sys.executable)
    monkeypatch.setattr(system.shutil, 'which', lambda name: None)
    monkeypatch.setattr(
        system, 'probe', lambda path, variables: path in versions and system.Interpreter(
            path, versions[path], True, True))
    assert system.choose_interpreter({}).path == '/usr/bin/python3.11'
    assert 'using /usr/bin/python3.11' in capsys.readouterr().out


def test_no_supported_python_is_one_line_with_the_remedy(monkeypatch):
    monkeypatch.setattr(system, 'probe', lambda path, variables: None)
    with pytest.raises(BootstrapError, match='install Python 3.11 so that python3.11 is on'):
        system.choose_interpreter({})


def test_missing_needs_are_named(monkeypatch):
    monkeypatch.setattr(system, 'loads', lambda library: False)
    monkeypatch.setattr(system.glob, 'glob', lambda pattern: [])
    monkeypatch.setattr(system.shutil, 'which', lambda name: None)
    bare = system.Interpreter('/usr/bin/python3.11', (3, 11), False, False)
    assert system.missing_packages(bare) == (
        ['python3.11-venv', 'python3.11-dev', 'g++'], ['libegl1', 'libgl1', 'libgl1-mesa-dri'])


def test_without_privileges_the_exact_command_is_the_error(monkeypatch, tmp_path):
    monkeypatch.setattr(system, 'privileged_prefix', lambda: None)
    with pytest.raises(BootstrapError, match=(
            r'sudo apt-get install --no-install-recommends g\+\+ libegl1$')):
        system.install_packages(['g++'], ['libegl1'], tmp_path / 'log')


def test_missing_opengl_is_only_a_warning(monkeypatch, tmp_path, capsys):
    monkeypatch.setattr(system, 'privileged_prefix', lambda: None)
    system.install_packages([], ['libegl1'], tmp_path / 'log')
    assert 'warning: no OpenGL without a display' in capsys.readouterr().out


def test_unknown_job_is_the_usage_and_exit_code_2(capsys):
    assert command.main(['tset']) == 2
    assert 'usage: python3 -m sim_trainer.bootstrap {demo,test}' in capsys.readouterr().err


def test_user_error_is_exit_code_2(monkeypatch, capsys):
    def fail(job, root):
        raise BootstrapError('no compiler: install one')

    monkeypatch.setattr(command, 'prepare', fail)
    assert command.main(['demo']) == 2
    assert capsys.readouterr().err == 'error: no compiler: install one\n'


def test_the_job_replaces_the_command_with_its_variables(monkeypatch, checkout):
    started = []
    monkeypatch.setattr(command, 'prepare', lambda job, root: checkout)
    monkeypatch.setattr(command.os, 'chdir', lambda folder: None)
    monkeypatch.setattr(command.os, 'execve', lambda *call: started.append(call))
    command.main(['test', '-k', 'camera'])
    path, arguments, variables = started[0]
    assert Path(path) == checkout.python
    assert arguments[1:] == ['-m', 'pytest', '-k', 'camera']
    assert variables['ROS_PYTHON_CHECK_FIELDS'] == '1'
    assert variables['ROS_AUTOMATIC_DISCOVERY_RANGE'] == 'LOCALHOST'
    assert variables['AMENT_PREFIX_PATH'] == str(checkout.venv)
    command.main(['demo', '--seconds', '5'])
    assert started[1][1][1:] == ['-m', 'sim_trainer', 'demo', '--seconds', '5']
