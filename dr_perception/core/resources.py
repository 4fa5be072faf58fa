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

"""Where the files that travel with the package lie: the checkout, or a package's share folder."""

from __future__ import annotations

import os
from pathlib import Path
import sys

PACKAGE_NAME = 'dr_perception'


def resource_folders() -> list[Path]:
    """Folders that may hold ``models/`` and ``config/``, the nearest to this code first."""
    checkout = Path(__file__).resolve().parents[2]
    folders = [checkout] if (checkout / 'package.xml').is_file() else []
    prefixes = [p for p in os.environ.get('AMENT_PREFIX_PATH', '').split(os.pathsep) if p]
    folders += [Path(prefix) / 'share' / PACKAGE_NAME for prefix in (*prefixes, sys.prefix)]
    return folders


def find_resource(relative: str) -> Path:
    """Return the path of a shipped file such as 'models/tabletop.onnx'.

    A file that is nowhere is answered with the first place where it should be, so that whoever
    opens it names that path.
    """
    folders = resource_folders()
    for folder in folders:
        if (folder / relative).is_file():
            return folder / relative
    return folders[0] / relative
