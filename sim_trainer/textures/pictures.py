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

"""Pictures of the user (photographs of floors, posters, rooms) as textures of any surface."""

from __future__ import annotations

from dataclasses import dataclass
import logging
from pathlib import Path
import struct

import cv2
import numpy as np
from sim_trainer.errors import ConfigurationError

logger = logging.getLogger(__name__)

SUFFIXES = ('.jpg', '.jpeg', '.png', '.bmp', '.webp')
#: Larger pictures would take gigabytes to decode.
MAX_PIXELS = 200_000_000
_MAX_FILE_BYTES = 1 << 30
#: Files named in the warning.
_NAMED = 3
_PNG, _JPEG = b'\x89PNG\r\n\x1a\n', b'\xff\xd8'
#: How files begin and end; OpenCV fills the missing rest of one that is cut short with grey.
_ENDS = ((_PNG, b'IEND'), (_JPEG, b'\xff\xd9'))
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4),
            (2, cv2.IMREAD_REDUCED_COLOR_2))


@dataclass(frozen=True, eq=False)
class PictureBank:
    """Pictures ready to be textures.

    Attributes:
        pictures: (N, S, S, 3) uint8 RGB, top row first, sRGB as the file holds it.
        skipped: one entry a file that could not be used, 'NAME (why)'.
    """

    pictures: np.ndarray
    skipped: tuple[str, ...]


def load_pictures(folder: Path, size_px: int, limit: int, seed: int) -> PictureBank:
    """Read the pictures below a folder, cut to their middle square and resized.

    Files are tried in an order that the seed and their names decide, until ``limit`` can be used;
    so the choice is the same on every machine, and no more files are read than needed.

    Args:
        folder: searched with its subfolders; hidden files are left out.
        size_px: side S of the resized pictures.
        limit: most pictures to keep; 1 or more.
        seed: of the choice where there are more.

    Raises:
        ConfigurationError: no such folder, no picture in it, or none that can be read.
    """
    if size_px < 1 or limit < 1:
        raise ValueError(f'size_px {size_px} and limit {limit} start at 1')
    folder = Path(folder)
    if not folder.is_dir():
        raise ConfigurationError(f'{folder}: there is no such folder of pictures; give one that '
                                 'exists, or leave the key out')
    files = [path for path in folder.rglob('*')
             if path.suffix.lower() in SUFFIXES and not path.name.startswith('.')]
    files.sort(key=lambda path: path.relative_to(folder).as_posix())
    if not files:
        raise ConfigurationError(f'{folder}: holds no pictures; put {", ".join(SUFFIXES)} files '
                                 'into it or its subfolders, or give another folder')
    pictures: list[np.ndarray] = []
    skipped: list[str] = []
    for i in np.random.default_rng([seed, len(files)]).permutation(len(files)):
        if len(pictures) == limit:
            break
        picture, reason = _read(files[i], size_px)
        if picture is None:
            skipped.append(f'{files[i].relative_to(folder).as_posix()} ({reason})')
        else:
            pictures.append(_square(picture, size_px))
    if not pictures:
        raise ConfigurationError(f'{folder}: none of its {len(files)} pictures can be used: '
                                 f'{_some(skipped)}; put readable pictures into it, or give '
                                 'another folder')
    if skipped:
        logger.warning('%d of %d pictures in %s were skipped: %s', len(skipped),
                       len(skipped) + len(pictures), folder, _some(skipped))
    return PictureBank(np.stack(pictures), tuple(skipped))


def _some(skipped: list[str]) -> str:
    more = len(skipped) - _NAMED
    return ', '.join(skipped[:_NAMED]) + (f' and {more} more' if more > 0 else '')


def _read(path: Path, size_px: int) -> tuple[np.ndarray | None, str]:
    """RGB (H, W, 3) uint8 and '', or None and why not; a large JPEG comes smaller."""
    try:
        size = path.stat().st_size
        if not path.is_file():
            return None, 'not a file'
        if size == 0:
            return None, 'empty'
        if size > _MAX_FILE_BYTES:
            return None, f'{size >> 20} MB, too large'
        data = path.read_bytes()
    except OSError as error:
        return None, error.strerror or 'cannot be opened'
    pixels = declared_pixels(data)
    if pixels is not None and pixels > MAX_PIXELS:
        return None, f'{pixels / 1e6:.0f} megapixels, at most {MAX_PIXELS // 10 ** 6} are read'
    if any(data.startswith(start) and end not in data[len(data) // 2:] for start, end in _ENDS):
        return None, 'cut short'
    # Unchanged: OpenCV would otherwise drop the alpha channel without blending it.
    flag = cv2.IMREAD_UNCHANGED
    if data.startswith(_JPEG):      # decoded at 1/2, 1/4 or 1/8: four times as fast from a camera
        flag = next((reduced for factor, reduced in _REDUCED
                     if (pixels or 0) > (4 * factor * size_px) ** 2), flag)
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flag)
    except cv2.error:       # too large for OpenCV's own limits
        picture = None
    if picture is None:
        return None, 'not a readable picture'
    return _to_rgb(picture), ''


def declared_pixels(data: bytes) -> int | None:
    """Pixels that the header of a PNG, JPEG, BMP or WebP promises, before any is decoded.

    None where the header is of another kind or cut short. ``Source:`` PNG (RFC 2083), JPEG (ITU
    T.81, B.2.2), BMP (BITMAPINFOHEADER), WebP (RFC 9649).
    """
    try:
        if data.startswith(_PNG):
            width, height = struct.unpack_from('>II', data, 16)
        elif data[:2] == b'BM':
            width, height = struct.unpack_from('<ii', data, 18)
        elif data[:4] == b'RIFF' and data[8:12] == b'WEBP':
            width, height = _webp_size(data)
        elif data.startswith(_JPEG):
            width, height = _jpeg_size(data)
        else:
            return None
    except (struct.error, IndexError):
        return None
    return abs(width) * abs(height)


def _webp_size(data: bytes) -> tuple[int, int]:
    kind = data[12:16]
    if kind == b'VP8X':
        return (1 + int.from_bytes(data[24:27], 'little'),
                1 + int.from_bytes(data[27:30], 'little'))
    if kind == b'VP8L':
        bits, = struct.unpack_from('<I', data, 21)
        return 1 + (bits & 0x3fff), 1 + (bits >> 14 & 0x3fff)
    width, height = struct.unpack_from('<HH', data, 26)
    return width & 0x3fff, height & 0x3fff


def _jpeg_size(data: bytes) -> tuple[int, int]:
    at = 2
    while True:
        if data[at] != 0xff:
            raise IndexError('no marker')
        marker = data[at + 1]
        if marker == 0xff:                          # padding
            at += 1
        elif 0xc0 <= marker <= 0xcf and marker not in (0xc4, 0xc8, 0xcc):
            height, width = struct.unpack_from('>HH', data, at + 5)
            return width, height
        elif marker == 0x01 or 0xd0 <= marker <= 0xd8:  # markers without a length
            at += 2
        else:
            at += 2 + struct.unpack_from('>H', data, at + 2)[0]


def _to_rgb(picture: np.ndarray) -> np.ndarray:
    """Return 8-bit RGB of what OpenCV decoded: grey, colour or alpha (on mid-grey), 8...16 bit."""
    if picture.dtype == np.uint16:
        picture = (picture >> 8).astype(np.uint8)
    elif picture.dtype != np.uint8:
        picture = np.clip(picture * 255.0, 0, 255).astype(np.uint8)
    if picture.ndim == 2:
        return cv2.cvtColor(picture, cv2.COLOR_GRAY2RGB)
    if picture.shape[2] == 4:
        alpha = picture[:, :, 3:].astype(np.float32) / 255
        color = picture[:, :, :3] * alpha + 128 * (1 - alpha)
        picture = np.round(color).astype(np.uint8)
    return cv2.cvtColor(picture, cv2.COLOR_BGR2RGB)


def _square(picture: np.ndarray, size_px: int) -> np.ndarray:
    height, width = picture.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    middle = picture[top:top + side, left:left + side]
    return cv2.resize(middle, (size_px, size_px), interpolation=cv2.INTER_AREA)
