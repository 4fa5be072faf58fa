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

"""Pictures of a report: whole samples, and close views of the worst errors.

Truth is green and detections are red, as ``evaluation.annotation`` draws them. Pictures are
resized before they are drawn on, so that lines stay thin; the camera follows.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import cv2
import numpy as np
from sim_trainer.dataset.bop import BopPicture
from sim_trainer.evaluation.annotation import annotated
from sim_trainer.evaluation.records import DetectionRecord, InstanceRecord
from sim_trainer.report.run_report import MeasuredSet

SAMPLE_WIDTH_PX = 480
CLOSE_SIDE_PX = 300
#: A close view shows this many diameters of its object, and no fewer pixels than the least.
_CLOSE_DIAMETERS, _CLOSE_LEAST_PX = 3.5, 64
#: Grey level of what is outside of the picture.
_OUTSIDE = 128


@dataclass(frozen=True, eq=False)
class Tile:
    """A picture (H, W, 3) uint8 RGB and what is to be said of it."""

    image_rgb: np.ndarray
    caption: str


def samples(measured: MeasuredSet, count: int) -> list[Tile]:
    """Whole pictures, spread evenly over the set."""
    total = len(measured.results)
    numbers = sorted(set(np.linspace(0, total - 1, min(count, total)).round().astype(int)))
    tiles = []
    for number in numbers:
        camera = measured.results[number][0].camera
        width_px = min(SAMPLE_WIDTH_PX, camera.width_px)
        height_px = max(1, round(camera.height_px * width_px / camera.width_px))
        window = (0, 0, camera.width_px, camera.height_px)
        asked = [i for i in measured.records.instances if i.picture == number]
        false = sum(d.picture == number and d.right is False
                    for d in measured.records.detections)
        tiles.append(Tile(_drawn(measured, number, window, (width_px, height_px)),
                          f'{_where(measured, number)}: {sum(i.found for i in asked)} of '
                          f'{len(asked)} found, {false} invented'))
    return tiles


def missed(measured: MeasuredSet, count: int) -> list[Tile]:
    """Objects that were not found, those that show most first."""
    records = [i for i in measured.records.instances if not i.found]
    records.sort(key=lambda i: -(1.0 if i.visible_fraction is None else i.visible_fraction))
    return [_instance_tile(measured, i, _missed_caption(measured, i)) for i in records[:count]]


def invented(measured: MeasuredSet, count: int) -> list[Tile]:
    """Wrong detections, the surest first."""
    records = [d for d in measured.records.detections if d.right is False]
    records.sort(key=lambda d: -d.score)
    return [_detection_tile(measured, d) for d in records[:count]]


def largest_errors(measured: MeasuredSet, count: int) -> list[Tile]:
    """Objects found, the farthest off first."""
    records = [i for i in measured.records.instances if i.found]
    records.sort(key=lambda i: -i.position_error_m)
    return [_instance_tile(measured, i, (
        f'{i.object_name} {100 * i.position_error_m:.2f} cm and '
        f'{np.degrees(i.rotation_error_rad):.0f}° off, score {i.score:.2f}, '
        f'{_circumstances(i)}, {_where(measured, i.picture)}')) for i in records[:count]]


def _missed_caption(measured: MeasuredSet, record: InstanceRecord) -> str:
    reported = ('nothing reported there' if record.reported_as is None else
                f'reported as {record.reported_as}' if record.reported_as != record.object_name
                else 'reported too far off')
    return (f'{record.object_name} missed, {reported}, {_circumstances(record)}, '
            f'{_where(measured, record.picture)}')


def _circumstances(record: InstanceRecord) -> str:
    distance = f'{record.distance_m:.2f} m away'
    if record.visible_fraction is None:
        return distance
    return f'{distance}, {100 * record.visible_fraction:.0f} % visible'


def _where(measured: MeasuredSet, number: int) -> str:
    return f'picture {measured.results[number][0].picture_id}'


def _instance_tile(measured: MeasuredSet, record: InstanceRecord, caption: str) -> Tile:
    truth = measured.results[record.picture][0].instances[record.instance]
    return _close(measured, record.picture, truth.object_name, truth.T_camera_object, caption)


def _detection_tile(measured: MeasuredSet, record: DetectionRecord) -> Tile:
    there = (f'a {record.nearest_kind} is there' if record.nearest_kind not in
             (None, record.object_name) else 'nothing of the catalogue is there')
    if record.nearest_kind == record.object_name:
        there = f'{100 * record.position_error_m:.1f} cm off, or reported twice'
    caption = (f'{record.object_name} invented with score {record.score:.2f}, {there}, '
               f'{_where(measured, record.picture)}')
    detection = measured.results[record.picture][1][record.detection]
    return _close(measured, record.picture, record.object_name, detection.T_camera_object,
                  caption)


def _close(measured: MeasuredSet, number: int, name: str, T_camera_object: np.ndarray,
           caption: str) -> Tile:
    """Return a square window with an object in its middle; grey where it leaves the picture."""
    camera = measured.results[number][0].camera
    least = min(camera.width_px, camera.height_px)
    centre = camera.project(T_camera_object[None, :3, 3])[0]
    side = least
    model = measured.catalogue.get(name)
    if model is not None and np.isfinite(centre).all():
        apparent_px = camera.fx_px * model.diameter_m / max(T_camera_object[2, 3], 1e-3)
        side = int(np.clip(_CLOSE_DIAMETERS * apparent_px, min(_CLOSE_LEAST_PX, least), least))
    else:
        centre = np.array([camera.width_px, camera.height_px]) / 2
    left, top = (round(float(c) - (side - 1) / 2) for c in centre)
    return Tile(_drawn(measured, number, (left, top, side, side),
                       (CLOSE_SIDE_PX, CLOSE_SIDE_PX), labels=False), caption)


def _drawn(measured: MeasuredSet, number: int, window: tuple[int, int, int, int],
           size_px: tuple[int, int], labels: bool = True) -> np.ndarray:
    """Return a window (left, top, width, height, px) of a picture at a size, drawn on."""
    picture, detections = measured.results[number]
    left, top, width, height = window
    cut = np.full((height, width, 3), _OUTSIDE, np.uint8)
    part = picture.image_rgb[max(top, 0):max(top + height, 0), max(left, 0):max(left + width, 0)]
    y, x = max(-top, 0), max(-left, 0)
    cut[y:y + part.shape[0], x:x + part.shape[1]] = part
    image = cv2.resize(cut, size_px, interpolation=(
        cv2.INTER_AREA if size_px[0] < width else cv2.INTER_CUBIC))
    camera = picture.camera.cropped(left, top, width, height).resized(*size_px)
    view: BopPicture = replace(picture, image_rgb=image, camera=camera, instance_ids=None)
    return annotated(view, [d for d in detections if d.object_name in measured.catalogue],
                     tuple(measured.catalogue.values()), labels)
