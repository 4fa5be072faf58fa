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

"""`~/vision_info`: said once, heard by whoever comes later, new for a new model."""
import hashlib

from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import DurabilityPolicy, QoSProfile
from vision_msgs.msg import VisionInfo

LATCHED = QoSProfile(depth=1, durability=DurabilityPolicy.TRANSIENT_LOCAL)


def sha256(path):
    """Return the first digits of a file's hash."""
    return hashlib.sha256(path.read_bytes()).hexdigest()[:12]


def test_a_late_reader_learns_which_model_it_is(ros_graph, start_node, tiny_model):
    start_node(model=tiny_model)
    info = ros_graph.listen(VisionInfo, 'pose_estimator/vision_info', LATCHED).wait()[0]
    assert info.method == f'tiny (sha256 {sha256(tiny_model)})'
    assert info.database_location == f'{tiny_model.resolve()}#dr_perception.contract'
    assert info.database_version == 1
    assert info.header.stamp.sec > 0


def test_the_place_it_names_describes_the_classes(ros_graph, start_node, tiny_model, catalogue):
    from dr_perception.core.contract import ModelContract
    import onnx
    start_node(model=tiny_model)
    info = ros_graph.listen(VisionInfo, 'pose_estimator/vision_info', LATCHED).wait()[0]
    path, _, entry = info.database_location.partition('#')
    metadata = {item.key: item.value for item in onnx.load(path).metadata_props}
    contract = ModelContract.from_json(metadata[entry])
    assert [model.name for model in contract.objects] == list(catalogue)


def test_another_model_is_another_version_and_the_same_one_is_not(
        ros_graph, tiny_model, tmp_path):
    import onnx
    other = tmp_path / 'other.onnx'
    model = onnx.load(str(tiny_model))
    model.doc_string = 'another'
    onnx.save(model, str(other))
    node = ros_graph.start_estimator(model=str(tiny_model))
    inbox = ros_graph.listen(VisionInfo, 'pose_estimator/vision_info', LATCHED)
    inbox.wait(1)

    def restart(path):
        assert node.trigger_deactivate() == TransitionCallbackReturn.SUCCESS
        assert node.trigger_cleanup() == TransitionCallbackReturn.SUCCESS
        assert node.set_parameters([Parameter('model', value=str(path))])[0].successful
        count = len(inbox.messages)
        assert node.autostart()
        return inbox.wait(count + 1)[-1]

    assert restart(tiny_model).database_version == 1
    info = restart(other)
    assert (info.method, info.database_version) == (f'other (sha256 {sha256(other)})', 2)
    assert restart(tiny_model).database_version == 3


def test_the_shipped_model_is_named_without_a_parameter(ros_graph, repository_root):
    ros_graph.start_estimator()
    info = ros_graph.listen(VisionInfo, 'pose_estimator/vision_info', LATCHED).wait()[0]
    path = repository_root / 'models' / 'tabletop.onnx'
    assert info.method == f'tabletop (sha256 {sha256(path)})'
    assert info.database_location.startswith(str(path))
