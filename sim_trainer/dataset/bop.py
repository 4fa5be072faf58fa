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

"""BOP data sets, read; ``bop_writer`` writes them. Millimetres and cam_R_w2c exist only there.

Layouts: ``ROOT/test/SPLIT`` (this project's: one scene) or BOP's ``ROOT/SPLIT/SSSSSS`` (as
train_pbr/000000, several scenes), each scene with ``{rgb|gray}/NNNNNN.{jpg|png|...}``,
``scene_camera.json, scene_gt.json`` and perhaps ``scene_gt_info.json, mask_visib/``.
``models/names.json`` (object id -> catalogue name) is this project's own; other data sets need the
names from the caller. K is for pixel centres at integers.
Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
import json
from pathlib import Path
from typing import Any

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
from dr_perception.core.transforms import invert_transform, make_transform
import numpy as np
from sim_trainer.errors import DatasetError
from sim_trainer.scene.record import SceneRecord

MM = 1000.0
#: Pictures of scene S are numbered from S times this: BOP's numbers have six digits.
SCENE_STEP = 1_000_000
_FOLDERS = ('rgb', 'gray')
_SUFFIXES = ('.jpg', '.png', '.jpeg', '.tif', '.tiff')


@dataclass(frozen=True, eq=False)
class BopInstance:
    """One true object: name, ``T_camera_object`` (m), visible part or None where not given."""

    object_name: str
    T_camera_object: np.ndarray
    visible_fraction: float | None


@dataclass(frozen=True, eq=False)
class BopPicture:
    """One picture with its camera and truth.

    Attributes:
        picture_id: number in the data set; several scenes count on by ``SCENE_STEP``.
        path: of the picture's file.
        image_rgb: (H, W, 3) uint8.
        camera: at the picture's size.
        T_base_camera: None where not given.
        instances: the true objects.
        instance_ids: (H, W) uint8, 0 background, i the i-th of ``instances``; None where the
            data set has no masks of the visible parts (``BopSplit.read`` reads them on request).
        record: the scene that was drawn; None for pictures from elsewhere.
    """

    picture_id: int
    path: Path
    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray | None
    instances: list[BopInstance]
    instance_ids: np.ndarray | None = None
    record: SceneRecord | None = None


@dataclass(frozen=True, eq=False)
class _Truth:
    """The annotations of one picture; as arrays, because large data sets have millions."""

    folder: Path
    image_id: int
    camera: dict[str, Any]
    object_ids: np.ndarray
    poses: np.ndarray
    visible: np.ndarray
    rows: np.ndarray            # of the annotation in scene_gt, as masks are numbered


class BopSplit:
    """One split of a data set on disk; pictures are read one by one.

    Attributes:
        folder: of the split.
        ids: picture ids, ascending.
        ignored_count: annotations of objects that the caller's ``names`` do not have.
    """

    def __init__(self, root: Path, split: str, names: Mapping[int, str] | None = None) -> None:
        """Open a split and read its annotations.

        Args:
            root: folder that holds the split and ``models/``.
            split: as ``clean`` for test/clean, ``train_pbr``, or ``train_pbr/000003``.
            names: object id -> catalogue name. None: of ``models/names.json``, which must have
                every object that occurs; the caller's may leave some out, which are ignored.

        Raises:
            DatasetError: a file is missing or malformed; the message names it.
        """
        self.folder, scenes = _scene_folders(root, split)
        self.ignored_count = 0
        self._complete = names is None
        if names is None:
            path = root / 'models' / 'names.json'
            if not path.is_file():
                raise DatasetError(f'{path}: there is no such file; BOP numbers objects, and the '
                                   'catalogue names them: write {"1": "cube", ...}')
            names = {_whole(k, path): str(v) for k, v in read_json(path).items()}
        self._names = dict(names)
        self._truth: dict[int, _Truth] = {}
        for number, folder in scenes:
            for truth in self._read_scene(folder):
                self._truth[number * SCENE_STEP + truth.image_id] = truth
        self.ids = sorted(self._truth)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[BopPicture]:
        for picture_id in self.ids:
            yield self.read(picture_id)

    def counts(self) -> dict[str, int]:
        """How often each object is annotated."""
        ids = [truth.object_ids for truth in self._truth.values()]
        counts: dict[str, int] = {}
        for i, count in zip(*np.unique(np.concatenate(ids or [[]]), return_counts=True)):
            name = self._names[int(i)]      # of several ids, where the caller says so
            counts[name] = counts.get(name, 0) + int(count)
        return counts

    def read(self, picture_id: int, masks: bool = False) -> BopPicture:
        """Read one picture.

        Args:
            picture_id: one of ``ids``.
            masks: read the masks of the visible parts too, where there are any.

        Raises:
            DatasetError: the picture, its camera or a mask cannot be read.
        """
        truth = self._truth[picture_id]
        path = picture_path(truth.folder, truth.image_id)
        image_bgr = _read_image(path, cv2.IMREAD_COLOR)
        height, width = image_bgr.shape[:2]
        entry = truth.camera
        try:
            camera = PinholeCamera.from_matrix(
                np.reshape(entry['cam_K'], (3, 3)), width, height, entry.get('cam_distortion'),
                entry.get('cam_distortion_model'))
            T_base_camera = None
            if 'cam_R_w2c' in entry and 'cam_t_w2c' in entry:
                T_base_camera = invert_transform(make_transform(
                    np.reshape(entry['cam_R_w2c'], (3, 3)), np.array(entry['cam_t_w2c']) / MM))
        except (KeyError, ValueError, TypeError, AttributeError, CameraError) as error:
            raise _picture_error(truth.folder, truth.image_id, error) from error
        instances = [BopInstance(self._names[int(i)], pose,
                                 None if np.isnan(visible) else float(visible))
                     for i, pose, visible in zip(truth.object_ids, truth.poses, truth.visible)]
        return BopPicture(picture_id, path, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), camera,
                          T_base_camera, instances,
                          _read_masks(truth, (height, width)) if masks else None)

    def _read_scene(self, folder: Path) -> Iterator[_Truth]:
        cameras = read_json(folder / 'scene_camera.json')
        truths = read_json(folder / 'scene_gt.json')
        path = folder / 'scene_gt_info.json'
        infos = read_json(path) if path.is_file() else {}
        for key, entries in truths.items():
            image_id = _whole(key, folder / 'scene_gt.json')
            try:
                extras = infos.get(key, [{}] * len(entries))
                if len(extras) != len(entries):
                    raise ValueError(f'scene_gt_info has {len(extras)} entries and scene_gt '
                                     f'{len(entries)}')
                yield self._truth_of(folder, image_id, cameras[key], entries, extras)
            except (KeyError, ValueError, TypeError, AttributeError) as error:
                raise _picture_error(folder, image_id, error) from error

    def _truth_of(self, folder: Path, image_id: int, camera: dict[str, Any],
                  entries: list[dict[str, Any]], extras: list[dict[str, Any]]) -> _Truth:
        object_ids, poses, visible, rows = [], [], [], []
        for row, (entry, extra) in enumerate(zip(entries, extras)):
            object_id = int(entry['obj_id'])
            if object_id not in self._names:
                if self._complete:
                    raise ValueError(f'object {object_id} has no name in models/names.json; write '
                                     'one')
                self.ignored_count += 1
                continue
            object_ids.append(object_id)
            poses.append(make_transform(np.reshape(entry['cam_R_m2c'], (3, 3)),
                                        np.array(entry['cam_t_m2c'], dtype=float) / MM))
            fraction = extra.get('visib_fract')
            visible.append(np.nan if fraction is None else float(fraction))
            rows.append(row)
        return _Truth(folder, image_id, camera, np.array(object_ids, np.int32),
                      np.array(poses, float).reshape(-1, 4, 4), np.array(visible, float),
                      np.array(rows, np.int32))


def picture_path(folder: Path, image_id: int) -> Path:
    """Return the file of a picture of a scene's folder.

    Raises:
        DatasetError: there is none.
    """
    for name in _FOLDERS:
        for suffix in _SUFFIXES:
            path = folder / name / f'{image_id:06d}{suffix}'
            if path.is_file():
                return path
    name = next((n for n in _FOLDERS if (folder / n).is_dir()), _FOLDERS[0])
    raise DatasetError(f'{folder}/{name}/{image_id:06d}.jpg|png: there is no such picture')


def read_json(path: Path) -> dict[str, Any]:
    """Return the object that a JSON file holds.

    Raises:
        DatasetError: it cannot be read, is not JSON or holds something else.
    """
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(f'{path}: not valid JSON ({error})') from error
    if not isinstance(data, dict):
        raise DatasetError(f'{path}: expected a JSON object')
    return data


def _scene_folders(root: Path, split: str) -> tuple[Path, list[tuple[int, Path]]]:
    """Return the split's folder, and the number and folder of each of its scenes."""
    for folder in (root / 'test' / split, root / split):
        if not folder.is_dir():
            continue
        scenes = sorted((int(p.name), p) for p in folder.iterdir()
                        if p.name.isdecimal() and p.is_dir())
        if scenes and not (folder / 'scene_gt.json').is_file():
            return folder, scenes
        if folder.parent.name == 'test' or (folder / 'scene_gt.json').is_file():
            return folder, [(0, folder)]
    there = sorted(p.name for p in (root / 'test').glob('*') if p.is_dir())
    there += sorted(p.name for p in root.glob('*') if any(p.glob('[0-9]*/scene_gt.json')))
    raise DatasetError(f'{root / "test" / split}: there is no such split; '
                       + (f'this data set has {", ".join(there)}' if there else
                          'give the folder that holds test/ and models/'))


def _read_masks(truth: _Truth, shape: tuple[int, int]) -> np.ndarray | None:
    """(H, W) uint8: 0, or 1 + the index of the instance that is seen there."""
    folder = truth.folder / 'mask_visib'
    if not folder.is_dir():
        return None
    ids = np.zeros(shape, np.uint8)
    for i, row in enumerate(truth.rows[:255]):
        path = folder / f'{truth.image_id:06d}_{row:06d}.png'
        mask = _read_image(path, cv2.IMREAD_GRAYSCALE)
        if mask.shape != shape:
            raise DatasetError(f'{path}: has {mask.shape[1]}x{mask.shape[0]} px, its picture '
                               f'{shape[1]}x{shape[0]} px')
        ids[mask > 0] = i + 1
    return ids


def _read_image(path: Path, flags: int) -> np.ndarray:
    # OpenCV prints a warning of its own where there is no file.
    image = (cv2.imread(str(path), flags | cv2.IMREAD_IGNORE_ORIENTATION) if path.is_file()
             else None)
    if image is None:
        raise DatasetError(f'{path}: not a readable picture')
    return image


def _picture_error(folder: Path, image_id: int, error: Exception) -> DatasetError:
    return DatasetError(f'{folder}: picture {image_id}: {type(error).__name__}: {error}')


def _whole(key: str, path: Path) -> int:
    if not key.isdecimal():
        raise DatasetError(f'{path}: the key {key!r} is not a whole number')
    return int(key)
