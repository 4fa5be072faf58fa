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

"""Options that several commands have, and what they mean."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from sim_trainer.configuration.schema import SceneConfig


def with_config(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    """Add a scene YAML and the values of it that are replaced."""
    parser.add_argument('config', metavar='CONFIG', help='scene YAML, e.g. config/tabletop.yaml')
    parser.add_argument('--set', action='append', default=[], metavar='KEY.PATH=VALUE',
                        help='replace a value of the YAML; may be given several times')
    return parser


def load(arguments: argparse.Namespace) -> SceneConfig:
    """Return the configuration that they name."""
    from sim_trainer.configuration.schema import load_config
    return load_config(arguments.config, arguments.set)


def positive(text: str) -> int:
    """Read a count."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f'{text}: expected 1 or more')
    return value
