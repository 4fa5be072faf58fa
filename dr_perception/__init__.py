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

"""Object poses from a robot's camera, by a model trained in simulation alone.

``PoseEstimator`` and ``PinholeCamera`` are loaded when first used: parts of this package run
before numpy and onnxruntime are installed.
"""

__version__ = '0.1.0'
__all__ = ['PinholeCamera', 'PoseEstimator', '__version__']


def __getattr__(name: str):
    if name == 'PinholeCamera':
        from dr_perception.core.camera import PinholeCamera
        return PinholeCamera
    if name == 'PoseEstimator':
        from dr_perception.inference.estimator import PoseEstimator
        return PoseEstimator
    raise AttributeError(f'module {__name__!r} has no attribute {name!r}')
