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

"""Package description, for colcon (ament_python) and for pip.

`ros2 run` and launch start executables from `<prefix>/lib/dr_perception/` only.

- colcon writes the console scripts there by itself: setup.cfg sets the script directories.
- pip writes them to `<prefix>/bin`. So a wheel also carries one small shell script for each of
  them under `lib/dr_perception/`. They are made here from the list of console scripts, and for a
  wheel only: under colcon they would be written to the very place of the console scripts.

The pose solver's loops are C, compiled where there is a compiler; without one the package works
the same, on numpy, and slower.
"""
import glob
import os
import sys
import zlib

from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

PACKAGE_NAME = 'dr_perception'
VERSION = '0.1.0'

EXECUTABLES = {
    'pose_estimator': 'dr_perception.ros.pose_estimator_node:main',
    'multi_camera': 'dr_perception.ros.multi_camera:main',
    'planning_scene': 'dr_perception.ros.planning_scene.main:main',
    'simulated_camera': 'dr_perception.ros.demo.simulated_camera_node:main',
    'monitor': 'dr_perception.ros.demo.monitor_node:main',
    'doctor': 'dr_perception.ros.doctor.command:main',
    'benchmark': 'dr_perception.ros.benchmark.command:main',
    'sim_trainer': 'sim_trainer.cli:main',
}

# What the robot needs; ROS 2 itself comes from apt there.
INSTALL_REQUIRES = [
    'numpy>=1.24,<3',  # 1.26 is what cv_bridge of Jazzy is built against; 2.x is tested too
    'opencv-python-headless>=4.8,<4.12',  # 5 changed the type codes; 4.12 forces numpy 2
    'onnxruntime>=1.20,<2',  # the last releases for Python 3.10 and the newest alike
    'PyYAML>=6,<7',  # scene and parameter files
]

# Real ROS 2 Jazzy from PyPI, for machines without a ROS installation. Newer wheels are Kilted's.
ROS = [
    'ros-rclpy[fastrtps]==7.1.6',  # client library, Fast DDS and the message generators
    'ros-lifecycle-msgs==2.0.3',  # states and transitions of the node
    'ros-sensor-msgs==5.3.6',  # Image, CompressedImage, CameraInfo
    'ros-geometry-msgs==5.3.6',  # poses, transforms
    'ros-std-msgs==5.3.6',  # Header
    'ros-diagnostic-msgs==5.3.6',  # /diagnostics
    'ros-visualization-msgs==5.3.6',  # markers
    'ros-shape-msgs==5.3.6',  # the shapes inside CollisionObject
    'ros-std-srvs==5.3.6',  # services of the node
    'ros-trajectory-msgs==5.3.6',  # the simulated arm
]

# What the demo draws its camera images with: the simulation without the training.
DEMO = [
    # The newest release, and the only one tested. It has no wheel for Python 3.12 or newer, and
    # compiling it takes a quarter of an hour.
    'pybullet==3.2.7; python_version < "3.12"',
    'moderngl>=5.10,<6',  # headless OpenGL through EGL; 5.10 has wheels for Python 3.10-3.12
    'scipy>=1.11,<2',  # convex hulls of the catalogue; 1.11 is the first for Python 3.12
    'trimesh>=4,<5',  # reads the user's mesh files; needs numpy only
    'pillow>=10,<14',  # trimesh reads the pictures on a mesh with it, and says nothing without it
    'fast-simplification>=0.1.11,<1',  # fewer triangles: arm, contract; MIT, wheels for 3.10-3.12
]

TRAIN = DEMO + [
    'torch==2.13.0',  # one exporter, so that equal trainings give equal graphs
    'onnx>=1.17,<2',  # the exporter writes through it; metadata and checks
    'tqdm>=4.66,<5',  # progress bars, silent where there is no terminal
    'matplotlib>=3.8,<4',  # figures of the report
]

# In place of onnxruntime: both install the same module and the one written last wins, which pip
# does not promise. After `pip install '.[gpu]'`, run
#     pip uninstall -y onnxruntime && pip install --force-reinstall --no-deps onnxruntime-gpu
GPU = [
    'onnxruntime-gpu>=1.21,<2',  # 1.21 is the first with preload_dlls()
]

# Recordings without ROS: `python -m dr_perception.replay`.
REPLAY = [
    # Reads mcap and db3 in pure Python. Releases before 1.0 change names; this one is tested.
    'rosbags>=0.11.9,<0.12',
]

TEST = REPLAY + [
    'pytest>=8,<10',  # importlib import mode as configured in setup.cfg
    'pytest-xdist>=3.5,<4',  # workers; tests/conftest.py gives each its own DDS domain
    'pytest-timeout>=2.3,<3',  # a stuck DDS wait fails instead of hanging
    'hypothesis>=6.100,<7',  # geometry round trips
    'tensorboard>=2.16,<3',  # reads the event files that training.tensorboard writes
    'flake8>=7,<8',  # style, as ament_flake8 has it
    'flake8-quotes>=3.4,<4',  # single quotes
    'flake8-docstrings>=1.7,<2',  # docstrings as ament_pep257 wants them
    'flake8-comprehensions>=3.15,<4',  # as ament_flake8 loads it
    'isort>=5.13,<10',  # order of imports; flake8-import-order is LGPL
    'setuptools>=70.1',  # builds a wheel without further packages, to test what it installs
]


def files_below(folder, patterns):
    """Return data_files entries for every file below a folder that matches a pattern."""
    entries = []
    for directory, _, _ in sorted(os.walk(folder)):
        found = sorted({
            path for pattern in patterns for path in glob.glob(os.path.join(directory, pattern))
            if os.path.isfile(path)})
        if found:
            entries.append((os.path.join('share', PACKAGE_NAME, directory), found))
    return entries


def wheel_launchers():
    """Write one shell script per executable and return their data_files entry."""
    folder = os.path.join('build', 'launchers')
    os.makedirs(folder, exist_ok=True)
    paths = []
    for name, target in EXECUTABLES.items():
        module, function = target.split(':')
        path = os.path.join(folder, name)
        with open(path, 'w', encoding='utf-8') as stream:
            stream.write(
                '#!/bin/sh\n'
                '# Started by `ros2 run` and launch; takes the Python it was installed beside.\n'
                'python=$(dirname "$0")/../../bin/python3\n'
                '[ -x "$python" ] || python=python3\n'
                f'exec "$python" -c "import sys; from {module} import {function}; '
                f'sys.argv[0] = \'{name}\'; sys.exit({function}())" "$@"\n')
        os.chmod(path, 0o755)
        paths.append(path)
    return [(os.path.join('lib', PACKAGE_NAME), paths)]


def compiled_loops():
    """Return the extension that dr_perception/core/compiled/library.py loads."""
    folder = os.path.join('dr_perception', 'core', 'compiled')
    files = sorted(glob.glob(os.path.join(folder, '*.[ch]')))      # leaves .hidden ones out
    checksum = 0
    for path in files:
        with open(path, 'rb') as stream:
            checksum = zlib.crc32(stream.read(), checksum)
    # It uses nothing of Python, so one build serves every version of it, and needs no headers.
    return Extension(
        'dr_perception.core.compiled._kernels', [path for path in files if path.endswith('.c')],
        depends=files, define_macros=[('DR_SOURCES_CHECKSUM', f'{checksum}u')],
        extra_compile_args=['-std=c99', '-O3', '-fno-math-errno'], libraries=['m'],
        py_limited_api=True, optional=True)


class BuildAlways(build_ext):
    """Compiles even what looks new: sources that were copied here may be older than a build."""

    def initialize_options(self):
        """Ask for it."""
        super().initialize_options()
        self.force = True


DATA_FILES = [
    ('share/ament_index/resource_index/packages', [os.path.join('resource', PACKAGE_NAME)]),
    (os.path.join('share', PACKAGE_NAME), ['package.xml']),
    *files_below('launch', ['*.py']),
    *files_below('config', ['*.yaml', '*.rviz', '*.xml', '*.json', '*.md']),
    *files_below('models', ['*.onnx', '*.md']),
]
if 'bdist_wheel' in sys.argv:
    DATA_FILES += wheel_launchers()

setup(
    name=PACKAGE_NAME,
    version=VERSION,
    packages=find_packages(include=[
        'dr_perception', 'dr_perception.*', 'sim_trainer', 'sim_trainer.*']),
    # The C files too: the library says which ones it was made from.
    package_data={'': ['*.msg', '*.glsl', '*.vert', '*.frag', '*.json', '*.yaml', '*.c', '*.h']},
    data_files=DATA_FILES,
    ext_modules=[compiled_loops()],
    cmdclass={'build_ext': BuildAlways},
    options={'bdist_wheel': {'py_limited_api': 'cp310'}},
    python_requires='>=3.10',
    install_requires=INSTALL_REQUIRES,
    extras_require={'ros': ROS, 'demo': DEMO, 'train': TRAIN, 'gpu': GPU, 'replay': REPLAY,
                    'test': TEST},
    zip_safe=False,     # a library has to be a file
    maintainer='dr_perception maintainers',
    maintainer_email='maintainers@dr-perception.invalid',
    description='Object poses from one camera, learned from domain-randomized simulation.',
    license='Apache-2.0',
    entry_points={
        'console_scripts': [f'{name} = {target}' for name, target in EXECUTABLES.items()],
    },
)
