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

"""Pictures streamed from workers: the same bytes always, nothing lost, nothing hangs."""

import dataclasses
import os
import signal
import subprocess
import sys
import textwrap
import time

from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.configuration.schema import BopSourceConfig, load_config
from sim_trainer.dataset import pool
from sim_trainer.dataset.bop_writer import BopWriter
from sim_trainer.dataset.law import FrameLaw
from sim_trainer.dataset.stream import FrameStream
from sim_trainer.errors import ConfigurationError, TrainingError
from sim_trainer.evaluation.heldout import simulated_pictures
from sim_trainer.objects.catalogue import build_catalogue


@pytest.fixture(scope='module')
def small(reference_path):
    """Fourteen small pictures, eight of them in memory, for 4 x 6 samples; workers start fast."""
    config = load_config(reference_path, [
        'arm_urdf=null', 'randomization.distractors.kinds=[primitives]',
        'randomization.distractors.weights=null', 'randomization.background.probability=0'])
    return _with(config, count=14, pool_count=8, workers=1, window_width_px=96,
                 window_height_px=80)


def _with(config, **frames):
    return dataclasses.replace(
        config, frames=dataclasses.replace(config.frames, **frames),
        training=dataclasses.replace(config.training, steps=4, batch_size=6))


def _samples(config, first=0):
    """Picture bytes and truth of every sample from ``first`` on."""
    taken = []
    with FrameStream(config, first) as stream:
        for number in range(first, 24):
            frame = stream.frame(number)
            taken.append((frame.image_rgb.tobytes(), [
                (label.object_index, label.T_camera_object.tobytes(), label.visible_fraction)
                for label in frame.instances], frame.T_base_camera.tobytes(), frame.camera))
            if number % 6 == 5:
                stream.release(number + 1)
    return taken


@pytest.fixture(scope='module')
def whole(small):
    return _samples(small)


def test_pictures_differ_and_slide(small, whole):
    law = FrameLaw(small)
    numbers = [law.choice(n).index for n in range(24)]
    assert len({sample[0] for sample in whole}) == len(set(numbers)) > 6
    assert max(numbers[:6]) < 8 and min(numbers[-6:]) >= 4


@pytest.mark.parametrize('workers', [2, 3])
def test_the_number_of_workers_changes_no_byte(small, whole, workers):
    assert _samples(_with(small, workers=workers)) == whole


def test_a_resumed_run_gets_the_same_bytes(small, whole):
    assert _samples(small, first=12) == whole[12:]


@settings(max_examples=200, deadline=None)
@given(count=st.integers(1, 300), pool=st.integers(1, 80), steps=st.integers(1, 40),
       batch=st.integers(1, 9), data=st.data())
def test_no_slot_is_overwritten_while_it_is_needed(config, count, pool, steps, batch, data):
    changed = dataclasses.replace(
        config, frames=dataclasses.replace(config.frames, count=count, pool_count=pool),
        training=dataclasses.replace(config.training, steps=steps, batch_size=batch))
    try:
        law = FrameLaw(changed)
    except ConfigurationError as error:
        assert 'frames.pool_count' in str(error) and pool < count
        return
    total = steps * batch
    finished = data.draw(st.integers(0, total - 1))
    later = data.draw(st.integers(finished, total - 1))
    picture = law.choice(later, data.draw(st.integers(0, 2))).index
    assert law.lowest(later) <= picture < min(law.lowest(later) + law.pool_count, count)
    # The picture that may be drawn last takes the place of one that no later sample can take.
    assert picture > law.allowed(finished) - 1 - law.pool_count
    assert law.allowed(total) <= max(count, law.pool_count)
    # Nothing waits for ever: the whole batch of the first unfinished sample may be drawn.
    if later < finished - finished % batch + batch:
        assert picture < law.allowed(finished - finished % batch)


def test_a_killed_worker_is_replaced_and_changes_no_byte(small, whole, caplog):
    taken = []
    with FrameStream(small) as stream:
        for number in range(24):
            if number == 7:
                os.kill(stream.worker_pids[0], signal.SIGKILL)
            taken.append(stream.frame(number).image_rgb.tobytes())
            stream.release(number + 1)
    assert taken == [sample[0] for sample in whole]
    assert 'a drawing worker died with exit code -9; another goes on from picture' in caplog.text


def test_workers_that_always_die_end_the_run_with_one_line(small):
    with FrameStream(small) as stream:
        killed = set()
        with pytest.raises(TrainingError, match='drawing workers died 4 times, the last with '
                           'exit code -9, after 0 pictures; .*--resume'):
            while True:
                for pid in set(stream.worker_pids) - killed:
                    os.kill(pid, signal.SIGKILL)
                    killed.add(pid)
                if len(killed) == 4:
                    stream.frame(0)
                time.sleep(0.01)


def test_the_error_of_a_worker_is_the_error_of_the_run(small):
    broken = dataclasses.replace(small, arm_urdf='no/arm.urdf')
    with FrameStream(broken) as stream:
        with pytest.raises(ConfigurationError, match='arm_urdf: no/arm.urdf: there is no such'):
            stream.frame(0)


def test_workers_end_with_their_parent(reference_path):
    code = textwrap.dedent("""
        import sys, time
        from sim_trainer.configuration.schema import load_config
        from sim_trainer.dataset.stream import FrameStream
        if __name__ == '__main__':
            config = load_config(sys.argv[1], ['frames.count=40', 'frames.workers=1',
                                               'frames.pool_count=4',
                                               'arm_urdf=null'])
            stream = FrameStream(config).__enter__()
            stream.fill()
            print(stream.worker_pids[0], flush=True)
            time.sleep(60)
    """)
    parent = subprocess.Popen([sys.executable, '-c', code, str(reference_path)],
                              stdout=subprocess.PIPE, text=True)
    worker = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while os.path.exists(f'/proc/{worker}') and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not os.path.exists(f'/proc/{worker}')


def test_too_many_pictures_for_the_memory_are_refused(small, monkeypatch):
    monkeypatch.setattr(pool, 'available_bytes', lambda: 1000)
    with pytest.raises(TrainingError, match=r'8 pictures of 96x80 px need 0.2\d GB of memory and '
                       r'0.00 GB are available; lower frames.pool_count'):
        FrameStream(small).__enter__()


def test_a_bop_data_set_is_mixed_in(small, tmp_path):
    catalogue = build_catalogue(small.objects)
    with BopWriter(tmp_path, 'mine', catalogue) as writer:
        for picture in simulated_pictures(small, 1):
            writer.add(picture)
            pose = picture.T_base_camera
    mixed = _with(small, bop=(BopSourceConfig(str(tmp_path), 'mine', 0.5),))
    with FrameStream(mixed) as stream:
        frames = [stream.frame(number) for number in range(8)]
    found = [bool(np.allclose(frame.T_base_camera, pose, atol=1e-6)) for frame in frames]
    assert 1 <= sum(found) <= 7
