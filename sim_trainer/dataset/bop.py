"""BOP data sets, read and written. Millimetres and cam_R_w2c exist only in this file.

Layout: ``models/names.json`` (object id -> catalogue name) and ``obj_NNNNNN.ply``;
``test/SPLIT/{rgb/NNNNNN.jpg|png, scene_camera.json, scene_gt.json, scene_gt_info.json}``. K is
for pixel centres at integers.
Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.errors import CameraError
from dr_perception.core.objects import ObjectModel
from dr_perception.core.transforms import invert_transform, make_transform
from sim_trainer.errors import DatasetError

_MM = 1000.0


@dataclass(frozen=True, eq=False)
class BopInstance:
    """One true object: name, ``T_camera_object`` (m), visible part or None where not given."""

    object_name: str
    T_camera_object: np.ndarray
    visible_fraction: float | None


@dataclass(frozen=True, eq=False)
class BopPicture:
    """One picture with its camera and truth; ``T_base_camera`` is None where not given."""

    picture_id: int
    path: Path
    image_rgb: np.ndarray
    camera: PinholeCamera
    T_base_camera: np.ndarray | None
    instances: list[BopInstance]


class BopSplit:
    """One split of a data set on disk; pictures are read one by one."""

    def __init__(self, root: Path, split: str) -> None:
        """Open a split.

        Raises:
            DatasetError: a file is missing or malformed; the message names it.
        """
        self.folder = root / 'test' / split
        if not self.folder.is_dir():
            there = sorted(p.name for p in (root / 'test').glob('*') if p.is_dir())
            raise DatasetError(f'{self.folder}: there is no such split; '
                               + (f'this data set has {", ".join(there)}' if there else
                                  'give the folder that holds test/ and models/'))
        names = root / 'models' / 'names.json'
        self._names = {_whole(k, names): str(v) for k, v in _read_json(names).items()}
        self._cameras = _read_json(self.folder / 'scene_camera.json')
        self._truth = _read_json(self.folder / 'scene_gt.json')
        info = self.folder / 'scene_gt_info.json'
        self._info = _read_json(info) if info.is_file() else {}
        self.ids = sorted(_whole(k, self.folder / 'scene_gt.json') for k in self._truth)

    def __len__(self) -> int:
        return len(self.ids)

    def __iter__(self) -> Iterator[BopPicture]:
        for picture_id in self.ids:
            yield self.read(picture_id)

    def read(self, picture_id: int) -> BopPicture:
        """Read one picture.

        Raises:
            DatasetError: the picture, its camera or its truth cannot be read.
        """
        path = next((p for p in (self.folder / 'rgb' / f'{picture_id:06d}{suffix}'
                                 for suffix in ('.jpg', '.png')) if p.is_file()), None)
        if path is None:
            raise DatasetError(f'{self.folder}/rgb/{picture_id:06d}.jpg|png: there is no such '
                               'picture')
        image_bgr = cv2.imread(str(path), cv2.IMREAD_COLOR | cv2.IMREAD_IGNORE_ORIENTATION)
        if image_bgr is None:
            raise DatasetError(f'{path}: not a readable picture')
        key = str(picture_id)
        try:
            entry = self._cameras[key]
            height, width = image_bgr.shape[:2]
            camera = PinholeCamera.from_matrix(np.reshape(entry['cam_K'], (3, 3)), width, height)
            T_base_camera = None
            if 'cam_R_w2c' in entry and 'cam_t_w2c' in entry:
                T_base_camera = invert_transform(make_transform(
                    np.reshape(entry['cam_R_w2c'], (3, 3)), np.array(entry['cam_t_w2c']) / _MM))
            info = self._info.get(key, [{}] * len(self._truth[key]))
            if len(info) != len(self._truth[key]):
                raise ValueError(f'scene_gt_info has {len(info)} entries and scene_gt '
                                 f'{len(self._truth[key])}')
            instances = [BopInstance(
                self._names[int(truth['obj_id'])],
                make_transform(np.reshape(truth['cam_R_m2c'], (3, 3)),
                               np.array(truth['cam_t_m2c'], dtype=float) / _MM),
                extra.get('visib_fract')) for truth, extra in zip(self._truth[key], info)]
        except (KeyError, ValueError, TypeError, AttributeError, CameraError) as error:
            raise DatasetError(f'{self.folder}: picture {picture_id}: '
                               f'{type(error).__name__}: {error}') from error
        return BopPicture(picture_id, path, cv2.cvtColor(image_bgr, cv2.COLOR_BGR2RGB), camera,
                          T_base_camera, instances)


class BopWriter:
    """Writes a split; call ``close`` (or use ``with``) to write the JSON files."""

    def __init__(self, root: Path, split: str, catalogue: tuple[ObjectModel, ...]) -> None:
        self._folder = root / 'test' / split
        (self._folder / 'rgb').mkdir(parents=True, exist_ok=True)
        models = root / 'models'
        models.mkdir(exist_ok=True)
        self._ids = {model.name: i + 1 for i, model in enumerate(catalogue)}
        (models / 'names.json').write_text(json.dumps(
            {str(i): name for name, i in self._ids.items()}, indent=1))
        for model in catalogue:
            _write_ply(models / f'obj_{self._ids[model.name]:06d}.ply', model)
        self._cameras: dict[str, Any] = {}
        self._truth: dict[str, Any] = {}
        self._info: dict[str, Any] = {}

    def add(self, picture_id: int, image_rgb: np.ndarray, camera: PinholeCamera,
            T_base_camera: np.ndarray, instances: list[BopInstance]) -> None:
        """Write one picture (PNG, lossless) and remember its truth."""
        cv2.imwrite(str(self._folder / 'rgb' / f'{picture_id:06d}.png'),
                    cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        T_camera_base = invert_transform(T_base_camera)
        key = str(picture_id)
        self._cameras[key] = {'cam_K': camera.K.ravel().tolist(), 'depth_scale': 1.0,
                              'cam_R_w2c': T_camera_base[:3, :3].ravel().tolist(),
                              'cam_t_w2c': (T_camera_base[:3, 3] * _MM).tolist()}
        self._truth[key] = [{'obj_id': self._ids[i.object_name],
                             'cam_R_m2c': i.T_camera_object[:3, :3].ravel().tolist(),
                             'cam_t_m2c': (i.T_camera_object[:3, 3] * _MM).tolist()}
                            for i in instances]
        self._info[key] = [{'visib_fract': i.visible_fraction} for i in instances]

    def close(self) -> None:
        """Write the JSON files."""
        for name, data in (('scene_camera', self._cameras), ('scene_gt', self._truth),
                           ('scene_gt_info', self._info)):
            (self._folder / f'{name}.json').write_text(json.dumps(data))

    def __enter__(self) -> BopWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _whole(key: str, path: Path) -> int:
    if not key.isdecimal():
        raise DatasetError(f'{path}: the key {key!r} is not a whole number')
    return int(key)


def _read_json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except OSError as error:
        raise DatasetError(f'{path}: cannot be read ({error.strerror})') from error
    except ValueError as error:
        raise DatasetError(f'{path}: not valid JSON ({error})') from error
    if not isinstance(data, dict):
        raise DatasetError(f'{path}: expected a JSON object')
    return data


def _write_ply(path: Path, model: ObjectModel) -> None:
    lines = ['ply', 'format ascii 1.0', f'element vertex {len(model.vertices_m)}',
             'property float x', 'property float y', 'property float z',
             f'element face {len(model.faces)}', 'property list uchar int vertex_indices',
             'end_header']
    lines += ['{:.6f} {:.6f} {:.6f}'.format(*v) for v in model.vertices_m * _MM]
    lines += ['3 {} {} {}'.format(*f) for f in model.faces]
    path.write_text('\n'.join(lines) + '\n')
