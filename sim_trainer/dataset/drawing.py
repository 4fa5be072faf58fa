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

"""What a worker process does: draw its share of the pictures into the pool."""

from __future__ import annotations

from multiprocessing.connection import Connection
import os
import signal
import time
import traceback

import cv2
from dr_perception.core.errors import PerceptionError
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.frames import labels_to_row
from sim_trainer.dataset.labels import InstanceLabel, label_scene
from sim_trainer.dataset.pool import PicturePool, PoolAddress
from sim_trainer.rendering.base import Picture, Renderer
from sim_trainer.rendering.factory import make_renderer
from sim_trainer.scene.generator import SceneGenerator
from sim_trainer.scene.record import SceneRecord

#: Seconds between two looks whether the next picture may be drawn.
_NAP_S = 0.01
#: Below PIPE_BUF: so short a message is written at once or not at all, even by a killed worker.
_TEXT_LENGTH = 1500


def draw_frame(generator: SceneGenerator, renderer: Renderer, config: SceneConfig, index: int
               ) -> tuple[Picture, SceneRecord, list[InstanceLabel]]:
    """Picture ``index`` of a configuration, its scene and its labels."""
    scene = generator.scene(index)
    picture = renderer.draw(scene)
    return picture, scene, label_scene(scene, picture.instance_ids, generator.catalogue)


def draw_share(config: SceneConfig, address: PoolAddress, indices: range, pipe: Connection
               ) -> None:
    """Draw pictures into the pool; the main function of a worker process.

    Sends over ``pipe``: the number of each picture when it is written; at the end None; or
    (class name, message, traceback) of an exception.
    """
    # Ctrl-C and SIGTERM reach the whole group; the parent saves first and ends the workers then.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    os.nice(5)      # training goes first: it waits for the pool, not for a picture
    cv2.setNumThreads(1)
    try:
        _draw(config, address, indices, pipe)
    except (BrokenPipeError, FileNotFoundError) as error:
        if os.getppid() == address.pid:
            _send_error(pipe, error)
    except Exception as error:
        _send_error(pipe, error)


def _draw(config: SceneConfig, address: PoolAddress, indices: range, pipe: Connection) -> None:
    pool = PicturePool.attach(address)
    generator = SceneGenerator(config)
    renderer = make_renderer(config, generator)
    for index in indices:
        while os.getppid() == address.pid and index >= pool.allowed[0]:
            time.sleep(_NAP_S)
        if os.getppid() != address.pid:
            return
        picture, scene, labels = draw_frame(generator, renderer, config, index)
        slot = index % len(pool.pictures)
        pool.pictures[slot] = picture.image_rgb
        pool.instance_ids[slot] = picture.instance_ids
        pool.labels[slot] = labels_to_row(scene, labels)
        pipe.send(index)
    pipe.send(None)


def _send_error(pipe: Connection, error: Exception) -> None:
    known = isinstance(error, PerceptionError)
    text = ' '.join(str(error).split())[:_TEXT_LENGTH]
    try:
        pipe.send((type(error).__name__ if known else None,
                   text if known else f'{type(error).__name__}: {text}',
                   traceback.format_exc()[-_TEXT_LENGTH:]))
    except BrokenPipeError:
        pass
