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

"""What can go wrong while message packages are generated, each with its remedy."""
from dr_perception.core.errors import PerceptionError


class InterfaceError(PerceptionError):
    """Message packages cannot be provided here; one line that ends with the remedy."""


class TypeHashError(InterfaceError):
    """A definition that differs from upstream's.

    Attributes:
        type_name: for instance 'vision_msgs/msg/Detection3DArray'.
        got, expected: the two RIHS01 hashes.
    """

    def __init__(self, type_name, got, expected):
        """Name the type and both hashes."""
        super().__init__(
            f'{type_name}: type hash is {got}, upstream has {expected}: nodes of other packages '
            'would not understand it; correct the fields in definitions.py')
        self.type_name = type_name
        self.got = got
        self.expected = expected
