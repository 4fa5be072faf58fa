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

"""Write definitions, prove them by their type hashes, and generate C and Python sources."""
import contextlib
from dataclasses import dataclass
import inspect
import io
import json
import os
from pathlib import Path

from dr_perception.ros.interfaces.definitions import TYPE_HASHES
from dr_perception.ros.interfaces.errors import InterfaceError, TypeHashError

# The type supports that rmw_fastrtps looks up by library name; it needs both.
TYPE_SUPPORTS = ('rosidl_typesupport_fastrtps_c', 'rosidl_typesupport_introspection_c')


@dataclass(frozen=True)
class GeneratedPackage:
    """Where the generated files of one package lie.

    Attributes:
        name: ROS package name.
        share: folder that becomes share/<name>: msg/*.msg, *.idl and *.json, also srv and action.
        python: folder that becomes the importable package, with *.py and *_s.c.
        sources: folder of C and C++ sources per generator; each is an include folder too.
    """

    name: str
    share: Path
    python: Path
    sources: tuple


def include_path(package, build, wheel_share):
    """Return the share folder that holds the .idl files of a package."""
    built = build / 'share' / package
    return built if built.is_dir() else wheel_share / package


def write_definitions(package, build):
    """Write <build>/share/<package>/msg/*.msg and *.idl, also srv and action; return the .idl."""
    from rosidl_adapter.action import convert_action_to_idl
    from rosidl_adapter.msg import convert_msg_to_idl
    from rosidl_adapter.srv import convert_srv_to_idl

    convert = {'msg': convert_msg_to_idl, 'srv': convert_srv_to_idl,
               'action': convert_action_to_idl}
    share = build / 'share' / package.name
    interface_files = []
    for kind, type_name, fields in package.interfaces():
        folder = share / kind
        folder.mkdir(parents=True, exist_ok=True)
        relative = Path(kind) / f'{type_name}.{kind}'
        (share / relative).write_text(inspect.cleandoc(fields) + '\n', encoding='utf-8')
        with contextlib.redirect_stdout(io.StringIO()):  # it announces every file
            convert[kind](share, package.name, relative, folder)
        interface_files.append(f'{share}:{kind}/{type_name}.idl')
    return interface_files


def read_type_hash(share, type_name):
    """Read the RIHS01 hash of a type from the type description beside its definition.

    Args:
        share: the package's share folder.
        type_name: for instance 'vision_msgs/msg/Point2D'.
    """
    path = Path(share) / f'{"/".join(type_name.split("/")[1:])}.json'
    for entry in json.loads(path.read_text(encoding='utf-8'))['type_hashes']:
        if entry['type_name'] == type_name:
            return entry['hash_string']
    raise InterfaceError(f'{path} has no hash of {type_name}; delete the environment and set it '
                         'up again')


def check_type_hashes(package_name, share, expected=None):
    """Refuse a package whose types are not upstream's.

    Raises:
        TypeHashError: naming the type and both hashes.
    """
    for type_name, type_hash in (TYPE_HASHES if expected is None else expected).items():
        if type_name.split('/')[0] == package_name:
            got = read_type_hash(share, type_name)
            if got != type_hash:
                raise TypeHashError(type_name, got, type_hash)


def describe_package(package, build, prefix, expected_hashes=None):
    """Write the definitions of one package and prove them by their type hashes.

    Args:
        package: an InterfacePackage whose dependencies are described or come from wheels.
        build: working folder, shared by all packages.
        prefix: environment that holds the ROS wheels.
        expected_hashes: type name -> hash; upstream's unless given.

    Returns:
        (names of the .idl files, folders to include, type description files), as rosidl's
        generators take them.
    """
    from rosidl_generator_type_description.cli import HashTypeDescription

    os.environ['AMENT_PREFIX_PATH'] = str(prefix)  # where the generators look for templates
    share = build / 'share' / package.name
    files = write_definitions(package, build)
    includes = [str(include_path(name, build, Path(prefix) / 'share'))
                for name in ('builtin_interfaces', *package.depends, package.name)]
    descriptions = HashTypeDescription('hash').generate_type_hashes(
        package.name, files, includes, share)
    check_type_hashes(package.name, share, expected_hashes)
    return files, includes, descriptions


def generate_package(package, build, prefix):
    """Generate the sources of one package, after proving its definitions.

    Args: as of `describe_package`.

    Returns:
        GeneratedPackage.
    """
    from rosidl_generator_c.cli import GenerateC
    from rosidl_generator_py.cli import GeneratePython
    from rosidl_typesupport_c.cli import GenerateCTypesupport
    from rosidl_typesupport_fastrtps_c.cli import GenerateFastRTPSCTypesupport
    from rosidl_typesupport_introspection_c.cli import GenerateIntrospectionCTypesupport

    files, includes, descriptions = describe_package(package, build, prefix)

    # One folder per generator: two of them write files of the same name.
    generators = {
        'c': GenerateC('c'),
        'fastrtps': GenerateFastRTPSCTypesupport('fastrtps'),
        'introspection': GenerateIntrospectionCTypesupport('introspection'),
        'dispatch': GenerateCTypesupport(
            'dispatch', typesupport_implementations=list(TYPE_SUPPORTS)),
        'python': GeneratePython('python', typesupport_implementations=['rosidl_typesupport_c']),
    }
    for key, generator in generators.items():
        options = {'type_description_files': descriptions} if key == 'c' else {}
        generator.generate(package.name, files, includes, build / key / package.name, **options)
    return GeneratedPackage(
        name=package.name, share=build / 'share' / package.name,
        python=build / 'python' / package.name,
        sources=tuple(build / key for key in generators))
