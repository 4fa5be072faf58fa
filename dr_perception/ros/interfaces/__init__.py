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

"""Message packages that PyPI lacks, generated into the environment that runs this.

`python -m dr_perception.ros.interfaces` writes tf2_msgs, vision_msgs and what the MoveIt output
needs beside the ROS wheels. A second run only verifies. Where ROS 2 is installed from apt the
packages are there already and nothing is written.
"""
