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

"""Parts of the doctor that need no graph: which cameras, how findings and tables read."""
import re

from hypothesis import given
from hypothesis import strategies as st
import pytest

pytest.importorskip('rclpy', reason='needs ROS 2: pip install .[ros]')

from dr_perception.ros.doctor import model, report  # noqa: E402, I100
from dr_perception.ros.doctor.findings import (error, Finding, Level, ok, Section,  # noqa: E402
                                               Table, warn)
from dr_perception.ros.doctor.observation import (Camera, Endpoint, find_cameras,  # noqa: E402
                                                  INFO_TYPE, RAW_TYPE, Topic)
from dr_perception.ros.model_loading import DEFAULT_MODEL  # noqa: E402
from dr_perception.ros.qos_compatibility import incompatibility  # noqa: E402
from rclpy.qos import DurabilityPolicy, QoSProfile, ReliabilityPolicy  # noqa: E402

NODE = '/pose_estimator'


def topic(name, publisher=None, reader=None, kind=RAW_TYPE):
    """Return a (name, Topic) pair."""
    return name, Topic(name, kind, [Endpoint(publisher, None)] if publisher else [],
                       [Endpoint(reader, None)] if reader else [])


def test_every_published_image_without_a_node():
    topics = dict([topic('/b/image_raw', '/b'), topic('/a/image', '/a'),
                   topic('/unused', None), topic('/b/camera_info', '/b', kind=INFO_TYPE)])
    assert find_cameras(topics, [], '', '') == [
        Camera('/a/image', '/a/camera_info'), Camera('/b/image_raw', '/b/camera_info')]


def test_only_what_a_running_node_reads():
    topics = dict([topic('/a/image', '/a', NODE), topic('/b/image', '/b', '/viewer'),
                   topic('/elsewhere/info', '/a', NODE, INFO_TYPE)])
    assert find_cameras(topics, [NODE], '', '') == [Camera('/a/image', '/elsewhere/info')]


def test_the_debug_image_of_a_node_is_no_camera():
    topics = dict([topic(f'{NODE}/debug_image', NODE), topic('/a/image', '/a')])
    assert find_cameras(topics, [NODE], '', '') == [Camera('/a/image', '/a/camera_info')]


def test_options_come_first_and_compressed_topics_have_the_same_info():
    topics = dict([topic('/a/image', '/a')])
    assert find_cameras(topics, [], '/c/image/compressed', '') == [
        Camera('/c/image/compressed', '/c/camera_info')]
    assert find_cameras(topics, [], '/c/image', '/d/info') == [Camera('/c/image', '/d/info')]
    assert find_cameras(topics, [], '/image', '') == [Camera('/image', '/camera_info')]


@pytest.mark.parametrize('policy, text', [
    ({'reliability': ReliabilityPolicy.RELIABLE},
     'RELIABILITY (offered BEST_EFFORT, requested RELIABLE)'),
    ({'durability': DurabilityPolicy.TRANSIENT_LOCAL},
     'DURABILITY (offered VOLATILE, requested TRANSIENT_LOCAL)')])
def test_incompatible_policies_by_name(policy, text):
    weak = QoSProfile(depth=1, reliability=ReliabilityPolicy.BEST_EFFORT)
    requested = QoSProfile(**{'depth': 1, 'reliability': ReliabilityPolicy.BEST_EFFORT, **policy})
    assert incompatibility(weak, requested) == text
    assert incompatibility(requested, weak) == ''


def test_a_finding_that_is_not_ok_needs_a_remedy_and_is_one_line():
    with pytest.raises(ValueError, match="'broken' has no remedy"):
        Finding(Level.WARN, 'broken')
    assert error('two\nlines', 'and\n  more') == error('two lines', 'and more')


@pytest.mark.parametrize('findings, text, code', [
    ([ok('a')], 'all well (1 checks)', 0), ([ok('a'), warn('b', 'r')], '0 errors, 1 warning', 0),
    ([error('a', 'r'), warn('b', 'r'), warn('c', 'r')], '1 error, 2 warnings, 0 OK', 3)])
def test_summary_and_exit_code(findings, text, code):
    sections = [Section('s', findings=findings)]
    assert text in report.summary(sections)
    assert report.exit_code(sections) == code


@given(st.lists(st.text(max_size=20), min_size=2, max_size=2))
def test_no_text_breaks_a_table(cells):
    section = Section('s', tables=[Table(('a', 'b'), (tuple(cells),))])
    row = report.as_markdown([section]).rstrip('\n').split('\n')[-1]
    assert row.startswith('| ') and len(re.findall(r'(?<!\\)\|', row)) == 3


def test_the_model_is_the_one_that_the_node_takes():
    assert model.SHIPPED_MODEL == DEFAULT_MODEL
