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

"""The scene YAML: what it holds, and one clear line for everything that is wrong with it."""

import dataclasses
import time

import pytest
from sim_trainer import cli
from sim_trainer.configuration.loader import build, to_plain
from sim_trainer.configuration.schema import load_config, SceneConfig
from sim_trainer.errors import ConfigurationError


def test_the_reference_scene(reference_path):
    config = load_config(reference_path)
    camera = config.camera
    assert (camera.width_px, camera.height_px) == (640, 480)
    assert (camera.fx_px, camera.fy_px, camera.cx_px, camera.cy_px) == (615, 615, 319.5, 239.5)
    assert camera.position_m == (1.10, 0, 0.65) and camera.look_at_m == (0.5, 0, 0)
    workspace = config.workspace
    assert (workspace.x_m.low, workspace.x_m.high) == (0.30, 0.70)
    assert (workspace.y_m.low, workspace.y_m.high) == (-0.28, 0.28)
    assert [entry.name for entry in config.objects] == [
        'cone', 'cube', 'cylinder', 'hexagonal_prism', 'pyramid', 'rectangular_prism',
        'tetrahedron', 'triangular_prism']


def _refused(path, *overrides):
    with pytest.raises(ConfigurationError) as caught:
        load_config(path, list(overrides))
    text = str(caught.value)
    assert '\n' not in text
    return text


@pytest.mark.parametrize('override, message', [
    ('camra.fx_px=1', "camra: unknown key; did you mean 'camera'?"),
    ('training.stepz=1', "training.stepz: unknown key; did you mean 'steps'?"),
    ('zzz=1', 'zzz: unknown key; expected one of name, camera'),
    ('seed=1.5', 'seed: got 1.5; expected a whole number'),
    ('seed=-1', 'seed: -1; expected 0 or more'),
    ('seed=true', 'seed: got True; expected a whole number'),
    ('camera.fx_px="615"', "camera.fx_px: got '615'; expected a number (no unit, no quotes)"),
    ('training.learning_rate=1e-4', 'expected a number (write 1.0e-4, not 1e-4)'),
    ('camera.fx_px=.nan', 'camera.fx_px: got nan; expected a finite number'),
    ('camera.fx_px=-615', 'camera: focal lengths -615, 615 px; expected positive numbers'),
    ('camera.width_px=100000', 'camera: size 100000x480 px; expected 16...8192'),
    ('camera.fx_px=4.2', 'fx is 4.2 px for a picture of 640x480 px'),
    ('camera.cx_px=31950', 'camera: '),
    ('camera.look_at_m=[1.10, 0.0, 0.0]', 'camera: looks from position_m'),
    ('camera.position_m=[1100, 0, 650]', 'give metres, not millimetres'),
    ('camera.position_m=[1.1, 0, -0.65]', 'the camera must stand above the table top'),
    ('camera.position_m=[1.1, 0]', 'camera.position_m: got 2 values; expected 3'),
    ('camera.position_m=1.1', 'camera.position_m: got 1.1; expected a list'),
    ('camera=5', 'camera: got 5; expected a mapping with the keys width_px'),
    ('workspace.x_m=[0.7, 0.3]', 'workspace.x_m: low 0.7 is above high 0.3; swap them'),
    ('workspace.x_m=[300, 700]', 'metres, not millimetres'),
    ('workspace.x_m=[0.3]', 'workspace.x_m: got [0.3]; expected [low, high]'),
    ('objects=[]', 'objects: the list is empty'),
    ('objects.1.name=cone', "objects: the name 'cone' stands twice"),
    ('objects.1.name=my cube', 'a name has letters, digits and underscores'),
    ('objects.1.name=d\u00fcbel', 'a name has letters, digits and underscores'),
    ('objects.1.shape=sphere', "unknown shape 'sphere'; expected one of cone, box"),
    ('objects.1.size_m=[0.05, -0.05, 0.05]', 'size_m = -0.05 m; expected 0.002...2 m'),
    ('objects.1.color=[255, 0, 0]', 'color = 255, 0, 0; expected red, green, blue of 0...1'),
    ('objects.1.size_spread=0.1', 'size_spread = 0.1; expected 0...0.04, a part of the size'),
    ('objects.1.color_spread=0.2', 'color_spread without color; give the colour that is known'),
    ('objects.1.size_m=[50, 50, 50]', 'size_m = 50 m; expected 0.002...2 m (metres, positive; '),
    ('objects.1.size_m=null', "object 'cube': shape box needs size_m"),
    ('objects.1.radius_m=0.1', 'shape box takes size_m, not radius_m'),
    ('objects.3.sides=2', 'sides = 2; expected 3...64'),
    ('randomization.objects.tumbled=1.2', 'randomization.objects.tumbled: 1.2; expected a chance'),
    ('randomization.lighting.count=[0, 2]', 'lighting.count: [0, 2]; expected 1...6 lamps'),
    ('randomization.lighting.count=[1, 9]', 'lighting.count: [1, 9]; expected 1...6 lamps'),
    ('randomization.lighting.distance_m=[2, 1]', 'distance_m: low 2 is above high 1; swap them'),
    ('randomization.textures.families=[plaid]', "unknown family 'plaid'; expected some of flat"),
    ('randomization.textures.count=-1', 'textures.count: -1; expected 1 or more, or 0'),
    ('randomization.viewpoint.zoom=2', 'viewpoint.zoom: 2; expected 0...0.9'),
    ('frames.count=0', 'frames.count: 0; expected 1...10,000,000'),
    ('frames.window_width_px=32', 'frames: the window is smaller than 64 px'),
    ('frames.scale=0', 'frames.scale: 0; expected 0.05...4'),
    ('training.model=vgg', "training.model: 'vgg'; expected keypoints or tobin2017"),
    ('training.model=tobin2017', 'training.object_name: None; tobin2017 localizes one object'),
    ('training.steps=0', 'training: steps, batch_size, reuse and workers start at 1'),
    ('training.learning_rate=2', 'training.learning_rate: 2; expected a number between'),
    ('training.start_from=5', 'training.start_from: got 5; expected text'),
    ('training.start_from=[a.onnx, 5]', 'training.start_from.1: got 5; expected text'),
    ('training.compile=1', 'training.compile: got 1; expected true or false')])
def test_a_wrong_value_is_one_line(reference_path, override, message):
    text = _refused(reference_path, override)
    assert text.startswith(f'{reference_path}: ')
    assert message in text


@pytest.mark.parametrize('override, paths', [
    ('null', ()), ('runs/a', ('runs/a',)), ('[a.onnx, b.onnx]', ('a.onnx', 'b.onnx'))])
def test_one_or_several_weights_to_begin_with(reference_path, override, paths):
    config = load_config(reference_path, [f'training.start_from={override}'])
    assert config.training.start_paths == paths
    assert config == build(SceneConfig, to_plain(config))


@pytest.mark.parametrize('override, message', [
    ('seed', '--set seed: expected KEY.PATH=VALUE'),
    ('=3', '--set =3: expected KEY.PATH=VALUE'),
    ('seed.x=3', "--set seed.x=3: 'x' is not inside a mapping"),
    ('objects.99.name=x', "'99' is not inside a mapping"),
    ('seed=[1', "--set seed=[1: '[1' is not a YAML value")])
def test_a_wrong_override_is_one_line(reference_path, override, message):
    assert message in _refused(reference_path, override)


def test_a_missing_key(tmp_path):
    path = tmp_path / 'scene.yaml'
    path.write_text('name: x\n')
    assert 'camera: missing; this key is required' in _refused(path)


def test_files_that_are_no_scene(tmp_path):
    assert 'there is no such file; give the path of a scene YAML' in _refused(tmp_path / 'no')
    path = tmp_path / 'scene.yaml'
    for content, message in ((b'a: [1', 'not valid YAML'), (b'- 1', 'holds a list; expected'),
                             (b'\xff\xfe\x00x', 'not valid YAML'), (b'', 'is empty; config/'),
                             (b'a: 1\na: 2', "line 2: key 'a' stands twice (first in line 1)"),
                             (b'#' * (2 << 20), 'bytes; a scene YAML has at most')):
        path.write_bytes(content)
        assert message in _refused(path)


def test_the_loader_runs_no_code(tmp_path):
    proof = tmp_path / 'proof'
    path = tmp_path / 'scene.yaml'
    path.write_text(f'name: !!python/object/apply:pathlib.Path.touch [{proof}]\n')
    assert 'not valid YAML' in _refused(path)
    assert not proof.exists()


def test_an_alias_bomb_does_no_harm(tmp_path, reference_path):
    lines = ['a0: &a0 [x, x, x, x, x, x, x, x, x, x]']
    for i in range(1, 30):
        lines.append(f'a{i}: &a{i} [{", ".join([f"*a{i - 1}"] * 10)}]')
    path = tmp_path / 'bomb.yaml'
    path.write_text('\n'.join(lines))
    start = time.monotonic()
    _refused(path)
    assert time.monotonic() - start < 5


def test_an_alias_bomb_under_a_known_key_is_told_in_short(tmp_path):
    lists = ['&a0 [x, x, x, x, x, x, x, x, x, x]']
    lists += [f'&a{i} [{", ".join([f"*a{i - 1}"] * 10)}]' for i in range(1, 9)]
    path = tmp_path / 'bomb.yaml'
    for key in ('name', 'seed', 'objects', 'camera'):
        path.write_text(f'{key}: [{", ".join(lists)}]\n')
        start = time.monotonic()
        assert len(_refused(path)) < 1000
        assert time.monotonic() - start < 2


@pytest.mark.parametrize('content, message', [
    ('? [a, b]\n: 1', "line 1: key ['a', 'b'] is not text"),
    ('a: {{b: 1}: 2}', "line 1: key {'b': 1} is not text"),
    ('name: 2026-13-45', 'not valid YAML: month must be in 1..12'),
    (f'seed: {"9" * 5000}', 'not valid YAML: Exceeds the limit'),
    ('name: ' + '[' * 5000, 'not valid YAML'),
    ('name: a\nname: b', "line 2: key 'name' stands twice (first in line 1); remove one")])
def test_odd_yaml_is_one_line(tmp_path, content, message):
    path = tmp_path / 'scene.yaml'
    path.write_text(content)
    assert message in _refused(path)


def test_a_number_beyond_all_floats(reference_path):
    text = _refused(reference_path, f'camera.fx_px={"9" * 400}')
    assert 'camera.fx_px: got 99999' in text and 'expected a finite number' in text
    assert len(text) < 500


@pytest.mark.parametrize('value, message', [
    ('2026-13-45', 'is not a YAML value'), ('{a: 1, a: 2}', "key 'a' stands twice"),
    ('{[1]: 2}', 'key [1] is not text'), ('9' * 5000, 'is not a YAML value')])
def test_odd_overrides_are_one_line(reference_path, value, message):
    text = _refused(reference_path, f'name={value}')
    assert message in text and '--set name=' in text and len(text) < 600


def test_the_reference_objects(reference_path):
    """The numbers of the reference scene; other data sets are drawn from it."""
    shapes = {entry.name: {key: value for key, value in dataclasses.asdict(entry).items()
                           if value is not None and key != 'name'}
              for entry in load_config(reference_path).objects}
    triangle = shapes.pop('triangular_prism')
    assert triangle.pop('circumradius_m') * 3 ** 0.5 == pytest.approx(0.060, abs=1e-7)   # edge
    assert triangle == {'shape': 'prism', 'sides': 3, 'height_m': 0.070}
    assert shapes == {
        'cone': {'shape': 'cone', 'radius_m': 0.030, 'height_m': 0.070},
        'cube': {'shape': 'box', 'size_m': (0.050, 0.050, 0.050)},
        'cylinder': {'shape': 'cylinder', 'radius_m': 0.025, 'height_m': 0.060},
        'hexagonal_prism': {'shape': 'prism', 'sides': 6, 'circumradius_m': 0.030,
                            'height_m': 0.050},
        'pyramid': {'shape': 'pyramid', 'edge_m': 0.060, 'height_m': 0.060},
        'rectangular_prism': {'shape': 'box', 'size_m': (0.080, 0.040, 0.040)},
        'tetrahedron': {'shape': 'tetrahedron', 'edge_m': 0.070}}


@pytest.mark.parametrize('arguments, message', [
    (['train', 'nothing.yaml', '--output', 'x'], 'nothing.yaml: there is no such file'),
    (['preview', 'nothing.yaml', '--output', 'x.png'], 'nothing.yaml: there is no such file'),
    (['evaluate', '--model', 'no.onnx', '--bop', 'nowhere', '--split', 'clean'],
     'nowhere/test/clean: there is no such split')])
def test_the_users_errors_end_with_exit_code_2(arguments, message, capsys):
    assert cli.main(arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith('error: ') and message in err and err.count('\n') == 1


def test_a_missing_dependency_is_its_install_command(monkeypatch, capsys, reference_path):
    def absent(arguments, rest):
        raise ModuleNotFoundError("No module named 'pybullet'", name='pybullet')

    monkeypatch.setattr(cli, '_train', absent)
    assert cli.main(['train', str(reference_path), '--output', 'x']) == 2
    err = capsys.readouterr().err
    assert "pybullet is not installed: pip install 'dr_perception[train]'" in err


def test_a_bug_keeps_its_traceback(monkeypatch, reference_path):
    def bug(arguments, rest):
        raise KeyError('bug')

    monkeypatch.setattr(cli, '_train', bug)
    with pytest.raises(KeyError, match='bug'):
        cli.main(['train', str(reference_path), '--output', 'x'])
