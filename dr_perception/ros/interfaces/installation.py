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

"""What is installed where, and the record that tells generated packages from others."""
from dataclasses import dataclass
import hashlib
import importlib
import importlib.metadata
import importlib.util
import json
import os
from pathlib import Path
import shutil
import sys
import sysconfig
import tempfile

from dr_perception.ros.interfaces import compilation, definitions, generation
from dr_perception.ros.interfaces.errors import InterfaceError

_RECORD = Path('share') / 'dr_perception_interfaces' / 'record.json'


@dataclass(frozen=True)
class Outcome:
    """What `ensure_interfaces` found or did.

    Attributes:
        generated: packages written now.
        verified: packages an earlier run wrote, found in order.
        provided: packages that come from elsewhere, name -> folder.
        absent: packages that are not there and that only optional outputs use.
    """

    generated: tuple = ()
    verified: tuple = ()
    provided: tuple = ()
    absent: tuple = ()


def fingerprint():
    """Return a hash of all that the result depends on: definitions, generators, Python, numpy."""
    digest = hashlib.sha256()
    for module in (definitions, generation, compilation):
        digest.update(Path(module.__file__).read_bytes())
    digest.update(Path(__file__).read_bytes())
    numpy_major = importlib.metadata.version('numpy').split('.')[0]
    digest.update(repr((sys.version_info[:2], sysconfig.get_config_var('EXT_SUFFIX'), numpy_major,
                        importlib.metadata.version('ros-rosidl-generator-py'),
                        importlib.metadata.version('ros-rclpy'))).encode())
    return digest.hexdigest()


def read_record(prefix):
    """Return the record of an earlier run, or an empty one."""
    try:
        return json.loads((Path(prefix) / _RECORD).read_text(encoding='utf-8'))
    except (FileNotFoundError, json.JSONDecodeError):
        return {'packages': [], 'fingerprint': None, 'files': {}}


def write_record(prefix, packages, digest, files):
    """Replace the record at once, so that an interruption leaves the old one or the new one."""
    path = Path(prefix) / _RECORD
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix('.partial')
    partial.write_text(json.dumps(
        {'packages': list(packages), 'fingerprint': digest, 'files': files}, indent=1))
    os.replace(partial, path)


def find_provided(recorded):
    """Return {name: folder} of the packages that are importable and not ours."""
    provided = {}
    for package in definitions.PACKAGES:
        spec = importlib.util.find_spec(package.name)
        if spec is not None and spec.origin and package.name not in recorded:
            provided[package.name] = str(Path(spec.origin).parent)
    return provided


def has_generators(prefix):
    """Tell whether the message generators of the ROS wheels are installed in this environment."""
    return (Path(prefix) / 'share' / 'rosidl_generator_py' / 'resource').is_dir()


def load_type_supports(names):
    """Import packages and load the compiled part of one type of each.

    Raises:
        InterfaceError: naming the package that does not load.
    """
    importlib.invalidate_caches()
    for package in definitions.PACKAGES:
        if package.name not in names:
            continue
        type_name = list(package.messages)[-1]
        try:
            module = importlib.import_module(f'{package.name}.msg')
            importlib.import_module('rosidl_generator_py').import_type_support(package.name)
            getattr(module, type_name)()
            for kind, name, _ in package.interfaces():
                getattr(importlib.import_module(f'{package.name}.{kind}'), name)
        except Exception as error:
            raise InterfaceError(
                f'{package.name} was generated but does not load ({error}): delete the '
                'environment and set it up again') from error


def is_intact(prefix, record):
    """Tell whether every recorded file is there with its recorded size."""
    if not record['files']:
        return False
    root = Path(prefix)
    return all((root / name).is_file() and (root / name).stat().st_size == size
               for name, size in record['files'].items())


def install_files(prefix, packages, library, extensions):
    """Copy the results into the environment; return {path relative to it: size in bytes}."""
    prefix = Path(prefix)
    written = []

    def put(source, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        partial = target.with_name(target.name + '.partial')
        shutil.copyfile(source, partial)
        os.replace(partial, target)  # never overwrite a library that a process has mapped
        written.append(target)

    def write(text, target):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding='utf-8')
        written.append(target)

    put(library, prefix / 'lib' / library.name)
    resources = prefix / 'share' / 'ament_index' / 'resource_index'
    site_packages = Path(sysconfig.get_paths()['platlib'])
    for package in packages:
        for kind in generation.TYPE_SUPPORTS:
            alias = prefix / 'lib' / f'lib{package.name}__{kind}.so'
            alias.unlink(missing_ok=True)
            alias.symlink_to(library.name)
            written.append(alias)
        for source in sorted(package.python.rglob('*.py')):
            put(source, site_packages / package.name / source.relative_to(package.python))
        write('', site_packages / package.name / '__init__.py')
        put(extensions[package.name],
            site_packages / package.name / extensions[package.name].name)
        interfaces = sorted(path for kind in ('msg', 'srv', 'action')
                            for path in (package.share / kind).glob('*')
                            if path.suffix in (f'.{kind}', '.idl', '.json'))
        for source in interfaces:
            put(source, prefix / 'share' / package.name / source.relative_to(package.share))
        write(package_manifest(package.name), prefix / 'share' / package.name / 'package.xml')
        write('', resources / 'packages' / package.name)
        write('\n'.join(path.relative_to(package.share).as_posix() for path in interfaces
                        if path.suffix != '.json'),
              resources / 'rosidl_interfaces' / package.name)
    return {os.path.relpath(path, prefix): path.stat().st_size for path in written}


def package_manifest(name):
    """Return the package.xml of a generated package."""
    package = next(package for package in definitions.PACKAGES if package.name == name)
    return (
        f'<?xml version="1.0"?>\n<package format="3">\n  <name>{name}</name>\n'
        f'  <version>{package.version}</version>\n'
        '  <description>Message types generated by dr_perception.</description>\n'
        '  <maintainer email="maintainers@dr-perception.invalid">dr_perception maintainers'
        '</maintainer>\n  <license>Apache-2.0</license>\n'
        '  <member_of_group>rosidl_interface_packages</member_of_group>\n</package>\n')


def generate_and_install(packages, prefix, digest):
    """Generate, compile and install packages, and record them."""
    compilation.check_build_tools()
    names = [package.name for package in packages]
    depends = sorted({name for package in packages for name in package.depends} - set(names))
    with tempfile.TemporaryDirectory(prefix='dr_perception_interfaces_') as folder:
        build = Path(folder)
        generated = [generation.generate_package(package, build, prefix) for package in packages]
        library, extensions = compilation.compile_packages(generated, depends, build, prefix)
        try:
            # Names first: after an interruption half a package must still count as ours.
            write_record(prefix, names, None, {})
            files = install_files(prefix, generated, library, extensions)
        except PermissionError as error:
            raise InterfaceError(
                f'{error.filename} is not writable: use a virtual environment '
                '(python3 -m venv .venv)') from error
    load_type_supports(names)
    write_record(prefix, names, digest, files)


def ensure_interfaces(prefix=sys.prefix):
    """Provide the message packages in the environment that runs this.

    Returns:
        Outcome.

    Raises:
        InterfaceError: with the remedy.
    """
    record = read_record(prefix)
    provided = find_provided(record['packages'])
    missing = [package for package in definitions.PACKAGES if package.name not in provided]
    if not has_generators(prefix):
        needed = [package.name for package in missing if package.needed]
        if needed and importlib.util.find_spec('rclpy') is not None:
            distro = os.environ.get('ROS_DISTRO', 'jazzy')
            names = ' '.join(f'ros-{distro}-{name.replace("_", "-")}' for name in needed)
            raise InterfaceError(f'this ROS installation lacks {", ".join(needed)}: '
                                 f'apt-get install {names}')
        if needed:
            raise InterfaceError(
                f'the ROS wheels are not installed in {prefix}: {sys.executable} -m pip install '
                "'.[ros]' in the root of the repository")
        return Outcome(provided=tuple(provided.items()),
                       absent=tuple(package.name for package in missing))
    names = tuple(package.name for package in missing)
    if not missing:
        return Outcome(provided=tuple(provided.items()))
    digest = fingerprint()
    if (record['fingerprint'] == digest and tuple(record['packages']) == names
            and is_intact(prefix, record)):
        for name in names:
            generation.check_type_hashes(name, Path(prefix) / 'share' / name)
        load_type_supports(names)
        return Outcome(verified=names, provided=tuple(provided.items()))
    generate_and_install(missing, prefix, digest)
    return Outcome(generated=names, provided=tuple(provided.items()))
