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

"""Errors of the trainer that the user can mend: one line, exit code 2."""

from dr_perception.core.errors import PerceptionError


class ConfigurationError(PerceptionError, ValueError):
    """A configuration value that cannot be used: file, dotted path, what it got, what it takes."""


class DatasetError(PerceptionError, ValueError):
    """A data set on disk that is missing, malformed or disagrees with itself."""


class CheckpointError(PerceptionError, ValueError):
    """A checkpoint that is missing, damaged, or of another configuration."""


class ExportError(PerceptionError, RuntimeError):
    """An exported graph that does not do what the trained network does."""


class TrainingError(PerceptionError, RuntimeError):
    """Training that cannot go on, such as a loss that is not finite."""


class SceneError(PerceptionError, ValueError):
    """A scene that cannot be built, such as objects that do not fit on the table."""
