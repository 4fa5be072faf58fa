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

"""The RViz configuration: classes that Jazzy has, topics that the node publishes."""
import pytest
import yaml

#: Of rviz_default_plugins' plugins_description.xml, branch jazzy, as far as used here.
PLUGINS = {f'rviz_default_plugins/{name}' for name in (
    'Grid', 'TF', 'MarkerArray', 'PoseArray', 'Image', 'Camera', 'Interact', 'MoveCamera',
    'Select', 'FocusCamera', 'Measure', 'Orbit')}
#: Built into rviz_common, same branch, panel_factory.cpp.
PANELS = {f'rviz_common/{name}' for name in ('Displays', 'Views', 'Time')}
#: Display -> type of its topic.
DISPLAYED = {'MarkerArray': 'visualization_msgs/msg/MarkerArray',
             'PoseArray': 'geometry_msgs/msg/PoseArray', 'Image': 'sensor_msgs/msg/Image'}


@pytest.fixture(scope='module')
def config(repository_root):
    """Return the parsed configuration."""
    path = repository_root / 'config' / 'dr_perception.rviz'
    return yaml.safe_load(path.read_text(encoding='utf-8'))


def classes(value):
    """Return the classes named anywhere in a configuration."""
    if isinstance(value, list):
        return {name for item in value for name in classes(item)}
    if isinstance(value, dict):
        own = {value['Class']} if value.get('Class') else set()
        return own | {name for item in value.values() for name in classes(item)}
    return set()


def test_all_classes_are_those_of_jazzy(config):
    used = classes(config)
    assert used == PLUGINS | PANELS


def test_displays_read_what_the_node_publishes(config, ros_graph, tiny_model):
    node = ros_graph.start_estimator(model=str(tiny_model))
    published = {name.removeprefix(ros_graph.namespace): kinds
                 for name, kinds in node.get_publisher_names_and_types_by_node(
                     node.get_name(), node.get_namespace())}
    found = set()
    for display in config['Visualization Manager']['Displays']:
        kind = display['Class'].rpartition('/')[2]
        if kind not in DISPLAYED:
            continue
        found.add(kind)
        topic = display['Topic']
        assert published[topic['Value']] == [DISPLAYED[kind]], topic
        # All of these are published reliable and volatile.
        assert topic['Reliability Policy'] == 'Reliable'
        assert topic['Durability Policy'] == 'Volatile'
    assert found == set(DISPLAYED)


def test_the_camera_is_read_as_drivers_publish_it(config):
    displays = config['Visualization Manager']['Displays']
    topic = next(d for d in displays if d['Class'].endswith('/Camera'))['Topic']
    assert (topic['Value'], topic['Reliability Policy']) == ('/image', 'Best Effort')
    shown = next(d for d in displays if d['Class'].endswith('/Camera'))['Visibility']
    assert set(shown) - {'Value'} == {
        d['Name'] for d in displays if not d['Class'].endswith('/Camera')}


def test_namespaces_are_those_of_the_markers(config):
    from dr_perception.ros.publishers import markers
    displays = config['Visualization Manager']['Displays']
    shown = next(d for d in displays if d['Class'].endswith('/MarkerArray'))['Namespaces']
    assert set(shown) == {markers.MESH, markers.ELLIPSOID, markers.LABEL}
