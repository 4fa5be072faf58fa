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

"""Chains, time, and every way in which TF can be wrong."""
import threading
import time

from dr_perception.core.transform_buffer import STATIC, TransformBuffer, TransformError
from dr_perception.core.transforms import (invert_transform, make_transform, rotation_about,
                                           rotation_angle)
from dr_perception.ros.conversions import stamp_from_ns, transform_stamped
import numpy as np
import pytest
from std_msgs.msg import Header
from tf2_msgs.msg import TFMessage

S = 1_000_000_000


def message(parent, child, T, stamp_ns=0):
    """Return a TFMessage with one transform."""
    header = Header(stamp=stamp_from_ns(stamp_ns), frame_id=parent)
    return TFMessage(transforms=[transform_stamped(header, child, T)])


def shift(x_m):
    """Return a shift along x."""
    return make_transform(np.eye(3), [x_m, 0.0, 0.0])


@pytest.fixture
def buffer():
    """Return a buffer: world -> base -> tool (moving), world -> camera."""
    result = TransformBuffer()
    result.add_message(message('world', 'base', make_transform(
        rotation_about('z', np.pi / 2), [1.0, 0.0, 0.0])), is_static=True)
    result.add_message(message('/world', '/camera', shift(5.0)), is_static=True)
    for second, x_m in ((10, 0.0), (11, 1.0)):
        result.add_message(message('base', 'tool', shift(x_m), second * S), is_static=False)
    return result


def test_chain_through_the_common_ancestor_by_hand(buffer):
    # The tool at 10.5 s is 0.5 m along the base's x, which is the world's y: (1, 0.5, 0) in world.
    T_camera_tool = buffer.lookup('camera', 'tool', int(10.5 * S))
    assert np.allclose(T_camera_tool[:3, 3], [-4.0, 0.5, 0.0])
    T_tool_camera = buffer.lookup('tool', 'camera', int(10.5 * S))
    assert np.allclose(T_tool_camera, invert_transform(T_camera_tool))
    assert np.array_equal(buffer.lookup('tool', 'tool', 0), np.eye(4))
    assert buffer.frames() == ['base', 'camera', 'tool', 'world']


def test_how_far_a_chain_reaches(buffer):
    assert buffer.newest_ns('camera', '/tool') == buffer.newest_ns('tool', 'base') == 11 * S
    assert buffer.newest_ns('base', 'camera') == buffer.newest_ns('tool', 'tool') == STATIC
    assert buffer.newest_ns('base', 'nowhere') is None
    # The oldest of two moving ones.
    buffer.add_message(message('world', 'base', shift(1.0), 9 * S), is_static=False)
    assert buffer.newest_ns('camera', 'tool') == 9 * S
    buffer.add_message(message('tool', 'base', shift(1.0), 9 * S), is_static=False)     # a loop
    assert buffer.newest_ns('camera', 'tool') is None


def test_rotation_is_interpolated_evenly():
    buffer = TransformBuffer()
    for second, angle in ((1, 0.0), (2, 1.0)):
        buffer.add_message(message('a', 'b', make_transform(
            rotation_about('y', angle), np.zeros(3)), second * S), is_static=False)
    R = buffer.lookup('a', 'b', int(1.25 * S))[:3, :3]
    assert rotation_angle(R) == pytest.approx(0.25)


def test_stamp_zero_and_shortly_after_the_newest_take_the_newest(buffer):
    for stamp_ns in (0, int(11.4 * S)):
        assert np.allclose(buffer.lookup('base', 'tool', stamp_ns)[:3, 3], [1, 0, 0])


@pytest.mark.parametrize('target, source, stamp_s, text', [
    ('base', 'tool', 12.0, "'base' to 'tool' is stale: the newest is 1.00 s older"),
    ('base', 'tool', 9.0, 'begins 1.00 s after the image'),
    ('base', 'mars', 10.0, 'not connected.*known frames: base, camera, tool, world')])
def test_what_cannot_be_answered(buffer, target, source, stamp_s, text):
    with pytest.raises(TransformError, match=text):
        buffer.lookup(target, source, int(stamp_s * S))


def test_loop_is_named_and_ends():
    buffer = TransformBuffer()
    for parent, child in (('a', 'b'), ('b', 'c'), ('c', 'a')):
        buffer.add_message(message(parent, child, np.eye(4)), is_static=True)
    with pytest.raises(TransformError, match='loop: a -> c -> b -> a'):
        buffer.lookup('a', 'x', 0)


def test_second_parent_is_reported(buffer):
    buffer.add_message(message('camera', 'tool', shift(0.1), 11 * S), is_static=False)
    assert "'tool' has two parents, 'base' and 'camera'" in buffer.last_problem
    assert np.allclose(buffer.lookup('camera', 'tool', 11 * S)[:3, 3], [0.1, 0, 0])


def test_unusable_transform_is_left_out(buffer):
    bad = message('world', 'camera', shift(1.0))
    bad.transforms[0].transform.rotation.w = 0.0
    buffer.add_message(bad, is_static=True)
    buffer.add_message(message('world', 'world', shift(1.0)), is_static=True)
    assert 'was left out' in buffer.last_problem
    assert np.allclose(buffer.lookup('world', 'camera', 0)[:3, 3], [5, 0, 0])


@pytest.mark.parametrize('end_s', [100, 53])     # far ahead, and less than what is remembered
def test_time_that_jumps_back_forgets_the_future(buffer, end_s):
    for second in range(end_s - 5, end_s + 1):
        buffer.add_message(message('base', 'tool', shift(3.0), second * S), is_static=False)
    buffer.add_message(message('base', 'tool', shift(2.0), 50 * S), is_static=False)
    assert np.allclose(buffer.lookup('base', 'tool', 50 * S)[:3, 3], [2, 0, 0])
    with pytest.raises(TransformError, match='stale'):
        buffer.lookup('base', 'tool', 51 * S)
    with pytest.raises(TransformError, match='stale'):
        buffer.lookup('base', 'tool', end_s * S)


def test_a_transform_that_is_late_takes_its_place(buffer):
    for tenth, x_m in ((10, 1.0), (12, 3.0), (11, 2.0)):
        buffer.add_message(message('base', 'tool', shift(x_m), tenth * S // 10), is_static=False)
    assert np.allclose(buffer.lookup('base', 'tool', 11 * S // 10)[:3, 3], [2, 0, 0])
    assert np.allclose(buffer.lookup('base', 'tool', 12 * S // 10)[:3, 3], [3, 0, 0])


def test_moving_transforms_are_forgotten_and_static_ones_kept(buffer):
    buffer.add_message(message('world', 'base', shift(1.0), 0), is_static=True)
    buffer.add_message(message('base', 'tool', shift(1.0), 50 * S), is_static=False)
    buffer.forget_moving()
    assert buffer.frames() == ['base', 'camera', 'world']


def test_old_samples_are_forgotten(buffer):
    for second in range(12, 60):
        buffer.add_message(message('base', 'tool', shift(1.0), second * S), is_static=False)
    assert len(buffer._edges['tool'].stamps_ns) == 11


def test_short_wait_for_the_transform_of_the_image(buffer):
    later = message('base', 'tool', shift(2.0), 12 * S)
    timer = threading.Timer(0.1, buffer.add_message, [later, False])
    timer.start()
    start_s = time.monotonic()
    T = buffer.lookup('base', 'tool', int(11.5 * S), wait_s=5.0)
    assert np.allclose(T[:3, 3], [1.5, 0, 0]) and time.monotonic() - start_s < 4.0
    # The wait ends, and the newest serves.
    assert np.allclose(buffer.lookup('base', 'tool', int(12.2 * S), 0.05)[:3, 3], [2, 0, 0])
