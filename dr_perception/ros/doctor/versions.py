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

"""Section: what is installed, and what it runs on."""

from __future__ import annotations

import importlib
import importlib.metadata
import os
from pathlib import Path
import platform

from dr_perception import __version__
from dr_perception.core.compiled import library
from dr_perception.inference import machine
from dr_perception.ros.doctor.findings import error, ok, Section, warn

#: What changes how nodes find each other and how pictures travel.
_VARIABLES = ('RMW_IMPLEMENTATION', 'ROS_DOMAIN_ID', 'ROS_AUTOMATIC_DISCOVERY_RANGE',
              'ROS_LOCALHOST_ONLY', 'ROS_STATIC_PEERS', 'FASTRTPS_DEFAULT_PROFILES_FILE',
              'FASTDDS_DEFAULT_PROFILES_FILE', 'CYCLONEDDS_URI')
_NODE_MODULES = ('rclpy', 'lifecycle_msgs.msg', 'sensor_msgs.msg', 'geometry_msgs.msg',
                 'diagnostic_msgs.msg', 'vision_msgs.msg', 'tf2_msgs.msg')
_MODULES = {'numpy': 'numpy', 'OpenCV': 'cv2', 'onnxruntime': 'onnxruntime'}
_RUNTIME_PACKAGES = ('onnxruntime', 'onnxruntime-gpu')


def ros_problem() -> str:
    """Why the node cannot be imported; '' where it can."""
    for module in _NODE_MODULES:
        try:
            importlib.import_module(module)
        except ImportError as problem:
            return f'{module.partition(".")[0]} cannot be imported ({problem})'
    return ''


def inspect() -> Section:
    """Versions, ROS and machine."""
    section = Section('Versions')
    facts, findings = section.facts, section.findings
    facts['dr_perception'] = __version__
    facts['Python'] = platform.python_version()
    for name, module in _MODULES.items():
        try:
            facts[name] = importlib.import_module(module).__version__
        except ImportError as problem:
            facts[name] = 'not there'
            findings.append(error(f'{module} cannot be imported ({problem})',
                                  f'pip install {_package(module)}'))
    both = [name for name in _RUNTIME_PACKAGES if _version_of(name)]
    if len(both) > 1:
        findings.append(warn(
            'onnxruntime and onnxruntime-gpu are both installed: they share one folder, and the '
            'one written last wins',
            'pip uninstall -y onnxruntime && pip install --force-reinstall --no-deps '
            'onnxruntime-gpu'))
    facts['pose solver'] = 'numpy' if library.LIBRARY is None else 'compiled'
    _add_ros(section)
    facts['OS'] = _os_name()
    facts['CPU'] = f'{machine.processor_name()}, {machine.usable_cores()} cores'
    gpus = machine.gpu_names()
    facts['GPU'] = '; '.join(gpus) or ('nvidia-smi shows none' if machine.has_nvidia_smi()
                                       else 'no nvidia-smi')
    if machine.has_nvidia_smi() and not gpus:
        findings.append(warn('nvidia-smi is there but shows no GPU',
                             'reinstall the NVIDIA driver, or start the container with its GPU'))
    if not findings:
        findings.append(ok('everything that the node imports is there'))
    return section


def _add_ros(section: Section) -> None:
    facts, findings = section.facts, section.findings
    facts['ROS distribution'] = os.environ.get('ROS_DISTRO') or 'ROS_DISTRO is not set'
    wheel = _version_of('ros-rclpy')
    if wheel:
        facts['ROS distribution'] += f' (ros-rclpy {wheel} from PyPI)'
    problem = ros_problem()
    if problem:
        generated = problem.startswith(('vision_msgs', 'tf2_msgs'))
        findings.append(error(problem, (
            'source the ROS 2 installation (apt install ros-jazzy-vision-msgs '
            'ros-jazzy-tf2-msgs), or: ' if generated else
            "source the ROS 2 installation, or: pip install '.[ros]' && ")
            + 'python -m dr_perception.ros.interfaces'))
        facts['RMW'] = 'not known'
    else:
        from rclpy.utilities import get_rmw_implementation_identifier
        facts['RMW'] = get_rmw_implementation_identifier()
    for name in _VARIABLES:
        if os.environ.get(name):
            facts[name] = os.environ[name]
    for name in _VARIABLES:
        path = os.environ.get(name, '')
        if name.endswith('PROFILES_FILE') and path and not Path(path).is_file():
            findings.append(warn(f'{name} names {path}, which is not there: DDS does without',
                                 'set it to config/fastdds_large_images.xml of this package'))


def _version_of(package: str) -> str:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return ''


def _package(module: str) -> str:
    return 'opencv-python-headless' if module == 'cv2' else module


def _os_name() -> str:
    try:
        name = platform.freedesktop_os_release().get('PRETTY_NAME', platform.system())
    except OSError:
        name = platform.system()
    return f'{name}, kernel {platform.release()}, {platform.machine()}'
