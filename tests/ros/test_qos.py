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

"""Quality of service of the inputs: overridden by a parameter, incompatible, one node's own."""
from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus
import pytest
from rclpy.lifecycle import TransitionCallbackReturn
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile, ReliabilityPolicy
from sensor_msgs.msg import CameraInfo, Image

POSE = [1.1, 0.0, 0.65, 0.0, 0.0, 0.0, 1.0]


def test_incompatible_qos_becomes_a_diagnostic(ros_graph, tiny_model):
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    ros_graph.start_estimator(
        model=str(tiny_model), camera_pose=POSE, **{
            f'qos_overrides.{ros_graph.namespace}/image.subscription.reliability': 'reliable'})
    ros_graph.publisher(Image, 'image', readers=0, qos=QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    message = statuses.wait_for(lambda m: 'incompatible RELIABILITY' in m.status[0].message)
    assert message.status[0].level == DiagnosticStatus.ERROR
    client = ros_graph.client.get_fully_qualified_name()
    assert message.status[0].message.startswith(
        f'a publisher of {ros_graph.namespace}/image ({client}) offers an incompatible '
        'RELIABILITY (offered BEST_EFFORT, requested RELIABLE): change it there')


def test_an_incompatible_publisher_that_is_gone_is_reported_no_more(ros_graph, tiny_model):
    statuses = ros_graph.listen(DiagnosticArray, '/diagnostics')
    ros_graph.start_estimator(
        model=str(tiny_model), camera_pose=POSE, image_reliability='reliable')
    publisher = ros_graph.publisher(Image, 'image', readers=0, qos=QoSProfile(
        depth=1, reliability=ReliabilityPolicy.BEST_EFFORT))
    statuses.wait_for(lambda m: 'incompatible RELIABILITY' in m.status[0].message)
    ros_graph.client.destroy_publisher(publisher)
    statuses.messages.clear()
    statuses.wait_for(lambda m: m.status[0].message == (
        f'no images on {ros_graph.namespace}/image (nobody publishes there)'))


def test_an_override_that_cannot_be_used_costs_the_activation_and_not_the_model(
        ros_graph, tiny_model, capfd):
    node = ros_graph.start_estimator(is_active=False, model=str(tiny_model), camera_pose=POSE, **{
        f'qos_overrides.{ros_graph.namespace}/image.subscription.reliability': 'best-effort'})
    node.trigger_configure()
    for _ in range(2):
        assert node.trigger_activate() == TransitionCallbackReturn.FAILURE
        assert node._transition_error == (
            f'not activated: qos_overrides.{ros_graph.namespace}/image.subscription cannot be '
            'used: Unexpected QoS override for policy `reliability`: `best-effort`')
        assert node.estimator is not None
    assert 'Traceback' not in capfd.readouterr().err


@pytest.mark.parametrize('image_reliability', ['best_effort', 'reliable'])
def test_an_override_is_that_nodes_and_that_topics_alone(
        make_ros_graph, tiny_model, image_reliability):
    # rclpy writes overrides into the profile that it is given.
    other = 'reliable' if image_reliability == 'best_effort' else 'best_effort'
    graphs = [make_ros_graph(), make_ros_graph()]
    try:
        for graph, overrides in zip(graphs, (
                {f'qos_overrides.{graphs[0].namespace}/image.subscription.{name}': value
                 for name, value in (('reliability', other), ('depth', 7))}, {})):
            graph.start_estimator(model=str(tiny_model), camera_pose=POSE,
                                  image_reliability=image_reliability, **overrides)
        with_override, without = graphs
        assert requested(with_override, Image, 'image') == (other.upper(), 7)
        assert requested(with_override, CameraInfo, 'camera_info') == ('BEST_EFFORT', 1)
        assert requested(without, Image, 'image') == (image_reliability.upper(), 1)
        assert requested(without, CameraInfo, 'camera_info') == ('BEST_EFFORT', 1)
    finally:
        for graph in graphs:
            graph.close()


@pytest.mark.parametrize('override, expected', [
    (None, ['BEST_EFFORT', 'RELIABLE', 'BEST_EFFORT']), ('best_effort', ['BEST_EFFORT'] * 3)])
def test_image_reliability_holds_from_the_next_activation(
        ros_graph, tiny_model, override, expected):
    overrides = {} if override is None else {
        f'qos_overrides.{ros_graph.namespace}/image.subscription.reliability': override}
    node = ros_graph.start_estimator(model=str(tiny_model), camera_pose=POSE, **overrides)
    seen = [requested(ros_graph, Image, 'image')[0]]
    for value in ('reliable', 'best_effort'):
        node.trigger_deactivate()
        node.trigger_cleanup()
        assert node.set_parameters([Parameter('image_reliability', value=value)])[0].successful
        assert node.autostart()
        seen.append(requested(ros_graph, Image, 'image')[0])
    assert seen == expected


def requested(graph, kind, topic):
    """Return the reliability and depth that the estimator's subscription was made with."""
    node, = graph._nodes
    subscription, = (one for one in node._inputs._subscriptions if one.msg_type is kind)
    assert subscription.topic_name == f'{graph.namespace}/{topic}'
    infos = node.get_subscriptions_info_by_topic(subscription.topic_name)
    assert [info.qos_profile.reliability for info in infos] == [
        subscription.qos_profile.reliability]
    return subscription.qos_profile.reliability.name, subscription.qos_profile.depth
