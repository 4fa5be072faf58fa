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

"""`python -m dr_perception.ros.interfaces`: generate missing message packages, or verify them."""
import argparse
import sys
import time

from dr_perception.core.errors import PerceptionError
from dr_perception.ros.interfaces.installation import ensure_interfaces


def main(arguments=None):
    """Run the command; return its exit code: 0 done, 2 the user's error in one line."""
    parser = argparse.ArgumentParser(
        prog='python -m dr_perception.ros.interfaces',
        description='Generate the ROS message packages that PyPI lacks into this environment; '
                    'a second run only verifies them.')
    parser.parse_args(arguments)
    start_s = time.monotonic()
    try:
        outcome = ensure_interfaces()
    except PerceptionError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for name, folder in outcome.provided:
        print(f'{name}: provided by {folder}')
    for title, names in (('generated', outcome.generated), ('verified', outcome.verified),
                         ('absent, only optional outputs need it', outcome.absent)):
        if names:
            print(f'{title}: {", ".join(names)}')
    print(f'done in {time.monotonic() - start_s:.1f} s')
    return 0


if __name__ == '__main__':
    sys.exit(main())
