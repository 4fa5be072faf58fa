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

"""Scene records on disk: read back equal, drawn again to the same bytes, damage named."""

import dataclasses
import json
import typing

from dr_perception.core.camera import PinholeCamera
import numpy as np
import pytest
from sim_trainer import cli
from sim_trainer.errors import DatasetError
from sim_trainer.scene import record_file
from sim_trainer.scene.record_file import (FILE_NAME, read_records, record_from_plain,
                                           record_to_plain, write_record)


def _same(a, b):
    """Whether two values have the same types and are equal in every bit."""
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b)
    if dataclasses.is_dataclass(a):
        return type(a) is type(b) and all(_same(getattr(a, f.name), getattr(b, f.name))
                                          for f in dataclasses.fields(a))
    if isinstance(a, (tuple, list)):
        return type(a) is type(b) and len(a) == len(b) and all(map(_same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return a == b


@pytest.fixture
def written(tmp_path, generator):
    """Return a file of two records, and the records."""
    records = {7: generator.scene(7), 2: generator.scene(2, whole_picture=True)}
    with (tmp_path / FILE_NAME).open('w', encoding='utf-8') as stream:
        for picture_id, record in records.items():
            write_record(stream, picture_id, record)
    return tmp_path / FILE_NAME, records


def test_every_field_comes_back(written):
    path, records = written
    back = list(read_records(path))
    assert [picture_id for picture_id, _ in back] == [7, 2]
    for picture_id, record in back:
        assert _same(record, records[picture_id])
    assert len(path.read_text().splitlines()) == 2


def test_a_record_read_back_draws_the_same_bytes(written, opengl):
    path, records = written
    [(_, record), _] = read_records(path)
    first, again = opengl.draw(records[7]), opengl.draw(record)
    assert first.image_rgb.tobytes() == again.image_rgb.tobytes()
    assert first.instance_ids.tobytes() == again.instance_ids.tobytes()


@dataclasses.dataclass(frozen=True)
class _Inner:
    x_m: float
    pair: tuple[int, bool]


@dataclasses.dataclass(frozen=True)
class _Outer:
    inner: typing.Optional[_Inner]
    other: _Inner | None
    many: tuple[_Inner, ...]
    by_name: dict[str, tuple[float, ...]]
    camera: PinholeCamera
    pose: np.ndarray
    text: str = 'ä'


def test_every_kind_of_field():
    tiny = np.nextafter(0.1, 1)
    value = _Outer(None, _Inner(tiny, (3, True)), (_Inner(-0.0, (0, False)),) * 2,
                   {'a': (1e-300, 5e-324), 'b': ()},
                   PinholeCamera(1.1, 2, 3, 4, 5, 6, 'plumb_bob', (0.1, 0, 0, 0)),
                   np.random.default_rng(0).normal(size=(2, 3, 3)))
    text = json.dumps(record_file._to_plain(value))
    assert _same(record_file._from_plain(_Outer, json.loads(text), 'x'), value)


def test_numpys_scalars_become_plain():
    value = _Inner(np.float64(0.1), (np.int64(3), np.bool_(True)))
    plain = json.loads(json.dumps(record_file._to_plain(value)))
    assert record_file._from_plain(_Inner, plain, 'x') == _Inner(0.1, (3, True))


@pytest.mark.parametrize('change, message', [
    (lambda d: d.update(fog=1), 'record.fog: unknown field of a SceneRecord'),
    (lambda d: d.pop('exposure'), 'record: a SceneRecord lacks exposure'),
    (lambda d: d.update(exposure='1'), "record.exposure: got '1'; expected float"),
    (lambda d: d.update(exposure=True), 'record.exposure: got True; expected float'),
    (lambda d: d.update(bodies=3), 'record.bodies: got 3; expected a list'),
    (lambda d: d['bodies'][0].pop('mesh'), 'record.bodies.0: a Body lacks mesh'),
    (lambda d: d['bodies'][0].update(mesh=5), 'record.bodies.0.mesh: got 5; expected str'),
    (lambda d: d['bodies'].insert(1, None), 'record.bodies.1: got None; expected the fields of a'),
    (lambda d: d['bodies'][0].update(scale=[1, 2]), 'record.bodies.0.scale: got 2 values; '
     'expected 3'),
    (lambda d: d['bodies'][0]['material'].update(pattern=1.5),
     'record.bodies.0.material.pattern: got 1.5; expected int'),
    (lambda d: d.update(T_base_camera=[[1, 2], [3]]), 'record.T_base_camera: '),
    (lambda d: d.update(T_base_camera='x' * 500), 'expected nested lists of numbers'),
    (lambda d: d['camera'].update(fx_px=-1.0), 'record.camera: focal lengths are -1')])
def test_a_wrong_field_is_named(generator, change, message):
    plain = json.loads(json.dumps(record_to_plain(generator.scene(0))))
    record_from_plain(plain)
    change(plain)
    with pytest.raises(DatasetError) as info:
        record_from_plain(plain)
    assert message in str(info.value)
    assert '\n' not in str(info.value) and len(str(info.value)) < 400


@pytest.mark.parametrize('damage, message', [
    (lambda line: line[:200], 'damaged: not valid JSON ('),
    (lambda line: '[]', 'damaged: expected an object with a version'),
    (lambda line: '[' * 100_000, 'damaged: not valid JSON ('),
    (lambda line: line.replace('"version":2', '"version":99'),
     'version 99 of scene records is not known here; expected 2'),
    (lambda line: line.replace('"picture_id":2', '"picture_id":"2"'), 'damaged: has the keys'),
    (lambda line: line.replace('"picture_id":2', '"number":2'),
     'damaged: has the keys number, record, version; expected')])
def test_a_damaged_line_is_named(written, damage, message):
    path, _ = written
    first, second = path.read_text().splitlines()
    path.write_text(f'{first}\n{damage(second)}\n')
    with pytest.raises(DatasetError) as info:
        list(read_records(path))
    assert str(info.value).startswith(f'{path}, line 2: ')
    assert message in str(info.value) and '\n' not in str(info.value)


def test_a_torn_last_line_is_what_a_killed_run_leaves(written):
    path, _ = written
    path.write_text(path.read_text()[:-100])
    assert [picture_id for picture_id, _ in read_records(path)] == [7]


def test_an_unreadable_file_is_named(tmp_path):
    with pytest.raises(DatasetError, match='cannot be read'):
        list(read_records(tmp_path / FILE_NAME))
    (tmp_path / FILE_NAME).write_bytes(b'\xff\xfe\n')
    with pytest.raises(DatasetError, match='damaged'):
        list(read_records(tmp_path / FILE_NAME))


SMALL = ['--set', 'camera.width_px=128', '--set', 'camera.height_px=96',
         '--set', 'camera.fx_px=123', '--set', 'camera.fy_px=123', '--set', 'camera.cx_px=63.5',
         '--set', 'camera.cy_px=47.5', '--set', 'arm_urdf=null']


def test_a_data_set_is_drawn_again_from_its_records(tmp_path, reference_path, capsys):
    data, again = tmp_path / 'data', tmp_path / 'again'
    assert cli.main(['render', str(reference_path), '--count', '3', '--output', str(data),
                     *SMALL]) == 0
    capsys.readouterr()
    assert cli.main(['redraw', str(data), '--output', str(again)]) == 0
    assert capsys.readouterr().out == (
        f'{again}: 3 pictures, 3 of 3 identical to the data set in every pixel\n')
    rgb = data / 'test/train/rgb'
    for i in range(3):
        assert (again / f'00000{i}.png').read_bytes() == (rgb / f'00000{i}.png').read_bytes()

    # Another picture in the data set is found out; a JPEG is not compared.
    (rgb / '000001.png').write_bytes((rgb / '000002.png').read_bytes())
    (rgb / '000002.png').rename(rgb / '000002.jpg')
    assert cli.main(['redraw', str(data / 'test/train'), '--output', str(again),
                     '--only', '2', '1']) == 0
    assert ('2 pictures, 0 of 1 identical to the data set in every pixel, 1 not compared (the '
            'data set holds JPEG); different: 1 (another') in capsys.readouterr().out

    for arguments, message in ((['--only', '9'], 'has no record of picture 9'),
                               (['--output', str(rgb)], 'holds the pictures to compare with')):
        assert cli.main(['redraw', str(data), '--output', str(again), *arguments]) == 2
        error = capsys.readouterr().err.strip().splitlines()[-1]
        assert error.startswith('error: ') and message in error
    text = (data / 'test/train' / FILE_NAME).read_text()
    (data / 'test/train' / FILE_NAME).write_text(text.replace('"mesh":"', '"mesh":"no_', 1))
    assert cli.main(['redraw', str(data), '--output', str(again)]) == 2
    assert 'which the configuration does not have' in capsys.readouterr().err
    (data / 'test/train' / FILE_NAME).unlink()
    assert cli.main(['redraw', str(data), '--output', str(again)]) == 2
    assert 'only data sets that sim_trainer render wrote' in capsys.readouterr().err
