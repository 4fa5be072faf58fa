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

"""``bench``: labelled pictures a second, by stage, by size and by number of workers.

A picture is complete: scene and physics, drawing with three lamps or more and their shadows,
sensor, labels, and the copy into the memory that training reads.
"""

from __future__ import annotations

import dataclasses
import logging
import multiprocessing
from multiprocessing.connection import Connection
import os
import time
from typing import Any

import numpy as np
from sim_trainer.configuration.laws import Chance, Range
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.errors import TrainingError
from sim_trainer.processes import quiet_environment

#: What a worker does before the clock starts: programs are compiled, meshes uploaded.
WARM_UP_PICTURES = 24
STAGES = ('physics', 'geometry', 'drawing', 'sensor', 'labels', 'transfer')


def with_size(config: SceneConfig, width_px: int, height_px: int) -> SceneConfig:
    """Return the configuration with pictures of a size that show the camera's whole height.

    And with three to four lamps that throw shadows.
    """
    frames = dataclasses.replace(config.frames, scale=height_px / config.camera.height_px,
                                 window_width_px=width_px, window_height_px=height_px)
    lighting = dataclasses.replace(config.randomization.lighting, count=Range(3, 4),
                                   shadow=Chance(1.0), enabled=True)
    return dataclasses.replace(config, frames=frames, randomization=dataclasses.replace(
        config.randomization, lighting=lighting))


def measure(config: SceneConfig, workers: int, count: int) -> dict[str, Any]:
    """Draw ``count`` pictures with worker processes.

    Returns:
        pictures_per_s over all workers; stages_ms of wall time a picture in a worker; device;
        memory_mb of a worker after a tenth of its pictures and at the end, their largest ratio.

    Raises:
        TrainingError: a worker ended early.
    """
    context = multiprocessing.get_context('spawn')
    shares = [len(range(w, count, workers)) for w in range(workers)]
    pipes, processes = [], []
    with quiet_environment():
        for worker, share in enumerate(shares):
            mine, theirs = context.Pipe()
            process = context.Process(target=_work, daemon=True,
                                      args=(config, worker, share, theirs))
            process.start()
            theirs.close()
            pipes.append(mine)
            processes.append(process)
    try:
        device = [_receive(pipe, process) for pipe, process in zip(pipes, processes)][0]
        started_at = time.perf_counter()
        for pipe in pipes:
            pipe.send('go')
        results = [_receive(pipe, process) for pipe, process in zip(pipes, processes)]
        seconds = time.perf_counter() - started_at
    finally:
        for process in processes:
            process.terminate()
            process.join()
    totals = np.sum([r['stages_s'] for r in results], axis=0)
    memory = np.array([r['memory_mb'] for r in results])
    return {
        'device': device, 'workers': workers, 'pictures': count,
        'pictures_per_s': round(count / seconds, 1),
        'stages_ms': {name: round(1e3 * s / count, 2) for name, s in zip(STAGES, totals)},
        'memory_mb': {'early': round(float(memory[:, 0].mean()), 1),
                      'end': round(float(memory[:, 1].mean()), 1),
                      'growth': round(float((memory[:, 1] / memory[:, 0]).max() - 1), 4)}}


def run_bench(config: SceneConfig, sizes: list[tuple[int, int]], worker_counts: list[int],
              count: int) -> dict[str, Any]:
    """Every size with every number of workers; figures for ``format_bench``."""
    rows = []
    for width_px, height_px in sizes:
        for workers in worker_counts:
            figures = measure(with_size(config, width_px, height_px), workers, count)
            rows.append({'width_px': width_px, 'height_px': height_px, **figures})
    return {'config': config.name, 'cores': os.cpu_count(), 'rows': rows}


def format_bench(figures: dict[str, Any]) -> str:
    """Return the figures as a table."""
    rows = figures['rows']
    device = rows[0]['device'] if rows else ''
    lines = [f'{figures["config"]}: complete pictures, 3-4 lamps with shadows, drawn by {device}, '
             f'{figures["cores"]} cores', '',
             f'{"size":>10} {"workers":>8} {"pictures/s":>11}' + ''.join(
                 f'{name + " ms":>13}' for name in STAGES) + f'{"MB a worker":>13}{"growth":>8}']
    for row in rows:
        size = f'{row["width_px"]}x{row["height_px"]}'
        lines.append(
            f'{size:>10} {row["workers"]:>8} {row["pictures_per_s"]:>11.1f}'
            + ''.join(f'{row["stages_ms"][name]:>13.2f}' for name in STAGES)
            + f'{row["memory_mb"]["end"]:>13.0f}{row["memory_mb"]["growth"]:>8.1%}')
    return '\n'.join(lines)


def _receive(pipe: Connection, process) -> Any:
    while not pipe.poll(0.2):
        if not process.is_alive() and not pipe.poll(0):
            raise TrainingError(f'a worker of the benchmark ended with exit code '
                                f'{process.exitcode}; its own message stands above')
    try:
        answer = pipe.recv()
    except EOFError:
        process.join()
        raise TrainingError(f'a worker of the benchmark ended with exit code {process.exitcode}; '
                            'its own message stands above') from None
    if isinstance(answer, Exception):
        raise answer
    return answer


def _work(config: SceneConfig, worker: int, count: int, pipe: Connection) -> None:
    import cv2
    from dr_perception.core.errors import PerceptionError
    from sim_trainer.dataset.labels import label_scene
    from sim_trainer.rendering.factory import make_renderer
    from sim_trainer.scene.generator import SceneGenerator
    from sim_trainer.sensor.effects import apply_sensor

    logging.basicConfig(level=logging.WARNING)
    cv2.setNumThreads(1)
    try:
        generator = SceneGenerator(config)
        renderer = make_renderer(config, generator)
    except PerceptionError as error:
        pipe.send(error)
        return
    shared = np.zeros((16, config.frames.window_height_px, config.frames.window_width_px, 3),
                      np.uint8)
    totals = np.zeros(len(STAGES))
    memory = [0.0, 0.0]
    for number in range(-WARM_UP_PICTURES, count):
        if number == 0:
            pipe.send(renderer.device)
            pipe.recv()
            totals[:] = 0
        settled_s = generator.physics_s
        times = [time.perf_counter()]
        scene = generator.scene(worker * 1_000_000 + number + WARM_UP_PICTURES)
        settled_s = generator.physics_s - settled_s
        times.append(time.perf_counter())
        picture = renderer.draw(scene)
        times.append(time.perf_counter())
        image = apply_sensor(picture.image_rgb, scene.sensor)
        times.append(time.perf_counter())
        label_scene(scene, picture.instance_ids, generator.catalogue)
        times.append(time.perf_counter())
        slot = shared[number % len(shared)]
        slot[:image.shape[0], :image.shape[1]] = image
        times.append(time.perf_counter())
        geometry, drawing, sensor, labels, transfer = np.diff(times)
        totals += [settled_s, geometry - settled_s, drawing, sensor, labels, transfer]
        if number == count // 10:
            memory[0] = resident_mb()
    memory[1] = resident_mb()
    pipe.send({'stages_s': totals.tolist(), 'memory_mb': memory})


def resident_mb() -> float:
    """Resident memory of this process."""
    with open('/proc/self/statm', encoding='ascii') as file:
        return int(file.read().split()[1]) * os.sysconf('SC_PAGE_SIZE') / 1e6
