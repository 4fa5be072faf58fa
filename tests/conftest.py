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

"""Settings of every test process, made before the first ROS import.

The message classes read ROS_PYTHON_CHECK_FIELDS while they are imported, and DDS reads its domain
while a context starts, so both are set where pytest loads this file: before any test module.
"""
import os
from pathlib import Path
import sys
import tempfile
import zlib

import hypothesis
import pytest

# A busy machine takes a second where an idle one takes a millisecond: the clock decides nothing.
hypothesis.settings.register_profile('no clock', deadline=None)
hypothesis.settings.load_profile('no clock')

# 51...101 are the demo's and the benchmark's; above, ports may meet the system's ephemeral ones.
DOMAIN_COUNT = 50


def domain_id(run, worker):
    """Return the DDS domain of a worker; runs side by side on one machine rarely share one.

    Args:
        run: name of the test run, equal in its workers.
        worker: name of the worker, 'gw<number>' or 'master'.
    """
    number = int(worker[2:]) if worker.startswith('gw') else 0
    return (zlib.crc32(run.encode()) + number) % DOMAIN_COUNT + 1


os.environ['ROS_PYTHON_CHECK_FIELDS'] = '1'
os.environ['ROS_AUTOMATIC_DISCOVERY_RANGE'] = 'LOCALHOST'
os.environ['ROS_DOMAIN_ID'] = str(domain_id(
    os.environ.get('PYTEST_XDIST_TESTRUNUID', str(os.getpid())),
    os.environ.get('PYTEST_XDIST_WORKER', 'master')))
os.environ['ROS_LOG_DIR'] = tempfile.mkdtemp(prefix='dr_perception_ros_log_')
# The index of this environment, unless a ROS installation is sourced.
if (Path(sys.prefix) / 'share' / 'ament_index').is_dir():
    os.environ.setdefault('AMENT_PREFIX_PATH', sys.prefix)


@pytest.fixture(scope='session')
def repository_root():
    """Return the root of the checkout under test."""
    return Path(__file__).resolve().parents[1]
