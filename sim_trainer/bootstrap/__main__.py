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

"""`python3 -m sim_trainer.bootstrap {demo,test} [arguments]`: set up, then start the job."""
import contextlib
import fcntl
import os
from pathlib import Path
import sys
import time

from sim_trainer.bootstrap.environment import Environment
from sim_trainer.bootstrap.errors import BootstrapError
from sim_trainer.bootstrap.system import choose_interpreter, install_packages, missing_packages

USAGE = 'usage: python3 -m sim_trainer.bootstrap {demo,test} [arguments of the demo or of pytest]'

# A worker per core; the tests of one file stay together, so that its fixtures are made once.
PYTEST_DEFAULTS = ('-n', 'auto', '--dist', 'loadfile')


@contextlib.contextmanager
def locked(root):
    """Let one set-up at a time work on a checkout."""
    with open(root / '.venv.lock', 'w', encoding='utf-8') as stream:
        # Inherited by the steps: a pip that outlives a killed set-up keeps the next one waiting.
        os.set_inheritable(stream.fileno(), True)
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            print('- waiting for another set-up of this checkout', flush=True)
            fcntl.flock(stream, fcntl.LOCK_EX)
        yield


def prepare(job, root):
    """Bring the checkout to where a job can start, and return its Environment."""
    environment = Environment(root, os.environ)
    with locked(root):
        if environment.is_ready(job):
            return environment
        start_s = time.monotonic()
        interpreter = choose_interpreter(environment.variables)
        log = root / '.venv.log'
        log.write_bytes(b'')
        install_packages(*missing_packages(interpreter), log)
        environment.set_up(job, interpreter, log)
        print(f'- set up in {time.monotonic() - start_s:.0f} s', flush=True)
    return environment


def job_command(job, arguments):
    """Return what to run in the environment.

    Returns:
        (arguments of Python, environment variables to add).
    """
    if job == 'demo':
        return ['-m', 'sim_trainer', 'demo', *arguments], {}
    return ['-m', 'pytest', *(arguments or PYTEST_DEFAULTS)], {
        'ROS_PYTHON_CHECK_FIELDS': '1', 'ROS_AUTOMATIC_DISCOVERY_RANGE': 'LOCALHOST'}


def main(arguments):
    """Set up and replace this process by the job; returns only an exit code on failure."""
    if not arguments or arguments[0] not in ('demo', 'test'):
        asked = bool(arguments) and arguments[0] in ('-h', '--help')
        print(USAGE, file=sys.stdout if asked else sys.stderr)
        return 0 if asked else 2
    root = Path(__file__).resolve().parents[2]
    try:
        environment = prepare(arguments[0], root)
    except BootstrapError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print('interrupted; the next run resumes', file=sys.stderr)
        return 130
    command, variables = job_command(arguments[0], arguments[1:])
    print(f'- starting: python {" ".join(command)}', flush=True)
    os.chdir(root)
    os.execve(environment.python, [str(environment.python), *command],
              {**environment.variables, **variables})


if __name__ == '__main__':
    sys.exit(main(sys.argv[1:]))
