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

"""Errors a user can cause, each one line that names the thing and the remedy."""


class PerceptionError(Exception):
    """Base of every error that is the user's to mend; never raised for a bug of this package."""


class CameraError(PerceptionError, ValueError):
    """Camera parameters that cannot describe a camera, or that disagree with the image."""


class ImageError(PerceptionError, ValueError):
    """An image whose shape, type, size or encoding cannot be used."""


class ModelFileError(PerceptionError, ValueError):
    """A file that is not a usable model.onnx."""


class ContractError(ModelFileError):
    """A model contract that is missing, malformed, or disagrees with the graph it travels with."""


class ProviderError(PerceptionError, RuntimeError):
    """An execution provider that is not available, or that did not become active."""


class InferenceError(PerceptionError, RuntimeError):
    """The network failed on a picture: no memory left, or the execution provider gave up."""


class MissingDependencyError(PerceptionError, ImportError):
    """An optional dependency that is not installed; the message is the install command."""
