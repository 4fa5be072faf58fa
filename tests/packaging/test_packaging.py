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

"""The package as colcon and pip see it: versions, extras, installed files, style."""
import ast
import configparser
import os
from pathlib import Path
import re
import shutil
import subprocess
import sys
import sysconfig
import xml.etree.ElementTree as ElementTree

import pytest

EXECUTABLES = {'pose_estimator', 'multi_camera', 'planning_scene', 'simulated_camera', 'monitor',
               'doctor', 'benchmark', 'sim_trainer'}


def tracked_files(root):
    """Return the paths of all files under version control, or skip outside of a checkout."""
    if shutil.which('git') is None or not (root / '.git').exists():
        pytest.skip('needs a git checkout')
    output = subprocess.run(
        ['git', 'ls-files', '-z'], cwd=root, capture_output=True, text=True, check=True).stdout
    return [root / name for name in output.split('\0') if name and (root / name).is_file()]


def constant(path, name):
    """Return a constant that a module assigns, without running the module."""
    for statement in ast.parse(path.read_text(encoding='utf-8')).body:
        if isinstance(statement, ast.Assign) and statement.targets[0].id == name:
            return ast.literal_eval(statement.value)
    raise AssertionError(f'{path} does not assign {name}')


def imported_modules(path):
    """Return the top-level names of all modules that a file imports absolutely."""
    modules = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            modules |= {name.name.split('.')[0] for name in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules.add(node.module.split('.')[0])
    return modules


def metadata(folder):
    """Return the parsed (requirements, entry points) of an installed distribution."""
    info = next(Path(folder).glob('**/dr_perception-*.dist-info'))
    requirements = [line.partition(': ')[2] for line in
                    (info / 'METADATA').read_text(encoding='utf-8').splitlines()
                    if line.startswith('Requires-Dist: ')]
    scripts = configparser.ConfigParser(delimiters='=')
    scripts.read(info / 'entry_points.txt')
    return requirements, dict(scripts['console_scripts'])


def install(root, prefix, **environment):
    """Do a plain `pip install .` of the tracked files alone."""
    pytest.importorskip('setuptools', minversion='70.1', reason='builds a wheel')
    source = prefix.with_name(f'{prefix.name}_source')
    for path in tracked_files(root):
        target = source / path.relative_to(root)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)
    subprocess.run(
        [sys.executable, '-m', 'pip', 'install', '--quiet', '--no-deps', '--no-index',
         '--no-build-isolation', '--no-compile', '--use-pep517', '--ignore-installed',
         '--prefix', str(prefix), str(source)], check=True, capture_output=True,
        env={**os.environ, **environment})


def libraries(prefix):
    """Return what a C compiler made of an installed package."""
    return [path.name for path in prefix.rglob('dr_perception/core/compiled/*.so')]


@pytest.fixture(scope='module')
def installed(repository_root, tmp_path_factory):
    """Return the prefix of an installed package."""
    prefix = tmp_path_factory.mktemp('prefix')
    install(repository_root, prefix)
    return prefix


def test_versions_agree(repository_root):
    manifest = ElementTree.parse(repository_root / 'package.xml').getroot()
    versions = {
        'package.xml': manifest.findtext('version'),
        'setup.py': constant(repository_root / 'setup.py', 'VERSION'),
        'dr_perception': constant(repository_root / 'dr_perception/__init__.py', '__version__'),
        'sim_trainer': constant(repository_root / 'sim_trainer/__init__.py', '__version__'),
    }
    assert len(set(versions.values())) == 1, versions


def test_manifest_declares_what_the_node_imports(repository_root):
    manifest = ElementTree.parse(repository_root / 'package.xml').getroot()
    assert manifest.get('format') == '3'
    assert manifest.findtext('export/build_type') == 'ament_python'
    assert manifest.findtext('license') == 'Apache-2.0'
    declared = {element.text for element in manifest if element.tag.endswith('depend')}
    imported = set().union(*map(
        imported_modules, (repository_root / 'dr_perception' / 'ros').rglob('*.py')))
    messages = {name for name in imported if name.endswith(('_msgs', '_srvs'))}
    optional = {'moveit_msgs', 'object_recognition_msgs'}  # of an output that is off by default
    assert messages - optional <= declared
    assert {'rclpy', 'cv_bridge', 'launch', 'launch_ros'} <= declared


def test_bare_installation_needs_only_what_the_robot_needs(installed):
    requirements, _ = metadata(installed)
    bare = {re.split('[^A-Za-z0-9_.-]', line)[0]
            for line in requirements if 'extra ==' not in line}
    assert bare == {'numpy', 'opencv-python-headless', 'onnxruntime', 'PyYAML'}


@pytest.mark.parametrize('extra, expected', [
    ('ros', ['ros-rclpy[fastrtps]==7.1.6', 'ros-sensor-msgs==5.3.6', 'ros-lifecycle-msgs==2.0.3']),
    ('train', ['torch==2.13.0', 'pybullet==3.2.7', 'moderngl', 'onnx', 'tqdm', 'matplotlib']),
    ('gpu', ['onnxruntime-gpu']),
    ('replay', ['rosbags']),
    ('test', ['rosbags', 'pytest', 'pytest-xdist', 'pytest-timeout', 'hypothesis', 'flake8']),
])
def test_extras_are_complete(installed, extra, expected):
    requirements, _ = metadata(installed)
    of_extra = [line for line in requirements if re.search(f'extra == .{extra}.', line)]
    for name in expected:
        assert any(line.startswith(name) for line in of_extra), f'{name} not in {of_extra}'


def test_every_import_is_required_somewhere(installed, repository_root):
    requirements, _ = metadata(installed)
    names = {re.split('[^A-Za-z0-9_.-]', line)[0].lower() for line in requirements}
    modules = {name.replace('-', '_') for name in names} | {'cv2', 'yaml', 'pybullet_data', 'PIL'}
    ours = {'dr_perception', 'sim_trainer'}
    # Generators and messages come with the ROS wheels; these only with a ROS installation.
    with_ros = re.compile('rclpy|rosidl_|rpyutils|ament_index|.*_(msgs|srvs|interfaces)$')
    apt_only = {'cv_bridge', 'launch', 'launch_ros', 'tf2_ros', 'tf2_py'}
    unknown = {}
    for path in tracked_files(repository_root):
        name = path.relative_to(repository_root)
        if path.suffix != '.py' or name.parts[0] not in ours | {'launch'}:
            continue
        for imported in imported_modules(path):
            if not (imported in sys.stdlib_module_names or imported in modules | ours | apt_only
                    or with_ros.match(imported)):
                unknown.setdefault(imported, str(name))
    assert not unknown, f'in no extra of setup.py: {unknown}'


def test_ros_extra_is_pinned(installed):
    requirements, _ = metadata(installed)
    of_extra = [line for line in requirements if re.search('extra == .ros.', line)]
    assert all('==' in line.partition(';')[0] for line in of_extra), of_extra


def test_wheel_installs_what_ros_looks_up(installed, repository_root):
    share = installed / 'share' / 'dr_perception'
    assert (share / 'package.xml').is_file()
    assert (installed / 'share/ament_index/resource_index/packages/dr_perception').is_file()
    for folder, pattern in (('launch', '*.py'), ('config', '*.yaml'), ('models', '*.onnx')):
        names = {path.relative_to(repository_root)
                 for path in tracked_files(repository_root)
                 if path.relative_to(repository_root).parts[0] == folder and path.match(pattern)}
        assert all((share / name).is_file() for name in names)


def test_wheel_has_every_module(installed, repository_root):
    purelib = Path(sysconfig.get_path('purelib', vars={'base': str(installed)}))
    for path in tracked_files(repository_root):
        name = path.relative_to(repository_root)
        if name.suffix == '.py' and name.parts[0] in ('dr_perception', 'sim_trainer'):
            assert (purelib / name).is_file(), f'{name}: does its folder lack an __init__.py?'


@pytest.mark.skipif(not (shutil.which('cc') or shutil.which('gcc')), reason='needs a C compiler')
def test_a_c_compiler_makes_a_library_for_every_python(installed):
    assert libraries(installed) == ['_kernels.abi3.so']
    wheel = next(installed.glob('**/dr_perception-*.dist-info/WHEEL')).read_text()
    assert 'Tag: cp310-abi3-' in wheel


def test_without_a_c_compiler_it_installs_all_the_same(repository_root, tmp_path):
    install(repository_root, tmp_path / 'prefix', CC='false')
    assert libraries(tmp_path) == []
    module = next(tmp_path.rglob('prefix/**/dr_perception/core/pipeline.py'))
    done = subprocess.run(
        [sys.executable, '-c', 'from dr_perception.core import pipeline; '
         'from dr_perception.core.compiled import library; '
         'print(pipeline.__file__, library.LIBRARY)'], cwd=tmp_path, capture_output=True,
        text=True, env={**os.environ, 'PYTHONPATH': str(module.parents[2])}, check=True)
    assert (done.stdout, done.stderr) == (f'{module} None\n', '')


def test_executables_are_where_ros2_run_looks(installed):
    _, scripts = metadata(installed)
    launchers = {path.name: path for path in (installed / 'lib' / 'dr_perception').iterdir()}
    assert set(launchers) == set(scripts) == EXECUTABLES
    for path in launchers.values():
        assert os.access(path, os.X_OK)
        subprocess.run(['sh', '-n', str(path)], check=True)


def test_launcher_starts_the_module_with_its_arguments(installed, tmp_path):
    python = installed / 'bin' / 'python3'
    python.parent.mkdir(exist_ok=True)
    python.write_text('#!/bin/sh\nfor argument; do echo "<$argument>"; done\n')
    python.chmod(0o755)
    output = subprocess.run(
        [str(installed / 'lib/dr_perception/monitor'), '--ros-args', 'a b'],
        capture_output=True, text=True, check=True, cwd=tmp_path).stdout.splitlines()
    python.unlink()
    assert output[0] == '<-c>'
    assert 'from dr_perception.ros.demo.monitor_node import main' in output[1]
    assert output[2:] == ['<--ros-args>', '<a b>']


def test_entry_points_exist(installed, repository_root):
    _, scripts = metadata(installed)
    for name, target in scripts.items():
        module, _, function = target.partition(':')
        path = repository_root / (module.replace('.', '/') + '.py')
        assert path.is_file(), f'{name}: {path} is missing'
        functions = {node.name for node in ast.parse(path.read_text(encoding='utf-8')).body
                     if isinstance(node, ast.FunctionDef)}
        assert function in functions, f'{name}: {path} has no {function}()'


def test_colcon_installs_scripts_where_ros2_run_looks(repository_root):
    settings = configparser.ConfigParser()
    settings.read(repository_root / 'setup.cfg')
    assert settings['develop']['script_dir'] == '$base/lib/dr_perception'
    assert settings['install']['install_scripts'] == '$base/lib/dr_perception'


def test_license_is_apache_2(repository_root):
    text = (repository_root / 'LICENSE').read_text(encoding='utf-8')
    assert 'Apache License' in text
    assert 'Version 2.0, January 2004' in text
    assert 'END OF TERMS AND CONDITIONS' in text


def test_no_file_names_a_folder_of_one_machine_or_a_registry(repository_root):
    # Written in two parts: this file is searched too.
    forbidden = re.compile('|'.join([
        '/' + 'work/', '/' + 'tmp/[a-z]', '/' + 'root/', '/' + 'opt/(?!ros)', '/' + 'home/',
        'pypi' + r'\.org', 'python' + 'hosted', 'deb' + r'\.debian']))
    found = []
    for path in tracked_files(repository_root):
        if path.suffix in ('.onnx', '.png', '.jpg', '.gif', '.npz'):
            continue
        for number, line in enumerate(path.read_text(encoding='utf-8').splitlines(), 1):
            if forbidden.search(line):
                found.append(f'{path.relative_to(repository_root)}:{number}: {line.strip()}')
    assert not found, '\n'.join(found)


def test_test_command_of_the_readme_is_what_ci_runs(repository_root):
    script = repository_root / '.ci' / 'run'
    assert os.access(script, os.X_OK)
    assert 'python3 -m sim_trainer.bootstrap test' in script.read_text(encoding='utf-8')
