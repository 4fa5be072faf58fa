"""The pictures of a training run: drawn by worker processes into one file, resumable.

Layout of the folder: ``pictures.u8`` (N, H, W, 3) raw, ``labels.npy`` (N,) of ``LABEL_DTYPE``.
A picture depends on the configuration and its index alone, so an interrupted run goes on where
it stopped and the number of workers does not matter.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import logging
import multiprocessing
import os
import shutil
import signal
import time
from pathlib import Path

import numpy as np
from tqdm import tqdm

from dr_perception.core.camera import PinholeCamera
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.labels import InstanceLabel, label_scene
from sim_trainer.errors import DatasetError, TrainingError

logger = logging.getLogger(__name__)

MAX_INSTANCES = 12
LABEL_DTYPE = np.dtype([
    ('done', np.uint8), ('count', np.uint8), ('object_index', np.int16, MAX_INSTANCES),
    ('T_camera_object', np.float64, (MAX_INSTANCES, 4, 4)),
    ('visible_fraction', np.float32, MAX_INSTANCES), ('intrinsics', np.float64, 4),
    ('T_base_camera', np.float64, (4, 4))])


@dataclasses.dataclass(frozen=True, eq=False)
class Frame:
    """One training picture with its truth."""

    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray
    instances: list[InstanceLabel]


class FrameStore:
    """The frames on disk, memory-mapped."""

    def __init__(self, folder: Path, config: SceneConfig) -> None:
        """Open or create the files of a configuration's frames.

        Raises:
            DatasetError: the folder holds frames of another configuration, or the disk is full.
        """
        self.folder = folder
        self.config = config
        folder.mkdir(parents=True, exist_ok=True)
        count = config.frames.count
        width = min(config.frames.window_width_px,
                    round(config.camera.width_px * config.frames.scale))
        height = min(config.frames.window_height_px,
                     round(config.camera.height_px * config.frames.scale))
        self.shape = (count, height, width, 3)
        key_file = folder / 'key.json'
        key = {'scene': scene_key(config), 'shape': list(self.shape)}
        if key_file.is_file() and json.loads(key_file.read_text()) != key:
            raise DatasetError(f'{folder} holds the pictures of another configuration; give '
                               'another --output, or delete that folder to draw them anew')
        fresh = not key_file.is_file()
        need = int(np.prod(self.shape))
        if fresh and shutil.disk_usage(folder).free < need + (64 << 20):
            raise DatasetError(
                f'{folder}: {count} pictures need {need / 1e9:.1f} GB and the disk has '
                f'{shutil.disk_usage(folder).free / 1e9:.1f} GB free; lower frames.count')
        mode = 'w+' if fresh else 'r+'
        self.pictures = np.memmap(folder / 'pictures.u8', np.uint8, mode, shape=self.shape)
        self.labels = np.lib.format.open_memmap(folder / 'labels.npy', mode, LABEL_DTYPE,
                                                (count,) if fresh else None)
        if fresh:
            key_file.write_text(json.dumps(key))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: int) -> Frame:
        row = self.labels[index]
        if not row['done']:
            raise IndexError(f'frame {index} is not drawn yet')
        fx, fy, cx, cy = row['intrinsics']
        camera = PinholeCamera(fx, fy, cx, cy, self.shape[2], self.shape[1])
        instances = [InstanceLabel(int(row['object_index'][i]), row['T_camera_object'][i].copy(),
                                   float(row['visible_fraction'][i]))
                     for i in range(row['count'])]
        return Frame(self.pictures[index], camera, row['T_base_camera'].copy(), instances)

    def elapsed_s(self, more_s: float = 0.0) -> float:
        """Seconds that drawing took over all runs; ``more_s`` is added and remembered."""
        path = self.folder / 'elapsed_s.json'
        total_s = (json.loads(path.read_text()) if path.is_file() else 0.0) + more_s
        if more_s:
            path.write_text(json.dumps(total_s))
        return total_s

    def missing(self) -> np.ndarray:
        """Indices that are not drawn yet."""
        return np.flatnonzero(self.labels['done'] == 0)

    def write(self, index: int, image_rgb: np.ndarray, scene, labels: list[InstanceLabel]) -> None:
        """Store one frame; the ``done`` flag goes last, so that a killed worker leaves no half."""
        camera = scene.camera
        row = np.zeros((), LABEL_DTYPE)
        labels = labels[:MAX_INSTANCES]
        row['count'] = len(labels)
        row['intrinsics'] = camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px
        row['T_base_camera'] = scene.T_base_camera
        for i, label in enumerate(labels):
            row['object_index'][i] = label.object_index
            row['T_camera_object'][i] = label.T_camera_object
            row['visible_fraction'][i] = label.visible_fraction
        self.pictures[index] = image_rgb
        self.labels[index] = row
        self.labels[index]['done'] = 1


def scene_key(config: SceneConfig) -> str:
    """A hash of everything that a picture depends on (not of how the network is trained)."""
    data = dataclasses.asdict(config)
    data.pop('training')
    data['frames'] = {k: v for k, v in data['frames'].items() if k not in ('workers', 'count')}
    return hashlib.sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:16]


def draw_frames(config: SceneConfig, folder: Path) -> FrameStore:
    """Draw every missing frame with worker processes; shows a progress bar on a terminal.

    Raises:
        TrainingError: a worker died; what was drawn stays and ``--resume`` goes on from there.
    """
    store = FrameStore(folder, config)
    missing = store.missing()
    if len(missing) == 0:
        return store
    workers = min(config.frames.workers or os.cpu_count() or 1, len(missing))
    logger.info('drawing %d pictures of %dx%d with %d workers', len(missing), store.shape[2],
                store.shape[1], workers)
    context = multiprocessing.get_context('spawn')
    counter = context.Value('l', 0)
    processes = [context.Process(target=_draw_share, daemon=True,
                                 args=(config, folder, missing[w::workers], counter))
                 for w in range(workers)]
    # llvmpipe starts a thread per core in every process; with a process per core that thrashes.
    saved = os.environ.get('LP_NUM_THREADS')
    if workers > 1:
        os.environ['LP_NUM_THREADS'] = '1'
    started_at = time.monotonic()
    try:
        for process in processes:
            process.start()
        with tqdm(total=len(missing), desc='drawing', unit='picture', disable=None) as bar:
            while any(process.is_alive() for process in processes):
                processes[0].join(0.5)
                bar.update(counter.value - bar.n)
                failed = [p for p in processes if p.exitcode not in (None, 0)]
                if failed:
                    raise TrainingError(
                        f'a drawing worker ended with exit code {failed[0].exitcode} after '
                        f'{counter.value} pictures; its own message stands above; --resume goes '
                        'on from there')
            bar.update(counter.value - bar.n)
    finally:
        store.elapsed_s(time.monotonic() - started_at)
        for process in processes:
            if process.pid is not None:
                process.terminate()
                process.join()
        if saved is None:
            os.environ.pop('LP_NUM_THREADS', None)
        else:
            os.environ['LP_NUM_THREADS'] = saved
    store = FrameStore(folder, config)
    if len(store.missing()):
        raise TrainingError(f'{len(store.missing())} of {len(store)} pictures were not drawn; '
                            '--resume draws them')
    return store


def _draw_share(config: SceneConfig, folder: Path, indices: np.ndarray, counter) -> None:
    from sim_trainer.rendering.factory import make_renderer
    from sim_trainer.scene.generator import SceneGenerator

    # Ctrl-C reaches the whole group; the parent ends the workers, without a traceback of each.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    generator = SceneGenerator(config)
    renderer = make_renderer(config, generator)
    store = FrameStore(folder, config)
    for index in indices:
        scene = generator.scene(int(index))
        picture = renderer.draw(scene)
        store.write(int(index), picture.image_rgb, scene,
                    label_scene(scene, picture.instance_ids, generator.catalogue))
        with counter.get_lock():
            counter.value += 1
