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

"""The private environment: made, filled, stamped, and made again when it is broken."""
import configparser
import hashlib
import json
import os
from pathlib import Path
import shutil
import subprocess

from sim_trainer.bootstrap.errors import BootstrapError
from sim_trainer.bootstrap.system import probe, SUPPORTED

# pip extras of setup.py for each job. The demo does without torch.
EXTRAS = {'demo': ('ros', 'demo'), 'test': ('ros', 'demo', 'train', 'test')}

# Tells a whole environment from a damaged one within a second: what is quick is imported, the
# rest is looked up. The project itself may be in the middle of an edit, so it is not imported.
_PROBE = """
import importlib.util, sys
import cv2, onnxruntime, rclpy, yaml
from vision_msgs.msg import Detection3DArray
missing = [name for name in sys.argv[1:] if importlib.util.find_spec(name) is None]
sys.exit(f'not installed: {missing}' if missing else 0)
"""
_LOOKED_UP = {
    'demo': ('moderngl', 'pybullet'),
    'test': ('torch', 'onnx', 'pytest', 'xdist', 'hypothesis', 'flake8'),
}

# Folders of the checkout that a ROS package has in its share folder.
_SHARED = ('package.xml', 'launch', 'config', 'models')


def clean_environment(environment, venv):
    """Return the environment variables for programs of the private environment.

    A ROS wheel environment or a sourced ROS installation leaves search paths behind that load
    libraries and modules of another Python; they are taken out, everything else stays.

    Args:
        environment: variables of this process.
        venv: folder of the private environment.
    """
    result = dict(environment)
    result.pop('_ROS_WHEELS_BOOTSTRAP_COMPLETE', None)
    result.pop('PYTHONHOME', None)
    foreign = [prefix for key in ('AMENT_PREFIX_PATH', 'CMAKE_PREFIX_PATH', 'VIRTUAL_ENV')
               for prefix in result.pop(key, '').split(os.pathsep) if prefix]

    def is_foreign(entry):
        path = Path(entry)
        in_venv = any((folder / 'pyvenv.cfg').is_file() for folder in (path, *path.parents))
        return in_venv or any(
            path == Path(prefix) or Path(prefix) in path.parents for prefix in foreign)

    for key in ('LD_LIBRARY_PATH', 'PYTHONPATH'):
        kept = [entry for entry in result.pop(key, '').split(os.pathsep)
                if entry and not is_foreign(entry)]
        if kept:
            result[key] = os.pathsep.join(kept)
    result['AMENT_PREFIX_PATH'] = str(venv)
    result['VIRTUAL_ENV'] = str(venv)
    result['PATH'] = os.pathsep.join([str(venv / 'bin'), result.get('PATH', os.defpath)])
    result['RMW_IMPLEMENTATION'] = 'rmw_fastrtps_cpp'  # the only one that the wheels bring
    return result


class Environment:
    """The environment in <root>/.venv and the stamp that says how far it is.

    Args:
        root: root of the checkout.
        variables: environment variables of this process.
    """

    def __init__(self, root, variables):
        """Remember the places; nothing is touched."""
        self.root = root
        self.venv = root / '.venv'
        self.python = self.venv / 'bin' / 'python'
        self.stamp = self.venv / 'bootstrap.json'
        self.variables = clean_environment(variables, self.venv)

    def requirements_hash(self):
        """Return a hash of what decides about the installed packages."""
        digest = hashlib.sha256()
        sources = (self.root / 'dr_perception' / 'core' / 'compiled').glob('[!.]*.[ch]')
        for path in (self.root / 'setup.py', self.root / 'setup.cfg', *sorted(sources)):
            digest.update(path.read_bytes())
        digest.update(repr(sorted(self.root.glob('*/__init__.py'))).encode())
        return digest.hexdigest()

    def interfaces_hash(self):
        """Return a hash of the message definitions and their generator."""
        digest = hashlib.sha256()
        for path in sorted((self.root / 'dr_perception' / 'ros' / 'interfaces').glob('*.py')):
            digest.update(path.read_bytes())
        return digest.hexdigest()

    def read_stamp(self):
        """Return the stamp, or an empty one."""
        try:
            return json.loads(self.stamp.read_text(encoding='utf-8'))
        except (OSError, ValueError):
            return {}

    def write_stamp(self, **values):
        """Replace the stamp at once."""
        partial = self.stamp.with_suffix('.partial')
        partial.write_text(json.dumps(values, indent=1), encoding='utf-8')
        os.replace(partial, self.stamp)

    def damage(self, jobs):
        """Return what keeps the environment from doing some jobs, or ''."""
        modules = [name for job in {'demo', *jobs} for name in _LOOKED_UP[job]]
        try:
            result = subprocess.run(
                [str(self.python), '-c', _PROBE, *modules], env=self.variables,
                cwd=str(self.venv), capture_output=True, text=True, timeout=120, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return str(error)
        if result.returncode == 0:
            return ''
        return (result.stderr.strip().splitlines() or [f'exit code {result.returncode}'])[-1]

    def is_ready(self, job):
        """Tell whether a job can start without any set-up."""
        stamp = self.read_stamp()
        return (stamp.get('phase') == 'ready' and stamp.get('root') == str(self.root)
                and stamp.get('requirements') == self.requirements_hash()
                and stamp.get('interfaces') == self.interfaces_hash()
                and job in stamp.get('jobs', ()) and not self.damage([job]))

    def run(self, title, command, log):
        """Run one step of the set-up; its output is appended to the log.

        Raises:
            BootstrapError: with the last error line of its output and the name of the log.
        """
        print(f'- {title}', flush=True)
        with open(log, 'ab') as stream:
            begin = stream.tell()
            code = subprocess.run(
                [str(part) for part in command], env=self.variables, cwd=str(self.root),
                stdin=subprocess.DEVNULL, stdout=stream, stderr=stream, check=False,
                close_fds=False).returncode  # keeps the lock in the step's hands
        if code:
            text = Path(log).read_bytes()[begin:].decode(errors='replace')
            lines = [line.strip() for line in text.splitlines() if line.strip()]
            reason = next((line for line in reversed(lines) if line.lower().startswith('error')),
                          lines[-1] if lines else f'exit code {code}')
            raise BootstrapError(f'{title}: {reason} (all of it: {log}; run again to resume)')

    def make(self, interpreter, log):
        """Make the environment anew; a working one that this command did not make is kept."""
        version = '.'.join(map(str, interpreter.version))
        if self.venv.exists() and not self.stamp.exists():
            found = probe(str(self.python), self.variables)
            if found and found.version in SUPPORTED:
                return
            if found:
                raise BootstrapError(f'{self.venv} holds another Python: remove or rename it')
        if self.venv.exists():
            print('- removing the incomplete or damaged .venv', flush=True)
            shutil.rmtree(self.venv)
        self.venv.mkdir()
        self.write_stamp(phase='creating')
        self.run(f'making .venv with Python {version} ({interpreter.path})',
                 [interpreter.path, '-m', 'venv', self.venv], log)

    def set_up(self, job, interpreter, log):
        """Bring the environment to where a job can start; resumes what was interrupted."""
        stamp = self.read_stamp()
        # A set-up that was cut short may have left half a package behind, which pip would take
        # for a whole one; and scripts name their folder. Only finished states are built upon.
        usable = (stamp.get('phase') in ('installed', 'ready')
                  and stamp.get('root') == str(self.root) and self.python.exists())
        if usable and stamp['phase'] == 'ready':
            usable = not self.damage(stamp['jobs'])
        if not usable:
            self.make(interpreter, log)
        jobs = sorted({job, *stamp.get('jobs', ())})
        finished = {'root': str(self.root), 'jobs': jobs, 'requirements': self.requirements_hash()}
        if not usable or {**stamp, **finished} != stamp:
            extras = ','.join(sorted({extra for name in jobs for extra in EXTRAS[name]}))
            self.write_stamp(phase='installing', jobs=jobs)
            self.run(
                f'installing packages from PyPI: dr_perception[{extras}], minutes the first time',
                [self.python, '-m', 'pip', 'install', '--disable-pip-version-check',
                 '--use-pep517', '--editable', f'.[{extras}]'], log)
            self.write_stamp(phase='installed', **finished)
        self.run('generating the ROS messages that PyPI lacks, or verifying them',
                 [self.python, '-m', 'dr_perception.ros.interfaces'], log)
        self.link_package()
        damage = self.damage(jobs)
        if damage:
            raise BootstrapError(f'{self.venv} was set up but does not work ({damage}): see {log}')
        self.write_stamp(phase='ready', interfaces=self.interfaces_hash(), **finished)

    def link_package(self):
        """Link what an editable installation leaves out: share, lib and the ament index."""
        share = self.venv / 'share' / 'dr_perception'
        index = self.venv / 'share' / 'ament_index' / 'resource_index' / 'packages'
        links = {share / name: self.root / name for name in _SHARED}
        links[index / 'dr_perception'] = self.root / 'resource' / 'dr_perception'
        for metadata in self.venv.glob('lib/python*/site-packages/dr_perception-*.dist-info'):
            scripts = configparser.ConfigParser(delimiters='=')
            scripts.read(metadata / 'entry_points.txt')
            for name in scripts['console_scripts']:
                links[self.venv / 'lib' / 'dr_perception' / name] = self.venv / 'bin' / name
        for link, target in links.items():
            link.parent.mkdir(parents=True, exist_ok=True)
            if link.is_symlink() or link.is_file():
                link.unlink()
            elif link.is_dir():
                shutil.rmtree(link)
            link.symlink_to(target)
