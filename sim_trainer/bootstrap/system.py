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

"""What the operating system has to bring: a Python, compilers, headers, OpenGL."""
import ctypes
import glob
import json
import os
import shutil
import subprocess
import sys

from sim_trainer.bootstrap.errors import BootstrapError

# ROS wheels begin at 3.10; PyBullet's end at 3.11.
SUPPORTED = ((3, 11), (3, 10))

_PROBE = (
    'import json, os, sys, sysconfig\n'
    'try:\n'
    '    import ensurepip, venv; has_venv = True\n'
    'except ImportError:\n'
    '    has_venv = False\n'
    'header = os.path.join(sysconfig.get_paths()["include"], "Python.h")\n'
    'print(json.dumps([list(sys.version_info[:2]), has_venv, os.path.isfile(header)]))\n')


class Interpreter:
    """A Python that can carry the environment.

    Attributes:
        path: its executable.
        version: (major, minor).
        has_venv: whether it can make environments.
        has_headers: whether extension modules can be compiled for it.
    """

    def __init__(self, path, version, has_venv, has_headers):
        """Keep what `probe` found."""
        self.path = path
        self.version = tuple(version)
        self.has_venv = has_venv
        self.has_headers = has_headers


def probe(path, environment):
    """Return the Interpreter at a path, or None when it does not run (a pyenv shim, say)."""
    try:
        result = subprocess.run(
            [path, '-c', _PROBE], env=environment, capture_output=True, text=True, timeout=60,
            check=True)
        return Interpreter(path, *json.loads(result.stdout))
    except (OSError, subprocess.SubprocessError, ValueError):
        return None


def choose_interpreter(environment):
    """Return the running Python if it is supported, else one that is.

    Raises:
        BootstrapError: no supported Python is on this machine.
    """
    running = getattr(sys, '_base_executable', None) or sys.executable
    candidates = [running]
    for major, minor in SUPPORTED:
        name = f'python{major}.{minor}'
        candidates += [shutil.which(name), f'/usr/bin/{name}']
    for path in candidates:
        found = path and probe(path, environment)
        if found and found.version in SUPPORTED:
            if path != running:
                print(f'- {unsupported_reason()}: using {path}', flush=True)
            return found
    raise BootstrapError(f'{unsupported_reason()} and python3.11 was not found: install Python '
                         '3.11 so that python3.11 is on the PATH')


def unsupported_reason(version=sys.version_info):
    """Say why a Python version cannot carry the environment."""
    wheels = 'PyBullet wheel' if tuple(version[:2]) > SUPPORTED[0] else 'ROS 2 wheels'
    return f'Python {version[0]}.{version[1]} has no {wheels} on PyPI'


def loads(library):
    """Tell whether the dynamic linker finds a shared library."""
    try:
        ctypes.CDLL(library)
    except OSError:
        return False
    return True


def has_software_or_vendor_driver():
    """Tell whether EGL has a driver to draw with: Mesa's or NVIDIA's."""
    folders = ('/usr/lib/*/dri', '/usr/lib64/dri', '/usr/lib/dri')
    return loads('libEGL_nvidia.so.0') or any(
        glob.glob(os.path.join(folder, '*_dri.so')) for folder in folders)


def missing_packages(interpreter):
    """Return (needed, wanted): Debian packages that must, and that should, be installed."""
    version = '.'.join(map(str, interpreter.version))
    needed = []
    if not interpreter.has_venv:
        needed.append(f'python{version}-venv')
    if not interpreter.has_headers:
        needed.append(f'python{version}-dev')
    # The type support of Fast DDS is C++: Debian's gcc package alone compiles C only.
    if not (shutil.which('gcc') and shutil.which('g++')):
        needed.append('g++')
    wanted = []
    if not loads('libEGL.so.1'):
        wanted.append('libegl1')
    if not loads('libGL.so.1'):
        wanted.append('libgl1')
    if not has_software_or_vendor_driver():
        wanted.append('libgl1-mesa-dri')
    return needed, wanted


def privileged_prefix():
    """Return the command prefix that makes apt-get work without a question, or None."""
    if os.geteuid() == 0:
        return []
    if shutil.which('sudo') and subprocess.run(
            ['sudo', '-n', 'true'], capture_output=True, check=False).returncode == 0:
        return ['sudo', '-n']
    return None


def install_packages(needed, wanted, log):
    """Install Debian packages.

    Args:
        needed: names without which nothing works.
        wanted: names whose absence costs only the fast renderer.
        log: file that the output of apt-get is appended to.

    Raises:
        BootstrapError: a needed package cannot be installed; names the command.
    """
    names = [*needed, *wanted]
    if not names:
        return
    command = f'apt-get install --no-install-recommends {" ".join(names)}'
    prefix = privileged_prefix()
    succeeded = False
    if prefix is not None and shutil.which('apt-get'):
        print(f'- installing system packages: {" ".join(names)}', flush=True)
        options = ['env', 'DEBIAN_FRONTEND=noninteractive', 'apt-get', '-y', '-q']
        with open(log, 'ab') as stream:
            outputs = {'stdin': subprocess.DEVNULL, 'stdout': stream, 'stderr': stream}
            subprocess.run([*prefix, *options, 'update'], check=False, **outputs)
            succeeded = subprocess.run(
                [*prefix, *options, 'install', '--no-install-recommends', *names],
                check=False, **outputs).returncode == 0
    if succeeded:
        return
    if needed:
        raise BootstrapError(f'system packages are missing: sudo {command}')
    print(f'- warning: no OpenGL without a display, so PyBullet draws the images, slower; '
          f'for the fast renderer: sudo {command}', flush=True)
