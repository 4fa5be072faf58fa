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

"""Pictures of a data set drawn again from its scene records, and compared with the first time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from sim_trainer.configuration.schema import load_config, SceneConfig
from sim_trainer.dataset.bop import picture_path
from sim_trainer.dataset.bop_writer import CONFIG_NAME, write_image
from sim_trainer.errors import DatasetError
from sim_trainer.scene.record import SceneRecord
from sim_trainer.scene.record_file import FILE_NAME, read_records
from tqdm import tqdm


@dataclass(frozen=True)
class Redrawn:
    """What ``redraw`` found; its text is the answer to the user.

    Attributes:
        folder: where the pictures are.
        count: pictures drawn.
        identical: of them, those equal to the data set's in every pixel.
        lossy: of them, those that cannot be compared, because the data set holds a JPEG.
        other_ids: pictures that came out otherwise.
    """

    folder: Path
    count: int
    identical: int
    lossy: int
    other_ids: tuple[int, ...]

    def __str__(self) -> str:
        compared = self.count - self.lossy
        text = f'{self.folder}: {self.count} pictures'
        if compared:
            text += f', {self.identical} of {compared} identical to the data set in every pixel'
        if self.lossy:
            text += f', {self.lossy} not compared (the data set holds JPEG)'
        if self.other_ids:
            shown = ', '.join(str(i) for i in self.other_ids[:8])
            more = ', ...' if len(self.other_ids) > 8 else ''
            text += (f'; different: {shown}{more} (another renderer, graphics driver or version '
                     'draws other pixels)')
        return text


def redraw(dataset: Path, output: Path, only: Sequence[int] | None = None) -> Redrawn:
    """Draw the pictures of a data set again, as ``output``/NNNNNN.png.

    Args:
        dataset: root of a data set that ``sim_trainer render`` wrote, or one of its splits.
        output: folder for the pictures; not one that is part of the data set.
        only: picture ids; None for all.

    Raises:
        DatasetError: there are no scene records, one is damaged, or an id is not among them.
    """
    folder = _records_folder(dataset)
    if output.resolve() == (folder / 'rgb').resolve():
        raise DatasetError(f'--output {output}: holds the pictures to compare with; give another '
                           'folder')
    config = load_config(folder / CONFIG_NAME)
    records = _chosen(folder / FILE_NAME, None if only is None else set(only))
    output.mkdir(parents=True, exist_ok=True)
    count = identical = lossy = 0
    other_ids = []
    for picture_id, image_rgb in _drawn(config, records):
        write_image(output / f'{picture_id:06d}.png', cv2.cvtColor(image_rgb, cv2.COLOR_RGB2BGR))
        count += 1
        path = picture_path(folder, picture_id)
        if path.suffix != '.png':
            lossy += 1
            continue
        before = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if before is None:
            raise DatasetError(f'{path}: not a readable picture')
        if np.array_equal(before[..., ::-1], image_rgb):
            identical += 1
        else:
            other_ids.append(picture_id)
    return Redrawn(output, count, identical, lossy, tuple(other_ids))


def _records_folder(dataset: Path) -> Path:
    """Return the one folder in a data set that holds scene records."""
    if (dataset / FILE_NAME).is_file():
        return dataset
    folders = sorted(path.parent for path in dataset.glob(f'*/*/{FILE_NAME}'))
    if not folders:
        raise DatasetError(f'{dataset}: holds no {FILE_NAME}; only data sets that sim_trainer '
                           'render wrote can be drawn again')
    if len(folders) > 1:
        names = ', '.join(str(folder) for folder in folders)
        raise DatasetError(f'{dataset}: holds several splits; give one of {names}')
    return folders[0]


def _chosen(path: Path, only: set[int] | None) -> Iterator[tuple[int, SceneRecord]]:
    """Return the records asked for; say what is missing or damaged before any is drawn."""
    missing = set(only or ()) - {picture_id for picture_id, _ in read_records(path)}
    if missing:
        raise DatasetError(f'{path}: has no record of picture '
                           f'{", ".join(str(i) for i in sorted(missing))}')
    return ((picture_id, record) for picture_id, record in read_records(path)
            if only is None or picture_id in only)


def _drawn(config: SceneConfig, records: Iterator[tuple[int, SceneRecord]]
           ) -> Iterator[tuple[int, np.ndarray]]:
    """Picture ids and pictures (H, W, 3) uint8 of records."""
    # Physics and graphics start when there is something to draw.
    from sim_trainer.evaluation.heldout import developed
    from sim_trainer.rendering.factory import make_renderer
    from sim_trainer.scene.generator import SceneGenerator

    generator = SceneGenerator(config)
    renderer = make_renderer(config, generator)
    known = generator.mesh_names
    try:
        for picture_id, record in tqdm(records, desc='drawing', unit='picture', disable=None):
            unknown = {body.mesh for body in record.bodies} - known
            if unknown:
                raise DatasetError(f'picture {picture_id}: its record names the mesh '
                                   f'{min(unknown)!r}, which the configuration does not have')
            yield picture_id, developed(renderer.draw(record), record)
    finally:
        renderer.close()
        generator.close()
