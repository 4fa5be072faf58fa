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

"""The pictures on the parts of a mesh file, joined into one.

One picture on the whole mesh is taken as it is. Several, or parts that have a colour only, become
the tiles of one square sheet. Colours alone make no picture, and the other maps of a material
(normals, roughness) are left out: how a surface reflects is drawn at random.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
import logging
import math
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from sim_trainer.errors import ConfigurationError

logger = logging.getLogger(__name__)

#: Longest side (px) of the joined picture; an object is some 100 px wide in a camera's picture.
MAX_SIDE_PX = 2048


@dataclass(frozen=True, eq=False)
class TexturedPart:
    """Vertices (V, 3) in the file's unit, faces (F, 3), uv (V, 2; v up) or None, material."""

    vertices: np.ndarray
    faces: np.ndarray
    uv: np.ndarray | None
    material: Any


def joined_texture(path: Path, parts: list[TexturedPart]
                   ) -> tuple[np.ndarray | None, np.ndarray | None]:
    """``uv`` (sum of V, 2) and picture (H, W, 3) uint8 RGB of all parts; None, None without one.

    The picture's top row comes first and v points up (see ``MeshFile``).

    Raises:
        ConfigurationError: a picture that cannot be read.
    """
    images = [None if part.uv is None else _image_of(part.material) for part in parts]
    pictures = list({id(image): image for image in images if image is not None}.values())
    if not pictures:
        if any(part.uv is not None for part in parts):
            # trimesh leaves out a picture that is missing or outside the mesh's folder.
            _warn_once(f'{path}: has texture coordinates but no picture'
                       f'{_missing_pictures(path)}, so its surface is drawn at random; a picture '
                       'must lie beside the file or below, named in the .mtl or .glb')
        return None, None
    if len(pictures) == 1 and all(image is not None for image in images):
        return (np.concatenate([part.uv for part in parts]),
                _fit(_to_rgb(path, pictures[0]), MAX_SIDE_PX))
    tiles: dict[Any, np.ndarray] = {}
    keys = []
    for part, image in zip(parts, images):
        key = id(image) if image is not None else _color_of(part.material)
        keys.append(key)
        if key not in tiles:
            tiles[key] = (_to_rgb(path, image) if image is not None
                          else np.full((8, 8, 3), key, np.uint8))
    return _sheet(path, parts, keys, tiles)


@cache
def _warn_once(text: str) -> None:
    """Log a warning: a mesh is read several times."""
    logger.warning('%s', text)


def _missing_pictures(path: Path) -> str:
    """Return which files an OBJ names that are not there, to be read on after 'no picture'."""
    if path.suffix.lower() != '.obj':
        return ''

    def named(file: Path, key: str) -> list[Path]:
        lines = (line.split() for line in file.read_text('utf-8', 'replace').splitlines())
        return [file.parent / words[-1] for words in lines if len(words) > 1 and words[0] == key]

    materials = named(path, 'mtllib')
    wanted = materials + [picture for file in materials if file.is_file()
                          for picture in named(file, 'map_Kd')]
    missing = [file.name for file in wanted if not file.is_file()]
    return f' ({", ".join(missing)} is missing)' if missing else ''


def _sheet(path: Path, parts: list[TexturedPart], keys: list[Any], tiles: dict[Any, np.ndarray]
           ) -> tuple[np.ndarray, np.ndarray]:
    columns = math.ceil(math.sqrt(len(tiles)))
    largest = max(max(tile.shape[:2]) for tile in tiles.values())
    side_px = max(2, min(largest, MAX_SIDE_PX // columns))
    sheet = np.zeros((columns * side_px, columns * side_px, 3), np.uint8)
    places = {}
    for i, (key, tile) in enumerate(tiles.items()):
        row, column = divmod(i, columns)
        places[key] = row, column
        sheet[row * side_px:(row + 1) * side_px, column * side_px:(column + 1) * side_px] = (
            cv2.resize(tile, (side_px, side_px), interpolation=cv2.INTER_AREA))
    uvs, repeats = [], False
    for part, key in zip(parts, keys):
        row, column = places[key]
        uv = np.full((len(part.vertices), 2), 0.5) if part.uv is None else part.uv
        repeats |= part.uv is not None and bool((np.abs(uv - 0.5) > 0.51).any())
        # Half a texel from the tile's border: filtering must not fetch from the next tile.
        inside = (0.5 + np.clip(uv, 0, 1) * (side_px - 1)) / side_px
        uvs.append(np.stack([(column + inside[:, 0]) / columns,
                             1 - (row + 1 - inside[:, 1]) / columns], axis=1))
    if repeats:
        logger.warning('%s: several pictures are joined into one, where a picture cannot repeat; '
                       'parts beyond its border take the colour of the border', path)
    return np.concatenate(uvs), sheet


def _image_of(material: Any) -> Any:
    """Return the material's base colour picture (PIL), or None; one of 2x2 px is just a colour."""
    for name in ('baseColorTexture', 'image'):
        image = getattr(material, name, None)
        # trimesh makes up a grey picture of 2x2 px for coordinates without a material.
        if image is not None and max(image.size) > 2:
            return image
    return None


def _color_of(material: Any) -> tuple[int, int, int]:
    color = getattr(material, 'main_color', None)
    return (128, 128, 128) if color is None else tuple(int(c) for c in np.asarray(color)[:3])


def _to_rgb(path: Path, image: Any) -> np.ndarray:
    try:
        return np.asarray(image.convert('RGB'), np.uint8)
    except (OSError, SyntaxError, ValueError) as error:     # PIL decodes only now
        raise ConfigurationError(f'{path}: its picture cannot be read: {error}; export the mesh '
                                 'again') from error


def _fit(picture: np.ndarray, side_px: int) -> np.ndarray:
    scale = side_px / max(picture.shape[:2])
    if scale >= 1:
        return picture
    height_px, width_px = (max(1, round(n * scale)) for n in picture.shape[:2])
    return cv2.resize(picture, (width_px, height_px), interpolation=cv2.INTER_AREA)
