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

"""What a figure was measured on: processor, cores, GPUs, and the memory of a process."""

from __future__ import annotations

import os
from pathlib import Path
import platform
import shutil
import subprocess

_TIMEOUT_S = 20.0


def processor_name() -> str:
    """Return the processor as Linux names it, else as Python does."""
    try:
        text = Path('/proc/cpuinfo').read_text(encoding='utf-8', errors='replace')
    except OSError:
        text = ''
    names = [line.partition(':')[2].strip() for line in text.splitlines()
             if line.startswith(('model name', 'Model\t', 'Hardware\t'))]
    return (names or [platform.processor() or platform.machine()])[0]


def usable_cores() -> int:
    """Cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not Linux
        return os.cpu_count() or 1


def load_average() -> float:
    """Return how many processes wanted a core in the last minute; 0 where that is not known."""
    try:
        return os.getloadavg()[0]
    except (AttributeError, OSError):
        return 0.0


def has_nvidia_smi() -> bool:
    """Whether the NVIDIA driver's own tool is there."""
    return shutil.which('nvidia-smi') is not None


def gpu_names() -> list[str]:
    """Name, driver and memory of each NVIDIA GPU that nvidia-smi shows; empty without it."""
    return _nvidia_smi('--query-gpu=name,driver_version,memory.total')


def gpu_memory_mb(process_id: int) -> float | None:
    """GPU memory (MB) of a process as nvidia-smi tells it; None where it does not."""
    for row in _nvidia_smi('--query-compute-apps=pid,used_memory', units=False):
        number, _, mebibytes = (part.strip() for part in row.partition(','))
        if number == str(process_id) and mebibytes.isdigit():
            return int(mebibytes) * (1 << 20) / 1e6
    return None


def resident_mb(process_id: int | None = None) -> float | None:
    """Resident memory (MB) of a process, by default this one; None where /proc has none."""
    try:
        text = Path(f'/proc/{process_id or "self"}/statm').read_text(encoding='ascii')
    except OSError:
        return None
    return int(text.split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6


def _nvidia_smi(query: str, units: bool = True) -> list[str]:
    if not has_nvidia_smi():
        return []
    form = '--format=csv,noheader' + ('' if units else ',nounits')
    try:
        done = subprocess.run(['nvidia-smi', query, form], capture_output=True, text=True,
                              timeout=_TIMEOUT_S)
    except (OSError, subprocess.TimeoutExpired):
        return []
    if done.returncode != 0:
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]
