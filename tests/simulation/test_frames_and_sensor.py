"""Frames on disk."""

import dataclasses
import shutil
from collections import namedtuple

import numpy as np
import pytest

from sim_trainer.dataset.frames import draw_frames, FrameStore
from sim_trainer.errors import DatasetError, TrainingError


def _with(config, **changes):
    return dataclasses.replace(config, frames=dataclasses.replace(config.frames, **changes))


def test_the_number_of_workers_changes_no_byte(config, tmp_path):
    one = draw_frames(_with(config, workers=1), tmp_path / 'one')
    two = draw_frames(_with(config, workers=2), tmp_path / 'two')
    assert np.array_equal(one.pictures, two.pictures)
    assert np.array_equal(one.labels, two.labels)
    assert one.pictures.std() > 10 and len({p.tobytes() for p in one.pictures}) == len(one)

    # An interrupted drawing is completed, and what was there is not drawn again.
    interrupted = FrameStore(tmp_path / 'one', config)
    interrupted.labels['done'][2] = 0
    interrupted.pictures[2] = 0
    interrupted.pictures[0, 0, 0] = (1, 2, 3)
    completed = draw_frames(_with(config, workers=1), tmp_path / 'one')
    assert np.array_equal(completed.pictures[2], two.pictures[2])
    assert completed.pictures[0, 0, 0].tolist() == [1, 2, 3]


def test_frames_of_another_configuration_are_refused(config, tmp_path):
    FrameStore(tmp_path, config)
    with pytest.raises(DatasetError, match='holds the pictures of another configuration; give '
                       'another --output, or delete that folder'):
        FrameStore(tmp_path, dataclasses.replace(config, seed=99))


def test_a_full_disk_is_told_before_it_is_full(config, tmp_path, monkeypatch):
    usage = namedtuple('usage', 'total used free')(10, 10, 10 << 20)
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: usage)
    with pytest.raises(DatasetError, match=r'4 pictures need 0.0 GB and the disk has 0.0 GB free; '
                       r'lower frames.count'):
        FrameStore(tmp_path / 'full', config)


def test_a_frame_that_is_not_drawn_is_no_frame(config, tmp_path):
    with pytest.raises(IndexError, match='frame 1 is not drawn yet'):
        FrameStore(tmp_path, config)[1]


def test_a_worker_that_dies_is_one_line(config, tmp_path):
    broken = dataclasses.replace(_with(config, workers=1), arm_urdf='no/arm.urdf')
    with pytest.raises(TrainingError, match='a drawing worker ended with exit code 1 after 0 '
                       'pictures; .* --resume goes on from there'):
        draw_frames(broken, tmp_path)
