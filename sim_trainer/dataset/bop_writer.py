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

"""BOP data sets, written picture by picture; ``bop`` reads them.

``ROOT/{camera.json, models/{names.json, models_info.json, obj_NNNNNN.ply}}`` and
``ROOT/test/SPLIT/{rgb, mask, mask_visib, scene_camera.json, scene_gt.json, scene_gt_info.json}``;
beside them what BOP's tools do not read: ``config.yaml`` (resolved) and ``scene_records.jsonl``,
from which ``sim_trainer redraw`` draws the pictures again.
Source: https://github.com/thodan/bop_toolkit/blob/master/docs/bop_datasets_format.md,
scripts/calc_gt_info.py, scripts/calc_gt_masks.py
"""

from __future__ import annotations

import json
import os
from pathlib import Path
import time
from typing import Any, TextIO

import cv2
from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
from dr_perception.core.symmetry import Symmetry
from dr_perception.core.transforms import invert_transform
import numpy as np
from sim_trainer import __version__
from sim_trainer.configuration.loader import to_plain
from sim_trainer.configuration.schema import SceneConfig
from sim_trainer.dataset.bop import BopInstance, BopPicture, MM, read_json
from sim_trainer.dataset.silhouettes import Silhouette, silhouette
from sim_trainer.errors import DatasetError
from sim_trainer.scene.record_file import FILE_NAME, write_record
import yaml

CONFIG_NAME = 'config.yaml'
#: The JSON files are written anew after so many seconds, and at most a part of all time.
FLUSH_S = 5.0
_FLUSH_PART = 0.05


class BopWriter:
    """Writes a split. Call ``close`` (or use ``with``) at the end.

    A killed run leaves a data set that can be read: pictures and masks come first, JSON files are
    replaced whole every few seconds, scene_gt.json, which says what pictures there are, as the
    last. Nothing but their entries is kept in memory.
    """

    def __init__(self, root: Path, split: str, catalogue: tuple[ObjectModel, ...],
                 config: SceneConfig | None = None, jpeg_quality: int | None = None) -> None:
        """Make the folders.

        Args:
            root: folder of the data set; made.
            split: name of the folder below ``root/test``.
            catalogue: the objects; their ids are 1, 2, ...
            config: what the pictures are drawn by; stored for ``redraw``.
            jpeg_quality: 1...100 for lossy pictures; None for PNG.

        Raises:
            DatasetError: the split is there already, or the root holds other objects.
        """
        self._root, self._folder = root, root / 'test' / split
        if (self._folder / 'scene_gt.json').is_file():
            raise DatasetError(f'{self._folder} holds a data set already; give another folder, or '
                               'delete that one')
        self._models = {model.name: (i + 1, model) for i, model in enumerate(catalogue)}
        (self._folder / 'rgb').mkdir(parents=True, exist_ok=True)
        self._write_models(root / 'models')
        self._jpeg_quality = jpeg_quality
        if config is not None:
            text = yaml.safe_dump(to_plain(config), sort_keys=False)
            (self._folder / CONFIG_NAME).write_text(f'# sim_trainer {__version__}, resolved\n'
                                                    f'{text}')
        self._cameras: dict[str, Any] = {}
        self._truth: dict[str, Any] = {}
        self._info: dict[str, Any] = {}
        self._records: TextIO | None = None
        self._flushed_at, self._flush_took_s = -np.inf, 0.0

    def add(self, picture: BopPicture) -> None:
        """Write one picture and remember its truth.

        With ``instance_ids``, masks and the whole of scene_gt_info are written too; with
        ``record``, the scene.
        """
        image_id = picture.picture_id
        suffix, options = '.png', []
        if self._jpeg_quality is not None:
            suffix, options = '.jpg', [cv2.IMWRITE_JPEG_QUALITY, self._jpeg_quality]
        write_image(self._folder / 'rgb' / f'{image_id:06d}{suffix}',
                    cv2.cvtColor(picture.image_rgb, cv2.COLOR_RGB2BGR), options)
        key = str(image_id)
        self._info[key] = [self._write_masks(picture, row) for row in range(
            len(picture.instances))]
        if picture.record is not None:
            if self._records is None:
                self._records = (self._folder / FILE_NAME).open('w', encoding='utf-8')
            write_record(self._records, image_id, picture.record)
        if not self._cameras and not (self._root / 'camera.json').is_file():
            _write_json(self._root / 'camera.json', _camera_entry(picture.camera))
        self._cameras[key] = _picture_camera_entry(picture.camera, picture.T_base_camera)
        self._truth[key] = [{'obj_id': self._models[i.object_name][0],
                             'cam_R_m2c': i.T_camera_object[:3, :3].ravel().tolist(),
                             'cam_t_m2c': (i.T_camera_object[:3, 3] * MM).tolist()}
                            for i in picture.instances]
        due_s = max(FLUSH_S, self._flush_took_s / _FLUSH_PART)
        if time.monotonic() - self._flushed_at > due_s:
            self.flush()

    def flush(self) -> None:
        """Write the JSON files of what was added until now."""
        started_at = time.monotonic()
        for name, data in (('scene_camera', self._cameras), ('scene_gt_info', self._info),
                           ('scene_gt', self._truth)):
            _write_json(self._folder / f'{name}.json', data)
        self._flushed_at = time.monotonic()
        self._flush_took_s = self._flushed_at - started_at

    def close(self) -> None:
        """Write the JSON files for the last time."""
        self.flush()
        if self._records is not None:
            self._records.close()

    def __enter__(self) -> BopWriter:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _write_masks(self, picture: BopPicture, row: int) -> dict[str, Any]:
        """Write both masks of an instance; its entry of scene_gt_info."""
        instance = picture.instances[row]
        if picture.instance_ids is None:
            return {'visib_fract': instance.visible_fraction}
        shape = silhouette(self._models[instance.object_name][1], instance.T_camera_object,
                           picture.camera)
        seen = picture.instance_ids == row + 1
        name = f'{picture.picture_id:06d}_{row:06d}.png'
        whole = shape.mask(picture.camera.width_px, picture.camera.height_px)
        for folder, mask in (('mask', whole), ('mask_visib', seen)):
            (self._folder / folder).mkdir(exist_ok=True)
            write_image(self._folder / folder / name, mask.astype(np.uint8) * 255)
        return info_entry(shape, int(np.count_nonzero(whole)), seen, instance)

    def _write_models(self, folder: Path) -> None:
        folder.mkdir(exist_ok=True)
        names = {str(i): name for name, (i, _) in self._models.items()}
        path = folder / 'names.json'
        if path.is_file() and read_json(path) != names:
            raise DatasetError(f'{path}: this data set has other objects than the configuration; '
                               'give another folder')
        for object_id, model in self._models.values():
            _write_ply(folder / f'obj_{object_id:06d}.ply', model)
        _write_json(folder / 'models_info.json', {
            str(object_id): model_info(model) for object_id, model in self._models.values()})
        path.write_text(json.dumps(names, indent=1))


def info_entry(shape: Silhouette, inside_px: int, seen: np.ndarray, instance: BopInstance
               ) -> dict[str, Any]:
    """Return an entry of scene_gt_info.

    Convention: as BOP's tools write them, bounding boxes are left, top, right - left and bottom -
    top of the outermost pixels (one pixel has the size 0), and -1 where nothing is visible. That
    of the object reaches beyond the picture. Depth is valid wherever the picture has a pixel.

    Args:
        shape: the whole silhouette.
        inside_px: its pixels inside the picture.
        seen: (H, W) bool, its visible part.
        instance: its visible fraction is taken where there is one.
    """
    seen_px, all_px = int(np.count_nonzero(seen)), shape.area_px
    fraction = instance.visible_fraction
    if fraction is None:
        fraction = min(1.0, seen_px / all_px) if all_px else 0.0
    box_object = box_seen = [-1] * 4
    if seen_px:
        columns, rows = np.flatnonzero(seen.any(0)), np.flatnonzero(seen.any(1))
        box_seen = _box(columns[0], rows[0], columns[-1], rows[-1])
        box_object = _box(*shape.bounds_px) if all_px else box_seen
    return {'bbox_obj': box_object, 'bbox_visib': box_seen, 'px_count_all': all_px,
            'px_count_valid': inside_px, 'px_count_visib': seen_px, 'visib_fract': fraction}


def _box(left: int, top: int, right: int, bottom: int) -> list[int]:
    return [int(v) for v in (left, top, right - left, bottom - top)]


def model_info(model: ObjectModel) -> dict[str, Any]:
    """Return an entry of models_info.json, millimetres."""
    low, size = model.vertices_m.min(0) * MM, model.extents_m * MM
    info: dict[str, Any] = {'diameter': model.diameter_m * MM}
    info.update({f'min_{axis}': float(v) for axis, v in zip('xyz', low)})
    info.update({f'size_{axis}': float(v) for axis, v in zip('xyz', size)})
    discrete = _discrete(model.symmetry)
    if discrete:
        info['symmetries_discrete'] = discrete
    if model.symmetry.continuous_about_z:
        info['symmetries_continuous'] = [{'axis': [0, 0, 1], 'offset': [0, 0, 0]}]
    return info


def _discrete(symmetry: Symmetry) -> list[list[float]]:
    """Return discrete symmetries as BOP has them: 16 numbers each, row by row, no identity."""
    transforms = symmetry.transforms[1:]
    if symmetry.continuous_about_z:
        # BOP's tools combine them with the continuous one: of all flips, one is enough.
        transforms = transforms[transforms[:, 2, 2] < 0][:1]
    scale = np.ones((4, 4))
    scale[:3, 3] = MM
    # 1e-16 beside 1 is rounding; adding 0 turns -0.0 into 0.0.
    return [(np.round(T * scale, 9) + 0.0).ravel().tolist() for T in transforms]


def write_image(path: Path, image: np.ndarray, options: list[int] = ()) -> None:
    """Write a picture; cv2.imwrite says False where a disk is full.

    Raises:
        DatasetError: it could not be written.
    """
    if not cv2.imwrite(str(path), image, list(options)):
        raise DatasetError(f'{path}: cannot be written; is the disk full, or may this user not '
                           'write there?')


def _write_json(path: Path, data: dict[str, Any]) -> None:
    """Replace a file at once: a reader, or a killed run, never meets half of it."""
    partial = path.with_name(f'.{path.name}.partial')
    partial.write_text(json.dumps(data), encoding='utf-8')
    os.replace(partial, path)


def _camera_entry(camera: PinholeCamera) -> dict[str, float]:
    return {'cx': camera.cx_px, 'cy': camera.cy_px, 'depth_scale': 1.0, 'fx': camera.fx_px,
            'fy': camera.fy_px, 'height': camera.height_px, 'width': camera.width_px}


def _picture_camera_entry(camera: PinholeCamera, T_base_camera: np.ndarray | None
                          ) -> dict[str, Any]:
    entry: dict[str, Any] = {'cam_K': camera.K.ravel().tolist(), 'depth_scale': 1.0}
    if T_base_camera is not None:
        T_camera_base = invert_transform(T_base_camera)
        entry['cam_R_w2c'] = T_camera_base[:3, :3].ravel().tolist()
        entry['cam_t_w2c'] = (T_camera_base[:3, 3] * MM).tolist()
    if camera.distortion_model != 'none':       # not of BOP, whose cameras have no distortion
        entry['cam_distortion_model'] = camera.distortion_model
        entry['cam_distortion'] = list(camera.distortion)
    return entry


def _write_ply(path: Path, model: ObjectModel) -> None:
    lines = ['ply', 'format ascii 1.0', f'element vertex {len(model.vertices_m)}',
             'property float x', 'property float y', 'property float z',
             f'element face {len(model.faces)}', 'property list uchar int vertex_indices',
             'end_header']
    lines += ['{:.6f} {:.6f} {:.6f}'.format(*v) for v in model.vertices_m * MM]
    lines += ['3 {} {} {}'.format(*f) for f in model.faces]
    path.write_text('\n'.join(lines) + '\n')
