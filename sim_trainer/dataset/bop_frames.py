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

"""Windows of the pictures of a BOP data set, as training frames, to be mixed with drawn ones."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path

from dr_perception.core.camera import PinholeCamera
from dr_perception.core.objects import ObjectModel
import numpy as np
from sim_trainer.dataset.bop import BopInstance, BopPicture, BopSplit
from sim_trainer.dataset.frames import Frame
from sim_trainer.dataset.labels import count_ids, InstanceLabel
from sim_trainer.dataset.silhouettes import silhouette
from sim_trainer.errors import DatasetError

#: Windows that hold an object on purpose; the others lie anywhere.
OBJECT_PROBABILITY = 0.8
#: Objects seen less than this are not looked for.
_LEAST_VISIBLE = 0.1
CACHED_PICTURES = 8


class BopFrames:
    """The pictures of a split, each frame a window of one. Not safe to share between threads.

    Attributes:
        ignored_count: annotations of objects that are not in the catalogue.
    """

    def __init__(self, root: Path, split: str, catalogue: tuple[ObjectModel, ...],
                 window: tuple[int, int], names: Mapping[int, str] | None = None) -> None:
        """Open a split.

        Args:
            root, split, names: see ``BopSplit``.
            catalogue: the objects to learn; others are ignored.
            window: width and height of the frames, pixels.

        Raises:
            DatasetError: see ``BopSplit``; or the split is empty or has no object of the
                catalogue.
        """
        self._split = BopSplit(root, split, names)
        self._catalogue = catalogue
        self._index = {model.name: i for i, model in enumerate(catalogue)}
        self._window = window
        self._cache: OrderedDict[int, BopPicture] = OrderedDict()
        counts = self._split.counts()
        known = sum(n for name, n in counts.items() if name in self._index)
        self.ignored_count = self._split.ignored_count + sum(counts.values()) - known
        if len(self._split) == 0:
            raise DatasetError(f'{self._split.folder}: holds no pictures')
        if known == 0:
            there = ', '.join(sorted(counts)) or 'none that has a name'
            raise DatasetError(f'{self._split.folder}: holds no object of the catalogue '
                               f'({", ".join(self._index)}), but {there}; give the names of its '
                               'object ids')

    def __len__(self) -> int:
        return len(self._split)

    def frame(self, index: int, rng: np.random.Generator) -> Frame:
        """Return a random window of picture ``index``, 0...len - 1; decided by ``rng`` alone.

        ``T_base_camera`` is the identity where the data set does not say it. Visible fractions
        are of the window: what lies outside it is not seen.

        Raises:
            DatasetError: the picture cannot be read, or is smaller than the window. It is not
                padded by its mirror image: mirrored objects would lack their labels.
        """
        picture = self._picture(index)
        width, height = self._window
        camera = picture.camera
        if camera.width_px < width or camera.height_px < height:
            raise DatasetError(f'{picture.path}: has {camera.width_px}x{camera.height_px} px; the '
                               f'window of training has {width}x{height} px; lower '
                               'frames.window_width_px and frames.window_height_px')
        left, top = self._place(picture, rng)
        cropped = camera.cropped(left, top, width, height)
        T_base_camera = np.eye(4) if picture.T_base_camera is None else picture.T_base_camera
        window = (slice(top, top + height), slice(left, left + width))
        ids = None if picture.instance_ids is None else picture.instance_ids[window]
        seen = None if ids is None else count_ids(ids)
        labels, renumbered = [], np.zeros(256, np.uint8)
        for i, instance in enumerate(picture.instances):
            if instance.object_name in self._index:
                kind = self._index[instance.object_name]
                if i < 255:
                    renumbered[i + 1] = len(labels) + 1
                labels.append(InstanceLabel(kind, instance.T_camera_object.copy(), _visible(
                    self._catalogue[kind], instance, camera, cropped, (left, top),
                    None if seen is None or i >= 255 else int(seen[i + 1]))))
        return Frame(picture.image_rgb[window].copy(), cropped, T_base_camera.copy(), labels,
                     None if ids is None else renumbered[ids])

    def _picture(self, index: int) -> BopPicture:
        if not 0 <= index < len(self._split):
            raise IndexError(f'frame {index} of {len(self._split)}')
        if index in self._cache:
            self._cache.move_to_end(index)
            return self._cache[index]
        picture = self._split.read(self._split.ids[index], masks=True)
        self._cache[index] = picture
        if len(self._cache) > CACHED_PICTURES:
            self._cache.popitem(last=False)
        return picture

    def _place(self, picture: BopPicture, rng: np.random.Generator) -> tuple[int, int]:
        """Left and top of a window."""
        # All numbers are drawn each time, so that none depends on what the picture holds.
        wanted, which, across, down = rng.random(4)
        camera = picture.camera
        size = np.array(self._window)
        room = np.array([camera.width_px, camera.height_px]) - size
        centres = self._centres(picture)
        if wanted >= OBJECT_PROBABILITY or len(centres) == 0:
            left_top = np.floor(np.array([across, down]) * (room + 1))
        else:
            # The object's centre lies anywhere in the window.
            centre = centres[int(which * len(centres))]
            left_top = np.round(centre - np.array([across, down]) * (size - 1))
        left, top = np.clip(left_top, 0, room).astype(int)
        return int(left), int(top)

    def _centres(self, picture: BopPicture) -> np.ndarray:
        """(N, 2) pixels of the known objects' origins that lie in the picture and are seen."""
        poses = [i.T_camera_object for i in picture.instances if i.object_name in self._index
                 and (i.visible_fraction is None or i.visible_fraction >= _LEAST_VISIBLE)]
        camera = picture.camera
        pixels = camera.project(np.array([pose[:3, 3] for pose in poses]).reshape(-1, 3))
        size = [camera.width_px, camera.height_px]
        return pixels[((pixels >= 0) & (pixels < size)).all(1)]


def _visible(model: ObjectModel, instance: BopInstance, camera: PinholeCamera,
             cropped: PinholeCamera, left_top: tuple[int, int], seen_px: int | None) -> float:
    """Return the part of an object that is seen in a window.

    With masks, the seen pixels are counted. Without, what the window cuts off is taken to be as
    visible as the rest.
    """
    whole = silhouette(model, instance.T_camera_object, camera)
    if whole.area_px == 0:
        return 0.0
    if seen_px is not None:
        return min(1.0, seen_px / whole.area_px)
    inside = whole.within(camera.width_px, camera.height_px).area_px
    part = whole.within(cropped.width_px, cropped.height_px, left_top).area_px
    if inside == 0:
        return 0.0
    given = inside / whole.area_px if instance.visible_fraction is None else (
        instance.visible_fraction)
    return min(1.0, given * part / inside)
