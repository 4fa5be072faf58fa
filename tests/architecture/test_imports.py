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

"""Who may import whom: by a scan of the sources, and by what an import really loads."""
import ast
from pathlib import Path
import subprocess
import sys

import pytest

#: Third-party package -> path prefixes of the only files that may import it.
RESTRICTED = {
    'onnxruntime': ('dr_perception/inference/', 'sim_trainer/export/'),
    'onnx': ('sim_trainer/export/',),
    'torch': ('sim_trainer/training/', 'sim_trainer/export/'),
    'pybullet': ('sim_trainer/physics/', 'sim_trainer/rendering/bullet.py'),
    'pybullet_data': ('sim_trainer/physics/', 'sim_trainer/rendering/bullet.py'),
    'rclpy': ('dr_perception/ros/',),
    'cv_bridge': ('dr_perception/ros/',),
    'rosbags': ('dr_perception/replay/',),
    'launch': ('dr_perception/ros/', 'launch/'),
    'ament_index_python': ('dr_perception/ros/', 'launch/'),
}
MESSAGES = ('_msgs', '_interfaces')
CORE_PACKAGES = {'numpy', 'cv2', 'dr_perception'}
#: Package -> packages of this project that it may import.
LAYERS = {
    'dr_perception/core/': ('dr_perception.core',),
    'dr_perception/inference/': ('dr_perception.core', 'dr_perception.inference'),
    'dr_perception/replay/': ('dr_perception.core', 'dr_perception.inference',
                              'dr_perception.replay'),
    'dr_perception/ros/': ('dr_perception',),
    'dr_perception/ros/demo/': ('dr_perception', 'sim_trainer'),
    'sim_trainer/': ('sim_trainer', 'dr_perception.core', 'dr_perception.inference'),
    'sim_trainer/real_gap/': ('sim_trainer', 'dr_perception.core', 'dr_perception.inference',
                              'dr_perception.replay'),
}
HEAVY = ('torch', 'pybullet', 'rclpy', 'scipy', 'yaml', 'matplotlib', 'onnx', 'trimesh', 'tqdm',
         'moderngl', 'sim_trainer', 'dr_perception.ros')


def _imports(path):
    """Dotted names that a file imports; of ``from a import b`` both a and a.b."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text(encoding='utf-8'))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: a relative import; give the full name'
            found |= {node.module} | {f'{node.module}.{alias.name}' for alias in node.names}
    return found


def _sources():
    root = Path(__file__).resolve().parents[2]
    for package in ('dr_perception', 'sim_trainer'):
        for path in sorted((root / package).rglob('*.py')):
            yield path.relative_to(root).as_posix(), path


SOURCES = dict(_sources())


def _within(name, package):
    return name == package or name.startswith(f'{package}.')


@pytest.mark.parametrize('name', list(SOURCES))
def test_restricted_packages_stay_where_they_belong(name):
    for imported in _imports(SOURCES[name]):
        top = imported.split('.')[0]
        places = RESTRICTED.get(top)
        if places is None and top.endswith(MESSAGES):
            places = ('dr_perception/ros/',)
        assert places is None or name.startswith(places), (
            f'{name} imports {imported}; only {" and ".join(places)} may')


@pytest.mark.parametrize('name', list(SOURCES))
def test_the_direction_of_imports(name):
    layer = max((prefix for prefix in LAYERS if name.startswith(prefix)), key=len, default=None)
    if layer is None:       # dr_perception/__init__.py loads its two names lazily
        assert name == 'dr_perception/__init__.py'
        return
    for imported in _imports(SOURCES[name]):
        if imported.split('.')[0] in ('dr_perception', 'sim_trainer'):
            known = any(_within(imported, allowed) for allowed in LAYERS[layer])
            parent = any(_within(allowed, imported) for allowed in LAYERS[layer])
            assert known or parent, f'{name} imports {imported}; {layer} may not'


@pytest.mark.parametrize('name', [n for n in SOURCES if n.startswith('dr_perception/core/')])
def test_the_core_is_numpy_and_opencv(name):
    tops = {imported.split('.')[0] for imported in _imports(SOURCES[name])}
    assert tops <= CORE_PACKAGES | set(sys.stdlib_module_names)


@pytest.mark.parametrize('name', list(SOURCES))
def test_no_star_imports_and_no_edits_of_the_path(name):
    tree = ast.parse(SOURCES[name].read_text(encoding='utf-8'))
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom):
            assert all(alias.name != '*' for alias in node.names)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            assert (node.value.id, node.attr) != ('sys', 'path')


def test_the_rules_name_folders_that_are_there(repository_root):
    for places in (*RESTRICTED.values(), LAYERS):
        for place in places:
            if place.endswith('/'):
                assert (repository_root / place).is_dir(), place


def _loaded(statement, root):
    script = f'import sys; {statement}; print(" ".join(sorted(sys.modules)))'
    done = subprocess.run([sys.executable, '-c', script], cwd=root, capture_output=True,
                          text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.split())


def test_the_estimator_loads_what_the_robot_has_and_no_more(repository_root):
    loaded = _loaded('import dr_perception; dr_perception.PoseEstimator; '
                     'dr_perception.PinholeCamera', repository_root)
    assert {'numpy', 'cv2', 'onnxruntime', 'dr_perception.core.pipeline'} <= loaded
    assert not loaded & set(HEAVY)


def test_the_package_itself_loads_nothing(repository_root):
    loaded = _loaded('import dr_perception; dr_perception.__version__', repository_root)
    assert not loaded & {*HEAVY, 'numpy', 'cv2', 'onnxruntime'}


def test_the_core_loads_no_runtime(repository_root):
    modules = [name[:-3].replace('/', '.') for name in SOURCES
               if name.startswith('dr_perception/core/') and not name.endswith('__init__.py')]
    loaded = _loaded(f'import {", ".join(modules)}', repository_root)
    assert not loaded & {*HEAVY, 'onnxruntime', 'dr_perception.inference'}


def test_an_unknown_name_of_the_package():
    import dr_perception
    with pytest.raises(AttributeError, match="'dr_perception' has no attribute 'PoseEstimater'"):
        dr_perception.PoseEstimater
    assert set(dr_perception.__all__) == {'PinholeCamera', 'PoseEstimator', '__version__'}
