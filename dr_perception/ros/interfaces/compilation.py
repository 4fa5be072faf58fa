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

"""Compile generated sources with the C and C++ compilers alone: no CMake, no colcon."""
from concurrent.futures import ThreadPoolExecutor
import os
from pathlib import Path
import shutil
import subprocess
import sysconfig

from dr_perception.ros.interfaces.errors import InterfaceError

LIBRARY_NAME = 'libdr_perception_interfaces.so'

_RUNTIME_LIBRARIES = (
    'rosidl_runtime_c', 'rosidl_typesupport_c', 'rosidl_typesupport_fastrtps_c',
    'rosidl_typesupport_fastrtps_cpp', 'rosidl_typesupport_introspection_c', 'fastcdr', 'rcutils')


def check_build_tools():
    """Check for compilers and the headers of this Python.

    Raises:
        InterfaceError: naming what is missing and the command that installs it.
    """
    # The type support of Fast DDS is C++, and Debian's gcc package compiles C only.
    for program in ('gcc', 'g++'):
        if shutil.which(program) is None:
            raise InterfaceError(
                f'{program} is not installed: apt-get install g++ (it brings gcc)')
    header = Path(sysconfig.get_paths()['include']) / 'Python.h'
    if not header.is_file():
        version = sysconfig.get_python_version()
        raise InterfaceError(f'{header} is missing: apt-get install python{version}-dev')


def include_options(prefix, packages):
    """Return the -I options: generated folders, every package of the wheels, Python, numpy."""
    import numpy

    root = Path(prefix) / 'include'
    folders = [folder for package in packages[:1] for folder in package.sources]
    folders += [root, *sorted(path for path in root.iterdir() if path.is_dir())]
    folders += [Path(sysconfig.get_paths()['include']), Path(numpy.get_include())]
    return [f'-I{folder}' for folder in folders]


def run_compiler(command):
    """Run one compiler command.

    Raises:
        InterfaceError: with the first error line of the compiler.
    """
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    if result.returncode:
        lines = result.stderr.strip().splitlines() or [f'exit code {result.returncode}']
        first = next((line for line in lines if 'error' in line), lines[0])
        raise InterfaceError(
            f'{command[0]} failed: {first.strip()}: delete the environment and set it up again')


def compile_objects(sources, includes, build):
    """Compile C and C++ files, as many at a time as there are cores; return the object files."""
    folder = build / 'objects'
    folder.mkdir()

    def compile_one(numbered):
        number, source = numbered
        compiler = 'g++' if source.suffix == '.cpp' else 'gcc'
        target = folder / f'{number}_{source.stem}.o'
        run_compiler([compiler, '-O2', '-w', '-fPIC', '-c', str(source), '-o', str(target),
                      *includes])
        return target

    with ThreadPoolExecutor(os.cpu_count() or 1) as pool:
        return list(pool.map(compile_one, enumerate(sources)))


def link(target, objects, libraries, library_folders, rpath):
    """Link a shared object that finds its libraries relative to itself."""
    run_compiler([
        'g++', '-shared', '-o', str(target), *map(str, objects), '-Wl,--as-needed',
        *[f'-L{folder}' for folder in library_folders], *[f'-l{name}' for name in libraries],
        f'-Wl,-rpath,{rpath}'])


def compile_packages(packages, depends, build, prefix):
    """Compile all packages into one shared library and one extension module per package.

    Args:
        packages: GeneratedPackage of each.
        depends: names of the wheel packages whose types are nested in them.
        build: working folder.
        prefix: environment that holds the ROS wheels and gets the result.

    Returns:
        (path of the library, {package name: path of its extension module}).
    """
    includes = include_options(prefix, packages)
    modules, sources = {}, []
    for package in packages:
        entry = package.python / f'_{package.name}_s.ep.rosidl_typesupport_c.c'
        modules[package.name] = entry
        for folder in package.sources:
            found = (folder / package.name).rglob('*')
            sources += sorted(
                path for path in found if path.suffix in ('.c', '.cpp') and path != entry)
    objects = compile_objects([*modules.values(), *sources], includes, build)

    lib = Path(prefix) / 'lib'
    nested = [f'{name}__{kind}' for name in depends for kind in (
        'rosidl_generator_c', 'rosidl_generator_py', 'rosidl_typesupport_c',
        'rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')]
    library = build / LIBRARY_NAME
    link(library, objects[len(modules):], [*nested, *_RUNTIME_LIBRARIES], [lib], '$ORIGIN')

    site_packages = Path(sysconfig.get_paths()['platlib'])
    extensions = {}
    for (name, _), entry_object in zip(modules.items(), objects):
        suffix = sysconfig.get_config_var('EXT_SUFFIX')
        extensions[name] = build / f'{name}_s__rosidl_typesupport_c{suffix}'
        to_lib = os.path.relpath(lib, site_packages / name)
        link(extensions[name], [entry_object], [LIBRARY_NAME[3:-3]], [build, lib],
             f'$ORIGIN/{to_lib}')
    return library, extensions
