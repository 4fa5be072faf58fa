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

"""Pictures of the user as textures: every format, and what is no picture is said and skipped."""

import struct

import cv2
from hypothesis import given, settings
from hypothesis import strategies as st
import numpy as np
import pytest
from sim_trainer.errors import ConfigurationError
from sim_trainer.textures.pictures import declared_pixels, load_pictures

RGB = (200, 120, 40)


def _write(path, picture):
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), picture)


def _plain(height=40, width=60, rgb=RGB):
    return np.full((height, width, 3), rgb[::-1], np.uint8)


@pytest.mark.parametrize('suffix', ['jpg', 'jpeg', 'JPG', 'png', 'bmp', 'webp'])
def test_formats(tmp_path, suffix):
    _write(tmp_path / 'sub' / 'folder' / f'a.{suffix}', _plain())
    bank = load_pictures(tmp_path, 16, 10, 1)
    assert bank.pictures.shape == (1, 16, 16, 3) and bank.pictures.dtype == np.uint8
    assert bank.skipped == ()
    assert np.abs(bank.pictures.astype(int) - RGB).max() <= 6      # lossy formats


def test_the_middle_is_cut_out(tmp_path):
    picture = np.zeros((20, 60, 3), np.uint8)
    picture[:, 20:40] = RGB[::-1]
    picture[:10, 20:40] = 255                       # the upper half of the middle
    _write(tmp_path / 'wide.png', picture)
    [made] = load_pictures(tmp_path, 8, 1, 1).pictures
    assert (made[:4] == 255).all() and (made[4:] == RGB).all()
    # INTER_AREA: a fine checker becomes its mean, not some of its squares.
    _write(tmp_path / 'wide.png', (np.indices((256, 256)).sum(0) % 2 * 254).astype(np.uint8))
    [made] = load_pictures(tmp_path, 8, 1, 1).pictures
    assert np.abs(made.astype(int) - 127).max() <= 1


def test_grey_alpha_and_sixteen_bits(tmp_path):
    _write(tmp_path / 'grey.png', np.full((9, 9), 77, np.uint8))
    _write(tmp_path / 'deep.png', _plain().astype(np.uint16) * 257)
    alpha = np.dstack([_plain(), np.full((40, 60), 255, np.uint8)])
    _write(tmp_path / 'whole.png', alpha)
    alpha[:, :, 3] = 0
    _write(tmp_path / 'glass.png', alpha)
    bank = load_pictures(tmp_path, 4, 10, 1)
    assert {tuple(int(c) for c in picture[0, 0]) for picture in bank.pictures} == {
        (77, 77, 77), RGB, (128, 128, 128)}
    assert len(bank.pictures) == 4


def test_large_jpegs_come_out_the_same(tmp_path):
    ramp = np.tile(np.linspace(0, 255, 1200).astype(np.uint8), (1000, 1))
    _write(tmp_path / 'a.jpg', ramp)
    [made] = load_pictures(tmp_path, 16, 1, 1).pictures
    wanted = cv2.resize(ramp[:, 100:1100], (16, 16), interpolation=cv2.INTER_AREA)
    assert np.abs(made[:, :, 0].astype(int) - wanted).max() <= 3


def test_the_choice_depends_on_the_seed_alone(tmp_path):
    for i in range(20):
        _write(tmp_path / f'{i:02}.png', _plain(8, 8, (10 * i, 0, 0)))
    first, again, other = (load_pictures(tmp_path, 4, 5, seed).pictures[:, 0, 0, 0].tolist()
                           for seed in (1, 1, 2))
    assert first == again and first != other and len(set(first)) == 5
    assert len(load_pictures(tmp_path, 4, 100, 1).pictures) == 20


def _png_header(width, height):
    return (b'\x89PNG\r\n\x1a\n' + struct.pack('>I', 13) + b'IHDR'
            + struct.pack('>IIBBBBB', width, height, 8, 2, 0, 0, 0) + bytes(4)
            + struct.pack('>I', 0) + b'IEND' + bytes(4))


def test_what_cannot_be_used_is_skipped_and_said_once(tmp_path, caplog):
    for i in range(4):
        _write(tmp_path / f'good{i}.png', _plain())
    (tmp_path / 'a.jpg').write_bytes(b'this is text')
    (tmp_path / 'b.png').write_bytes(b'')
    (tmp_path / 'c.png').write_bytes(_png_header(20000, 20000))
    _write(tmp_path / 'd.jpg', np.random.default_rng(1).integers(0, 255, (64, 64, 3)))
    for name, source in (('d.jpg', 'd.jpg'), ('e.png', 'good0.png')):
        whole = (tmp_path / source).read_bytes()
        (tmp_path / name).write_bytes(whole[:len(whole) // 2])
    (tmp_path / 'folder.png').mkdir()
    (tmp_path / 'lost.jpg').symlink_to(tmp_path / 'nowhere')
    (tmp_path / 'notes.txt').write_text('not looked at')
    (tmp_path / '.hidden.png').write_bytes(b'')
    bank = load_pictures(tmp_path, 8, 100, 3)
    assert len(bank.pictures) == 4
    assert (bank.pictures == RGB).all()
    assert set(bank.skipped) == {
        'a.jpg (not a readable picture)', 'b.png (empty)', 'd.jpg (cut short)',
        'c.png (400 megapixels, at most 200 are read)', 'e.png (cut short)',
        'folder.png (not a file)', 'lost.jpg (No such file or directory)'}
    [record] = caplog.records
    text = record.getMessage()
    assert text.startswith(f'7 of 11 pictures in {tmp_path} were skipped: ')
    assert text.endswith(' and 4 more') and '\n' not in text


def test_folders_that_cannot_be_used(tmp_path):
    def refused(folder):
        with pytest.raises(ConfigurationError) as caught:
            load_pictures(folder, 8, 5, 1)
        assert '\n' not in str(caught.value)
        return str(caught.value)

    assert 'there is no such folder of pictures; give one that exists' in refused(tmp_path / 'x')
    assert 'holds no pictures; put .jpg, .jpeg, .png, .bmp, .webp files' in refused(tmp_path)
    (tmp_path / 'a.png').write_bytes(b'')
    text = refused(tmp_path)
    assert 'none of its 1 pictures can be used: a.png (empty); put readable pictures' in text
    assert 'there is no such folder' in refused(tmp_path / 'a.png')
    with pytest.raises(ValueError, match='size_px 0 and limit 5 start at 1'):
        load_pictures(tmp_path, 0, 5, 1)


@pytest.mark.parametrize('suffix', ['.png', '.jpg', '.bmp', '.webp'])
@settings(max_examples=10, deadline=None)
@given(st.integers(1, 300), st.integers(1, 300), st.booleans())
def test_declared_pixels(suffix, height, width, lossless):
    options = [cv2.IMWRITE_WEBP_QUALITY, 101 if lossless else 80] if suffix == '.webp' else []
    data = cv2.imencode(suffix, np.zeros((height, width, 3), np.uint8), options)[1].tobytes()
    assert declared_pixels(data) == height * width
    for cut in range(0, min(len(data), 40)):
        assert declared_pixels(data[:cut]) in (None, height * width)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from([b'\x89PNG\r\n\x1a\n', b'\xff\xd8', b'BM', b'RIFF0000WEBP', b'']),
       st.binary(max_size=80))
def test_no_header_breaks_it(start, rest):
    assert declared_pixels(start + rest) is None or declared_pixels(start + rest) >= 0
